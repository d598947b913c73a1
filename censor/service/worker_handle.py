"""The parent's end of one worker process, and the pictures in its hands."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from censor.service.messages import (
    LENGTHS,
    Advance,
    Answer,
    Failure,
    Hello,
    StartFailure,
    ask,
    begin,
    read_answer,
    read_greeting,
)
from censor.service.work import Job, Progress, Result

__all__ = ["PendingJob", "WorkerHandle"]

_PROGRAM = (
    "import os, sys; sys.path[:] = sys.argv[2:]; from censor.service.worker import main; "
    "main(*map(int, sys.argv[1].split(','))); os._exit(0)"  # without waiting for threads: nobody waits for them
)
"""Not multiprocessing, whose processes import the program that started the service once more."""

_MAX_HEADER, _PIECE = 2**20, 2**18


@dataclass(eq=False)
class PendingJob:
    """A job on its way; `died` counts the workers that died with it, `late` is one over its time.

    `hold` is called with the bytes of its answer before they are received, and raises where there is no memory.
    """

    number: int
    job: Job
    answer: asyncio.Future[Result]
    submitted: float
    hold: Callable[[int], None]
    trial: bool = False
    died: int = 0
    late: bool = False
    waited: float = 0.0
    timer: asyncio.TimerHandle | None = None
    progress: Progress | None = None

    def fail(self, error: Exception) -> None:
        """End it, if that has not been done, without a result."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def forget_picture(self) -> None:
        """Nobody will be given it any more, so its bytes need not be kept."""
        self.job = dataclasses.replace(self.job, data=b"", source=None, out=None)

    def stop_clock(self) -> None:
        """Its time no longer counts."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class WorkerHandle:
    """The parent's end of one worker process.

    Attributes:
        process: The process.
        pending: What is in its hands, by number.
        ready: Whether it can take pictures.
        killed: Whether it was killed because a picture was overdue.
    """

    def __init__(self, terms: bytes, most: int, *, films: bool = False) -> None:
        """Start one.

        Args:
            terms: `Terms`, pickled.
            most: Bytes that the picture of an answer can have.
            films: It gets films: their descriptors have a socket of their own.

        Raises:
            OSError: The system starts no more processes.
        """
        pairs = [socket.socketpair() for _ in range(2 if films else 1)]
        self._ours, theirs = zip(*pairs, strict=True)
        for each in self._ours:
            each.setblocking(False)
        self._connection: socket.socket = self._ours[0]
        environment = {name: value for name, value in os.environ.items() if name != "CENSOR_API_KEYS"}
        numbers = [each.fileno() for each in theirs]
        command = [sys.executable, "-c", _PROGRAM, ",".join(map(str, numbers)), *sys.path]
        try:
            self.process = subprocess.Popen(  # noqa: S603  # ourselves
                command, stdin=subprocess.DEVNULL, pass_fds=numbers, env=environment
            )
        except OSError:
            self._close()
            raise
        finally:
            for each in theirs:
                each.close()
        self._most = most
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.pending: dict[int, PendingJob] = {}
        self.ready = False
        self.killed = False
        self.send(begin(terms), terms)
        self._sender = asyncio.create_task(self._pump())

    @property
    def assigned(self) -> int:
        """Pictures of clients in its hands."""
        return sum(not each.trial for each in self.pending.values())

    def begun(self, at_once: int) -> list[PendingJob]:
        """What it works on: it takes clients' pictures in the order in which it was given them, so many at once."""
        pictures = [each for each in self.pending.values() if not each.trial]
        return pictures[:at_once] + [each for each in self.pending.values() if each.trial]

    @property
    def draining(self) -> bool:
        """Whether it should get nothing more: it may die of what it has, or be killed for it."""
        return any(each.died or each.late for each in self.pending.values())

    def send_job(self, pending: PendingJob) -> None:
        """Send what is to be done, and the picture, or the descriptors of the film.

        Raises:
            OSError: It takes no descriptor now.
        """
        job = pending.job
        if job.source is not None:
            socket.send_fds(
                self._ours[1], [b"f"], [each.fileno() for each in (job.source, job.out) if each is not None]
            )
        self.send(ask(pending.number, job, trial=pending.trial), job.data)

    def send(self, *parts: bytes) -> None:
        """Send bytes, in their order, when it takes them."""
        for part in parts:
            self._outbox.put_nowait(part)

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await loop.sock_sendall(self._connection, await self._outbox.get())
        except OSError:  # it died, as who receives will see
            return

    async def greeting(self) -> Hello | StartFailure:
        """What it says first.

        Raises:
            EOFError: It died.
            OSError, ValueError: It makes no sense.
        """
        header, body = await self._header()
        if body:
            raise ValueError("more bytes than a greeting has")
        return read_greeting(header)

    async def receive(
        self, keep: Callable[[Answer | Failure, int], bool], advanced: Callable[[Advance], None]
    ) -> tuple[Answer | Failure, bytearray | None]:
        """The next answer, checked for its size: a worker may be in other hands.

        Args:
            keep: Called with an answer and the bytes of its picture: whether there is memory for it.
            advanced: Called with what comes before it: how far work on what moves has come.

        Returns:
            The answer, and the picture or, where that was not kept, None.

        Raises:
            EOFError: It died.
            OSError, ValueError: It makes no sense.
        """
        while True:
            header, body = await self._header()
            answer = read_answer(header)
            if not isinstance(answer, Advance):
                break
            if body:
                raise ValueError("more bytes than a word on progress has")
            advanced(answer)
        if keep(answer, body):
            return answer, await self._exactly(body)
        while body > 0:
            body -= len(await self._exactly(min(body, _PIECE)))
        return answer, None

    async def _header(self) -> tuple[bytearray, int]:
        """The next header, and the bytes of the body that follows."""
        size, body = LENGTHS.unpack(await self._exactly(LENGTHS.size))
        if size > _MAX_HEADER or body > self._most:
            raise ValueError("more bytes than any answer has")
        return await self._exactly(size), body

    async def _exactly(self, size: int) -> bytearray:
        loop, data = asyncio.get_running_loop(), bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            if not (more := await loop.sock_recv_into(self._connection, view[got:])):
                raise EOFError
            got += more
        return data

    async def end(self) -> None:
        """Wait for the end of one that was killed."""
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        self._close()
        await asyncio.to_thread(self.process.wait)

    def _close(self) -> None:
        for each in self._ours:
            each.close()
