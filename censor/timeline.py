"""What a film or an animation is, in time: stretches of one level, none of them averaged away."""

from __future__ import annotations

from dataclasses import dataclass, replace

from censor.media.medium import Where
from censor.redact import Redaction
from censor.results import Result
from censor.verdict import Verdict

__all__ = ["CensoredAnimation", "CheckedAnimation", "HiddenThing", "Span", "Timeline"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time of one level.

    Attributes:
        start: In seconds.
        end: In seconds: when what follows is shown, or when all is over.
        verdict: The gravest of its frames.
        where: Where that frame stands.
    """

    start: float
    end: float
    verdict: Verdict
    where: Where


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedAnimation(Result):
    """What was found in something that moves, and what it is. Boxes are those of its worst frame.

    Attributes:
        verdict: The judgement on the worst frame, with reasons.
        where: Where that frame stands.
        spans: Stretches of time of one level, in order and without gaps.
        frames: How many there are.
    """

    verdict: Verdict
    where: Where
    spans: tuple[Span, ...]
    frames: int


@dataclass(frozen=True, kw_only=True)
class HiddenThing:
    """One thing through time, or one place.

    Attributes:
        first: What was hidden of it where it is first hidden.
        start: From when on, in seconds.
        end: Until when, in seconds: the last frame that it is hidden in is shown then.
    """

    first: Redaction
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoredAnimation(Result):
    """What became of something that moves, and was written. Boxes are those of its worst frame, or else of its first.

    Attributes:
        verdict: The judgement on the worst frame, as it came; None as for `Censored`.
        where: Where that frame stands.
        spans: Stretches of time of one level; none without a verdict.
        frames: How many there are.
        hidden: What was hidden, in the order of its first frames.
        unhidden: What makes a picture NSFW under the policy, and is not hidden: see `Policy.unhidden`.
        dropped: What of it did not come out, in words.
    """

    verdict: Verdict | None
    where: Where
    spans: tuple[Span, ...]
    frames: int
    hidden: tuple[HiddenThing, ...]
    unhidden: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Timeline:
    """Levels as they come, one after the other: nothing is kept of a frame that begins no span and is no worst one."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._worst = (-1, -1.0)

    def add(self, verdict: Verdict, where: Where) -> bool:
        """Take the verdict on the next frame that was looked at; it holds until the next one.

        Returns:
            Whether none before was as grave; of one level the better score is graver.
        """
        last = self._spans[-1] if self._spans else None
        start = where.seconds or 0.0
        if last is None or last.verdict.level is not verdict.level:
            if last is not None:
                self._spans[-1] = replace(last, end=start)
            self._spans.append(Span(start=start, end=start, verdict=verdict, where=where))
        elif verdict.score > last.verdict.score:
            self._spans[-1] = replace(last, verdict=verdict, where=where)
        gravity = verdict.level.rank, verdict.score
        worse, self._worst = gravity > self._worst, max(gravity, self._worst)
        return worse

    def spans(self, end: float) -> tuple[Span, ...]:
        """Stretches of time, each of one level, in order and without gaps.

        Args:
            end: When all is over, in seconds.
        """
        return (*self._spans[:-1], *(replace(each, end=end) for each in self._spans[-1:]))
