"""The fields of what is reported of a picture: JSON, the service's answers, documents and logs are made from these.

What is said of a field stands with its type: `Annotated[type, text]`, and `Range` where it is a number within bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

__all__ = [
    "BoxRecord",
    "CensoredAnimationRecord",
    "CensoredAnswer",
    "CensoredPagesRecord",
    "CensoredRecord",
    "CheckedAnimationRecord",
    "CheckedAnswer",
    "CheckedPagesRecord",
    "CheckedRecord",
    "ErrorRecord",
    "FailedRecord",
    "HiddenOnPageRecord",
    "HiddenThingRecord",
    "LevelName",
    "OneOf",
    "OutcomeLine",
    "Range",
    "ReasonRecord",
    "Record",
    "RedactionRecord",
    "RegionRecord",
    "SpanRecord",
    "VerdictRecord",
]


@dataclass(frozen=True)
class Range:
    """Bounds of a number, or of the count of a list's items, both included."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class OneOf:
    """The texts that there can be."""

    texts: tuple[str, ...]


LevelName = Annotated[str, OneOf(("safe", "review", "nsfw"))]
Score = Annotated[float, Range(0, 1), "How sure the detector is, or the classifier's probability."]
XYXY = Annotated[list[float], Range(4, 4), "Left, top, right and bottom edge, in pixels of the upright picture."]
Size = Annotated[int, Range(least=1)]
Unhidden = Annotated[list[str], "Labels that the policy calls NSFW and does not hide, whether they are there or not."]
Seconds = Annotated[dict[str, float], "Time by stage, such as `decode` and `detect`."]


class BoxRecord(TypedDict):
    """One box."""

    label: Annotated[str, "What is in the box."]
    score: Annotated[float, Range(0, 1), "How sure the detector is."]
    xyxy: XYXY


class RegionRecord(TypedDict):
    """One box, or the box around one region of heat."""

    label: Annotated[str, "What is in the box; `NSFW_REGION` for heat, `ALSO` for a box of the user's own."]
    score: Score
    xyxy: XYXY


class RedactionRecord(RegionRecord):
    """One region that was hidden."""

    classifier: Annotated[str | None, "The classifier whose heat is hidden; null for a box."]
    effect: Annotated[str, "What is shown instead."]
    rechecked: Annotated[bool, "Whether it was found only when the result was looked at again."]


class ReasonRecord(TypedDict):
    """What counted for the verdict, and the rule that it met."""

    label: Annotated[str, "What is in the box, or what the classifier says: `NSFW`, or another of its names."]
    score: Score
    rule: Annotated[str, OneOf(("nsfw_at", "review_at", "confirm_at")), "The policy's key that it met."]
    threshold: Annotated[float, Range(0, 1), "That key's value."]
    area: Annotated[float, Range(0, 1), "Share of the picture that the box covers; 1 for what is said of all of it."]
    xyxy: Annotated[XYXY | None, "The box; for a classifier its hottest cell, or null where it did not say."]
    classifier: Annotated[str | None, "The classifier that says so; null for a box."]
    calibrated: Annotated[bool, "Whether the policy's calibration made the score a probability."]


class VerdictRecord(TypedDict):
    """What a picture is under a policy, and why."""

    level: Annotated[LevelName, "From harmless to not."]
    nsfw: Annotated[bool, "Whether the level is `nsfw`."]
    score: Annotated[float, Range(0, 1), "The best score that can count for the verdict, whether it met a rule or not."]
    policy: Annotated[str, "The policy's name."]
    models: Annotated[list[str], "Who judged: detectors and classifiers."]
    reasons: Annotated[list[ReasonRecord], "Gravest first."]


class _Seen(TypedDict):
    width: Annotated[Size, "Of the upright picture, in pixels."]
    height: Annotated[Size, "Of the upright picture, in pixels."]
    boxes: Annotated[list[BoxRecord], "All that was found."]
    classifiers: Annotated[dict[str, float], "Each classifier's probability that the picture is NSFW, by its name."]
    seconds: Seconds


class CheckedAnswer(_Seen):
    """What is told of a picture that was judged alone, whoever asked."""

    verdict: Annotated[VerdictRecord, "The judgement."]


class CensoredAnswer(_Seen):
    """What is told of a picture that was censored, whoever asked."""

    verdict: Annotated[VerdictRecord | None, "On the picture as it came; null where the policy has no rule for one."]
    hidden: Annotated[list[RedactionRecord], "What was hidden, in the order it was planned."]
    unhidden: Unhidden


class CheckedRecord(CheckedAnswer):
    """Of a file that was judged."""

    file: Annotated[str, "The source, as it was named."]


class CensoredRecord(CensoredAnswer):
    """Of a file that was censored."""

    file: Annotated[str, "The source, as it was named."]
    output: Annotated[str | None, "Where the censored copy is."]
    kept: Annotated[list[RegionRecord], "What would have been hidden, but lies in a box to be left alone."]


class ErrorRecord(TypedDict):
    """Why there is neither output nor verdict."""

    type: Annotated[str, "The error's class."]
    message: Annotated[str, "What is wrong, in one line."]


class FailedRecord(TypedDict):
    """Of a file that could not be processed."""

    file: Annotated[str, "The source, as it was named."]
    error: Annotated[ErrorRecord, "Why there is neither output nor verdict."]


class SpanRecord(TypedDict):
    """A stretch of time of one level."""

    start: Annotated[float, "When it begins, in seconds."]
    end: Annotated[float, "When it ends, in seconds."]
    level: Annotated[LevelName, "Of all its frames."]
    score: Annotated[float, Range(0, 1), "Of its gravest frame."]
    frame: Annotated[int, Range(least=0), "Number of its gravest frame, from 0."]


class HiddenThingRecord(RedactionRecord):
    """One thing that was hidden, through time; the box is that of the first frame."""

    start: Annotated[float, "When it is first hidden, in seconds."]
    end: Annotated[float, "When it is last hidden, in seconds."]


class CheckedAnimationRecord(CheckedRecord):
    """Of an animation that was judged; verdict and boxes are those of its gravest frame."""

    frames: Annotated[int, Range(least=1), "How many there are."]
    frame: Annotated[int, Range(least=0), "Number of the gravest frame, from 0."]
    spans: Annotated[list[SpanRecord], "Stretches of time of one level, in order and without gaps."]


class CensoredAnimationRecord(_Seen):
    """Of an animation that was censored; verdict and boxes are those of its gravest frame."""

    file: Annotated[str, "The source, as it was named."]
    output: Annotated[str | None, "Where the censored copy is."]
    verdict: Annotated[VerdictRecord | None, "On the gravest frame as it came; null where there is no rule for one."]
    hidden: Annotated[list[HiddenThingRecord], "What was hidden, in the order of its first frames."]
    unhidden: Unhidden
    frames: Annotated[int, Range(least=1), "How many there are."]
    frame: Annotated[int, Range(least=0), "Number of the gravest frame, from 0."]
    spans: Annotated[list[SpanRecord], "Stretches of time of one level, in order; none without a verdict."]
    dropped: Annotated[list[str], "What of a film did not come out, such as its cover."]


class HiddenOnPageRecord(RedactionRecord):
    """One region that was hidden on one page."""

    page: Annotated[int, Range(least=1), "The page that it is on, from 1."]


class CheckedPagesRecord(CheckedRecord):
    """Of a TIFF of several pages that was judged; verdict, boxes and size are those of its gravest page."""

    pages: Annotated[int, Range(least=1), "How many there are."]
    page: Annotated[int, Range(least=1), "Number of the gravest page, from 1."]
    levels: Annotated[list[LevelName], "Of each page."]


class CensoredPagesRecord(_Seen):
    """Of a TIFF of several pages that was censored; verdict, boxes and size are those of its gravest page."""

    file: Annotated[str, "The source, as it was named."]
    output: Annotated[str | None, "Where the censored copy is."]
    verdict: Annotated[VerdictRecord | None, "On the gravest page as it came; null where there is no rule for one."]
    hidden: Annotated[list[HiddenOnPageRecord], "What was hidden, page by page."]
    unhidden: Unhidden
    pages: Annotated[int, Range(least=1), "How many there are."]
    page: Annotated[int, Range(least=1), "Number of the gravest page, from 1."]


Record = (
    CheckedRecord
    | CensoredRecord
    | FailedRecord
    | CheckedAnimationRecord
    | CensoredAnimationRecord
    | CheckedPagesRecord
    | CensoredPagesRecord
)


class OutcomeLine(TypedDict):
    """What the log of a watched folder says of what was censored; nothing of what it shows."""

    output: Annotated[str | None, "Where the censored copy is, below the public folder."]
    level: Annotated[LevelName | None, "The verdict's level; null where the policy has no rule for one."]
    regions: Annotated[int, Range(least=0), "How many boxes were hidden; of what moves, how many things."]
    frames: Annotated[int, Range(least=1), "How many frames there are; 1 for a still."]
    unhidden: Unhidden
    seconds: Annotated[float, "All stages together."]
