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

from censor.service.answers import TYPES_OF_MANY
from censor.service.logs import where
from censor.service.messages import Advance, Answer, Failure, Hello, StartFailure, Terms, cancel
from censor.service.networks import NetworkSet
from censor.service.problems import Problem
from censor.service.settings import Settings
from censor.service.thread_pool import first_of
from censor.service.work import ClientGone, Job, Progress, Result, time_limit
from censor.service.worker_handle import PendingJob, WorkerHandle
from detect.detections import Detector
from detect.errors import DetectError
from detect.pictures.formats import MEDIA_TYPES

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

    first: asyncio.Future[Hello]
    failed: int = 0
    said: str = field(default="the processes that work on pictures end as they start")


class ProcessPool:
    """A `Pool` of processes. To be made, and used, in one event loop."""

    def __init__(self, settings: Settings, load: Callable[[], NetworkSet | Detector], *, films: bool = False) -> None:
        """Make the pool; `start` starts it.

        Args:
            settings: For the number of workers and the limits.
            load: Loads the networks, or a detector that works alone, in each worker; must be something that can be
                pickled.
            films: It is for what moves: as many processes as are set for that, one film at once in each.
        """
        self._films = films
        self._at_once = 1 if films else settings.at_once
        terms = Terms(
            load=load,
            at_once=self._at_once,
            batch=settings.batch,
            batch_wait=settings.batch_wait,
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
            seconds=settings.picture_seconds,
            memory=settings.film_limit if films else settings.worker_limit,
            memory_further=settings.further_run // settings.at_once * self._at_once,
        )
        self._terms = pickle.dumps(terms)
        # Asked for at every turn, and each time settings would ask the system for its cores.
        self._seconds = settings.picture_seconds
        self._workers = settings.film_workers if films else settings.workers
        self._room = self._workers * self._at_once + settings.queue
        self._most = 2**20 + 2 * settings.max_bytes + 8 * settings.max_pixels
        self._numbers = itertools.count()
        self._queue: deque[PendingJob] = deque()
        self._handles: list[WorkerHandle] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._starts = _Starts(asyncio.get_running_loop().create_future())
        self._hello: Hello | None = None

    async def start(self) -> None:
        """Start the workers, and wait for the first that can take pictures.

        Raises:
            DetectError: None can.
        """
        self._supervisors = [asyncio.create_task(self._supervise()) for _ in range(self._workers)]
        try:
            self._hello = await asyncio.shield(self._starts.first)
        except BaseException:
            await self.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """See `Pool`."""
        return () if self._hello is None else tuple(map(str, self._hello.names))

    @property
    def says(self) -> dict[str, tuple[str, ...]]:
        """See `Pool`."""
        return {} if self._hello is None else {name: tuple(says) for name, says in self._hello.says.items()}

    @property
    def networks(self) -> tuple[str, ...]:
        """See `Pool`."""
        return () if self._hello is None else tuple(map(str, self._hello.networks))

    @property
    def inside(self) -> int:
        """See `Pool`."""
        return len(self._queue) + sum(handle.assigned for handle in self._handles)

    @property
    def waiting(self) -> int:
        """See `Pool`."""
        ahead = sum(max(0, handle.assigned - self._at_once) for handle in self._handles)
        return len(self._queue) + ahead

    @property
    def processes(self) -> tuple[int, ...]:
        """See `Pool`."""
        return tuple(handle.process.pid for handle in self._able())

    @property
    def able(self) -> bool:
        """See `Pool`."""
        return bool(self._able())

    def _able(self) -> list[WorkerHandle]:
        return [handle for handle in self._handles if handle.ready and not handle.killed]

    def refuse_if_full(self) -> None:
        """See `Pool`."""
        if self._starts.failed >= _STARTS and not self.able:
            raise _not_ready()
        if self.inside >= self._room:
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
        pending = self._pending_job(job, hold)
        pending.progress = progress
        self._queue.append(pending)
        self._dispatch()
        gone: asyncio.Future[Any] = asyncio.ensure_future(disconnected())
        try:
            await first_of(pending.answer, gone)
            if not pending.answer.done():
                raise ClientGone
            result = pending.answer.result()
            result.seconds["wait"] = pending.waited
            return result
        finally:
            gone.cancel()
            self._abandon(pending)

    def _pending_job(self, job: Job, hold: Callable[[int], None], *, trial: bool = False) -> PendingJob:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio would complain
        return PendingJob(next(self._numbers), job, answer, time.perf_counter(), hold, trial)

    def _abandon(self, pending: PendingJob) -> None:
        """Nobody waits any more. Where it is worked on, its slot stays taken until that ends."""
        pending.answer.cancel()  # which one that is done passes over
        pending.forget_picture()
        if pending in self._queue:
            self._queue.remove(pending)
        for handle in self._handles:
            if pending.number in handle.pending:
                handle.send(cancel(pending.number))

    async def try_out(self, job: Job) -> None:
        """See `Pool`. The worker that has least to do is asked."""
        if not (able := self._able()):
            raise _not_ready()
        pending = self._pending_job(job, lambda _: None, trial=True)
        handle = min(able, key=lambda handle: (handle.draining, handle.assigned))
        self._assign(pending, handle)
        self._start_clock(pending, handle)
        await pending.answer

    def _dispatch(self) -> None:
        """Give waiting pictures to workers, in their order."""
        while self._queue and (handle := self._handle_for(self._queue[0])):
            self._assign(self._queue.popleft(), handle)
        for handle in self._handles:
            for pending in handle.begun(self._at_once):
                if pending.timer is None:
                    self._start_clock(pending, handle)

    def _handle_for(self, pending: PendingJob) -> WorkerHandle | None:
        most = 1 if pending.died else _PREFETCH * self._at_once
        free = [handle for handle in self._able() if handle.assigned < most and not handle.draining]
        return min(free, key=lambda handle: handle.assigned, default=None)

    def _assign(self, pending: PendingJob, handle: WorkerHandle) -> None:
        handle.pending[pending.number] = pending
        handle.send_job(pending)

    def _start_clock(self, pending: PendingJob, handle: WorkerHandle) -> None:
        pending.waited = time.perf_counter() - pending.submitted
        self._set_clock(pending, handle)

    def _set_clock(self, pending: PendingJob, handle: WorkerHandle) -> None:
        pending.stop_clock()
        pending.timer = asyncio.get_running_loop().call_later(self._seconds, self._overdue, pending, handle)

    def _advanced(self, handle: WorkerHandle, advance: Advance) -> None:
        """Work on a film has come further: it has its time anew."""
        pending = handle.pending[advance.number]
        if pending.job.frames and not pending.late:
            self._set_clock(pending, handle)
            if pending.progress is not None and not pending.answer.done():
                pending.progress(advance.done, advance.total)

    def _overdue(self, pending: PendingJob, handle: WorkerHandle) -> None:
        pending.late = True
        pending.fail(time_limit(self._seconds, many=pending.job.frames > 0))
        pending.timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._kill, handle)

    def _kill(self, handle: WorkerHandle) -> None:
        handle.killed = True
        handle.process.kill()

    async def _supervise(self) -> None:
        """Keep one worker alive."""
        while True:
            await self._supervise_one()
            if self._starts.failed:
                await asyncio.sleep(min(5.0, 0.1 * 2**self._starts.failed))

    async def _supervise_one(self) -> None:
        """Start a worker, and settle what it answers until it dies."""
        try:
            handle = WorkerHandle(self._terms, self._most, films=self._films)
        except OSError as refused:
            self._start_failed(refused)
            return
        self._handles.append(handle)
        error: Exception | None = None
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._admit(handle, await handle.greeting())
            while True:
                keep = functools.partial(self._has_room, handle)
                advanced = functools.partial(self._advanced, handle)
                self._settle(handle, *await handle.receive(keep, advanced))
        except Exception as caught:  # noqa: BLE001  # dead, silent, or talking nonsense: it is replaced
            error = caught
        finally:
            handle.process.kill()
            self._handles.remove(handle)
            if error is not None:
                self._reap(handle, error)
            ending = asyncio.create_task(handle.end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    def _admit(self, handle: WorkerHandle, hello: Hello | StartFailure) -> None:
        if isinstance(hello, StartFailure):
            raise DetectError(hello.failed)
        if self._hello is not None and hello != self._hello:
            raise DetectError("the networks are others than before; start the service again")
        handle.ready, self._starts.failed = True, 0
        if not self._starts.first.done():
            self._starts.first.set_result(hello)
        _LOG.info("worker ready", extra={"fields": {"worker": handle.process.pid}})
        self._dispatch()

    def _has_room(self, handle: WorkerHandle, answer: Answer | Failure, size: int) -> bool:
        """Whether somebody waits for an answer of so many bytes, and there is memory for it."""
        pending = handle.pending[answer.number]
        if pending.answer.done():
            return False
        try:
            pending.hold(size)
        except Problem as refused:
            pending.fail(refused)
            return False
        return True

    def _settle(self, handle: WorkerHandle, answer: Answer | Failure, body: bytearray | None) -> None:
        pending = handle.pending[answer.number]
        if pending.answer.done() or body is None:
            pass
        elif isinstance(answer, Failure):
            if answer.crowded and not pending.died:
                self._retry_alone(pending)
            else:
                pending.fail(Problem(answer.problem, answer.detail, where=answer.where))
        elif pending.job.hide and not _is_whole(pending.job, answer, len(body)):
            raise ValueError("an answer without a picture")
        else:
            pending.answer.set_result(
                Result(
                    record=answer.record,
                    seconds=answer.seconds,
                    networks=answer.networks,
                    encoded=memoryview(body),
                    format=answer.format,
                )
            )
        del handle.pending[pending.number]  # only now: an answer that made no sense has not been given
        pending.stop_clock()
        self._dispatch()

    def _retry_alone(self, pending: PendingJob) -> None:
        """Work on it again with nothing beside it: the memory that it wanted may have been another's fault."""
        pending.died = 1
        self._queue.appendleft(pending)

    def _reap(self, handle: WorkerHandle, error: Exception) -> None:
        """Hand on what it had, and say so."""
        kept = []
        for pending in handle.pending.values():
            pending.stop_clock()
            if pending.answer.done():
                continue
            pending.died += not handle.killed  # one that was killed for another's picture died by no fault of this
            if pending.trial or pending.died >= _TRIES:
                pending.fail(Problem("worker-died"))
            else:
                kept.append(pending)
        self._queue.extendleft(reversed(kept))
        told = {
            "worker": handle.process.pid,
            "held": len(handle.pending),
            "handed_on": len(kept),
            "error": where(error),
        }
        _LOG.error("worker overdue" if handle.killed else "worker died", extra={"fields": told})
        if not handle.ready:
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
            for pending in self._queue:
                pending.fail(_not_ready())
            self._queue.clear()

    async def close(self) -> None:
        """End the workers."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        await asyncio.gather(*self._endings)


def _is_whole(job: Job, answer: Answer, size: int) -> bool:
    """Whether an answer has the picture, or the film, that was asked for."""
    if job.out is not None:
        return 0 < job.out.size <= job.most and answer.format in TYPES_OF_MANY
    return size > 0 and answer.format in MEDIA_TYPES


def _not_ready() -> Problem:
    return Problem("not-ready")
