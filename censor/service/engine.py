"""What all requests share: the policies, those who work on pictures, the numbers."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from censor.errors import CensorError
from censor.media.animation import FORMATS as ANIMATIONS
from censor.media.encoding import encode
from censor.media.opening import announced
from censor.media.pages import PAGED
from censor.service.choosing import loader, named_classifiers
from censor.service.jobs import Jobs
from censor.service.ledger import Account, Ledger
from censor.service.metrics import Metrics, resident_bytes
from censor.service.networks import NetworkSet
from censor.service.policies import Censoring, Judging, Policies
from censor.service.problems import SECOND_LOOK, Problem, problem_of
from censor.service.process_pool import ProcessPool
from censor.service.settings import Settings
from censor.service.spool import Spool
from censor.service.thread_pool import ThreadPool
from censor.service.work import Job, Pool, Progress, Result
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.errors import AnimatedImageError, DetectError
from detect.pictures.still import Picture

__all__ = ["Engine", "Waiting"]

_FRAMES_A_SECOND = 60
"""By which the seconds that are taken are counted in frames: it is these that cost."""

_LEAST_RESULT = 4 * 2**20
"""Bytes that any censored film may have, however small it came."""

_CANARY_SECONDS = 10.0
"""How long a test picture's success is taken for readiness."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waiting:
    """Who waits for an answer.

    Attributes:
        gone: Returns when nobody does any more.
        seconds: How long a film may play that they wait for.
        progress: Told how far it has come.
    """

    gone: Callable[[], Awaitable[object]]
    seconds: float
    progress: Progress | None = None


class Engine:
    """Works on pictures for requests. To be used from one event loop."""

    def __init__(
        self,
        *,
        settings: Settings,
        pool: Pool,
        policies: Policies,
        metrics: Metrics,
        start_films: Callable[[], Awaitable[Pool]],
    ) -> None:
        self.settings, self.policies, self.metrics, self.pool = settings, policies, metrics, pool
        self.names, self.says = pool.names, pool.says
        self.ledger = Ledger(settings.upload_memory)
        canary = encode(Picture(_canary()), format="PNG")
        self._canary = Job(data=canary, policy=policies.named(None), hide=True)
        self._canary_look: asyncio.Task[None] | None = None
        self._canary_passed = -_CANARY_SECONDS
        metrics.refresh = self._look_up
        self._start_films = start_films
        self._films: asyncio.Task[Pool] | None = None
        self.jobs = Jobs(settings, metrics)

    @classmethod
    async def load(
        cls,
        settings: Settings,
        metrics: Metrics,
        *,
        detector: Detector | None,
        classifiers: Sequence[Classifier] | None = None,
        load: Callable[[], NetworkSet | Detector] | None,
    ) -> Engine:
        """Load what the settings name.

        Args:
            settings: What to load, and the limits.
            metrics: Where to count.
            detector: Works in threads of this process, in the place of other processes.
            classifiers: Asked beside `detector`; by default those that the settings name.
            load: Loads others in these than those that the settings name.

        Raises:
            CensorError: A policy is not valid, or the networks cannot serve it.
            DetectError: There is no network to load, or a policy names a label that nobody knows.
        """
        policies = await asyncio.to_thread(Policies.load, settings)
        if detector is not None:
            beside = classifiers if classifiers is not None else await asyncio.to_thread(named_classifiers, settings)
            networks = NetworkSet(detectors=(detector,), classifiers=tuple(beside))
            pool: Pool = ThreadPool(networks, settings)

            async def start_films() -> Pool:
                return ThreadPool(networks, settings, films=True)

        else:
            chosen = await asyncio.to_thread(loader, settings, policies) if load is None else load
            pool = processes = ProcessPool(settings, chosen)
            await processes.start()

            async def start_films() -> Pool:
                films = ProcessPool(settings, chosen, films=True)
                await films.start()
                return films

        try:
            served = policies.served_by(pool.names, pool.says)
            return cls(settings=settings, pool=pool, policies=served, metrics=metrics, start_films=start_films)
        except Exception:
            await pool.close()
            raise

    def require_served(self, options: Judging) -> None:
        """Check, before work that nobody waits for is begun, that what it asks for can be done.

        Raises:
            Problem: The options make no sense, or there is no such policy.
        """
        if isinstance(options, Censoring):
            self.policies.adjusted(options, self.names, self.says)
        else:
            self.policies.named(options.policy)

    async def apply(self, data: bytes | Spool, options: Censoring, account: Account, waiting: Waiting) -> Result:
        """Censor and encode one picture or film.

        Args:
            data: The encoded picture, or the film, which is closed.
            options: What the request asks for.
            account: Where the answer's bytes are counted.
            waiting: Who waits for it.

        Raises:
            Problem: The options make no sense, the room is full, the picture took too long or ended its process.
            CensorError: It could not be decoded, judged, censored or encoded.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        policy = self.policies.adjusted(options, self.names, self.says)
        kind = options.format.upper() if options.format else None
        job = Job(data=b"", policy=policy, hide=True, format=kind, quality=options.quality)
        try:
            return self._counted(await self._work(data, job, account, waiting))
        except (CensorError, Problem) as error:
            if problem_of(error).name in SECOND_LOOK:
                self.metrics.refused.inc()
            raise

    async def check(self, data: bytes | Spool, options: Judging, account: Account, waiting: Waiting) -> Result:
        """Judge one picture or film.

        Args:
            data: The encoded picture, or the film, which is closed.
            options: What the request asks for.
            account: Where the answer's bytes are counted.
            waiting: Who waits for it.

        Raises:
            Problem: There is no such policy, the room is full, the picture took too long or ended its process.
            CensorError: It could not be decoded or judged.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        job = Job(data=b"", policy=self.policies.named(options.policy), hide=False)
        return self._counted(await self._work(data, job, account, waiting))

    async def _work(self, data: bytes | Spool, job: Job, account: Account, waiting: Waiting) -> Result:
        """Have a picture worked on, or many: of an animation or pages that is known only when they have been opened."""
        if isinstance(data, Spool):
            return await self._work_on_film(data, job, account, waiting)
        try:
            return await self.pool.do(
                dataclasses.replace(job, data=data), hold=account.hold_answer, disconnected=waiting.gone
            )
        except (AnimatedImageError, Problem) as error:
            told = problem_of(error).name
            many = announced(data) in (*ANIMATIONS, PAGED)
            if told != "animated-picture" or not self.settings.takes_films or not many:
                raise
        account.hold(len(data))
        film = Spool()
        film.write(data)
        return await self._work_on_film(film, job, account, waiting)

    async def _work_on_film(self, film: Spool, job: Job, account: Account, waiting: Waiting) -> Result:
        """The memory that its answer may take is held before the work, and what that does not need given back after."""
        out = Spool() if job.hide else None
        most = 2 * film.size + _LEAST_RESULT
        try:
            account.hold_answer(most if out else 0)
            asked = dataclasses.replace(
                job, source=film, out=out, most=most, frames=round(waiting.seconds * _FRAMES_A_SECOND)
            )
            pool = await self._film_pool()
            done = await pool.do(asked, hold=lambda _: None, disconnected=waiting.gone, progress=waiting.progress)
            if out is None:
                return done
            encoded = out.sealed()
            account.hold_answer(len(encoded))
            return dataclasses.replace(done, encoded=encoded)
        finally:
            film.close()
            if out is not None:
                out.close()

    async def _film_pool(self) -> Pool:
        """Those who work on what moves, started when they are first asked for."""
        if self._films is None or (self._films.done() and self._films.exception() is not None):
            self._films = asyncio.create_task(_awaited(self._start_films))
        try:
            return await asyncio.shield(self._films)
        except DetectError as error:
            raise Problem("not-ready") from error

    def _counted(self, done: Result) -> Result:
        if done.level is not None:
            self.metrics.verdicts.labels(done.level).inc()
        self.metrics.pictures.inc()
        self.metrics.frames.inc(done.record.get("frames", 0) + done.record.get("pages", 0))
        self.metrics.pixels.inc(done.record["width"] * done.record["height"])
        self.metrics.regions.inc(done.regions)
        self.metrics.count_stages(done.seconds)
        self.metrics.count_networks({name: done.networks[name] for name in self.pool.networks if name in done.networks})
        return done

    async def is_ready(self) -> bool:
        """Whether pictures can be worked on: a test picture goes all the way."""
        if not self.pool.able:
            return False
        if time.monotonic() - self._canary_passed < _CANARY_SECONDS:
            return True
        if self._canary_look is None or self._canary_look.done():  # one look at a time, however often it is asked
            self._canary_look = asyncio.create_task(self.pool.try_out(self._canary))
        try:
            await asyncio.shield(self._canary_look)
        except Exception:  # noqa: BLE001  # whatever it is, it would happen to a client's picture too
            return False
        self._canary_passed = time.monotonic()
        return True

    @property
    def _films_now(self) -> Pool | None:
        started = self._films is not None and self._films.done() and self._films.exception() is None
        return self._films.result() if started and self._films is not None else None

    def _look_up(self) -> None:
        self.metrics.jobs.set(len(self.jobs))
        self.metrics.inside.set(self.pool.inside + (self._films_now.inside if self._films_now else 0))
        self.metrics.waiting.set(self.pool.waiting)
        self.metrics.held.set(self.ledger.held)
        processes = (*self.pool.processes, *(self._films_now.processes if self._films_now else ()))
        self.metrics.workers.set(len(processes))
        self.metrics.resident.set(sum(map(resident_bytes, {os.getpid(), *processes})))

    async def close(self) -> None:
        """Begin nothing new. Jobs that are not done, and results that were not fetched, are gone."""
        await self.jobs.close()
        if self._films is not None:
            await asyncio.gather(self._films, return_exceptions=True)
        if (films := self._films_now) is not None:
            await films.close()
        await self.pool.close()


async def _awaited(start: Callable[[], Awaitable[Pool]]) -> Pool:
    return await start()


def _canary() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A soft gradient: nothing that anybody could find anything in."""
    ramp = np.linspace(60, 190, 96).astype(np.uint8)
    return np.stack(
        [np.broadcast_to(ramp, (96, 96)), np.broadcast_to(ramp[:, None], (96, 96)), np.full((96, 96), 120)], axis=2
    ).astype(np.uint8)
