"""A process that works on pictures and does nothing else: what `ProcessPool` starts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pickle
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

from censor.rlimits import limit_memory
from censor.service.logs import where
from censor.service.messages import LENGTHS, Answer, Ask, Cancel, Failure, FromWorker, Hello, StartFailure, Terms, tell
from censor.service.networks import NetworkSet
from censor.service.problems import out_of_memory, problem_of
from censor.service.work import Deadline, Job, perform

__all__ = ["Worker", "main"]


class Worker:
    """Works on what comes through a socket, several pictures at once, until the socket ends."""

    def __init__(self, connection: socket.socket, networks: NetworkSet, terms: Terms) -> None:
        self._connection = connection
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
            job = dataclasses.replace(said.job, data=received[1])
            self._deadlines[said.number] = deadline = Deadline(self._seconds)
            executor = self._trial_executor if said.trial else self._executor
            executor.submit(self._do, said.number, job, deadline, said.trial)

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
            result = self._perform(job, deadline=deadline, trial=trial)
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
        self._post.submit(self._send, said, body)

    def _send(self, said: FromWorker, body: bytes | memoryview) -> None:
        with contextlib.suppress(OSError):  # the parent is gone, and so will we be
            self._connection.sendall(tell(said, len(body)))
            self._connection.sendall(body)


def main(number: int) -> None:
    """Be a worker, until the parent closes the socket or dies.

    Args:
        number: The socket's file descriptor.
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
        Worker(connection, networks, terms).serve()


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
