"""The first pass over what moves: what is in it, and for how long. Of the frames themselves nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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
from censor.track import Track, Tracker, known_between
from censor.verdict import Verdict, judge

__all__ = ["LOOKS_A_SECOND", "Progress", "Seen", "Worst", "look_through"]

LOOKS_A_SECOND = 8
"""About so many frames of a second are looked at, where one is much like the next."""

_LONGEST = 0.2  # seconds between two looks, whatever the rate
_HELD_PIXELS = 2**26  # of frames between two looks, which may turn out to be worth one

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
    """A frame that the tracker has not been told of.

    Attributes:
        part: It; None where there were too many to be held.
        seconds: When it is shown.
        look: It in grey and small.
        cut: Whether a shot begins with it.
        due: Whether it is to be looked at, whatever others show.
        found: What was found in it; None before, and if it is not looked at.
    """

    part: Part | None
    seconds: float
    look: Gray
    cut: bool
    due: bool
    found: Found | None = None


class _FirstPass:
    def __init__(self, networks: Networks, policy: Policy, *, step: int, longest: float | None) -> None:
        self._networks, self._policy, self._step, self._longest = networks, policy, step, longest
        self._judging = policy.judges(networks.names, networks.says)
        self._waiting: list[_Waiting] = []
        self._edge: _Waiting | None = None  # the last that was looked at
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
        """Take the next frame; those before are looked at now, if they are to be."""
        look, number, seconds = part.look(), self._count, part.where.seconds or 0.0
        before = self._waiting[-1] if self._waiting else self._edge
        cut = before is None or is_cut(before.look, look)
        late = self._longest is not None and seconds - self._last[1] >= self._longest
        due = cut or number - self._last[0] >= self._step or late
        if due:
            self._last = (number, seconds)
        if self._waiting and (cut or self._waiting[-1].due):
            self._settle()
        self._waiting.append(_Waiting(part=part, seconds=seconds, look=look, cut=cut, due=due))
        self._let_go()
        self._count += 1

    def _let_go(self) -> None:
        """Hold no more frames than memory has room for."""
        room = max(1, _HELD_PIXELS // max(1, self._size[0] * self._size[1]))
        for each in self._waiting[: max(0, len(self._waiting) - 1 - room)]:
            each.part = None

    def _settle(self) -> None:
        """Look at the last frame that waits, and at those before that may show what no look has seen."""
        self._look_at(self._waiting[-1])
        if self._tracker is None:
            self._tracker = Tracker(rule_for=self._policy.rule_for, size=self._size)
        if self._edge is not None and not self._waiting[0].cut:
            self._look_between([self._edge, *self._waiting])
        for each in self._waiting:
            self._record(each)
        self._edge = replace(self._waiting[-1], part=None)
        self._waiting = []

    def _look_between(self, frames: list[_Waiting]) -> None:
        """Look at frames between two looks, from the middle on, as long as nobody knows what was where in them."""
        first, middle, last = frames[0], frames[len(frames) // 2], frames[-1]
        if len(frames) < 3 or first.found is None or last.found is None or middle.part is None:
            return
        boxes = first.found.visible.boxes, last.found.visible.boxes
        looks = [each.look for each in frames]
        if not known_between(looks, *boxes, rule_for=self._policy.rule_for, size=self._size):
            self._look_at(middle)
            self._look_between(frames[: len(frames) // 2 + 1])
            self._look_between(frames[len(frames) // 2 :])

    def _look_at(self, frame: _Waiting) -> None:
        if frame.part is None:
            return
        picture = frame.part.picture
        self._size = picture.width, picture.height
        self._transparent = self._transparent or picture.pixels.shape[2] == 4
        alone = picture.beneath is None and not picture.readings
        same = self._before is not None and np.array_equal(self._before[0], picture.pixels) and alone
        frame.found = self._before[1] if same and self._before is not None else find(picture, self._networks)
        self._before = (picture.pixels, frame.found)

    def _record(self, frame: _Waiting) -> None:
        """Tell of the next frame what was found in it, if anybody looked."""
        number, found = len(self._tracker.times) if self._tracker is not None else 0, frame.found
        if found is not None and frame.part is not None:
            self._judge(number, frame.part, found)
        if self._tracker is not None:
            boxes = None if found is None else found.visible.boxes
            self._tracker.add(frame.seconds, boxes, frame.look, cut=frame.cut)

    def _judge(self, number: int, part: Part, found: Found) -> None:
        self._looked.append(number)
        width, height = self._size
        verdict = None
        if self._judging:
            verdict = self.verdict = judge(found.everything, self._policy, width=width, height=height)
            worse = self._timeline.add(verdict, part.where)
        else:
            worse = self._worst is None
        if worse:
            self._worst = Worst(verdict=verdict, evidence=found.visible, where=part.where)
        if remaining(found.visible, self._policy, Frame(width=width, height=height)):
            self._evidence[number] = found.visible

    def seen(self, medium: Moving) -> Seen:
        """What was found in all frames."""
        if self._waiting:
            self._settle()
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
