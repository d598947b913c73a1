"""What all requests share: the policies, those who work on pictures, the numbers."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Awaitable, Callable

import numpy as np

from censor.media.encoding import encode
from censor.service.ledger import Account, Ledger
from censor.service.metrics import Metrics, resident_bytes
from censor.service.policies import Censoring, Judging, Policies
from censor.service.process_pool import ProcessPool
from censor.service.settings import Settings
from censor.service.thread_pool import ThreadPool
from censor.service.work import Job, Pool, Result
from detect.detections import Detector
from detect.load import load_detector
from detect.pictures.still import Picture

__all__ = ["Engine"]

_CANARY_SECONDS = 10.0
"""How long a test picture's success is taken for readiness."""


class Engine:
    """Works on pictures for requests. To be used from one event loop."""

    def __init__(self, *, settings: Settings, pool: Pool, policies: Policies, metrics: Metrics) -> None:
        self.settings, self.policies, self.metrics, self.pool = settings, policies, metrics, pool
        self.names = pool.names
        self.ledger = Ledger(settings.upload_memory)
        canary = encode(Picture(_canary()), format="PNG")
        self._canary = Job(data=canary, policy=policies.named(None), hide=True)
        self._canary_look: asyncio.Task[None] | None = None
        self._canary_passed = -_CANARY_SECONDS
        metrics.refresh = self._look_up

    @classmethod
    async def load(
        cls, settings: Settings, metrics: Metrics, *, detector: Detector | None, load: Callable[[], Detector] | None
    ) -> Engine:
        """Load what the settings name.

        Args:
            settings: What to load, and the limits.
            metrics: Where to count.
            detector: Works in threads of this process, in the place of other processes.
            load: Loads another detector in these than the one that the settings name.

        Raises:
            CensorError: A policy is not valid, or the detector cannot serve it.
            DetectError: There is no detector to load, or a policy names a label that nobody knows.
        """
        policies = await asyncio.to_thread(Policies.load, settings)
        if detector is not None:
            pool: Pool = ThreadPool(detector, settings)
        else:
            load = load or functools.partial(
                load_detector,
                settings.weights,
                min_score=min(0.05, policies.lowest),
                threads=settings.detector_threads,
                streams=settings.at_once if settings.batch == 1 else 1,
                engine=settings.engine,
                precision=settings.precision,
                provider=settings.provider,
            )
            pool = processes = ProcessPool(settings, load)
            await processes.start()
        try:
            served = policies.served_by(pool.names)
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
        policy = self.policies.adjusted(options, self.names)
        kind = options.format.upper() if options.format else None
        job = Job(data=data, policy=policy, hide=True, format=kind, quality=options.quality)
        return self._counted(await self.pool.do(job, hold=account.hold_answer, disconnected=disconnected))

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
