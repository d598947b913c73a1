"""The pace that a client must keep while it sends or reads, so that nobody holds memory by standing still."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Pace"]


class Pace:
    """Patience with one client's sending, or with its reading.

    Patience runs out while nothing moves. What moves earns it back, a second for every `rate` bytes, but never more
    than there was at the beginning: who was fast before may stand still no longer than anybody else. It is used as
    ``async with pace:`` around each wait for the client, which then ends in `TimeoutError`; between two of them, while
    the client waits for us, no time passes.
    """

    def __init__(self, *, seconds: float, rate: float) -> None:
        """Begin with all patience.

        Args:
            seconds: How long nothing may move.
            rate: Bytes a second that the client must come to on average beyond that.
        """
        self._seconds, self._rate = seconds, rate
        self._left = seconds
        self._timer: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        """Start the clock."""
        self._timer = asyncio.timeout(self._left)
        await self._timer.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock.

        Raises:
            TimeoutError: Patience ran out.
        """
        timer, self._left, self._timer = self._timer, self._patience(), None
        if timer is not None:
            await timer.__aexit__(kind, error, trace)

    def moved(self, size: int) -> None:
        """So many bytes came, or were taken."""
        self._left = min(self._seconds, self._patience() + size / self._rate)
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time() + self._left)

    @property
    def behind(self) -> float:
        """Seconds by which the client is behind the pace now; 0 while nobody waits for it."""
        return 0.0 if self._timer is None else self._seconds - self._patience()

    def give_up(self) -> None:
        """Have patience run out now, if somebody waits for the client."""
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time())

    def _patience(self) -> float:
        end = self._timer.when() if self._timer is not None else None
        return self._left if end is None else max(0.0, end - asyncio.get_running_loop().time())
