"""How long each stage takes, and how far work has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Standing", "timed"]


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note the seconds that the block takes, also where it raises: all those of one stage together."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far work on frames has come.

    Attributes:
        done: Frames that are done; where there are two passes, each of them counts one.
        total: How many there are; 0 where nobody knows.
        seconds: Since it began.
    """

    done: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to go, if it goes on like that; None where nobody knows."""
        if not self.done or self.total < self.done:
            return None
        return (self.total - self.done) * self.seconds / self.done

    def told(self) -> dict[str, float | None]:
        """For a log or a client."""
        left = self.left
        return {
            "frames_done": self.done,
            "frames_total": self.total or None,
            "frames_a_second": round(self.rate, 1),
            "seconds_left": None if left is None else round(left, 1),
        }
