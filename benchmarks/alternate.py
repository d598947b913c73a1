"""Timing of things against each other: the sides take turns, so that what else the machine does hits them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Spread", "alternate", "paired", "spread", "timed"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median and the quartiles on both sides of it."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of_one(cls, value: float) -> Spread:
        """Of a value that was taken once."""
        return cls(median=value, q1=value, q3=value)

    def scaled(self, factor: float) -> Spread:
        """In another unit."""
        return Spread(median=self.median * factor, q1=self.q1 * factor, q3=self.q3 * factor)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, interpolated between neighbours.

    Raises:
        ValueError: No values.
    """
    if not values:
        raise ValueError("no values to take a median of")
    q1, median, q3 = (float(each) for each in np.quantile(values, [0.25, 0.5, 0.75]))
    return Spread(median=median, q1=q1, q3=q3)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """A side for `alternate` that does the work in this process."""

    def side() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return side


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round.

    Every side runs once uncounted, to warm caches and thread pools. Each round begins with the next side, so that none
    always comes behind the same other one.

    Args:
        sides: By name, what does the work once and returns the seconds it took.
        rounds: At least 1.

    Raises:
        ValueError: No rounds.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    names = list(sides)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(sides[name]())
    return seconds


def paired(base: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times longer `base` took than `other`: of the ratios round by round, not of the medians."""
    return spread([mine / yours for mine, yours in zip(base, other, strict=True)])
