"""What an evaluation says as CSV files: what each picture got, and what was measured of each judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from censor.analysis.collection import as_csv
from censor.analysis.evaluate import Evaluation
from censor.analysis.measured import Judge, Rate, bins, point_dict
from detect.evaluation.curves import precision_recall_curve, roc_curve
from detect.evaluation.intervals import Interval

__all__ = ["evaluation_tables", "scores_csv"]

_Row = Mapping[str, object]


def evaluation_tables(evaluation: Evaluation) -> dict[str, bytes]:
    """CSV files by their names; a cell is empty where there is nothing to be said."""
    judges = evaluation.judges
    return {
        "scores.csv": scores_csv(evaluation).encode(),
        "measures.csv": _table(map(_measures, judges)),
        "curves.csv": _table(row for judge in judges for row in _curves(judge)),
        "thresholds.csv": _table(row for judge in judges for row in _thresholds(judge)),
        "reliability.csv": _table(row for judge in judges for row in _reliability(judge)),
        "agreement.csv": _table(_agreements(evaluation)),
    }


def scores_csv(evaluation: Evaluation) -> str:
    """A line for each picture that could be read: what people say, all scores, and who contradicts whom."""
    levels = {f"level {each.policy.name}": each.verdicts for each in evaluation.policies}
    columns = evaluation.columns()
    rows: list[_Row] = [
        {
            "path": str(picture.path),
            "label": "nsfw" if picture.nsfw else "safe",
            "group": int(evaluation.truth.groups[row]),
            "weight": f"{picture.weight:g}",
            **{name: verdicts[row].level.value for name, verdicts in levels.items()},
            **{name: f"{scores[row]:.6g}" for name, scores in columns.items()},
            "disputed": f"{why.kind}: {why.text}" if (why := evaluation.disputed.get(row)) else "",
        }
        for row, picture in enumerate(evaluation.look.answers.pictures)
    ]
    return _table(rows).decode()


def _measures(judge: Judge) -> _Row:
    found = judge.reliability
    return {
        **_named(judge),
        "counts": "yes" if judge.counts else "no",
        **_rate("auc", judge.auc),
        **_rate("average_precision", judge.ap),
        "expected_calibration_error": None if found is None else found.expected_calibration_error,
        "brier_score": judge.brier_score,
    }


def _curves(judge: Judge) -> Iterable[_Row]:
    """ROC, precision and recall at each score that occurs; at the first point nothing is flagged."""
    roc, precision_recall = roc_curve(judge.data), precision_recall_curve(judge.data)
    points = zip(roc.thresholds, roc.false_alarm_rates, roc.recalls, precision_recall.precisions, strict=True)
    for threshold, false_alarms, recall, precision in points:
        yield {
            **_named(judge),
            "threshold": f"{threshold:.9g}" if np.isfinite(threshold) else None,
            "recall": f"{recall:.6g}",
            "false_alarm_rate": f"{false_alarms:.6g}",
            "precision": f"{precision:.6g}",
        }


def _thresholds(judge: Judge) -> Iterable[_Row]:
    return ({**_named(judge), "aim": aim, **point_dict(point)} for aim, point in judge.points.items())


def _reliability(judge: Judge) -> Iterable[_Row]:
    return () if (found := judge.reliability) is None else ({**_named(judge), **each} for each in bins(found))


def _agreements(evaluation: Evaluation) -> Iterable[_Row]:
    return evaluation.agreement_rows()


def _named(judge: Judge) -> dict[str, object]:
    return {"kind": judge.kind, "name": judge.name}


def _rate(name: str, rate: Rate) -> dict[str, object]:
    ends = rate.interval or Interval(np.nan, np.nan, 0.0)
    low, high = (end if np.isfinite(end) else None for end in (ends.low, ends.high))
    return {name: rate.value, f"{name} low": low, f"{name} high": high}


def _table(rows: Iterable[_Row]) -> bytes:
    """Lines under the names of the first one's cells."""
    found: Sequence[_Row] = list(rows)
    return as_csv(found, list(found[0]) if found else [])
