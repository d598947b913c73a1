"""Labels out of scores: whether a picture did better or worse than others before a similar audience."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOWER", "UPPER", "halves"]

LOWER, UPPER = 0, 1
_NEITHER = -1


def halves(scores: Sequence[float], audiences: Sequence[str], *, size: int) -> NDArray[np.int64]:
    """Rank pictures among those of a similar audience: the upper half, and the lower.

    Args:
        scores: Of N pictures, finite; the higher, the better.
        audiences: Of each. Where all are numbers, pictures are put in their order and cut into runs of `size`; else
            those of one name are together.
        size: Pictures of a run, at least 2.

    Returns:
        int64, (N,): `UPPER`, `LOWER`, or -1 for what is in the middle: the middle one of an odd number, and all of its
        score where that is on both sides.

    Raises:
        ValueError: Numbers of scores and audiences differ, or `size` is less than 2.

    Source:
        Karpathy, "What a Deep Neural Network thinks about your #selfie" (2015): selfies in order of their posters'
        followers, in groups of 100, of each the half with more likes against the other.
    """
    if len(scores) != len(audiences) or size < 2:
        raise ValueError(f"need as many audiences as scores, and runs of 2 at least: {len(audiences)}, {size}")
    values, found = np.asarray(scores, np.float64), np.full(len(scores), _NEITHER)
    for run in _runs(audiences, size):
        order = run[np.argsort(values[run], kind="stable")]
        half = len(order) // 2
        below, above = order[:half], order[len(order) - half :]
        if half:
            found[below[values[below] < values[above[0]]]] = LOWER
            found[above[values[above] > values[below[-1]]]] = UPPER
    return found


def _runs(audiences: Sequence[str], size: int) -> list[NDArray[np.intp]]:
    """Positions that are ranked among themselves."""
    try:
        numbers = np.array([float(audience) for audience in audiences])
    except ValueError:
        names = np.array(audiences, object).astype(str)
        return [np.flatnonzero(names == name) for name in np.unique(names)]
    order = np.argsort(numbers, kind="stable")
    # As equal as may be: a short one at the end would rank a few pictures among themselves.
    return np.array_split(order, max(1, round(len(order) / size)))
