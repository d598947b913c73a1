"""A process that works on pictures and does nothing else: what `ProcessPool` starts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pickle
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from censor.rlimits import limit_memory
from censor.service.logs import where
from censor.service.messages import (
    LENGTHS,
    Advance,
    Answer,
    Ask,
    Cancel,
    Failure,
    FromWorker,
    Hello,
    StartFailure,
    Terms,
    tell,
)
from censor.service.networks import NetworkSet
from censor.service.problems import out_of_memory, problem_of
from censor.service.spool import Spool
from censor.service.work import Deadline, Job, Progress, perform

__all__ = ["Worker", "main"]

_SAID_EVERY = 0.25
"""Seconds between two words on how far work on one film has come."""


class Worker:
    """Works on what comes through a socket, several pictures at once, until the socket ends."""

    def __init__(
        self, connection: socket.socket, networks: NetworkSet, terms: Terms, films: socket.socket | None = None
    ) -> None:
        self._connection, self._films = connection, films
        networks, self._close = networks.batched(terms.batch, terms.batch_wait)
        self._perform = functools.partial(
            perform, networks=networks, max_bytes=terms.max_bytes, max_pixels=terms.max_pixels
        )
        self._seconds = terms.seconds
        self._executor = ThreadPoolExecutor(max_workers=terms.at_once, thread_name_prefix="picture")
        self._trial_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial")
        # Who works on pictures does not wait until the parent has read the last one.
        self._post = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answer")
        self._deadlines: dict[int, Deadline] = {}

    def serve(self) -> None:
        """Work until the other side closes, or dies."""
        while received := _receive(self._connection):
            said: Ask | Cancel = pickle.loads(received[0])  # noqa: S301  # the parent's own
            if isinstance(said, Cancel):
                if deadline := self._deadlines.get(said.number):
                    deadline.cancel()
                continue
            source, out = self._received_film(said.job)
            job = dataclasses.replace(said.job, data=received[1], source=source, out=out)
            self._deadlines[said.number] = deadline = Deadline(self._seconds)
            executor = self._trial_executor if said.trial else self._executor
            executor.submit(self._do, said.number, job, deadline, said.trial)

    def _received_film(self, job: Job) -> tuple[Spool | None, Spool | None]:
        """The files of a job that has some: where it comes from, and where it goes if it is to be hidden."""
        if not job.frames or self._films is None:
            return None, None
        _, descriptors, _, _ = socket.recv_fds(self._films, 1, 2)
        return Spool(descriptors[0]), Spool(descriptors[1]) if job.hide else None

    def close(self) -> None:
        """End the threads, where the process does not end anyway."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._trial_executor.shutdown(wait=False, cancel_futures=True)
        self._post.shutdown(wait=False, cancel_futures=True)
        self._close()

    def _do(self, number: int, job: Job, deadline: Deadline, trial: bool) -> None:
        said: FromWorker
        body: bytes | memoryview
        beside = len(self._deadlines) > 1
        try:
            result = self._perform(job, deadline=deadline, trial=trial, progress=self._progress(number))
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked
            crowded = out_of_memory(error) and (beside or len(self._deadlines) > 1)
            problem, body = problem_of(error), b""
            said = Failure(
                number=number, problem=problem.name, detail=problem.detail, where=where(error), crowded=crowded
            )
        else:
            body = result.encoded
            said = Answer(
                number=number,
                record=result.record,
                seconds=result.seconds,
                networks=result.networks,
                format=result.format,
            )
        del self._deadlines[number]
        for each in (job.source, job.out):
            if each is not None:
                each.let_go()
        self._post.submit(self._send, said, body)

    def _progress(self, number: int) -> Progress:
        """Says now and then how far work has come."""
        said = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal said
            if (now := time.monotonic()) - said >= _SAID_EVERY:
                said = now
                self._post.submit(self._send, Advance(number=number, done=done, total=total), b"")

        return tell

    def _send(self, said: FromWorker, body: bytes | memoryview) -> None:
        with contextlib.suppress(OSError):  # the parent is gone, and so will we be
            self._connection.sendall(tell(said, len(body)))
            self._connection.sendall(body)


def main(number: int, films: int | None = None) -> None:
    """Be a worker, until the parent closes the socket or dies.

    Args:
        number: The socket's file descriptor.
        films: That of the socket through which descriptors of films come; None where there will be none.
    """
    for each in (signal.SIGINT, signal.SIGTERM):  # may be sent to all of a terminal or a service; the parent decides
        signal.signal(each, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(10)  # who speaks HTTP goes first: a refusal must not wait for pictures
    with socket.socket(fileno=number) as connection:
        if not (received := _receive(connection)):
            return
        try:
            terms: Terms = pickle.loads(received[1])  # noqa: S301  # the parent's own
            networks = NetworkSet.of(terms.load())
            if terms.memory is not None:
                limit_memory(terms.memory + (len(networks.names) - 1) * terms.memory_further)
        except Exception as error:  # noqa: BLE001  # the parent says it, and decides
            connection.sendall(tell(StartFailure(failed=str(error), where=where(error))))
            return
        says = {name: list(names) for name, names in networks.says.items()}
        connection.sendall(tell(Hello(names=list(networks.labels), says=says, networks=list(networks.names))))
        Worker(connection, networks, terms, None if films is None else socket.socket(fileno=films)).serve()


def _receive(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """A header and a body; None at the end."""
    try:
        lengths = _exactly(connection, LENGTHS.size)
        header, body = LENGTHS.unpack(lengths)
        return bytes(_exactly(connection, header)), bytes(_exactly(connection, body))
    except (EOFError, ConnectionError):
        return None


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        if not (more := connection.recv_into(view[got:])):
            raise EOFError
        got += more
    return data
