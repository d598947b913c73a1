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

from censor.service.answers import MEDIA_TYPES
from censor.service.child import Child, Task
from censor.service.logs import where
from censor.service.problems import Problem
from censor.service.settings import Settings
from censor.service.work import ClientGone, Job, Result, time_limit
from censor.service.worker import Terms, ask, frame
from censor.service.workroom import first_of
from detect.detections import Detector
from detect.errors import DetectError

__all__ = ["Crew"]

_LOG = logging.getLogger("censor.service")

_TRIES = 3
"""Workers that one picture may see die; all but the first work on nothing else meanwhile."""

_HELD = 2
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


class Crew:
    """`Workers` that are processes. To be made, and used, in one event loop."""

    def __init__(self, settings: Settings, load: Callable[[], Detector]) -> None:
        """Make the crew; `start` starts it.

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
        self._children: list[Child] = []
        self._tenders: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._starts = _Starts(asyncio.get_running_loop().create_future())
        self.names: tuple[str, ...] = ()

    async def start(self) -> None:
        """Start the workers, and wait for the first that can take pictures.

        Raises:
            DetectError: None can.
        """
        self._tenders = [asyncio.create_task(self._tend()) for _ in range(self._settings.workers)]
        try:
            self.names = await asyncio.shield(self._starts.first)
        except BaseException:
            await self.close()
            raise

    @property
    def inside(self) -> int:
        """See `Workers`."""
        return len(self._queue) + sum(child.jobs for child in self._children)

    @property
    def waiting(self) -> int:
        """See `Workers`."""
        ahead = sum(max(0, child.jobs - self._at_once) for child in self._children)
        return len(self._queue) + ahead

    @property
    def processes(self) -> tuple[int, ...]:
        """See `Workers`."""
        return tuple(child.process.pid for child in self._able())

    @property
    def able(self) -> bool:
        """See `Workers`."""
        return bool(self._able())

    def _able(self) -> list[Child]:
        return [child for child in self._children if child.ready and not child.doomed]

    def refuse_if_full(self) -> None:
        """See `Workers`."""
        if self._starts.failed >= _STARTS and not self.able:
            raise _not_ready()
        if self.inside >= self._room:
            raise Problem("busy")

    async def do(
        self, job: Job, *, hold: Callable[[int], None], disconnected: Callable[[], Awaitable[object]]
    ) -> Result:
        """See `Workers`."""
        self.refuse_if_full()
        task = self._task(job, hold)
        self._queue.append(task)
        self._hand_out()
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
            self._leave(task)

    def _task(self, job: Job, hold: Callable[[int], None], *, trial: bool = False) -> Task:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio would complain
        return Task(next(self._numbers), job, answer, time.perf_counter(), hold, trial)

    def _leave(self, task: Task) -> None:
        """Nobody waits any more. Where it is worked on, its place stays taken until that ends."""
        task.answer.cancel()  # which one that is done passes over
        task.forget_picture()
        if task in self._queue:
            self._queue.remove(task)
        for child in self._children:
            if task.number in child.tasks:
                child.say(frame(pickle.dumps({"cut": task.number})))

    async def try_out(self, job: Job) -> None:
        """See `Workers`. The worker that has least to do is asked."""
        if not (able := self._able()):
            raise _not_ready()
        task = self._task(job, lambda _: None, trial=True)
        child = min(able, key=lambda child: (child.shunned, child.jobs))
        self._give(task, child)
        self._start_clock(task, child)
        await task.answer

    def _hand_out(self) -> None:
        """Give waiting pictures to workers, in their order."""
        while self._queue and (child := self._place_for(self._queue[0])):
            self._give(self._queue.popleft(), child)
        for child in self._children:
            for task in child.begun(self._at_once):
                if task.timer is None:
                    self._start_clock(task, child)

    def _place_for(self, task: Task) -> Child | None:
        most = 1 if task.died else _HELD * self._at_once
        free = [child for child in self._able() if child.jobs < most and not child.shunned]
        return min(free, key=lambda child: child.jobs, default=None)

    def _give(self, task: Task, child: Child) -> None:
        child.tasks[task.number] = task
        child.say(ask(task.number, task.job, trial=task.trial), task.job.data)

    def _start_clock(self, task: Task, child: Child) -> None:
        task.waited = time.perf_counter() - task.submitted
        loop, seconds = asyncio.get_running_loop(), self._settings.picture_seconds
        task.timer = loop.call_later(seconds, self._overdue, task, child)

    def _overdue(self, task: Task, child: Child) -> None:
        task.late = True
        task.fail(time_limit(self._settings.picture_seconds))
        task.timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._doom, child)

    def _doom(self, child: Child) -> None:
        child.doomed = True
        child.process.kill()

    async def _tend(self) -> None:
        """Keep one worker alive."""
        while True:
            await self._keep_one()
            if self._starts.failed:
                await asyncio.sleep(min(5.0, 0.1 * 2**self._starts.failed))

    async def _keep_one(self) -> None:
        """Start a worker, and settle what it answers until it dies."""
        try:
            child = Child(self._terms, self._most)
        except OSError as refused:
            self._not_started(refused)
            return
        self._children.append(child)
        error: Exception | None = None
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._welcome(child, (await child.receive(lambda _, size: not size))[0])
            while True:
                self._settle(child, *await child.receive(functools.partial(self._has_room, child)))
        except Exception as caught:  # noqa: BLE001  # dead, silent, or talking nonsense: it is replaced
            error = caught
        finally:
            child.process.kill()
            self._children.remove(child)
            if error is not None:
                self._bury(child, error)
            ending = asyncio.create_task(child.end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    def _welcome(self, child: Child, hello: dict[str, Any]) -> None:
        if "failed" in hello:
            raise DetectError(str(hello["failed"]))
        names = tuple(map(str, hello["names"]))
        if self.names and names != self.names:
            raise DetectError("the detector is another one than before; start the service again")
        child.ready, self._starts.failed = True, 0
        if not self._starts.first.done():
            self._starts.first.set_result(names)
        _LOG.info("worker ready", extra={"fields": {"worker": child.process.pid}})
        self._hand_out()

    def _has_room(self, child: Child, head: dict[str, Any], size: int) -> bool:
        """Whether somebody waits for an answer of so many bytes, and there is memory for it."""
        task = child.tasks[head["number"]]
        if task.answer.done():
            return False
        try:
            task.hold(size)
        except Problem as refused:
            task.fail(refused)
            return False
        return True

    def _settle(self, child: Child, head: dict[str, Any], body: bytearray | None) -> None:
        task = child.tasks[head["number"]]
        if task.answer.done() or body is None:
            pass
        elif head.get("crowded") and not task.died:
            self._alone(task)
        elif "problem" in head:
            task.fail(Problem(head["problem"], head["detail"], where=head["where"]))
        elif task.job.hide and not (body and head["format"] in MEDIA_TYPES):
            raise ValueError("an answer without a picture")
        else:
            result = Result(
                record=head["record"], seconds=head["seconds"], encoded=memoryview(body), format=head["format"]
            )
            task.answer.set_result(result)
        del child.tasks[task.number]  # only now: an answer that made no sense has not been given
        task.stop_clock()
        self._hand_out()

    def _alone(self, task: Task) -> None:
        """Work on it again with nothing beside it: the memory that it wanted may have been another's fault."""
        task.died = 1
        self._queue.appendleft(task)

    def _bury(self, child: Child, error: Exception) -> None:
        """Hand on what it had, and say so."""
        kept = []
        for task in child.tasks.values():
            task.stop_clock()
            if task.answer.done():
                continue
            task.died += not child.doomed  # one that was killed for another's picture died by no fault of this
            if task.trial or task.died >= _TRIES:
                task.fail(Problem("worker-died"))
            else:
                kept.append(task)
        self._queue.extendleft(reversed(kept))
        told = {"worker": child.process.pid, "held": len(child.tasks), "handed_on": len(kept), "error": where(error)}
        _LOG.error("worker overdue" if child.doomed else "worker died", extra={"fields": told})
        if not child.ready:
            self._not_started(error)
        self._hand_out()

    def _not_started(self, error: Exception) -> None:
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
        for tender in self._tenders:
            tender.cancel()
        await asyncio.gather(*self._tenders, return_exceptions=True)
        await asyncio.gather(*self._endings)


def _not_ready() -> Problem:
    return Problem("not-ready")
