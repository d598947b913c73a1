"""What the command says of pages: a JSON line, and a line to read."""

from __future__ import annotations

from censor.in_pages import CensoredPages, CheckedPages
from censor.records import CensoredPagesRecord, CheckedPagesRecord
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

__all__ = ["pages_outcome"]


def pages_outcome(file: str, result: CheckedPages | CensoredPages, output: str | None = None) -> Outcome:
    """What became of pages that were worked on.

    Args:
        file: The source, as it was named.
        result: What came of it.
        output: Where the censored copy is.
    """
    level = None if result.verdict is None else result.verdict.level.value
    record: CheckedPagesRecord | CensoredPagesRecord
    if isinstance(result, CheckedPages):
        pages, regions, record = len(result.verdicts), 0, _checked(file, result)
        line = f"{judgement(file, result.verdict)}  [page {result.page} of {pages}]"
    else:
        regions, record = sum(map(len, result.hidden)), _censored(file, result, output)
        what = f"{regions} region{'' if regions == 1 else 's'} hidden on {result.pages} pages"
        line = f"{file} -> {output}  ({what}, {level or 'no verdict'}{in_sight(result.verdict, result.unhidden)})"
    return Outcome(file=file, output=output, record=record, line=line, level=level, regions=regions)


def _checked(file: str, result: CheckedPages) -> CheckedPagesRecord:
    return {
        **checked_record(file, result),
        "pages": len(result.verdicts),
        "page": result.page,
        "levels": [each.level.value for each in result.verdicts],
    }


def _censored(file: str, result: CensoredPages, output: str | None) -> CensoredPagesRecord:
    return {
        "file": file,
        "width": result.width,
        "height": result.height,
        "verdict": None if result.verdict is None else result.verdict.to_dict(),
        "boxes": box_records(result.detections),
        "classifiers": probabilities(result.scores),
        "seconds": seconds_by_stage(result.seconds),
        "output": output,
        "hidden": [
            {**redaction_record(each), "page": page} for page, hidden in enumerate(result.hidden, 1) for each in hidden
        ],
        "unhidden": list(result.unhidden),
        "pages": result.pages,
        "page": result.page,
    }
