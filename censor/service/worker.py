"""A process that works on pictures and does nothing else: what `ProcessPool` starts, and how the two talk.

Over a pair of sockets go frames: the lengths of a header and of a body, the header, the body. Bodies are encoded
pictures. Headers are pickles on the way to the worker. On the way back they are JSON: whoever takes a worker over
through a decoder's fault must not hand its parent code to run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from censor.policy import Policy
from censor.rlimits import limit_memory
from censor.service.batching import batching
from censor.service.logs import where
from censor.service.problems import out_of_memory, problem_of
from censor.service.work import Deadline, Job, Result, perform
from detect.detections import Detector

__all__ = ["LENGTHS", "Terms", "Worker", "ask", "frame", "main"]

LENGTHS = struct.Struct("!IQ")
"""Bytes of the header and of the body, before both."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Terms:
    """What a worker is told when it starts.

    Attributes:
        load: Loads the detector.
        at_once: Pictures worked on at once.
        batch: Pictures detected in one run of the network.
        batch_wait: Seconds that a picture waits for others to join its run.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        seconds: How long work on one picture may take.
        memory: Bytes that pictures may take together beyond what the process has with its detector; None for no limit.
    """

    load: Callable[[], Detector]
    at_once: int
    batch: int
    batch_wait: float
    max_bytes: int
    max_pixels: int
    seconds: float
    memory: int | None = None


def frame(header: bytes, size: int = 0) -> bytes:
    """What goes before a body of so many bytes."""
    return LENGTHS.pack(len(header), size) + header


def ask(number: int, job: Job, *, trial: bool = False) -> bytes:
    """What goes before the picture of a job.

    Args:
        number: What the answer will bear.
        job: The job.
        trial: Work on it also when all places are taken.
    """
    policy = {each.name: getattr(job.policy, each.name) for each in dataclasses.fields(Policy)}
    policy["rules"] = dict(job.policy.rules)
    header = {"number": number, "trial": trial, "policy": policy}
    header["job"] = {"hide": job.hide, "format": job.format, "quality": job.quality}
    return frame(pickle.dumps(header), len(job.data))


class Worker:
    """Works on what comes through a socket, several pictures at once, until the socket ends."""

    def __init__(self, connection: socket.socket, detector: Detector, terms: Terms) -> None:
        self._connection = connection
        detector, self._close = batching(detector, terms.batch, terms.batch_wait)
        self._perform = functools.partial(
            perform, detector=detector, max_bytes=terms.max_bytes, max_pixels=terms.max_pixels
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
            header, data = pickle.loads(received[0]), received[1]  # noqa: S301  # the parent's own
            if "cancel" in header:
                if deadline := self._deadlines.get(header["cancel"]):
                    deadline.cancel()
                continue
            job = Job(data=data, policy=Policy(**header["policy"]), **header["job"])
            self._deadlines[header["number"]] = deadline = Deadline(self._seconds)
            executor = self._trial_executor if header["trial"] else self._executor
            executor.submit(self._do, header["number"], job, deadline)

    def close(self) -> None:
        """End the threads, where the process does not end anyway."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._trial_executor.shutdown(wait=False, cancel_futures=True)
        self._post.shutdown(wait=False, cancel_futures=True)
        self._close()

    def _do(self, number: int, job: Job, deadline: Deadline) -> None:
        told: dict[str, Any]
        beside = len(self._deadlines) > 1
        try:
            result = self._perform(job, deadline=deadline)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked
            problem = problem_of(error)
            crowded = out_of_memory(error) and (beside or len(self._deadlines) > 1)
            told = {"problem": problem.name, "detail": problem.detail, "where": where(error), "crowded": crowded}
            result = Result(record={}, seconds={})
        else:
            told = {"record": result.record, "seconds": result.seconds, "format": result.format}
        del self._deadlines[number]
        self._post.submit(self._send, {"number": number, **told}, result.encoded)

    def _send(self, header: dict[str, Any], body: bytes | memoryview) -> None:
        with contextlib.suppress(OSError):  # the parent is gone, and so will we be
            self._connection.sendall(frame(json.dumps(header).encode(), len(body)))
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
            detector = terms.load()
            hello = {"names": list(detector.names)}
            if terms.memory is not None:
                limit_memory(terms.memory)
        except Exception as error:  # noqa: BLE001  # the parent says it, and decides
            connection.sendall(frame(json.dumps({"failed": str(error), "where": where(error)}).encode()))
            return
        connection.sendall(frame(json.dumps(hello).encode()))
        Worker(connection, detector, terms).serve()


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
