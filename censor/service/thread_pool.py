"""Pictures worked on in threads of this process: so many at once, so many waiting, none for longer than the limit."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from censor.service.networks import NetworkSet
from censor.service.problems import Problem
from censor.service.settings import Settings
from censor.service.work import ClientGone, Deadline, Job, Progress, Result, perform, time_limit
from detect.detections import Detector

__all__ = ["ThreadPool", "first_of"]


class ThreadPool:
    """A `Pool` of a bounded number of threads, with a bounded queue before them.

    Work that overruns its time keeps its slot until it ends, so that the number of pictures in memory stays what it
    is. What ends the process ends all requests: `ProcessPool` has processes of their own for pictures.
    """

    def __init__(self, loaded: NetworkSet | Detector, settings: Settings, *, films: bool = False) -> None:
        """Make the pool.

        Args:
            loaded: The networks, or a detector that works alone: safe to call from several threads.
            settings: For the limits.
            films: It is for what moves: as many threads as there would be processes for that.
        """
        networks = NetworkSet.of(loaded)
        self.names, self.says, self.networks = networks.labels, networks.says, networks.names
        slots = settings.film_workers if films else settings.at_once_alone
        self._slots, self._queue, self._seconds = slots, settings.queue, settings.picture_seconds
        self._executor = ThreadPoolExecutor(max_workers=self._slots, thread_name_prefix="picture")
        self._trial_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial")
        self._deadlines: set[Deadline] = set()
        networks, self._close = networks.batched(settings.batch, settings.batch_wait)
        self._perform = functools.partial(
            perform, networks=networks, max_bytes=settings.max_bytes, max_pixels=settings.max_pixels
        )

    @property
    def inside(self) -> int:
        """See `Pool`."""
        return len(self._deadlines)

    @property
    def waiting(self) -> int:
        """See `Pool`."""
        return max(0, self.inside - self._slots)

    @property
    def processes(self) -> tuple[int, ...]:
        """This one."""
        return (os.getpid(),)

    @property
    def able(self) -> bool:
        """Not while every slot is held by work that should long be over."""
        return sum(deadline.overdue for deadline in self._deadlines) < self._slots

    def refuse_if_full(self) -> None:
        """See `Pool`."""
        if self.inside >= self._slots + self._queue:
            raise Problem("busy")

    async def do(
        self,
        job: Job,
        *,
        hold: Callable[[int], None],
        disconnected: Callable[[], Awaitable[object]],
        progress: Progress | None = None,
    ) -> Result:
        """See `Pool`."""
        self.refuse_if_full()
        loop, started, deadline = asyncio.get_running_loop(), asyncio.Event(), Deadline(self._seconds)
        submitted = time.perf_counter()

        def run() -> Result:
            waited = time.perf_counter() - submitted
            loop.call_soon_threadsafe(started.set)
            result = self._perform(job, deadline=deadline, progress=told)
            result.seconds["wait"] = waited
            return result

        def told(done: int, total: int) -> None:
            if progress is not None:
                loop.call_soon_threadsafe(progress, done, total)

        def release(done: Future[Result]) -> None:  # noqa: ARG001
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
                loop.call_soon_threadsafe(self._deadlines.discard, deadline)

        self._deadlines.add(deadline)
        future = self._executor.submit(run)
        future.add_done_callback(release)
        result = await self._wait(future, started, deadline, disconnected)
        hold(len(result.encoded))
        return result

    async def _wait(
        self,
        future: Future[Result],
        started: asyncio.Event,
        deadline: Deadline,
        disconnected: Callable[[], Awaitable[object]],
    ) -> Result:
        answer = asyncio.wrap_future(future)
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio would complain
        begun: asyncio.Future[Any] = asyncio.ensure_future(started.wait())
        gone: asyncio.Future[Any] = asyncio.ensure_future(disconnected())
        try:
            await first_of(answer, begun, gone)
            end = self._seconds
            while not answer.done() and not gone.done() and end > 0:
                await first_of(answer, gone, timeout=end)
                end = deadline.left  # of what moves, each frame sets it back
            if answer.done():
                return answer.result()
            if gone.done():
                raise ClientGone
            raise time_limit(self._seconds)
        finally:
            deadline.cancel()
            answer.cancel()  # which takes it out of the queue if it has not begun
            begun.cancel()
            gone.cancel()

    async def try_out(self, job: Job) -> None:
        """See `Pool`."""
        attempt = functools.partial(self._perform, job, deadline=Deadline(self._seconds), trial=True)
        async with asyncio.timeout(self._seconds):
            await asyncio.get_running_loop().run_in_executor(self._trial_executor, attempt)

    async def close(self) -> None:
        """Begin nothing new; what runs is left to end by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._trial_executor.shutdown(wait=False, cancel_futures=True)
        self._close()


async def first_of(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:
    """Wait until one is done."""
    await asyncio.wait(set(futures), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
