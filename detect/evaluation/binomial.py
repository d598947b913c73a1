"""How surprising few mistakes are: p-values of the hypothesis that a rate lies above what is guaranteed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["binomial_cdf", "binomial_p_value", "fewest_without_mistakes", "hoeffding_bentkus_p_value"]


def binomial_cdf(trials: int, rate: float) -> NDArray[np.float64]:
    """The chance of at most so many of some trials, each of which is one with the same chance.

    Args:
        trials: At least 0.
        rate: In (0, 1).

    Returns:
        float64, (trials + 1,): at most 0, at most 1, and so on. Rising, the last 1.

    Raises:
        ValueError: An argument is out of its range.
    """
    _check_rate(rate)
    if trials < 0:
        raise ValueError(f"trials must not be below 0, but {trials}")
    k = np.arange(trials)
    # From one term to the next, as logarithms: a factorial of hundreds is no float.
    steps = np.log((trials - k) / (k + 1)) + (math.log(rate) - math.log1p(-rate))
    terms = np.exp(trials * math.log1p(-rate) + np.concatenate([[0.0], np.cumsum(steps)]))
    total: NDArray[np.float64] = np.minimum(np.cumsum(terms), 1.0)
    total[-1] = 1.0
    return total


def fewest_without_mistakes(rate: float, confidence: float) -> int:
    """How many trials without a mistake it takes to say that mistakes are no more frequent than a rate.

    Args:
        rate: In (0, 1).
        confidence: In (0, 1).

    Returns:
        The smallest n with ``(1 - rate) ** n <= 1 - confidence``: the logarithm of the one over that of the other,
        rounded up. 59 for .05 and .95.

    Raises:
        ValueError: An argument is out of its range.
    """
    _check_rate(rate)
    _check_rate(confidence, "confidence")
    exact = math.log1p(-confidence) / math.log1p(-rate)
    near = round(exact)
    return max(1, near if abs(exact - near) < 1e-9 * near else math.ceil(exact))


def binomial_p_value(mistakes: int, trials: int, rate: float) -> float:
    """The chance of so few mistakes, or fewer, were they as frequent as a rate.

    Args:
        mistakes: From 0 to `trials`.
        trials: At least 1.
        rate: In (0, 1).

    Raises:
        ValueError: An argument is out of its range.
    """
    if not 0 <= mistakes <= trials or trials < 1:
        raise ValueError(f"need 0 <= mistakes <= trials and trials >= 1: {mistakes}, {trials}")
    return float(binomial_cdf(trials, rate)[mistakes])


def hoeffding_bentkus_p_value(mean: float, trials: int, rate: float) -> float:
    """A bound of the chance of so low a mean loss, or a lower one, were the expected loss a rate.

    Args:
        mean: Of losses that lie in [0, 1]; need not be 0 or 1.
        trials: How many independent losses there are, at least 1.
        rate: In (0, 1).

    Raises:
        ValueError: An argument is out of its range.

    Source:
        Angelopoulos et al. 2021, "Learn then test", arXiv 2110.01052, proposition 3; Bates et al. 2021, theorem 3.
    """
    _check_rate(rate)
    if not 0 <= mean <= 1 or trials < 1:
        raise ValueError(f"need a mean in [0, 1] and trials >= 1: {mean}, {trials}")
    low = min(mean, rate)
    divergence = (low * math.log(low / rate) if low > 0 else 0.0) + (1 - low) * math.log((1 - low) / (1 - rate))
    hoeffding = math.exp(-trials * divergence)
    whole = math.ceil(mean * trials - 1e-9)  # 59 times 2/59 is a little more than 2
    bentkus = math.e * float(binomial_cdf(trials, rate)[whole])
    return min(1.0, hoeffding, bentkus)


def _check_rate(rate: float, name: str = "rate") -> None:
    if not 0 < rate < 1:
        raise ValueError(f"{name} must lie in (0, 1), not {rate}")
