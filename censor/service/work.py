"""One picture's work: what is asked for, what comes of it, and who does it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from censor.animation_report import animation_outcome
from censor.errors import PolicyError
from censor.finding import Networks, find
from censor.in_pages import CensoredPages, CheckedPages
from censor.media.encoding import output_format
from censor.media.opening import announced
from censor.media.pages import PAGED
from censor.pages_report import pages_outcome
from censor.pipeline import Censor
from censor.policy import Policy
from censor.records import CensoredAnswer, CheckedAnswer
from censor.report import Outcome, seconds_by_stage
from censor.rules import PictureRule
from censor.service.networks import NetworkSet, Watch, name_of
from censor.service.problems import Problem
from censor.service.spool import Spool
from censor.timeline import CensoredAnimation, CheckedAnimation
from detect.errors import DetectError
from detect.pictures.still import decode

__all__ = ["ClientGone", "Deadline", "Job", "Pool", "Progress", "Result", "perform", "time_limit"]

Progress = Callable[[int, int], None]
"""Told of frames or pages that are done, and of how many there are; 0 where nobody knows."""


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
        source: A film, an animation or a file of several pages, in the place of `data`.
        out: Where it goes, if it is to be censored.
        frames: How many it may have, or how many pages.
        most: Bytes that may go to `out`.
    """

    data: bytes
    policy: Policy
    hide: bool
    format: str | None = None
    quality: int | None = None
    source: Spool | None = None
    out: Spool | None = None
    frames: int = 0
    most: int = 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a picture.

    Attributes:
        record: For JSON: a `censor.records.CheckedAnswer`, or a `CensoredAnswer`.
        seconds: Time by stage.
        networks: Time by network, all its looks together.
        encoded: The censored picture; empty where none was asked for.
        format: Its format as Pillow calls it; empty where no picture was asked for.
    """

    record: dict[str, Any]
    seconds: dict[str, float]
    networks: dict[str, float] = field(default_factory=dict)
    encoded: bytes | memoryview = b""
    format: str = ""

    @property
    def regions(self) -> int:
        """How many regions were hidden."""
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
        """What boxes can be found of."""
        ...

    @property
    def says(self) -> Mapping[str, tuple[str, ...]]:
        """Each classifier's name, to the names of what it can say."""
        ...

    @property
    def networks(self) -> tuple[str, ...]:
        """All networks by name."""
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
        self,
        job: Job,
        *,
        hold: Callable[[int], None],
        disconnected: Callable[[], Awaitable[object]],
        progress: Progress | None = None,
    ) -> Result:
        """Work on one picture.

        Args:
            job: The picture.
            hold: Called with the bytes of the answer before there is memory for it; raises where there is none.
            disconnected: Returns when the client has gone away.
            progress: Told now and then of frames that are done, and of how many there are; 0 where nobody knows.

        Raises:
            Problem: "busy", "not-ready", "time-limit", "memory-limit", "worker-died", or what is wrong with the
                picture.
            CensorError: It could not be decoded, judged, censored or encoded.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        ...

    async def try_out(self, job: Job) -> None:
        """Work on a test picture, also when all slots are taken, and look at it with every network.

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
    """Ends work early that nobody waits for: a thread cannot be stopped, but it asks networks again and again."""

    def __init__(self, seconds: float) -> None:
        """Give work so many seconds, counted from `begin`."""
        self.seconds = seconds
        self._end: float | None = None
        self._cancelled = threading.Event()

    def begin(self) -> None:
        """The clock runs from here on; again, where work has come further."""
        self._end = time.monotonic() + self.seconds

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._cancelled.set()

    @property
    def overdue(self) -> bool:
        """Whether the work has begun and should be over."""
        return self._end is not None and time.monotonic() > self._end

    @property
    def left(self) -> float:
        """Seconds until then; 0 where the time is over."""
        return 0.0 if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Go on, or not.

        Raises:
            DetectError: The work is cancelled, or its time is over.
        """
        if self._cancelled.is_set() or self.overdue:
            raise _GivenUp("given up at the time limit")


def perform(
    job: Job,
    *,
    networks: NetworkSet,
    deadline: Deadline,
    max_bytes: int,
    max_pixels: int,
    trial: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Do the work, in whatever thread this is called.

    Args:
        job: The picture.
        networks: Those that look; those alone that the policy needs.
        deadline: Its clock begins now.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        trial: Look with every network, whatever the policy needs.
        progress: Told of each frame of what moves, and of each page; that sets the deadline's clock back, too.

    Raises:
        Problem: "time-limit", "policy-not-served"; of frames and pages "too-long" and "too-large-result".
        CensorError: It could not be decoded, judged, censored or encoded.
        DetectError: The network failed.
    """
    deadline.begin()
    watch = Watch(deadline.check)
    watched = networks.watched(watch)
    detector, classifiers = watched.serving(job.policy)
    try:
        censor = Censor(
            policy=job.policy, detector=detector, classifiers=classifiers, max_bytes=max_bytes, max_pixels=max_pixels
        )
    except PolicyError as error:  # of what is offered none but those that these networks serve
        raise Problem("policy-not-served", str(error)) from error
    try:
        if job.source is not None:
            return _many(job, job.source, censor, watch, deadline, progress)
        if not job.hide:
            checked = censor.check(job.data, whole=True)  # strangers may send what is made to deceive
            record = _record(Outcome.of("", checked), CheckedAnswer)
            return Result(record=record, seconds=checked.seconds, networks=watch.seconds)
        done = censor.apply(job.data)
        start = time.perf_counter()
        deadline.check()
    except _GivenUp:
        raise time_limit(deadline.seconds, many=job.source is not None) from None
    kind = output_format(done.picture, format=job.format)
    encoded = done.encode(kind, job.quality)
    seconds = done.seconds | {"encode": time.perf_counter() - start}
    if trial:
        _look_with_rest(job.data, watched, watch)
    record = _record(Outcome.of("", done), CensoredAnswer)
    return Result(record=record, seconds=seconds, networks=watch.seconds, encoded=encoded, format=kind)


def _many(
    job: Job, source: Spool, censor: Censor, watch: Watch, deadline: Deadline, progress: Progress | None
) -> Result:
    """A film, an animation or a file of several pages, each frame or page of which sets the clock back."""
    with source.opened() as stream:
        kind = announced(stream) or ""
        paged = kind == PAGED
        passes = 2 if job.hide and not paged else 1

        def tell(done: int, total: int) -> None:
            deadline.check()
            deadline.begin()
            if max(done, total) > passes * job.frames or (not total and done > job.frames):
                raise Problem("too-long", f"A {'file' if paged else 'film'} may have {job.frames:,} "
                                          f"{'pages' if paged else 'frames'} here.")  # fmt: skip
            if progress is not None:
                progress(done, total)

        if job.out is None:
            checked = (censor.check_pages if paged else censor.check_medium)(stream, progress=tell)
            return Result(record=_told(checked), seconds=checked.seconds, networks=watch.seconds)
        job.out.empty()  # a worker that died may have begun
        with job.out.opened(most=job.most, refuse=_too_large) as out:
            apply = censor.apply_pages if paged else censor.apply_medium
            done = apply(stream, out, format=job.format, quality=job.quality, progress=tell)
    return Result(record=_told(done), seconds=done.seconds, networks=watch.seconds, format=job.format or kind)


def _too_large(most: int) -> Problem:
    return Problem("too-large-result", f"The censored copy would have more than {most:,} bytes.")


_MOST_TOLD = 2**19
"""Bytes of JSON that a client is told of one upload at most: it is held until it has gone out."""


def _told(result: CheckedAnimation | CensoredAnimation | CheckedPages | CensoredPages) -> dict[str, Any]:
    if isinstance(result, CheckedPages | CensoredPages):
        outcome = pages_outcome("", result)
    else:
        outcome = animation_outcome("", result)
    told = {key: value for key, value in outcome.record.items() if key not in ("file", "output")}
    if len(json.dumps(told)) > _MOST_TOLD:
        raise Problem("too-long", "There is more to say of this than fits into an answer; send it in parts.")
    return told


_ALL = PictureRule(review_at=1.0, hide_at=0.0, heat_at=1.0)
"""Wants every classifier's map, too."""


def _look_with_rest(data: bytes, networks: NetworkSet, watch: Watch) -> None:
    """Look at a picture with each network that the policy did not ask: one that fails raises, as on a client's."""
    picture = decode(data)
    for detector in networks.detectors:
        if name_of(detector) not in watch.seconds:
            find(picture, Networks(detector=detector))
    for classifier in networks.classifiers:
        if classifier.name not in watch.seconds:
            find(picture, Networks(classifiers=(classifier,), rule=_ALL))


def _record(outcome: Outcome, kind: type[CheckedAnswer | CensoredAnswer]) -> dict[str, Any]:
    """What a client is told: it knows of no files."""
    return {key: value for key, value in outcome.record.items() if key in kind.__annotations__}


def time_limit(seconds: float, *, many: bool = False) -> Problem:
    """What a client is told whose picture took too long, or whose film or pages came no further."""
    if many:
        return Problem("time-limit", f"Work on one frame of a film, or on one page, may take {seconds:g} seconds.")
    return Problem("time-limit", f"Work on one picture may take {seconds:g} seconds.")
