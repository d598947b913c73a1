"""One picture's work: what is asked for, what comes of it, and who does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from censor.media.encoding import output_format
from censor.pipeline import Censor
from censor.policy import Policy
from censor.records import CensoredAnswer, CheckedAnswer
from censor.report import Outcome, seconds_by_stage
from censor.service.problems import Problem
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.tiling import DetectorWrapper

__all__ = ["ClientGone", "Deadline", "Job", "Pool", "Result", "perform", "time_limit"]


class ClientGone(Exception):  # noqa: N818  # nothing of ours went wrong
    """The client went away; nobody waits for an answer."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture and what is to be done with it.

    Attributes:
        data: The encoded picture.
        policy: What to judge and hide by.
        hide: Censor and encode it; otherwise it is judged alone.
        format: Pillow's name of the format asked for; by default that of the picture.
        quality: As `censor.media.encoding.encode` takes it.
    """

    data: bytes
    policy: Policy
    hide: bool
    format: str | None = None
    quality: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a picture.

    Attributes:
        record: For JSON: a `censor.records.CheckedAnswer`, or a `CensoredAnswer`.
        seconds: Time by stage.
        encoded: The censored picture; empty where none was asked for.
        format: Its format as Pillow calls it; empty where no picture was asked for.
    """

    record: dict[str, Any]
    seconds: dict[str, float]
    encoded: bytes | memoryview = b""
    format: str = ""

    @property
    def regions(self) -> int:
        """How many boxes were hidden."""
        return len(self.record.get("hidden", ()))

    @property
    def level(self) -> str | None:
        """The verdict's; None where the policy has no rule for a verdict."""
        verdict = self.record["verdict"]
        return None if verdict is None else str(verdict["level"])

    @property
    def document(self) -> dict[str, Any]:
        """The record with the times, for a client."""
        return self.record | {"seconds": seconds_by_stage(self.seconds)}


class Pool(Protocol):
    """Those who work on pictures, in threads of this process or in processes of their own; used from one event loop."""

    @property
    def names(self) -> tuple[str, ...]:
        """The detector's labels."""
        ...

    @property
    def inside(self) -> int:
        """Pictures that are worked on or wait."""
        ...

    @property
    def waiting(self) -> int:
        """Pictures that wait for a slot."""
        ...

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of those who can take pictures now."""
        ...

    @property
    def able(self) -> bool:
        """Whether anybody can take pictures now, be it later when slots are free."""
        ...

    def refuse_if_full(self) -> None:
        """Refuse one more.

        Raises:
            Problem: "busy", "not-ready".
        """
        ...

    async def do(
        self, job: Job, *, hold: Callable[[int], None], disconnected: Callable[[], Awaitable[object]]
    ) -> Result:
        """Work on one picture.

        Args:
            job: The picture.
            hold: Called with the bytes of the answer before there is memory for it; raises where there is none.
            disconnected: Returns when the client has gone away.

        Raises:
            Problem: "busy", "not-ready", "time-limit", "memory-limit", "worker-died", or what is wrong with the
                picture.
            CensorError: It could not be decoded, judged, censored or encoded.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        ...

    async def try_out(self, job: Job) -> None:
        """Work on a test picture, also when all slots are taken.

        Raises:
            Exception: Whatever a client's picture would meet now.
        """
        ...

    async def close(self) -> None:
        """Begin nothing new."""
        ...


class _GivenUp(DetectError):  # noqa: N818
    """Work that nobody waits for any more."""


class Deadline:
    """Ends work early that nobody waits for: a thread cannot be stopped, but it asks the detector again and again."""

    def __init__(self, seconds: float) -> None:
        """Give work so many seconds, counted from `begin`."""
        self.seconds = seconds
        self._end: float | None = None
        self._cancelled = threading.Event()

    def begin(self) -> None:
        """The clock runs from here on."""
        self._end = time.monotonic() + self.seconds

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._cancelled.set()

    @property
    def overdue(self) -> bool:
        """Whether the work has begun and should be over."""
        return self._end is not None and time.monotonic() > self._end

    def on(self, detector: Detector) -> Detector:
        """The same detector, which refuses to look once the work is cancelled, or its time is over."""
        return _DeadlineDetector(detector, self)

    def check(self) -> None:
        """Go on, or not.

        Raises:
            DetectError: The work is cancelled, or its time is over.
        """
        if self._cancelled.is_set() or self.overdue:
            raise _GivenUp("given up at the time limit")


class _DeadlineDetector(DetectorWrapper):
    def __init__(self, detector: Detector, deadline: Deadline) -> None:
        super().__init__(detector)
        self._deadline = deadline

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self._deadline.check()
        return self._detector.detect(images)


def perform(job: Job, *, detector: Detector, deadline: Deadline, max_bytes: int, max_pixels: int) -> Result:
    """Do the work, in whatever thread this is called.

    Args:
        job: The picture.
        detector: What finds.
        deadline: Its clock begins now.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.

    Raises:
        Problem: "time-limit".
        CensorError: It could not be decoded, judged, censored or encoded.
        DetectError: The network failed.
    """
    deadline.begin()
    censor = Censor(
        policy=job.policy,
        detector=deadline.on(detector),
        classifiers=(),
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    try:
        if not job.hide:
            checked = censor.check(job.data, whole=True)  # strangers may send what is made to deceive
            return Result(record=_record(Outcome.of("", checked), CheckedAnswer), seconds=checked.seconds)
        done = censor.apply(job.data)
        start = time.perf_counter()
        deadline.check()
    except _GivenUp:
        raise time_limit(deadline.seconds) from None
    kind = output_format(done.picture, format=job.format)
    encoded = done.encode(kind, job.quality)
    seconds = done.seconds | {"encode": time.perf_counter() - start}
    return Result(record=_record(Outcome.of("", done), CensoredAnswer), seconds=seconds, encoded=encoded, format=kind)


def _record(outcome: Outcome, kind: type[CheckedAnswer | CensoredAnswer]) -> dict[str, Any]:
    """What a client is told: it knows of no files."""
    return {key: value for key, value in outcome.record.items() if key in kind.__annotations__}


def time_limit(seconds: float) -> Problem:
    """What a client is told whose picture took too long."""
    return Problem("time-limit", f"Work on one picture may take {seconds:g} seconds.")
