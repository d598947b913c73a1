"""Boxes through time: what is found in some frames is one thing, and is hidden in all frames in between and around.

Two ways of finding the same thing again: boxes of neighbouring frames that overlap, low-scored ones too as long as one
of them all is sure (ByteTrack, Zhang et al. 2022, section 3: every box is worth associating), and the look of the thing
itself, where the detector says nothing. Time only ever adds cover: a frame's own boxes are hidden whatever the rest is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from censor.follow import Gray, walk
from censor.rules import Rule, reached
from detect.boxes import iou
from detect.detections import Detections

__all__ = ["FLOOR", "HOLD_SECONDS", "LONGEST_GAP", "LOOKS_KEPT", "Rules", "Track", "Tracker", "cover"]

FLOOR = 0.25
"""Boxes of this share of the score that hides are worth associating."""

LONGEST_GAP = 0.75
"""Seconds without a box that are bridged by interpolation."""

HOLD_SECONDS = 0.25
"""Time before the first box and after the last that is hidden too."""

LOOKS_KEPT = 750
"""Small grey frames that are remembered, to follow a thing in: half a minute of a film, and 11 MB."""

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
        followed: Where its look alone was found, by frame.
        shot: Number of the frame that its shot begins with, and of the one after its last.
        sure: Whether a box of it was sure enough to be hidden.
    """

    frames: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    followed: dict[int, Box] = field(default_factory=dict)
    shot: tuple[int, int] = (0, 0)
    sure: bool = False

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


class Tracker:
    """Says which boxes are one thing, frame by frame; of frames that are gone it remembers no more than boxes.

    Attributes:
        times: When each frame is shown, in seconds, ascending.
        shots: Numbers of the frames that shots begin with.
    """

    def __init__(self, *, rule_for: Rules, size: tuple[int, int]) -> None:
        """Begin without a frame.

        Args:
            rule_for: Says from which score on boxes of a label are hidden, and how.
            size: Columns and rows of a frame.
        """
        self.times: list[float] = []
        self.shots: list[int] = []
        self._rule_for, self._size = rule_for, np.array([*size, *size], np.float64)
        self._sure: list[Track] = []
        self._of_shot: list[Track] = []
        self._open: list[Track] = []
        self._looks = _Looks()

    def add(self, seconds: float, found: Detections | None, look: Gray | None = None, *, cut: bool = False) -> None:
        """Take the next frame.

        Args:
            seconds: When it is shown.
            found: What was found in it; None if nobody looked.
            look: The frame in grey and small, of one size for all; None for boxes alone.
            cut: A shot begins with it.
        """
        frame = len(self.times)
        if cut or not self.shots:
            self._end_shot(frame)
            self.shots.append(frame)
        self.times.append(seconds)
        for each in [each for each in self._of_shot if self._looks.forgets(each.frames[-1])]:
            self._follow(each, 1, frame)
            self._of_shot.remove(each)
            self._sure.append(each)
        self._looks.add(look)
        if found is None:
            return
        self._open = [each for each in self._open if seconds - self.times[each.frames[-1]] <= LONGEST_GAP]
        self._open += _associate(self._open, found, frame, self.times, self._rule_for)
        for each in self._open:
            if each.frames[-1] == frame and not each.sure and _hidden(each.labels[-1], each.scores[-1], self._rule_for):
                each.sure, each.shot = True, (self.shots[-1], frame)
                self._of_shot.append(each)
                self._follow(each, -1, frame + 1)

    def finish(self) -> list[Track]:
        """End the last shot.

        Returns:
            Things that were surely there in one frame at least, in the order of their first boxes.
        """
        self._end_shot(len(self.times))
        ends = [*self.shots[1:], len(self.times)]
        for each in self._sure:
            each.shot = (each.shot[0], ends[bisect_right(self.shots, each.shot[0]) - 1])
        return sorted(self._sure, key=lambda each: each.frames[0])

    def _end_shot(self, frame: int) -> None:
        for each in self._of_shot:
            self._follow(each, 1, frame)
        self._sure += self._of_shot
        self._of_shot, self._open = [], []

    def _follow(self, track: Track, direction: int, end: int) -> None:
        """Follow its look from its first box back, or from its last box on, up to the frame before `end`."""
        edge = track.frames[0] if direction < 0 else track.frames[-1]
        shot = max(self.shots[-1], self._looks.first), min(end, self._looks.end)
        if not shot[0] <= edge < shot[1] or self._looks.none:
            return
        box = track.boxes[0] if direction < 0 else track.boxes[-1]
        walked = walk(self._looks, edge, box / self._size, shot, direction)
        track.followed |= {frame: place * self._size for frame, place in walked.items()}


class _Looks:
    """The last frames, in grey and small, by their numbers."""

    def __init__(self) -> None:
        self._kept: deque[Gray] = deque(maxlen=LOOKS_KEPT)
        self.end = 0
        self.none = False

    @property
    def first(self) -> int:
        """Number of the first that is still there."""
        return self.end - len(self._kept)

    def forgets(self, frame: int) -> bool:
        """Whether a frame is gone once another comes."""
        return len(self._kept) == LOOKS_KEPT and frame <= self.first

    def add(self, look: Gray | None) -> None:
        """Remember one more."""
        self.end += 1
        if look is None:
            self.none = True
        else:
            self._kept.append(look)

    def __getitem__(self, frame: int) -> Gray:
        return self._kept[frame - self.first]


def cover(tracks: Sequence[Track], times: Times, names: tuple[str, ...], *, rule_for: Rules) -> Iterator[Detections]:
    """What to hide in each frame.

    Args:
        tracks: What a `Tracker` said, in its order.
        times: When each frame is shown, in seconds, ascending.
        names: Labels that detections may have.
        rule_for: What the tracker was given.

    Yields:
        For one frame after the other a box of each track that is there: around what was found, and around what is
        likely; its score is the best of the track, its label one that was surely there, its `track_ids` the track's
        number.
    """
    numbered = sorted(enumerate(tracks), key=lambda each: _beginning(each[1], times), reverse=True)
    shown: list[_Shown] = []
    for frame, seconds in enumerate(times):
        while numbered and _beginning(numbered[-1][1], times) <= seconds:
            number, track = numbered.pop()
            shown.append(_Shown(number, track, _path(track, times), rule_for))
        shown = sorted((each for each in shown if each.last >= frame), key=lambda each: each.number)
        rows = [each.row(frame, names) for each in shown if frame in each.path]
        yield _detections(_merged(rows, names, rule_for), names)


class _Shown:
    """A track, and the boxes that hide it."""

    def __init__(self, number: int, track: Track, path: dict[int, Box], rule_for: Rules) -> None:
        self.number, self.path, self.last = number, path, max(path)
        self._best = max(track.scores)
        rows = zip(track.frames, track.labels, track.scores, strict=True)
        sure = {frame: label for frame, label, score in rows if _hidden(label, score, rule_for)}
        self._frames, self._labels = list(sure), list(sure.values())

    def row(self, frame: int, names: tuple[str, ...]) -> _Row:
        """Its box in a frame; its label is the one that was surely there nearest to it."""
        after = bisect_left(self._frames, frame)
        near = min(
            range(max(0, after - 1), min(len(self._frames), after + 1)), key=lambda row: abs(self._frames[row] - frame)
        )
        return self.path[frame], self._best, names.index(self._labels[near]), self.number


def _beginning(track: Track, times: Times) -> float:
    """From when on it may be hidden."""
    return times[min([track.frames[0], *track.followed])] - HOLD_SECONDS


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


def _path(track: Track, times: Times) -> dict[int, Box]:
    """A box for each frame that the thing is hidden in."""
    boxes = dict(zip(track.frames, track.boxes, strict=True))
    likely: dict[int, Box] = dict(boxes)
    for (first, one), (last, other) in pairwise(sorted(boxes.items())):
        span = times[last] - times[first]
        for frame in range(first + 1, last):
            share = (times[frame] - times[first]) / span if span > 0 else 0.5
            likely[frame] = _grown(one * (1 - share) + other * share, _GROWTH * span)
    likely |= track.followed
    smooth = {frame: _around(box, _mean(likely, frame, times)) for frame, box in likely.items()}
    return _held(smooth, times, track.shot)


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
