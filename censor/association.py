"""Which find is of which thing: boxes of neighbouring frames that overlap, or lie near enough to be one.

Low-scored ones count too, as long as one of them all is sure (ByteTrack, Zhang et al. 2022, section 3: every box is
worth associating).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from censor.rules import Rule, reached
from detect.boxes import iou
from detect.detections import Detections

__all__ = [
    "FLOOR",
    "TWICE",
    "Box",
    "Rules",
    "Times",
    "Track",
    "around",
    "associate",
    "hidden",
    "manner",
    "moved",
    "overlap",
]

FLOOR = 0.25
"""Boxes of this share of the score that hides are worth associating."""

TWICE = 0.5
"""IoU of two finds in one frame that are about one thing."""

_SAME = 0.2  # IoU with where a thing should be by now
_NEAR = 0.75  # of its own size: how far a small, fast one may be from there, …
_FURTHER = 0.15  # … and as much again for each of so many seconds

Box = NDArray[np.float64]
"""xyxy."""

Times = Sequence[float]
"""When each frame is shown, in seconds."""

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
        return np.asarray(self.boxes[-1] + moved(self.boxes[-2], self.boxes[-1]) * min(share, 3.0))


def associate(tracks: Sequence[Track], seen: Detections, frame: int, times: Times, rule_for: Rules) -> list[Track]:
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
            alike = manner(tracks[track].labels[-1], rule_for) == manner(finds[row][2], rule_for)
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
            same = overlap(box, other) > TWICE
            if same and manner(label, rule_for) == manner(name, rule_for):
                finds[number] = (around(other, box), best, name)
                break
        else:
            finds.append((box, score, label))
    return finds


def manner(label: str, rule_for: Rules) -> tuple[object, ...]:
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


def hidden(label: str, score: float, rule_for: Rules) -> bool:
    """Whether a find is sure enough to be hidden for itself."""
    rule = rule_for(label)
    return rule is not None and reached(score, rule.censor_at)


def overlap(one: Box, other: Box) -> float:
    """IoU of two boxes."""
    return float(iou(np.array([one], np.float32), np.array([other], np.float32))[0, 0])


def moved(one: Box, other: Box) -> Box:
    """By how much a box has moved, its size left aside."""
    middle = ((other[:2] + other[2:]) - (one[:2] + one[2:])) / 2
    return np.concatenate([middle, middle])


def around(*boxes: Box) -> Box:
    """The box around all of several."""
    stacked = np.stack(boxes)
    return np.concatenate([stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)])
