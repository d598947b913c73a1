"""Whether scores are probabilities: what they say beside what is so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect.evaluation.scored import Scored

__all__ = ["Reliability", "brier_score", "reliability"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Pictures in bins of their score; means of an empty bin are NaN.

    Attributes:
        edges: (B + 1,) from 0 to 1: bin b holds what is at least edge b and below edge b + 1, the last one 1 too.
        weights: (B,): what the pictures in each weigh.
        said: (B,): their mean score.
        observed: (B,): the share of them that is positive.
    """

    edges: NDArray[np.float64]
    weights: NDArray[np.float64]
    said: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def expected_calibration_error(self) -> float:
        """How far scores are from rates on average, in [0, 1].

        Source:
            Naeini et al. 2015; Guo et al. 2017, eq. (3).
        """
        filled = self.weights > 0
        gaps = np.abs(self.said[filled] - self.observed[filled])
        return float((gaps * self.weights[filled]).sum() / self.weights.sum())


def reliability(data: Scored, *, bins: int = 15) -> Reliability:
    """Compare scores with the share of positives, in bins of equal width.

    Args:
        data: Scores in [0, 1].
        bins: At least 1.

    Raises:
        ValueError: A score is not in [0, 1], or `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    _check_shares(data)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], data.scores, side="right")

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(place, values, minlength=bins).astype(np.float64)

    weights = total(data.weights)
    said, observed = (
        np.divide(total(data.weights * values), weights, out=np.full(bins, np.nan), where=weights > 0)
        for values in (data.scores, data.labels)
    )
    return Reliability(edges, weights, said, observed)


def brier_score(data: Scored) -> float:
    """The mean square between score and label, in [0, 1]; lower is better, and .25 is what always saying .5 gets.

    Args:
        data: Scores in [0, 1].

    Raises:
        ValueError: A score is not in [0, 1].

    Source:
        Brier 1950, "Verification of forecasts expressed in terms of probability", for one of its two classes.
    """
    _check_shares(data)
    return float(np.average((data.scores - data.labels) ** 2, weights=data.weights))


def _check_shares(data: Scored) -> None:
    if not ((data.scores >= 0) & (data.scores <= 1)).all():
        raise ValueError("scores must lie in [0, 1] to be held against rates")
