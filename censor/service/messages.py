"""What the process that speaks HTTP and its workers say to each other: the only place that knows a message's fields.

Over a pair of sockets go frames: the lengths of a header and of a body, the header, the body. Bodies are encoded
pictures. Films come as descriptors of files in memory, over a second pair of sockets, in the order of what asks for
work on them. Headers are pickles on the way to the worker. On the way back they are JSON, read field by field: whoever
takes a worker over through a decoder's fault must not hand its parent code to run.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from censor.service.networks import NetworkSet
from censor.service.work import Job
from detect.detections import Detector

__all__ = [
    "LENGTHS", "Advance", "Answer", "Ask", "Cancel", "Failure", "FromWorker", "Hello", "StartFailure", "Terms", "ask",
    "begin", "cancel", "read_answer", "read_greeting", "tell",
]  # fmt: skip

LENGTHS = struct.Struct("!IQ")
"""Bytes of the header and of the body, before both."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """To a worker, first: how it is to work.

    Attributes:
        load: Loads the networks, or a detector alone.
        at_once: Pictures worked on at once.
        batch: Pictures detected in one run of the network.
        batch_wait: Seconds that a picture waits for others to join its run.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        seconds: How long work on one picture may take.
        memory: Bytes that pictures may take together beyond what the process has with its networks; None for no limit.
        memory_further: Bytes more for each network beyond the first.
    """

    load: Callable[[], NetworkSet | Detector]
    at_once: int
    batch: int
    batch_wait: float
    max_bytes: int
    max_pixels: int
    seconds: float
    memory: int | None = None
    memory_further: int = 0


@dataclass(frozen=True, kw_only=True)
class Ask:
    """To a worker, before a picture: work on it.

    Attributes:
        number: What the answer will bear.
        job: What is to be done, without the picture.
        trial: Work on it also when all slots are taken.
    """

    number: int
    job: Job
    trial: bool


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """To a worker: nobody waits for this answer any more."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Hello:
    """From a worker, first: it can take pictures.

    Attributes:
        names: What boxes can be found of.
        says: Each classifier's name, to the names of what it can say.
        networks: All networks by name.
    """

    names: list[str]
    says: dict[str, list[str]]
    networks: list[str]


@dataclass(frozen=True, kw_only=True)
class StartFailure:
    """From a worker, first: it cannot start.

    Attributes:
        failed: Why.
        where: Type and lines of code of the error, for the log.
    """

    failed: str
    where: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """From a worker, before a censored picture or nothing: what became of the picture of that number.

    Attributes:
        number: That of the `Ask`.
        record: As `Result` has it, like the rest.
        seconds: Time by stage.
        networks: Time by network.
        format: Of the picture that follows; empty where none was asked for.
    """

    number: int
    record: dict[str, Any]
    seconds: dict[str, float]
    networks: dict[str, float]
    format: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """From a worker: there is no result.

    Attributes:
        number: That of the `Ask`.
        problem: Name of the problem.
        detail: What is wrong, for the client.
        where: Type and lines of code of the error, for the log.
        crowded: Whether memory ran out while others were worked on beside it.
    """

    number: int
    problem: str
    detail: str
    where: dict[str, Any]
    crowded: bool


@dataclass(frozen=True, kw_only=True)
class Advance:
    """From a worker: work on what moves has come further.

    Attributes:
        number: That of the `Ask`.
        done: Frames that are done.
        total: How many there are; 0 where nobody knows.
    """

    number: int
    done: int
    total: int


FromWorker = Hello | StartFailure | Answer | Failure | Advance


def ask(number: int, job: Job, *, trial: bool = False) -> bytes:
    """What goes before the picture of a job.

    Args:
        number: What the answer will bear.
        job: The job.
        trial: Work on it also when all slots are taken.
    """
    said = Ask(number=number, job=dataclasses.replace(job, data=b"", source=None, out=None), trial=trial)
    return _frame(pickle.dumps(said), len(job.data))


def cancel(number: int) -> bytes:
    """What says that nobody waits for an answer any more."""
    return _frame(pickle.dumps(Cancel(number=number)), 0)


def begin(terms: bytes) -> bytes:
    """What goes before a worker's terms, pickled."""
    return _frame(b"", len(terms))


def tell(said: FromWorker, size: int = 0) -> bytes:
    """What a worker says, before a body of so many bytes."""
    return _frame(json.dumps(vars(said)).encode(), size)


def _frame(header: bytes, size: int) -> bytes:
    return LENGTHS.pack(len(header), size) + header


def read_greeting(header: bytes | bytearray) -> Hello | StartFailure:
    """What a worker says first.

    Raises:
        ValueError: It is neither, or a field is missing, unknown or of another type.
    """
    greeting: Hello | StartFailure = _read(header, (Hello, StartFailure))
    return greeting


def read_answer(header: bytes | bytearray) -> Answer | Failure | Advance:
    """What a worker says of a picture.

    Raises:
        ValueError: It is none of these, or a field is missing, unknown or of another type.
    """
    answer: Answer | Failure | Advance = _read(header, (Answer, Failure, Advance))
    return answer


def _read(header: bytes | bytearray, kinds: tuple[type, ...]) -> Any:
    """One of the messages that may come now, no two of which have the same fields."""
    said = json.loads(header)
    for kind in kinds:
        types = _types(kind)
        if isinstance(said, dict) and said.keys() == types.keys():
            if wrong := [name for name, type_ in types.items() if type(said[name]) is not type_]:
                raise ValueError(f"a message whose {wrong[0]} is of another type")
            return kind(**said)
    raise ValueError("no message that is known")


@functools.cache
def _types(kind: type) -> dict[str, type]:
    return {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
