"""Boxes through time: what is found in some frames is one thing, and is hidden in all frames in between and around.

Two ways of finding the same thing again: boxes of neighbouring frames that overlap, low-scored ones too as long as one
of them all is sure (ByteTrack, Zhang et al. 2022, section 3: every box is worth associating), and the look of the thing
itself, where the detector says nothing. Time only ever adds cover: a frame's own boxes are hidden whatever the rest is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from censor.association import TWICE, Box, Rules, Times, Track, around, associate, hidden, manner, moved, overlap
from censor.follow import Gray, walk
from censor.stitching import stitch
from detect.detections import Detections

__all__ = ["HOLD_SECONDS", "LONGEST_GAP", "LOOKS_KEPT", "Rules", "Track", "Tracker", "cover", "known_between"]

LONGEST_GAP = 0.75
"""Seconds without a box that are bridged by interpolation."""

HOLD_SECONDS = 0.25
"""Time before the first box and after the last that is hidden too."""

LOOKS_KEPT = 750
"""Small grey frames that are remembered, to follow a thing in: half a minute of a film, and 11 MB."""

_ARRIVED = 0.2  # IoU of where a thing was followed to and where one was found
_SMOOTHING = 0.1  # seconds, to both sides
_FAST = 0.25  # of its own side, from frame to frame: it may go faster yet
_GROWTH = 0.3  # share of a side for each second between two boxes: nobody knows the way in between

_Row = tuple[Box, float, int, int]  # score, label and number of the track


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
        self._open += associate(self._open, found, frame, self.times, self._rule_for)
        for each in self._open:
            if each.frames[-1] == frame and not each.sure and hidden(each.labels[-1], each.scores[-1], self._rule_for):
                each.sure, each.shot = True, (self.shots[-1], frame)
                self._of_shot.append(each)
                self._follow(each, -1, frame + 1)
            if each.frames[-1] == frame:
                self._follow_between(each)

    def finish(self) -> list[Track]:
        """End the last shot.

        Returns:
            Things that were surely there in one frame at least, in the order of their first boxes.
        """
        self._end_shot(len(self.times))
        ends = [*self.shots[1:], len(self.times)]
        for each in self._sure:
            each.shot = (each.shot[0], ends[bisect_right(self.shots, each.shot[0]) - 1])
        stitch(self._sure, self.times, rule_for=self._rule_for)
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

    def _follow_between(self, track: Track) -> None:
        """Follow its look from its last box but one on, and from its last one back, through the frames between."""
        first, last = track.frames[-2:][0], track.frames[-1]
        if last - first < 2 or self._looks.none or first < self._looks.first:
            return
        for start, box, direction in ((first, track.boxes[-2], 1), (last, track.boxes[-1], -1)):
            for frame, place in walk(self._looks, start, box / self._size, (first + 1, last), direction).items():
                known = track.followed.get(frame)
                track.followed[frame] = place * self._size if known is None else around(known, place * self._size)


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


def known_between(
    looks: Sequence[Gray], before: Detections, after: Detections, *, rule_for: Rules, size: tuple[int, int]
) -> bool:
    """Whether what was found in two frames can be followed by its look through those between.

    Where it cannot, it has moved too fast or changed too much for anybody to know where it was, has come or has gone.

    Args:
        looks: The frames in grey and small, from the first to the second.
        before: What was found in the first.
        after: What was found in the second.
        rule_for: Says from which score on boxes of a label are hidden.
        size: Columns and rows of a frame.
    """
    ends = [
        [found.xyxy[row].astype(np.float64) for row in range(len(found)) if _counts(found, row, rule_for)]
        for found in (before, after)
    ]
    scale, last = np.array([*size, *size], np.float64), len(looks) - 1
    for start, end, direction in ((0, last, 1), (last, 0, -1)):
        there = ends[int(end > 0)]
        for box in ends[int(start > 0)]:
            place = walk(looks, start, box / scale, (0, last + 1), direction).get(end)
            if place is None or (there and max(overlap(place * scale, each) for each in there) < _ARRIVED):
                return False
    return True


def _counts(found: Detections, row: int, rule_for: Rules) -> bool:
    return hidden(found.label(row), float(found.scores[row]), rule_for)


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
        sure = {frame: label for frame, label, score in rows if hidden(label, score, rule_for)}
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
            alike = manner(names[label], rule_for) == manner(names[name], rule_for)
            if alike and overlap(box, other) > TWICE:
                merged[row] = (around(other, box), max(best, score), name, first)
                break
        else:
            merged.append((box, score, label, number))
    return merged


def _detections(rows: Sequence[_Row], names: tuple[str, ...]) -> Detections:
    if not rows:
        return Detections.empty(names)
    boxes, scores, labels, numbers = zip(*rows, strict=True)
    return Detections(np.array(boxes), np.array(scores), np.array(labels), names, track_ids=np.array(numbers))


def _path(track: Track, times: Times) -> dict[int, Box]:
    """A box for each frame that the thing is hidden in."""
    boxes = dict(zip(track.frames, track.boxes, strict=True))
    likely: dict[int, Box] = dict(boxes)
    for (first, one), (last, other) in pairwise(sorted(boxes.items())):
        span = times[last] - times[first]
        for frame in range(first + 1, last):
            share = (times[frame] - times[first]) / span if span > 0 else 0.5
            likely[frame] = _grown(one * (1 - share) + other * share, _GROWTH * span)
    for frame, place in track.followed.items():
        likely[frame] = around(likely[frame], place) if frame in likely else place
    smooth = {frame: around(box, _mean(likely, frame, times)) for frame, box in likely.items()}
    return _held(smooth, likely, times, track.shot)


def _mean(boxes: dict[int, Box], frame: int, times: Times) -> Box:
    near = [frame]
    for step in (-1, 1):
        each = frame + step
        while each in boxes and abs(times[each] - times[frame]) <= _SMOOTHING:
            near.append(each)
            each += step
    return np.asarray(np.mean([boxes[each] for each in near], axis=0))


def _held(boxes: dict[int, Box], likely: dict[int, Box], times: Times, shot: tuple[int, int]) -> dict[int, Box]:
    """The same, and the time before and after: where it was first and last, and where it may have come from or gone."""
    held = dict(boxes)
    ordered = sorted(boxes)
    for edge, inner, step in ((ordered[0], ordered[1:4], -1), (ordered[-1], ordered[-4:-1][::-1], 1)):
        until = times[edge] + step * HOLD_SECONDS
        ends = (bisect_left(times, until), edge) if step < 0 else (edge + 1, bisect_right(times, until))
        for frame in range(max(shot[0], ends[0]), min(shot[1], ends[1])):
            held[frame] = around(boxes[edge], *_gone(likely, times, (edge, *inner), frame))
    return held


def _gone(likely: dict[int, Box], times: Times, known: Sequence[int], frame: int) -> list[Box]:
    """Where a thing may be in a frame, by where it was in up to four, the nearest to it first."""
    edge, *inner = known
    away = abs(times[frame] - times[edge])
    speeds = [_speed(likely, times, each, edge) for each in inner]
    places = [likely[edge] + speed * away for speed in speeds[:1] + speeds[1:][-1:]]
    if len(speeds) > 1:
        latest, before = speeds[0], _speed(likely, times, inner[1], inner[0])
        step = abs(times[edge] - times[inner[0]])
        if step > 0 and (np.abs(latest[:2]) * step > _FAST * (likely[edge][2:] - likely[edge][:2])).any():
            places.append(likely[edge] + latest * away + (latest - before) / step * away * (away + step) / 2)
    return places


def _speed(boxes: dict[int, Box], times: Times, inner: int, edge: int) -> Box:
    """How far a thing goes in a second, by where it was in two frames."""
    span = abs(times[edge] - times[inner])
    return moved(boxes[inner], boxes[edge]) / span if span > 0 else np.zeros(4)


def _grown(box: Box, share: float) -> Box:
    margin = share * (box[2:] - box[:2])
    return np.concatenate([box[:2] - margin, box[2:] + margin])
