"""What all requests share: the policies, those who work on pictures, the numbers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from censor.errors import CensorError
from censor.media.encoding import encode
from censor.service.choosing import loader, named_classifiers
from censor.service.ledger import Account, Ledger
from censor.service.metrics import Metrics, resident_bytes
from censor.service.networks import NetworkSet
from censor.service.policies import Censoring, Judging, Policies
from censor.service.problems import SECOND_LOOK, Problem, problem_of
from censor.service.process_pool import ProcessPool
from censor.service.settings import Settings
from censor.service.thread_pool import ThreadPool
from censor.service.work import Job, Pool, Result
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.pictures.still import Picture

__all__ = ["Engine"]

_CANARY_SECONDS = 10.0
"""How long a test picture's success is taken for readiness."""


class Engine:
    """Works on pictures for requests. To be used from one event loop."""

    def __init__(self, *, settings: Settings, pool: Pool, policies: Policies, metrics: Metrics) -> None:
        self.settings, self.policies, self.metrics, self.pool = settings, policies, metrics, pool
        self.names, self.says = pool.names, pool.says
        self.ledger = Ledger(settings.upload_memory)
        canary = encode(Picture(_canary()), format="PNG")
        self._canary = Job(data=canary, policy=policies.named(None), hide=True)
        self._canary_look: asyncio.Task[None] | None = None
        self._canary_passed = -_CANARY_SECONDS
        metrics.refresh = self._look_up

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
            pool: Pool = ThreadPool(NetworkSet(detectors=(detector,), classifiers=tuple(beside)), settings)
        else:
            chosen = await asyncio.to_thread(loader, settings, policies) if load is None else load
            pool = processes = ProcessPool(settings, chosen)
            await processes.start()
        try:
            served = policies.served_by(pool.names, pool.says)
            return cls(settings=settings, pool=pool, policies=served, metrics=metrics)
        except Exception:
            await pool.close()
            raise

    async def apply(
        self, data: bytes, options: Censoring, account: Account, disconnected: Callable[[], Awaitable[object]]
    ) -> Result:
        """Censor and encode one picture.

        Args:
            data: The encoded picture.
            options: What the request asks for.
            account: Where the answer's bytes are counted.
            disconnected: Returns when the client has gone away.

        Raises:
            Problem: The options make no sense, the room is full, the picture took too long or ended its process.
            CensorError: It could not be decoded, judged, censored or encoded.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        policy = self.policies.adjusted(options, self.names, self.says)
        kind = options.format.upper() if options.format else None
        job = Job(data=data, policy=policy, hide=True, format=kind, quality=options.quality)
        try:
            return self._counted(await self.pool.do(job, hold=account.hold_answer, disconnected=disconnected))
        except (CensorError, Problem) as error:
            if problem_of(error).name in SECOND_LOOK:
                self.metrics.refused.inc()
            raise

    async def check(
        self, data: bytes, options: Judging, account: Account, disconnected: Callable[[], Awaitable[object]]
    ) -> Result:
        """Judge one picture.

        Args:
            data: The encoded picture.
            options: What the request asks for.
            account: Where the answer's bytes are counted.
            disconnected: Returns when the client has gone away.

        Raises:
            Problem: There is no such policy, the room is full, the picture took too long or ended its process.
            CensorError: It could not be decoded or judged.
            DetectError: The network failed.
            ClientGone: Nobody waits for the answer.
        """
        job = Job(data=data, policy=self.policies.named(options.policy), hide=False)
        return self._counted(await self.pool.do(job, hold=account.hold_answer, disconnected=disconnected))

    def _counted(self, done: Result) -> Result:
        if done.level is not None:
            self.metrics.verdicts.labels(done.level).inc()
        self.metrics.pictures.inc()
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

    def _look_up(self) -> None:
        self.metrics.inside.set(self.pool.inside)
        self.metrics.waiting.set(self.pool.waiting)
        self.metrics.held.set(self.ledger.held)
        processes = self.pool.processes
        self.metrics.workers.set(len(processes))
        self.metrics.resident.set(sum(map(resident_bytes, {os.getpid(), *processes})))

    async def close(self) -> None:
        """Begin nothing new."""
        await self.pool.close()


def _canary() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A soft gradient: nothing that anybody could find anything in."""
    ramp = np.linspace(60, 190, 96).astype(np.uint8)
    return np.stack(
        [np.broadcast_to(ramp, (96, 96)), np.broadcast_to(ramp[:, None], (96, 96)), np.full((96, 96), 120)], axis=2
    ).astype(np.uint8)
