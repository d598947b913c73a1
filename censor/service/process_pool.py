"""Pictures worked on in processes of their own, so that no picture can take the service down, or another's request.

A worker that dies is replaced, and the pictures in its hands are handed on. A picture at whose side a worker died is
given a worker of its own from then on: no other suffers by it if it was to blame, and it is given up after three.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import pickle
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from censor.service.formats import MEDIA_TYPES
from censor.service.logs import where
from censor.service.messages import Answer, Failure, Hello, StartFailure, Terms, ask, cancel
from censor.service.problems import Problem
from censor.service.settings import Settings
from censor.service.thread_pool import first_of
from censor.service.work import ClientGone, Job, Result, time_limit
from censor.service.worker_handle import Task, WorkerHandle
from detect.detections import Detector
from detect.errors import DetectError

__all__ = ["ProcessPool"]

_LOG = logging.getLogger("censor.service")

_TRIES = 3
"""Workers that one picture may see die; all but the first work on nothing else meanwhile."""

_PREFETCH = 2
"""Pictures that a worker holds for each that it works on: when one is done, it need not wait for the next."""

_GRACE_SECONDS = 2.0
"""What an overdue picture has to come to its end by itself before its worker is killed."""

_START_SECONDS = 60.0
_STARTS = 3
"""Starts that may fail in a row before the service says that it is not ready."""


@dataclass
class _Starts:
    """How starting workers goes."""

    first: asyncio.Future[tuple[str, ...]]
    failed: int = 0
    said: str = field(default="the processes that work on pictures end as they start")


class ProcessPool:
    """A `Pool` of processes. To be made, and used, in one event loop."""

    def __init__(self, settings: Settings, load: Callable[[], Detector]) -> None:
        """Make the pool; `start` starts it.

        Args:
            settings: For the number of workers and the limits.
            load: Loads the detector, in each worker; must be something that can be pickled.
        """
        terms = Terms(
            load=load,
            at_once=settings.at_once,
            batch=settings.batch,
            batch_wait=settings.batch_wait,
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
            seconds=settings.picture_seconds,
            memory=settings.worker_limit,
        )
        self._terms = pickle.dumps(terms)
        self._settings = settings
        # Asked for at every turn, and each time settings would ask the system for its cores.
        self._at_once, self._room = settings.at_once, settings.workers * settings.at_once + settings.queue
        self._most = 2**20 + 2 * settings.max_bytes + 8 * settings.max_pixels
        self._numbers = itertools.count()
        self._queue: deque[Task] = deque()
        self._workers: list[WorkerHandle] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._starts = _Starts(asyncio.get_running_loop().create_future())
        self.names: tuple[str, ...] = ()

    async def start(self) -> None:
        """Start the workers, and wait for the first that can take pictures.

        Raises:
            DetectError: None can.
        """
        self._supervisors = [asyncio.create_task(self._supervise()) for _ in range(self._settings.workers)]
        try:
            self.names = await asyncio.shield(self._starts.first)
        except BaseException:
            await self.close()
            raise

    @property
    def inside(self) -> int:
        """See `Pool`."""
        return len(self._queue) + sum(worker.jobs for worker in self._workers)

    @property
    def waiting(self) -> int:
        """See `Pool`."""
        ahead = sum(max(0, worker.jobs - self._at_once) for worker in self._workers)
        return len(self._queue) + ahead

    @property
    def processes(self) -> tuple[int, ...]:
        """See `Pool`."""
        return tuple(worker.process.pid for worker in self._able())

    @property
    def able(self) -> bool:
        """See `Pool`."""
        return bool(self._able())

    def _able(self) -> list[WorkerHandle]:
        return [worker for worker in self._workers if worker.ready and not worker.killed]

    def refuse_if_full(self) -> None:
        """See `Pool`."""
        if self._starts.failed >= _STARTS and not self.able:
            raise _not_ready()
        if self.inside >= self._room:
            raise Problem("busy")

    async def do(
        self, job: Job, *, hold: Callable[[int], None], disconnected: Callable[[], Awaitable[object]]
    ) -> Result:
        """See `Pool`."""
        self.refuse_if_full()
        task = self._task(job, hold)
        self._queue.append(task)
        self._dispatch()
        gone: asyncio.Future[Any] = asyncio.ensure_future(disconnected())
        try:
            await first_of(task.answer, gone)
            if not task.answer.done():
                raise ClientGone
            result = task.answer.result()
            result.seconds["wait"] = task.waited
            return result
        finally:
            gone.cancel()
            self._abandon(task)

    def _task(self, job: Job, hold: Callable[[int], None], *, trial: bool = False) -> Task:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio would complain
        return Task(next(self._numbers), job, answer, time.perf_counter(), hold, trial)

    def _abandon(self, task: Task) -> None:
        """Nobody waits any more. Where it is worked on, its place stays taken until that ends."""
        task.answer.cancel()  # which one that is done passes over
        task.forget_picture()
        if task in self._queue:
            self._queue.remove(task)
        for worker in self._workers:
            if task.number in worker.tasks:
                worker.send(cancel(task.number))

    async def try_out(self, job: Job) -> None:
        """See `Pool`. The worker that has least to do is asked."""
        if not (able := self._able()):
            raise _not_ready()
        task = self._task(job, lambda _: None, trial=True)
        worker = min(able, key=lambda worker: (worker.draining, worker.jobs))
        self._assign(task, worker)
        self._start_clock(task, worker)
        await task.answer

    def _dispatch(self) -> None:
        """Give waiting pictures to workers, in their order."""
        while self._queue and (worker := self._worker_for(self._queue[0])):
            self._assign(self._queue.popleft(), worker)
        for worker in self._workers:
            for task in worker.begun(self._at_once):
                if task.timer is None:
                    self._start_clock(task, worker)

    def _worker_for(self, task: Task) -> WorkerHandle | None:
        most = 1 if task.died else _PREFETCH * self._at_once
        free = [worker for worker in self._able() if worker.jobs < most and not worker.draining]
        return min(free, key=lambda worker: worker.jobs, default=None)

    def _assign(self, task: Task, worker: WorkerHandle) -> None:
        worker.tasks[task.number] = task
        worker.send(ask(task.number, task.job, trial=task.trial), task.job.data)

    def _start_clock(self, task: Task, worker: WorkerHandle) -> None:
        task.waited = time.perf_counter() - task.submitted
        loop, seconds = asyncio.get_running_loop(), self._settings.picture_seconds
        task.timer = loop.call_later(seconds, self._overdue, task, worker)

    def _overdue(self, task: Task, worker: WorkerHandle) -> None:
        task.late = True
        task.fail(time_limit(self._settings.picture_seconds))
        task.timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._kill, worker)

    def _kill(self, worker: WorkerHandle) -> None:
        worker.killed = True
        worker.process.kill()

    async def _supervise(self) -> None:
        """Keep one worker alive."""
        while True:
            await self._supervise_one()
            if self._starts.failed:
                await asyncio.sleep(min(5.0, 0.1 * 2**self._starts.failed))

    async def _supervise_one(self) -> None:
        """Start a worker, and settle what it answers until it dies."""
        try:
            worker = WorkerHandle(self._terms, self._most)
        except OSError as refused:
            self._start_failed(refused)
            return
        self._workers.append(worker)
        error: Exception | None = None
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._admit(worker, await worker.greeting())
            while True:
                self._settle(worker, *await worker.receive(functools.partial(self._has_room, worker)))
        except Exception as caught:  # noqa: BLE001  # dead, silent, or talking nonsense: it is replaced
            error = caught
        finally:
            worker.process.kill()
            self._workers.remove(worker)
            if error is not None:
                self._reap(worker, error)
            ending = asyncio.create_task(worker.end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    def _admit(self, worker: WorkerHandle, hello: Hello | StartFailure) -> None:
        if isinstance(hello, StartFailure):
            raise DetectError(hello.failed)
        names = tuple(map(str, hello.names))
        if self.names and names != self.names:
            raise DetectError("the detector is another one than before; start the service again")
        worker.ready, self._starts.failed = True, 0
        if not self._starts.first.done():
            self._starts.first.set_result(names)
        _LOG.info("worker ready", extra={"fields": {"worker": worker.process.pid}})
        self._dispatch()

    def _has_room(self, worker: WorkerHandle, answer: Answer | Failure, size: int) -> bool:
        """Whether somebody waits for an answer of so many bytes, and there is memory for it."""
        task = worker.tasks[answer.number]
        if task.answer.done():
            return False
        try:
            task.hold(size)
        except Problem as refused:
            task.fail(refused)
            return False
        return True

    def _settle(self, worker: WorkerHandle, answer: Answer | Failure, body: bytearray | None) -> None:
        task = worker.tasks[answer.number]
        if task.answer.done() or body is None:
            pass
        elif isinstance(answer, Failure):
            if answer.crowded and not task.died:
                self._retry_alone(task)
            else:
                task.fail(Problem(answer.problem, answer.detail, where=answer.where))
        elif task.job.hide and not (body and answer.format in MEDIA_TYPES):
            raise ValueError("an answer without a picture")
        else:
            task.answer.set_result(
                Result(record=answer.record, seconds=answer.seconds, encoded=memoryview(body), format=answer.format)
            )
        del worker.tasks[task.number]  # only now: an answer that made no sense has not been given
        task.stop_clock()
        self._dispatch()

    def _retry_alone(self, task: Task) -> None:
        """Work on it again with nothing beside it: the memory that it wanted may have been another's fault."""
        task.died = 1
        self._queue.appendleft(task)

    def _reap(self, worker: WorkerHandle, error: Exception) -> None:
        """Hand on what it had, and say so."""
        kept = []
        for task in worker.tasks.values():
            task.stop_clock()
            if task.answer.done():
                continue
            task.died += not worker.killed  # one that was killed for another's picture died by no fault of this
            if task.trial or task.died >= _TRIES:
                task.fail(Problem("worker-died"))
            else:
                kept.append(task)
        self._queue.extendleft(reversed(kept))
        told = {"worker": worker.process.pid, "held": len(worker.tasks), "handed_on": len(kept), "error": where(error)}
        _LOG.error("worker overdue" if worker.killed else "worker died", extra={"fields": told})
        if not worker.ready:
            self._start_failed(error)
        self._dispatch()

    def _start_failed(self, error: Exception) -> None:
        starts = self._starts
        starts.failed += 1
        if isinstance(error, DetectError):
            starts.said = str(error)
        if not starts.first.done() and (isinstance(error, DetectError) or starts.failed >= _STARTS):
            starts.first.set_exception(DetectError(starts.said))
        if starts.failed >= _STARTS and not self.able:
            for task in self._queue:
                task.fail(_not_ready())
            self._queue.clear()

    async def close(self) -> None:
        """End the workers."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        await asyncio.gather(*self._endings)


def _not_ready() -> Problem:
    return Problem("not-ready")
