"""What a threshold does: what is flagged rightly and wrongly at it, and which one does what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect.evaluation.curves import precision_recall_curve, roc_curve
from detect.evaluation.scored import Scored

__all__ = ["Confusion", "OperatingPoint", "at_best_f1", "at_false_alarm_rate", "at_miss_rate", "confusion_at"]


@dataclass(frozen=True)
class Confusion:
    """Weight of the pictures of each kind; a picture is flagged if its score is at least the threshold.

    Attributes:
        true_positives: Positives that are flagged.
        false_negatives: Positives that are not: misses.
        false_positives: Negatives that are flagged: false alarms.
        true_negatives: Negatives that are not.
    """

    true_positives: float
    false_negatives: float
    false_positives: float
    true_negatives: float

    @property
    def recall(self) -> float:
        """The share of positives that are flagged."""
        return self.true_positives / (self.true_positives + self.false_negatives)

    @property
    def miss_rate(self) -> float:
        """The share of positives that are not flagged."""
        return self.false_negatives / (self.true_positives + self.false_negatives)

    @property
    def false_alarm_rate(self) -> float:
        """The share of negatives that are flagged."""
        return self.false_positives / (self.false_positives + self.true_negatives)

    @property
    def precision(self) -> float:
        """The share of positives among what is flagged; NaN where nothing is."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of pictures that are flagged or left rightly."""
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_negatives + self.false_positives)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 where nothing is flagged."""
        wrong = self.false_negatives + self.false_positives
        return 2 * self.true_positives / (2 * self.true_positives + wrong)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does on the pictures it was chosen on, which flatters it.

    Attributes:
        threshold: Flagged is what scores at least this; infinite where nothing may be.
        confusion: What that means.
    """

    threshold: float
    confusion: Confusion


def confusion_at(data: Scored, threshold: float) -> Confusion:
    """Count what a threshold does.

    Args:
        data: The pictures.
        threshold: Flagged is what scores at least this; may be infinite.

    Raises:
        ValueError: The threshold is NaN.
    """
    if np.isnan(threshold):
        raise ValueError("the threshold must be a number, not NaN")
    flagged = data.scores >= threshold

    def weight(truth: bool, shown: bool) -> float:
        return float(data.weights[(data.labels == truth) & (flagged == shown)].sum())

    return Confusion(
        true_positives=weight(True, True),
        false_negatives=weight(True, False),
        false_positives=weight(False, True),
        true_negatives=weight(False, False),
    )


def at_miss_rate(data: Scored, miss_rate: float) -> OperatingPoint:
    """The highest threshold that misses no larger share of these positives.

    Of other pictures it misses more about half the time; `detect.evaluation.guarantee` says at which threshold not.

    Args:
        data: The pictures.
        miss_rate: In [0, 1].

    Raises:
        ValueError: `miss_rate` is not in [0, 1].
    """
    _check_rate(miss_rate, "miss_rate")
    curve = roc_curve(data)
    allowed = np.flatnonzero(1 - curve.recalls <= miss_rate + 1e-12)
    return _point(data, curve.thresholds[allowed[0]])


def at_false_alarm_rate(data: Scored, false_alarm_rate: float) -> OperatingPoint:
    """The lowest threshold that flags no larger share of these negatives; infinite where every one flags more.

    Args:
        data: The pictures.
        false_alarm_rate: In [0, 1].

    Raises:
        ValueError: `false_alarm_rate` is not in [0, 1].
    """
    _check_rate(false_alarm_rate, "false_alarm_rate")
    curve = roc_curve(data)
    allowed = np.flatnonzero(curve.false_alarm_rates <= false_alarm_rate + 1e-12)
    return _point(data, curve.thresholds[allowed[-1]])


def at_best_f1(data: Scored) -> OperatingPoint:
    """The threshold with the highest F1 on these pictures; of several, the lowest, which misses least."""
    curve = precision_recall_curve(data)
    total = curve.precisions + curve.recalls
    f1 = np.divide(2 * curve.precisions * curve.recalls, total, out=np.zeros_like(total), where=total > 0)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)[-1]
    return _point(data, curve.thresholds[best])


def _point(data: Scored, threshold: float) -> OperatingPoint:
    return OperatingPoint(float(threshold), confusion_at(data, float(threshold)))


def _check_rate(rate: float, name: str) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"{name} must lie in [0, 1], not {rate}")
