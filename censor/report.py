"""What the command says of each picture: a JSON line, a line to read, and a picture of boxes for debugging."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from censor.drawing import Color, Pen, corners, edges, tint
from censor.errors import CensorError
from censor.heat import hottest
from censor.in_pages import CensoredPages
from censor.records import (
    BoxRecord,
    CensoredRecord,
    CheckedRecord,
    ErrorRecord,
    FailedRecord,
    LevelName,
    OutcomeLine,
    Record,
    RedactionRecord,
)
from censor.redact import Redaction
from censor.results import Censored, Checked
from censor.rules import NSFW_REGION
from censor.timeline import CensoredAnimation, CheckedAnimation
from censor.verdict import Level, Reason, Verdict
from censor.wording import in_short
from detect.classifier.scores import Scores
from detect.detections import Detections
from detect.errors import DetectError

__all__ = [
    "Outcome",
    "as_json",
    "box_records",
    "checked_record",
    "draw_boxes",
    "error_record",
    "in_sight",
    "judgement",
    "log_line",
    "probabilities",
    "redaction_record",
    "seconds_by_stage",
]

_HIDDEN, _SHOWN = (230, 40, 40), (60, 200, 90)
"""Colours of what is drawn around."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one picture; holds no pixels, so that thousands can be kept.

    Attributes:
        file: The source, as it was named.
        output: Where the censored copy is.
        record: For JSON; its fields are those of `censor.records`.
        error: Why there is neither output nor verdict.
        level: The verdict's level ("safe", "review", "nsfw"); None where there is no verdict.
        line: One line for a person.
        regions: How many boxes were hidden.
    """

    file: str
    record: Record
    line: str
    output: str | None = None
    error: str | None = None
    level: LevelName | None = None
    regions: int = 0

    @classmethod
    def of(cls, file: str, result: Checked | Censored, output: str | None = None) -> Outcome:
        """Of a picture that was worked on."""
        if isinstance(result, Checked):
            line = judgement(file, result.verdict)
            return cls(
                file=file,
                output=output,
                record=checked_record(file, result),
                line=line,
                level=result.verdict.level.value,
            )
        level = None if result.verdict is None else result.verdict.level.value
        regions = len(result.redactions)
        what = f"{regions} region{'' if regions == 1 else 's'} hidden"
        line = f"{file} -> {output}  ({what}, {level or 'no verdict'}{in_sight(result.verdict, result.unhidden)})"
        record = _censored(file, result, output)
        return cls(file=file, output=output, record=record, line=line, level=level, regions=regions)

    @classmethod
    def failed(cls, file: str, error: Exception) -> Outcome:
        """Of a picture that was not."""
        told = error_record(error)
        kind, message = told["type"], told["message"]
        record: FailedRecord = {"file": file, "error": told}
        ours = isinstance(error, CensorError | DetectError)
        line = message if message.startswith(file) else f"{file}: {'' if ours else kind + ': '}{message}"
        return cls(file=file, record=record, error=message, line=line)


def error_record(error: Exception) -> ErrorRecord:
    """What is said of an error, in one line."""
    return {"type": type(error).__name__, "message": " ".join(str(error).split())}


def log_line(result: Censored | CensoredAnimation | CensoredPages, output: str | None) -> OutcomeLine:
    """What a log says of what was censored; nothing of what it shows."""
    if isinstance(result, CensoredAnimation):
        frames, hidden = result.frames, len(result.hidden)
    elif isinstance(result, CensoredPages):
        frames, hidden = result.pages, sum(map(len, result.hidden))
    else:
        frames, hidden = 1, len(result.redactions)
    return {
        "output": output,
        "level": None if result.verdict is None else result.verdict.level.value,
        "regions": hidden,
        "frames": frames,
        "unhidden": list(result.unhidden),
        "seconds": round(sum(result.seconds.values()), 3),
    }


def checked_record(file: str, result: Checked | CheckedAnimation) -> CheckedRecord:
    """For JSON: what was found, and what it is."""
    return {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "classifiers": probabilities(result.scores),
        "seconds": seconds_by_stage(result.seconds),
    }


def _censored(file: str, result: Censored, output: str | None) -> CensoredRecord:
    return {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": None if result.verdict is None else result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "classifiers": probabilities(result.scores),
        "seconds": seconds_by_stage(result.seconds),
        "output": output,
        "hidden": [redaction_record(each) for each in result.redactions],
        "unhidden": list(result.unhidden),
        "kept": box_records(result.kept),
    }


def redaction_record(hidden: Redaction) -> RedactionRecord:
    """For JSON; rounded to what it is worth."""
    return {
        "label": hidden.label,
        "score": round(hidden.score, 4),
        "xyxy": [round(edge, 1) for edge in hidden.xyxy],
        "classifier": hidden.classifier,
        "effect": hidden.effect,
        "rechecked": hidden.rechecked,
    }


def probabilities(scores: Mapping[str, Scores]) -> dict[str, float]:
    """For JSON: each classifier's P(NSFW), by its name."""
    return {name: round(each.probability, 4) for name, each in scores.items()}


def seconds_by_stage(seconds: Mapping[str, float]) -> dict[str, float]:
    """For JSON; rounded to what they are worth."""
    return {stage: round(value, 4) for stage, value in seconds.items()}


def box_records(found: Detections) -> list[BoxRecord]:
    """For JSON; rounded to what they are worth."""
    return [
        {
            "label": found.label(row),
            "score": round(float(found.scores[row]), 4),
            "xyxy": [round(edge, 1) for edge in found.xyxy[row].tolist()],
        }
        for row in range(len(found))
    ]


def as_json(value: Any, *, indent: int | None = None) -> str:
    r"""JSON in ASCII that every parser takes: bytes of a name that are no text become ``\\udcff`` and the like.

    Lone surrogates, by which Python stands for them, are grammatical in JSON, but mean nothing, and many refuse them
    (RFC 8259, 8.2).
    """
    return json.dumps(_legible(value), indent=indent)


def _legible(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_legible(key): _legible(each) for key, each in value.items()}
    return [_legible(each) for each in value] if isinstance(value, list | tuple) else value


def judgement(file: str, verdict: Verdict) -> str:
    """Level, score, file and the reasons that say most, in one line."""
    why = in_short([str(reason) for reason in _telling_first(verdict.reasons)], between="; ")
    return f"{verdict.level.value:6}  {verdict.score:.2f}  {file}" + (f"  ({why})" if why else "")


def _telling_first(reasons: Sequence[Reason]) -> list[Reason]:
    """In the order in which a few of them say most: of each label and of each classifier the gravest goes first.

    Of equals a classifier goes before boxes, since there are few classifiers and may be many boxes.
    """
    first: dict[tuple[str | None, str], Reason] = {}
    for reason in sorted(reasons, key=lambda each: (-each.level.rank, each.classifier is None)):
        first.setdefault((reason.classifier, reason.label), reason)
    told = list(first.values())
    ids = set(map(id, told))
    return [*told, *(each for each in reasons if id(each) not in ids)]


def in_sight(verdict: Verdict | None, unhidden: Sequence[str]) -> str:
    """That the policy lets stand what it judges, of a picture in which it found some of that."""
    if not unhidden or verdict is None or verdict.level is Level.SAFE:
        return ""
    return f"; judged but not hidden: {in_short(unhidden)}"


def draw_boxes(result: Censored) -> NDArray[np.uint8]:
    """What was found, drawn on the censored picture, never on the original: RGB.

    Boxes with label and score, and outlines of heat with the classifier's name and its probability: red what is hidden,
    green what is not. Where it is hot is orange, too, by the hottest of the maps. In the corner stands what each
    classifier says of the whole.
    """
    canvas = np.ascontiguousarray(result.image[..., :3]).copy()
    tint(canvas, [each.heat for each in result.scores.values() if each.heat is not None])
    pen = Pen(canvas)
    for number, (name, scores) in enumerate(result.scores.items()):
        pen.write(f"{name}: NSFW {scores.probability:.2f}", (0, number))
    drawn = list(_drawn(result))
    for lines, _, color in drawn:
        pen.outline(lines, color)
    for lines, text, color in drawn:
        left, top = np.concatenate(lines).min(axis=0).tolist()
        pen.write(text, (left, top), color)
    return canvas


def _drawn(result: Censored) -> Iterator[tuple[list[NDArray[np.int32]], str, Color]]:
    """Outline, text and colour of all that is drawn around."""
    hidden = {each.xyxy for each in result.redactions}
    for found in (result.detections, _heat_in(result.kept)):
        for row in range(len(found)):
            box = tuple(found.xyxy[row].tolist())
            yield corners(box), f"{found.label(row)} {found.scores[row]:.2f}", _HIDDEN if box in hidden else _SHOWN
    for each in result.redactions:
        if each.classifier is not None:
            area = each.region
            shape = (area.y1 - area.y0, area.x1 - area.x0)
            mask = np.ones(shape, np.bool_) if area.cover is None else area.cover == 255
            yield edges(mask, area.x0, area.y0), f"{each.classifier} {each.score:.2f}", _HIDDEN
    outlined = {each.classifier for each in result.redactions}
    for name, scores in result.scores.items():
        cell = hottest(scores, width=result.width, height=result.height)
        if cell is not None and name not in outlined:
            yield corners(cell), f"{name} {scores.probability:.2f}", _SHOWN


def _heat_in(kept: Detections) -> Detections:
    return kept[np.array([kept.label(row) == NSFW_REGION for row in range(len(kept))], np.bool_)]
