"""How far a measure would differ on other pictures of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from detect.errors import EvaluationError
from detect.evaluation.scored import Scored

__all__ = ["Interval", "bootstrap", "wilson"]

_FEWEST = 2
"""Groups of each class without which there is nothing to resample: one that is always the same has no spread."""


@dataclass(frozen=True)
class Interval:
    """Where a measure lies.

    Attributes:
        low: Lower end.
        high: Upper end.
        confidence: How often an interval made in this way holds the true value, in (0, 1).
    """

    low: float
    high: float
    confidence: float


def bootstrap(
    measure: Callable[[Scored], float],
    data: Scored,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The percentile interval of a measure over resampled groups.

    Whole groups are drawn, with replacement, as many as there are: pictures of one group are much alike, and drawn one
    by one they would make the interval far too narrow. A draw that lacks a class is drawn anew.

    Args:
        measure: Of pictures as they are weighted, such as `roc_auc`; a group drawn twice weighs double.
        data: The pictures, with their groups.
        confidence: In (0, 1).
        resamples: How many times to draw.
        seed: Equal seeds give equal intervals.

    Raises:
        ValueError: `confidence` is not in (0, 1), or `resamples` is below 1.
        EvaluationError: Fewer than two groups hold pictures of one class; or the measure is not a number in a draw.

    Source:
        Efron and Tibshirani 1993, "An introduction to the bootstrap", § 13.3; by clusters: Field and Welsh 2007.
    """
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    groups = int(data.groups.max()) + 1
    counted = data.weights > 0
    for wanted, name in ((True, "positive"), (False, "negative")):
        found = len(np.unique(data.groups[counted & (data.labels == wanted)]))
        if found < _FEWEST:
            raise EvaluationError(f"an interval needs {_FEWEST} groups with {name} pictures, and there is {found}")
    rng = np.random.default_rng(seed)
    values = np.empty(resamples)
    for row in range(resamples):
        weights = np.zeros(len(data))
        while not (weights[data.labels].any() and weights[~data.labels].any()):
            drawn = np.bincount(rng.integers(groups, size=groups), minlength=groups)
            weights = data.weights * drawn[data.groups]
        values[row] = measure(data.reweighted(weights))
    if not np.isfinite(values).all():
        odd = int((~np.isfinite(values)).sum())
        raise EvaluationError(
            f"the measure is undefined in {odd} of {resamples} draws: too few pictures for an interval"
        )
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), confidence)


def wilson(count: int, total: int, *, confidence: float = 0.95) -> Interval:
    """The interval of a rate that was counted on independent pictures, or groups.

    Args:
        count: How many were so.
        total: Of how many, at least 1.
        confidence: In (0, 1).

    Raises:
        ValueError: `confidence` is not in (0, 1), or not 0 <= count <= total and total >= 1.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion", eq. (4).
    """
    _check_confidence(confidence)
    if not 0 <= count <= total or total < 1:
        raise ValueError(f"need 0 <= count <= total and total >= 1: {count}, {total}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, spread = count / total, z * z / total
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / total + spread / (4 * total))
    # Rounding would leave a speck below a rate of 0, and above one of 1.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == total else middle + half
    return Interval(low, high, confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), not {confidence}")
