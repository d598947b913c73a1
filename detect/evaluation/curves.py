"""How well scores tell the positive pictures from the others, whatever the threshold: ROC, precision and recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect.evaluation.scored import Scored

__all__ = [
    "PrecisionRecallCurve",
    "RocCurve",
    "areas",
    "average_precision",
    "precision_recall_curve",
    "roc_auc",
    "roc_curve",
]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """One point for each score that occurs, from the highest down, after one where nothing is flagged.

    Attributes:
        false_alarm_rates: (T,) from 0 to 1: the share of negatives that score at least the threshold.
        recalls: (T,) from 0 to 1: the share of positives that do.
        thresholds: (T,) falling, the first one infinite.
    """

    false_alarm_rates: NDArray[np.float64]
    recalls: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """The area under it, by trapezoids: how often a positive scores above a negative, a tie counting half."""
        heights = self.recalls[1:] + self.recalls[:-1]
        return min(1.0, float((np.diff(self.false_alarm_rates) * heights).sum() / 2))


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """One point for each score that occurs, from the highest down, after one where nothing is flagged.

    Attributes:
        precisions: (T,): the share of positives among what scores at least the threshold; 1 at the first point.
        recalls: (T,) from 0 to 1: the share of positives that score at least the threshold.
        thresholds: (T,) falling, the first one infinite.
    """

    precisions: NDArray[np.float64]
    recalls: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Precision at each point, weighted by the recall that the point adds; nothing is interpolated."""
        return min(1.0, float((np.diff(self.recalls) * self.precisions[1:]).sum()))


def roc_curve(data: Scored) -> RocCurve:
    """Recall over false alarms.

    Source:
        Fawcett 2006, "An introduction to ROC analysis", algorithm 1: equal scores make one point. scikit-learn's
        `roc_curve(drop_intermediate=False)` has the same points.
    """
    hits, alarms, thresholds = _counts(data)
    return RocCurve(alarms / alarms[-1], hits / hits[-1], thresholds)


def precision_recall_curve(data: Scored) -> PrecisionRecallCurve:
    """Precision over recall.

    Source:
        Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves". scikit-learn's
        `precision_recall_curve` has the same points in the opposite order.
    """
    hits, alarms, thresholds = _counts(data)
    precisions = np.concatenate([[1.0], hits[1:] / (hits + alarms)[1:]])
    return PrecisionRecallCurve(precisions, hits / hits[-1], thresholds)


def roc_auc(data: Scored) -> float:
    """The area under the ROC curve, in [0, 1]; .5 is chance."""
    return roc_curve(data).auc


def average_precision(data: Scored) -> float:
    """The area under precision over recall, in [0, 1]; chance is the share of positives."""
    return precision_recall_curve(data).average_precision


def areas(data: Scored, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`roc_auc` and `average_precision` of the same scores under many weightings, in one go.

    Args:
        data: The pictures; their own weights do not matter.
        weights: (B, N), not below 0; in each row some of each class.

    Returns:
        (B,) areas under the ROC curves, and (B,) average precisions.
    """
    order = np.argsort(-data.scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(data.scores[order])), len(order) - 1)
    start = np.zeros((len(weights), 1))
    weigh, labels = weights[:, order], data.labels[order]
    hits, alarms = (
        np.concatenate([start, np.cumsum(np.where(kind, weigh, 0.0), axis=1)[:, last]], axis=1)
        for kind in (labels, ~labels)
    )
    recalls, flagged = hits / hits[:, -1:], (hits + alarms)[:, 1:]
    precisions = np.divide(hits[:, 1:], flagged, out=np.zeros_like(flagged), where=flagged > 0)
    heights = recalls[:, 1:] + recalls[:, :-1]
    auc = (np.diff(alarms, axis=1) * heights).sum(axis=1) / (2 * alarms[:, -1])
    return np.minimum(1.0, auc), np.minimum(1.0, (np.diff(recalls, axis=1) * precisions).sum(axis=1))


def _counts(data: Scored) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weight of the positives and of the negatives at or above each threshold, and the thresholds, falling."""
    counted = np.flatnonzero(data.weights > 0)  # a picture that counts nothing makes no point
    order = counted[np.argsort(-data.scores[counted], kind="stable")]
    scores, labels, weights = data.scores[order], data.labels[order], data.weights[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits, alarms = (np.cumsum(np.where(kind, weights, 0.0))[last] for kind in (labels, ~labels))
    thresholds = np.concatenate([[np.inf], scores[last]])
    return np.concatenate([[0.0], hits]), np.concatenate([[0.0], alarms]), thresholds
