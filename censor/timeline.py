"""What a film or an animation is, in time: stretches of one level, none of them averaged away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from censor.media.medium import Where
from censor.redact import Redaction
from censor.results import Result
from censor.verdict import Verdict

__all__ = ["CensoredAnimation", "CheckedAnimation", "HiddenThing", "Span", "spans_of", "worst_of"]


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
    """

    verdict: Verdict | None
    where: Where
    spans: tuple[Span, ...]
    frames: int
    hidden: tuple[HiddenThing, ...]
    unhidden: tuple[str, ...] = ()


def worst_of(verdicts: Sequence[Verdict]) -> int:
    """Number of the gravest verdict; of one level the best score, of equals the first."""
    return max(range(len(verdicts)), key=lambda row: (verdicts[row].level.rank, verdicts[row].score, -row))


def spans_of(verdicts: Sequence[Verdict], where: Sequence[Where], end: float) -> tuple[Span, ...]:
    """Stretches of time, each of one level, in order and without gaps.

    Args:
        verdicts: Of each frame; none where the policy has no rule for one, and then there are no spans.
        where: Where each stands, with its time.
        end: When all is over, in seconds.
    """
    spans: list[Span] = []
    starts = [each.seconds or 0.0 for each in where]
    for row, (verdict, until) in enumerate(zip(verdicts, [*starts[1:], end], strict=bool(verdicts))):
        last = spans[-1] if spans else None
        if last is None or last.verdict.level is not verdict.level:
            spans.append(Span(start=starts[row], end=until, verdict=verdict, where=where[row]))
        elif verdict.score > last.verdict.score:
            spans[-1] = Span(start=last.start, end=until, verdict=verdict, where=where[row])
        else:
            spans[-1] = replace(last, end=until)
    return tuple(spans)
