"""How far a measure would differ on other pictures of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from detect.errors import EvaluationError
from detect.evaluation.scored import Scored

__all__ = ["Interval", "bootstrap", "bootstrap_all", "wilson"]

_FEWEST = 2
"""Groups of each class without which there is nothing to resample: one that is always the same has no spread."""

_NUMBERS = 2**20
"""Weights in memory at a time, about: some draws of all pictures."""


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

    def of_each(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([[measure(data.reweighted(each)) for each in weights]])

    (interval,) = bootstrap_all(of_each, data, confidence=confidence, resamples=resamples, seed=seed)
    return interval


def bootstrap_all(
    measures: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    data: Scored,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Interval]:
    """The intervals of several measures of the same pictures, over the same draws; see `bootstrap`.

    Args:
        measures: M numbers of each of many draws at once: takes (B, N) weights, says (M, B).
        data: The pictures, with their groups; scores do not matter.
        confidence: As for `bootstrap`.
        resamples: As for `bootstrap`.
        seed: As for `bootstrap`.

    Returns:
        In the order of the measures.

    Raises:
        ValueError: As for `bootstrap`.
        EvaluationError: As for `bootstrap`.
    """
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    counted = data.weights > 0
    for wanted, name in ((True, "positive"), (False, "negative")):
        found = len(np.unique(data.groups[counted & (data.labels == wanted)]))
        if found < _FEWEST:
            raise EvaluationError(f"an interval needs {_FEWEST} groups with {name} pictures, and there is {found}")
    parts = []
    rng, at_once = np.random.default_rng(seed), max(1, _NUMBERS // len(data))
    for start in range(0, resamples, at_once):
        stop = min(start + at_once, resamples)
        weights = np.stack([_drawn(data, rng) for _ in range(start, stop)])
        parts.append(measures(weights))
    values = np.concatenate(parts, axis=1)
    if odd := int((~np.isfinite(values)).any(axis=0).sum()):
        raise EvaluationError(
            f"the measure is undefined in {odd} of {resamples} draws: too few pictures for an interval"
        )
    ends = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [Interval(float(low), float(high), confidence) for low, high in ends.T]


def _drawn(data: Scored, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights of a draw in which each class is there, (N,)."""
    groups = int(data.groups.max()) + 1
    while True:
        drawn = np.bincount(rng.integers(groups, size=groups), minlength=groups)
        weights = data.weights * drawn[data.groups]
        if weights[data.labels].any() and weights[~data.labels].any():
            return weights


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
