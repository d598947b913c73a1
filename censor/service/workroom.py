"""Where pictures are worked on: so many at once, so many waiting, none for longer than the limit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from censor.service.problems import Problem
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.tiling import lowest_score

__all__ = ["ClientGone", "Leash", "Workroom"]

T = TypeVar("T")


class ClientGone(Exception):  # noqa: N818  # nothing of ours went wrong
    """The client went away; nobody waits for an answer."""


class _GivenUp(DetectError):  # noqa: N818
    """Work that nobody waits for any more."""


class Leash:
    """Ends work early that nobody waits for: a thread cannot be stopped, but it asks the detector again and again."""

    def __init__(self, seconds: float) -> None:
        """Give work so many seconds, counted from `begin`."""
        self._seconds = seconds
        self._end: float | None = None
        self._cut = threading.Event()

    def begin(self) -> None:
        """The clock runs from here on."""
        self._end = time.monotonic() + self._seconds

    def cut(self) -> None:
        """Nobody waits any more."""
        self._cut.set()

    @property
    def overdue(self) -> bool:
        """Whether the work has begun and should be over."""
        return self._end is not None and time.monotonic() > self._end

    def on(self, detector: Detector) -> Detector:
        """The same detector, which refuses to look once the leash is cut or at its end."""
        return _Leashed(detector, self)

    def check(self) -> None:
        """Go on, or not.

        Raises:
            DetectError: The leash is cut or at its end.
        """
        if self._cut.is_set() or self.overdue:
            raise _GivenUp("given up at the time limit")


class _Leashed:
    def __init__(self, detector: Detector, leash: Leash) -> None:
        self._detector, self._leash = detector, leash
        self.names = detector.names
        self.min_score = lowest_score(detector)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self._leash.check()
        return self._detector.detect(images)


class Workroom:
    """A bounded number of threads and a bounded queue before them.

    To be used from one event loop. Work that overruns its time keeps its place until it ends, so that the number of
    pictures in memory stays what it is; `stuck` says when every place is taken that way.
    """

    def __init__(self, *, places: int, queue: int, seconds: float) -> None:
        """Make the room.

        Args:
            places: Pictures worked on at once.
            queue: Pictures that may wait.
            seconds: How long work on one may take, from when it begins.
        """
        self._pool = ThreadPoolExecutor(max_workers=places, thread_name_prefix="picture")
        self._places, self._queue, self._seconds = places, queue, seconds
        self._leashes: set[Leash] = set()

    @property
    def inside(self) -> int:
        """Pictures that are worked on or wait."""
        return len(self._leashes)

    @property
    def waiting(self) -> int:
        """Pictures that wait for a place."""
        return max(0, self.inside - self._places)

    @property
    def stuck(self) -> bool:
        """Whether every place is held by work that should long be over."""
        return sum(leash.overdue for leash in self._leashes) >= self._places

    def refuse_if_full(self) -> None:
        """Refuse one more.

        Raises:
            Problem: "busy".
        """
        if self.inside >= self._places + self._queue:
            raise Problem("busy", headers={"retry-after": "1"})

    async def do(self, work: Callable[[Leash], T], *, disconnected: Callable[[], Awaitable[object]]) -> T:
        """Work on one picture in a thread.

        Args:
            work: Called in the thread; whatever it raises is raised here.
            disconnected: Returns when the client has gone away.

        Raises:
            Problem: "busy", "time-limit".
            ClientGone: Nobody waits for the answer.
        """
        self.refuse_if_full()
        loop, started, leash = asyncio.get_running_loop(), asyncio.Event(), Leash(self._seconds)

        def run() -> T:
            leash.begin()
            loop.call_soon_threadsafe(started.set)
            return work(leash)

        def release(done: Future[T]) -> None:  # noqa: ARG001
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
                loop.call_soon_threadsafe(self._leashes.discard, leash)

        self._leashes.add(leash)
        future = self._pool.submit(run)
        future.add_done_callback(release)
        return await self._wait(future, started, leash, disconnected)

    async def _wait(
        self,
        future: Future[T],
        started: asyncio.Event,
        leash: Leash,
        disconnected: Callable[[], Awaitable[object]],
    ) -> T:
        answer = asyncio.wrap_future(future)
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio would complain
        begun: asyncio.Future[Any] = asyncio.ensure_future(started.wait())
        gone: asyncio.Future[Any] = asyncio.ensure_future(disconnected())
        try:
            await _first(answer, begun, gone)
            if not answer.done() and not gone.done():
                await _first(answer, gone, timeout=self._seconds)
            if answer.done():
                return self._result(answer)
            if gone.done():
                raise ClientGone
            raise _time_limit(self._seconds)
        finally:
            leash.cut()
            answer.cancel()  # which takes it out of the queue if it has not begun
            begun.cancel()
            gone.cancel()

    def _result(self, answer: asyncio.Future[T]) -> T:
        try:
            return answer.result()
        except _GivenUp:
            raise _time_limit(self._seconds) from None

    def close(self) -> None:
        """Begin nothing new; what runs is left to end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _first(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:
    await asyncio.wait(set(futures), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def _time_limit(seconds: float) -> Problem:
    return Problem("time-limit", f"Work on one picture may take {seconds:g} seconds.")
