"""Where two judges of the same pictures agree, and by how much more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Weight of the pictures that two judges flag, or do not.

    Attributes:
        both: Flagged by both.
        first_only: Flagged by the first alone.
        second_only: Flagged by the second alone.
        neither: Flagged by neither.
    """

    both: float
    first_only: float
    second_only: float
    neither: float

    @property
    def rate(self) -> float:
        """The share of pictures on which they agree."""
        return (self.both + self.neither) / (self.both + self.first_only + self.second_only + self.neither)

    @property
    def kappa(self) -> float:
        """Agreement beyond chance: 1 is all of it, 0 none; NaN where chance already explains everything.

        Source:
            Cohen 1960, "A coefficient of agreement for nominal scales".
        """
        total = self.both + self.first_only + self.second_only + self.neither
        first, second = (self.both + self.first_only) / total, (self.both + self.second_only) / total
        chance = first * second + (1 - first) * (1 - second)
        return (self.rate - chance) / (1 - chance) if chance < 1 else float("nan")


def agreement(first: ArrayLike, second: ArrayLike, *, weights: ArrayLike | None = None) -> Agreement:
    """Compare what two judges flag: two models at their thresholds, a model and people, two policies.

    Args:
        first: (N,), true where the first flags a picture.
        second: (N,), the same of the second.
        weights: (N,), not below 0; each 1 if left out.

    Raises:
        ValueError: Lengths differ, there are no pictures, or the weights are none or add up to nothing.
    """
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != other.shape or {one.dtype, other.dtype} != {np.dtype(np.bool_)}:
        raise ValueError(f"need two bool arrays (N,), not {one.dtype} {one.shape} and {other.dtype} {other.shape}")
    weigh = np.ones(len(one)) if weights is None else np.array(weights, np.float64)
    if weigh.shape != one.shape or not (np.isfinite(weigh) & (weigh >= 0)).all() or not weigh.any():
        raise ValueError(f"{len(one)} pictures need as many weights, none below 0 and not all of them 0")
    sums = (weigh[chosen].sum() for chosen in (one & other, one & ~other, ~one & other, ~one & ~other))
    return Agreement(*(float(each) for each in sums))
