"""Boxes through time: what is found in some frames is one thing, and is hidden in all frames in between and around.

Two ways of finding the same thing again: boxes of neighbouring frames that overlap, low-scored ones too as long as one
of them all is sure (ByteTrack, Zhang et al. 2022, section 3: every box is worth associating), and the look of the thing
itself, where the detector says nothing. Time only ever adds cover: a frame's own boxes are hidden whatever the rest is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from censor.follow import Gray, walk
from censor.rules import Rule, reached
from detect.boxes import iou
from detect.detections import Detections

__all__ = ["FLOOR", "HOLD_SECONDS", "LONGEST_GAP", "Rules", "Track", "cover", "link"]

FLOOR = 0.25
"""Boxes of this share of the score that hides are worth associating."""

LONGEST_GAP = 0.75
"""Seconds without a box that are bridged by interpolation."""

HOLD_SECONDS = 0.25
"""Time before the first box and after the last that is hidden too."""

_SAME = 0.2  # IoU with where a thing should be by now
_TWICE = 0.5  # IoU of two finds in one frame
_NEAR = 0.75  # of its own size: how far a small, fast one may be from there, …
_FURTHER = 0.15  # … and as much again for each of so many seconds
_SMOOTHING = 0.1  # seconds, to both sides
_GROWTH = 0.3  # share of a side for each second between two boxes: nobody knows the way in between

Box = NDArray[np.float64]
Times = Sequence[float]
_Row = tuple[Box, float, int, int]  # score, label and number of the track
Rules = Callable[[str], Rule | None]
"""What is done about a label; None for nothing."""


@dataclass
class Track:
    """One thing in one shot.

    Attributes:
        frames: Numbers of the frames that it was found in, ascending.
        boxes: Where, xyxy.
        scores: How surely.
        labels: As what.
    """

    frames: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, frame: int, box: Box, score: float, label: str) -> None:
        """Add what was found in a later frame."""
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)
        self.labels.append(label)

    def expected(self, frame: int, times: Times) -> Box:
        """Where it should be in a later frame, if it goes on as it went."""
        if len(self.frames) < 2:
            return self.boxes[-1]
        before, last = times[self.frames[-2]], times[self.frames[-1]]
        share = (times[frame] - last) / (last - before) if last > before else 0.0
        return np.asarray(self.boxes[-1] + _moved(self.boxes[-2], self.boxes[-1]) * min(share, 3.0))


def link(found: Sequence[Detections | None], times: Times, shots: Sequence[int], *, rule_for: Rules) -> list[Track]:
    """Say which boxes are one thing.

    Args:
        found: What was found in each frame; None for frames that nobody looked at.
        times: When each is shown, in seconds, ascending.
        shots: Numbers of the frames that shots begin with; ascending, the first is 0.
        rule_for: Says from which score on boxes of a label are hidden, and how.

    Returns:
        Things that were surely there in one frame at least, in the order of their first boxes.
    """
    tracks: list[Track] = []
    for first, end in pairwise([*shots, len(found)]):
        open_tracks: list[Track] = []
        for frame in range(first, end):
            seen = found[frame]
            if seen is None:
                continue
            open_tracks = [each for each in open_tracks if times[frame] - times[each.frames[-1]] <= LONGEST_GAP]
            begun = _associate(open_tracks, seen, frame, times, rule_for)
            tracks += begun
            open_tracks += begun
    return [
        each for each in tracks if any(_hidden(*row, rule_for) for row in zip(each.labels, each.scores, strict=True))
    ]


def cover(
    tracks: Sequence[Track],
    times: Times,
    shots: Sequence[int],
    names: tuple[str, ...],
    *,
    rule_for: Rules,
    size: tuple[int, int],
    looks: Sequence[Gray] = (),
) -> list[Detections]:
    """What to hide in each frame.

    Args:
        tracks: What `link` said.
        times: When each frame is shown, in seconds, ascending.
        shots: Numbers of the frames that shots begin with.
        names: Labels that detections may have.
        rule_for: What `link` was given.
        size: Columns and rows of a frame.
        looks: Each frame in grey and small, all of one size, by which a thing is followed where no box is; none for
            boxes alone.

    Returns:
        For each frame a box of each track that is there: around what was found, and around what is likely; its score is
        the best of the track, its label one that was surely there, its `track_ids` the track's number.
    """
    rows: list[list[_Row]] = [[] for _ in times]
    for number, each in enumerate(tracks):
        row = bisect_right(shots, each.frames[0]) - 1
        shot = shots[row], shots[row + 1] if row + 1 < len(shots) else len(times)
        best = max(each.scores)
        sure = {
            frame: label
            for frame, label, score in zip(each.frames, each.labels, each.scores, strict=True)
            if _hidden(label, score, rule_for)
        }
        for frame, box in _path(each, times, shot, size, looks).items():
            near = min(sure, key=lambda seen: abs(seen - frame))
            rows[frame].append((box, best, names.index(sure[near]), number))
    return [_detections(_merged(row, names, rule_for), names) for row in rows]


def _merged(rows: Sequence[_Row], names: tuple[str, ...], rule_for: Rules) -> list[_Row]:
    """One box around those that are about one thing: it was lost, and followed from both sides."""
    merged: list[_Row] = []
    for box, score, label, number in rows:
        for row, (other, best, name, first) in enumerate(merged):
            alike = _manner(names[label], rule_for) == _manner(names[name], rule_for)
            if alike and _overlap(box, other) > _TWICE:
                merged[row] = (_around(other, box), max(best, score), name, first)
                break
        else:
            merged.append((box, score, label, number))
    return merged


def _overlap(one: Box, other: Box) -> float:
    return float(iou(np.array([one], np.float32), np.array([other], np.float32))[0, 0])


def _detections(rows: Sequence[_Row], names: tuple[str, ...]) -> Detections:
    if not rows:
        return Detections.empty(names)
    boxes, scores, labels, numbers = zip(*rows, strict=True)
    return Detections(np.array(boxes), np.array(scores), np.array(labels), names, track_ids=np.array(numbers))


def _associate(tracks: Sequence[Track], seen: Detections, frame: int, times: Times, rule_for: Rules) -> list[Track]:
    """Give each track the find that is most likely its own, best pair first; the other finds begin tracks."""
    finds = _finds(seen, rule_for)
    taken: set[int] = set()
    if tracks and finds:
        expected = np.array([each.expected(frame, times) for each in tracks])
        boxes = np.array([box for box, _, _ in finds])
        likeness = np.maximum(
            iou(expected.astype(np.float32), boxes.astype(np.float32)),
            _nearness(expected, boxes, [times[frame] - times[each.frames[-1]] for each in tracks]),
        )
        given: set[int] = set()
        for flat in np.argsort(-likeness, axis=None, kind="stable").tolist():
            track, row = divmod(flat, len(finds))
            if likeness[track, row] < _SAME:
                break
            alike = _manner(tracks[track].labels[-1], rule_for) == _manner(finds[row][2], rule_for)
            if alike and track not in given and row not in taken:
                given.add(track)
                taken.add(row)
                tracks[track].add(frame, *finds[row])
    begun = []
    for row, find in enumerate(finds):
        if row not in taken:
            begun.append(Track())
            begun[-1].add(frame, *find)
    return begun


def _finds(seen: Detections, rule_for: Rules) -> list[tuple[Box, float, str]]:
    """What is worth associating: a box around all that are about one thing, and hidden alike; best score first."""
    finds: list[tuple[Box, float, str]] = []
    for row in np.argsort(-seen.scores, kind="stable").tolist():
        box, score, label = seen.xyxy[row].astype(np.float64), float(seen.scores[row]), seen.label(row)
        rule = rule_for(label)
        if rule is None or rule.censor_at is None or score < rule.censor_at * FLOOR:
            continue
        for number, (other, best, name) in enumerate(finds):
            same = _overlap(box, other) > _TWICE
            if same and _manner(label, rule_for) == _manner(name, rule_for):
                finds[number] = (_around(other, box), best, name)
                break
        else:
            finds.append((box, score, label))
    return finds


def _manner(label: str, rule_for: Rules) -> tuple[object, ...]:
    """How boxes of a label are hidden: what is hidden otherwise is another thing."""
    rule = rule_for(label)
    return () if rule is None else (rule.effect, rule.shape, rule.expand)


def _nearness(expected: NDArray[np.float64], boxes: NDArray[np.float64], gaps: Sequence[float]) -> NDArray[np.float64]:
    """As good as IoU where middles are near and sizes alike, at most half: overlap tells more."""
    size = [
        np.sqrt(np.maximum((each[:, 2] - each[:, 0]) * (each[:, 3] - each[:, 1]), 1e-6)) for each in (expected, boxes)
    ]
    middles = [(each[:, :2] + each[:, 2:]) / 2 for each in (expected, boxes)]
    away = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=2) / size[0][:, None]
    near = _NEAR * (1 + np.array(gaps)[:, None] / _FURTHER)
    ratio = size[0][:, None] / size[1][None]
    alike = np.minimum(ratio, 1 / ratio)
    return np.where((away < near) & (alike > 0.6), 0.5 * (1 - away / near) * alike + _SAME, 0.0)


def _hidden(label: str, score: float, rule_for: Rules) -> bool:
    rule = rule_for(label)
    return rule is not None and reached(score, rule.censor_at)


def _path(
    track: Track, times: Times, shot: tuple[int, int], size: tuple[int, int], looks: Sequence[Gray]
) -> dict[int, Box]:
    """A box for each frame that the thing is hidden in."""
    boxes = dict(zip(track.frames, track.boxes, strict=True))
    likely: dict[int, Box] = dict(boxes)
    for (first, one), (last, other) in pairwise(sorted(boxes.items())):
        span = times[last] - times[first]
        for frame in range(first + 1, last):
            share = (times[frame] - times[first]) / span if span > 0 else 0.5
            likely[frame] = _grown(one * (1 - share) + other * share, _GROWTH * span)
    if looks:
        frame_size = np.array([*size, *size], np.float64)
        for direction in (-1, 1):
            edge = track.frames[0] if direction < 0 else track.frames[-1]
            walked = walk(looks, edge, boxes[edge] / frame_size, shot, direction)
            likely |= {frame: box * frame_size for frame, box in walked.items()}
    smooth = {frame: _around(box, _mean(likely, frame, times)) for frame, box in likely.items()}
    return _held(smooth, times, shot)


def _mean(boxes: dict[int, Box], frame: int, times: Times) -> Box:
    near = [frame]
    for step in (-1, 1):
        each = frame + step
        while each in boxes and abs(times[each] - times[frame]) <= _SMOOTHING:
            near.append(each)
            each += step
    return np.asarray(np.mean([boxes[each] for each in near], axis=0))


def _held(boxes: dict[int, Box], times: Times, shot: tuple[int, int]) -> dict[int, Box]:
    """The same, and the time before and after: where it was first and last, and where it may have come from or gone."""
    held = dict(boxes)
    ordered = sorted(boxes)
    for edge, inner, step in ((ordered[0], ordered[:4][-1], -1), (ordered[-1], ordered[-4:][0], 1)):
        until = times[edge] + step * HOLD_SECONDS
        ends = (bisect_left(times, until), edge) if step < 0 else (edge + 1, bisect_right(times, until))
        span = abs(times[edge] - times[inner])
        speed = _moved(boxes[inner], boxes[edge]) / span if span > 0 else np.zeros(4)
        for frame in range(max(shot[0], ends[0]), min(shot[1], ends[1])):
            gone = boxes[edge] + speed * abs(times[frame] - times[edge])
            held[frame] = _around(boxes[edge], gone)
    return held


def _moved(one: Box, other: Box) -> Box:
    """By how much a box has moved, its size left aside."""
    middle = ((other[:2] + other[2:]) - (one[:2] + one[2:])) / 2
    return np.concatenate([middle, middle])


def _around(*boxes: Box) -> Box:
    stacked = np.stack(boxes)
    return np.concatenate([stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)])


def _grown(box: Box, share: float) -> Box:
    margin = share * (box[2:] - box[:2])
    return np.concatenate([box[:2] - margin, box[2:] + margin])
