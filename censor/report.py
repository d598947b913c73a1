"""What the command says of each picture: a JSON line, a line to read, and a picture of boxes for debugging."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.errors import CensorError
from censor.records import (
    BoxRecord,
    CensoredRecord,
    CheckedRecord,
    ErrorRecord,
    FailedRecord,
    LevelName,
    OutcomeLine,
    Record,
)
from censor.results import Censored, Checked
from censor.verdict import Verdict
from detect.detections import Detections
from detect.errors import DetectError

__all__ = [
    "Outcome",
    "as_json",
    "box_records",
    "draw_boxes",
    "error_record",
    "judgement",
    "log_line",
    "seconds_by_stage",
]


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
                file=file, output=output, record=_checked(file, result), line=line, level=result.verdict.level.value
            )
        level = None if result.verdict is None else result.verdict.level.value
        regions = len(result.redactions)
        what = f"{regions} region{'' if regions == 1 else 's'} hidden"
        line = f"{file} -> {output}  ({what}, {level or 'no verdict'})"
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


def log_line(result: Censored, output: str | None) -> OutcomeLine:
    """What a log says of a picture that was censored; nothing of what it shows."""
    return {
        "output": output,
        "level": None if result.verdict is None else result.verdict.level.value,
        "regions": len(result.redactions),
        "seconds": round(sum(result.seconds.values()), 3),
    }


def _checked(file: str, result: Checked) -> CheckedRecord:
    return {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "seconds": seconds_by_stage(result.seconds),
    }


def _censored(file: str, result: Censored, output: str | None) -> CensoredRecord:
    return {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": None if result.verdict is None else result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "seconds": seconds_by_stage(result.seconds),
        "output": output,
        "hidden": [
            {
                "label": hidden.label,
                "score": round(hidden.score, 4),
                "xyxy": [round(edge, 1) for edge in hidden.xyxy],
                "effect": hidden.effect,
                "rechecked": hidden.rechecked,
            }
            for hidden in result.redactions
        ],
        "kept": box_records(result.kept),
    }


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
    """Level, score, file and the first reasons, in one line."""
    why = "; ".join(str(reason) for reason in verdict.reasons[:3])
    more = f"; and {len(verdict.reasons) - 3} more" if len(verdict.reasons) > 3 else ""
    return f"{verdict.level.value:6}  {verdict.score:.2f}  {file}" + (f"  ({why}{more})" if why else "")


def draw_boxes(result: Censored) -> NDArray[np.uint8]:
    """Every detected box with label and score, drawn on the censored picture, never on the original; RGB."""
    canvas = np.ascontiguousarray(result.image[..., :3]).copy()
    found = result.detections
    thickness = max(1, round(max(result.width, result.height) / 400))
    size = max(0.4, max(result.width, result.height) / 1600)
    hidden = {each.xyxy for each in result.redactions}
    for row in range(len(found)):
        box = found.xyxy[row].tolist()
        color = (230, 40, 40) if tuple(box) in hidden else (40, 160, 60)
        x0, y0, x1, y1 = (round(edge) for edge in box)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), color, thickness)
        text = f"{found.label(row)} {found.scores[row]:.2f}"
        (_, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
        at = (max(0, x0), max(height + base, y0 - base))
        for ink, width in (((0, 0, 0), 3 * thickness), (color, thickness)):
            cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, width, cv2.LINE_AA)
    return canvas
