"""Times in whole steps, as formats count them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

__all__ = ["in_ticks"]


def in_ticks(durations: Sequence[Fraction], ticks: int) -> list[int]:
    """Durations in whole steps: what is rounded off goes to the next frame, so that they never drift apart.

    Args:
        durations: In seconds.
        ticks: Steps that a second has.
    """
    ends, total = [0], Fraction(0)
    for each in durations:
        total += each
        ends.append(max(ends[-1], round(total * ticks)))
    return [after - before for before, after in pairwise(ends)]
