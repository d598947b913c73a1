"""The first pass over what moves: what is in it, and for how long. Of the frames themselves nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from censor.evidence import Evidence
from censor.finding import Found, Networks, find
from censor.follow import Gray, is_cut
from censor.looking_again import remaining
from censor.media.medium import Moving, Part, Where
from censor.policy import Policy
from censor.redact import Frame
from censor.timeline import Span, Timeline
from censor.track import Track, Tracker
from censor.verdict import Verdict, judge

__all__ = ["LOOKS_A_SECOND", "Progress", "Seen", "Worst", "look_through"]

LOOKS_A_SECOND = 8
"""About so many frames of a second are looked at, where one is much like the next."""

_LONGEST = 0.2  # seconds between two looks, whatever the rate

Progress = Callable[[int, int], None]
"""Told of frames that are done, and of how many there are; 0 where nobody knows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Worst:
    """A frame, and what was found in it.

    Attributes:
        verdict: On it; None where the policy has no rule for one.
        evidence: What can be seen of it.
        where: Where it stands.
    """

    verdict: Verdict | None
    evidence: Evidence
    where: Where


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a first pass found.

    Attributes:
        worst: The gravest frame; the first, where there is no verdict.
        spans: Stretches of time of one level; none without verdicts.
        tracks: Things through time.
        times: When each frame is shown, in seconds.
        shots: Numbers of the frames that shots begin with.
        looked: Numbers of the frames that were looked at.
        evidence: Of those in which there was something to hide, by their numbers: what can be seen in the output, too.
        width: Columns of every frame.
        height: Rows of every frame.
        transparent: Whether any frame has transparency.
    """

    worst: Worst
    spans: tuple[Span, ...]
    tracks: tuple[Track, ...]
    times: tuple[float, ...]
    shots: tuple[int, ...]
    looked: tuple[int, ...]
    evidence: dict[int, Evidence]
    width: int
    height: int
    transparent: bool


def look_through(
    medium: Moving,
    networks: Networks,
    policy: Policy,
    *,
    every: int | None = None,
    progress: Progress | None = None,
    enough: Callable[[Verdict], bool] | None = None,
) -> Seen:
    """Look at frames that stand for all: the first and the last of each shot, and so many in between.

    Args:
        medium: What moves.
        networks: What looks.
        policy: What counts.
        every: Look at each so-many-th frame; by default at about `LOOKS_A_SECOND`, or at each where the medium says so.
        progress: Told of each frame.
        enough: Says of a verdict that nothing more need be known; what follows is then not looked at.

    Raises:
        ClassifierError, DetectError, DetectorError: As for `find`, or a frame could not be decoded.
        ValueError: `every` is below 1.
    """
    if every is not None and every < 1:
        raise ValueError(f"every must be 1 or more, not {every}")
    step = every or (max(1, round(medium.rate / LOOKS_A_SECOND)) if medium.rate else 1)
    looking = _FirstPass(networks, policy, step=step, longest=None if every or not medium.rate else _LONGEST)
    for number, part in enumerate(medium.parts()):
        looking.add(part)
        if progress is not None:
            progress(number + 1, medium.promised)
        if enough is not None and looking.verdict is not None and enough(looking.verdict):
            break
    return looking.seen(medium)


@dataclass(kw_only=True, eq=False)
class _Waiting:
    """A frame of which it is not known yet whether its shot ends with it."""

    part: Part
    look: Gray
    cut: bool
    due: bool


class _FirstPass:
    def __init__(self, networks: Networks, policy: Policy, *, step: int, longest: float | None) -> None:
        self._networks, self._policy, self._step, self._longest = networks, policy, step, longest
        self._judging = policy.judges(networks.names, networks.says)
        self._waiting: _Waiting | None = None
        self._tracker: Tracker | None = None
        self._timeline = Timeline()
        self._looked: list[int] = []
        self._evidence: dict[int, Evidence] = {}
        self._before: tuple[NDArray[np.uint8], Found] | None = None
        self._worst: Worst | None = None
        self._count, self._last = 0, (0, 0.0)
        self._size, self._transparent = (0, 0), False
        self.verdict: Verdict | None = None

    def add(self, part: Part) -> None:
        """Take the next frame; the one before is looked at now, if it is to be."""
        look, number, seconds = part.look(), self._count, part.where.seconds or 0.0
        cut = self._waiting is None or is_cut(self._waiting.look, look)
        late = self._longest is not None and seconds - self._last[1] >= self._longest
        due = cut or number - self._last[0] >= self._step or late
        if due:
            self._last = (number, seconds)
        self._settle(last=cut)
        self._waiting = _Waiting(part=part, look=look, cut=cut, due=due)
        self._count += 1

    def _settle(self, *, last: bool) -> None:
        """Look at the frame that waits, if it is its turn or the last of its shot."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        part = waiting.part
        number, seconds = self._count - 1, part.where.seconds or 0.0
        found = self._look_at(part, number) if waiting.due or last else None
        if self._tracker is None:
            self._tracker = Tracker(rule_for=self._policy.rule_for, size=self._size)
        boxes = None if found is None else found.visible.boxes
        self._tracker.add(seconds, boxes, waiting.look, cut=waiting.cut)

    def _look_at(self, part: Part, number: int) -> Found:
        picture = part.picture
        self._size = picture.width, picture.height
        self._transparent = self._transparent or picture.pixels.shape[2] == 4
        same = self._before is not None and np.array_equal(self._before[0], picture.pixels) and picture.beneath is None
        found = self._before[1] if same and self._before is not None else find(picture, self._networks)
        self._before = (picture.pixels, found)
        self._looked.append(number)
        verdict = None
        if self._judging:
            verdict = self.verdict = judge(found.everything, self._policy, width=picture.width, height=picture.height)
            worse = self._timeline.add(verdict, part.where)
        else:
            worse = self._worst is None
        if worse:
            self._worst = Worst(verdict=verdict, evidence=found.visible, where=part.where)
        if remaining(found.visible, self._policy, Frame(width=picture.width, height=picture.height)):
            self._evidence[number] = found.visible
        return found

    def seen(self, medium: Moving) -> Seen:
        """What was found in all frames."""
        self._settle(last=True)
        if self._worst is None or self._tracker is None:
            raise ValueError("a medium without parts")
        tracks = self._tracker.finish()
        times = self._tracker.times
        return Seen(
            worst=self._worst,
            spans=self._timeline.spans(medium.end(times)),
            tracks=tuple(tracks),
            times=tuple(times),
            shots=tuple(self._tracker.shots),
            looked=tuple(self._looked),
            evidence=self._evidence,
            width=self._size[0],
            height=self._size[1],
            transparent=self._transparent,
        )
