"""What the command says of something that moves: a JSON line, and a line to read."""

from __future__ import annotations

from collections.abc import Sequence

from censor.records import CensoredAnimationRecord, CheckedAnimationRecord, HiddenThingRecord, Record, SpanRecord
from censor.report import (
    Outcome,
    box_records,
    checked_record,
    in_sight,
    judgement,
    probabilities,
    redaction_record,
    seconds_by_stage,
)
from censor.timeline import CensoredAnimation, CheckedAnimation, HiddenThing, Span

__all__ = ["animation_outcome"]


def animation_outcome(file: str, result: CheckedAnimation | CensoredAnimation, output: str | None = None) -> Outcome:
    """What became of an animation that was worked on.

    Args:
        file: The source, as it was named.
        result: What came of it.
        output: Where the censored copy is.
    """
    level = None if result.verdict is None else result.verdict.level.value
    if isinstance(result, CheckedAnimation):
        line, record, regions = _told(file, result), _checked(file, result), 0
    else:
        regions = len(result.hidden)
        what = f"{regions} thing{'' if regions == 1 else 's'} hidden in {result.frames} frames"
        seen = in_sight(result.verdict, result.unhidden)
        line = f"{file} -> {output}  ({what}, {level or 'no verdict'}{seen})"
        line += f"  [without {', '.join(result.dropped)}]" if result.dropped else ""
        record = _censored(file, result, output)
    return Outcome(file=file, output=output, record=record, line=line, level=level, regions=regions)


def _told(file: str, result: CheckedAnimation) -> str:
    spans = [each for each in result.spans if each.verdict.level is result.verdict.level]
    when = ", ".join(f"{each.start:.2f}-{each.end:.2f} s" for each in spans[:3])
    more = f" and {len(spans) - 3} more times" if len(spans) > 3 else ""
    return f"{judgement(file, result.verdict)}  [frame {result.where.frame} of {result.frames}; {when}{more}]"


def _checked(file: str, result: CheckedAnimation) -> Record:
    record: CheckedAnimationRecord = {
        **checked_record(file, result),
        "frames": result.frames,
        "frame": result.where.frame or 0,
        "spans": _spans(result.spans),
    }
    return record


def _censored(file: str, result: CensoredAnimation, output: str | None) -> Record:
    record: CensoredAnimationRecord = {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": None if result.verdict is None else result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "classifiers": probabilities(result.scores),
        "seconds": seconds_by_stage(result.seconds),
        "output": output,
        "hidden": [_hidden(each) for each in result.hidden],
        "unhidden": list(result.unhidden),
        "frames": result.frames,
        "frame": result.where.frame or 0,
        "spans": _spans(result.spans),
        "dropped": list(result.dropped),
    }
    return record


def _hidden(thing: HiddenThing) -> HiddenThingRecord:
    return {
        **redaction_record(thing.first),
        "start": round(thing.start, 3),
        "end": round(thing.end, 3),
    }


def _spans(spans: Sequence[Span]) -> list[SpanRecord]:
    return [
        {
            "start": round(each.start, 3),
            "end": round(each.end, 3),
            "level": each.verdict.level.value,
            "score": round(each.verdict.score, 4),
            "frame": each.where.frame or 0,
        }
        for each in spans
    ]
