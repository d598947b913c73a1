"""What all requests of one worker share: the detector, the policies, the room where pictures are worked on."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from censor.files import encode
from censor.images import Picture
from censor.pipeline import Censor, Censored, Checked
from censor.policy import Policy
from censor.service.batching import BatchingDetector
from censor.service.metrics import Metrics, resident_bytes
from censor.service.policies import Censoring, Judging, Policies
from censor.service.settings import Settings
from censor.service.uploads import Ledger
from censor.service.workroom import Leash, Workroom
from detect.detections import Detector
from detect.load import load_detector

__all__ = ["Engine"]

_CANARY_SECONDS = 10.0
"""How long a test picture's success is taken for readiness."""


class Engine:
    """Works on pictures for requests. To be used from one event loop."""

    def __init__(self, *, settings: Settings, detector: Detector, policies: Policies, metrics: Metrics) -> None:
        self.settings, self.policies, self.metrics = settings, policies, metrics
        self.names = detector.names
        self._batches = (
            BatchingDetector(detector, size=settings.batch, wait=settings.batch_wait) if settings.batch > 1 else None
        )
        self.detector: Detector = self._batches or detector
        self.room = Workroom(places=settings.at_once, queue=settings.queue, seconds=settings.picture_seconds)
        self.ledger = Ledger(settings.upload_memory)
        self._canary = encode(Picture(_canary()), format="PNG")
        self._canary_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="canary")
        self._canary_look: asyncio.Future[Checked] | None = None
        self._canary_passed = -_CANARY_SECONDS
        metrics.refresh = self._look_up

    @classmethod
    def load(cls, settings: Settings, detector: Detector | None, metrics: Metrics) -> Engine:
        """Load what the settings name.

        Args:
            settings: What to load, and the limits.
            detector: Takes the place of the one that the settings name.
            metrics: Where to count.

        Raises:
            CensorError: A policy is not valid, or the detector cannot serve it.
            DetectError: There is no detector to load, or a policy names a label that nobody knows.
        """
        policies = Policies.load(settings)
        if detector is None:
            lowest = min(0.05, policies.lowest)
            detector = load_detector(
                settings.weights,
                min_score=lowest,
                threads=settings.detector_threads,
                streams=settings.at_once if settings.batch == 1 else 1,
                engine=settings.engine,
                precision=settings.precision,
                provider=settings.provider,
            )
        return cls(settings=settings, detector=detector, policies=policies.served_by(detector.names), metrics=metrics)

    async def apply(
        self, data: bytes, options: Censoring, disconnected: Callable[[], Awaitable[object]]
    ) -> tuple[Censored, bytes, str]:
        """Censor and encode one picture.

        Args:
            data: The encoded picture.
            options: What the request asks for.
            disconnected: Returns when the client has gone away.

        Returns:
            What was done, the encoded result, and its format as Pillow calls it.

        Raises:
            Problem: The options make no sense, the room is full, or the picture took too long.
            CensorError: It could not be decoded, judged, censored or encoded.
            DetectError: The network failed.
        """
        policy = self.policies.adjusted(options, self.names)
        submitted = time.perf_counter()

        def work(leash: Leash) -> tuple[Censored, bytes, str]:
            waited = time.perf_counter() - submitted
            done = self._censor(policy, leash).apply(data)
            start = time.perf_counter()
            leash.check()
            kind = options.format.upper() if options.format else done.picture.format or "PNG"
            encoded = encode(done.picture, format=kind, quality=options.quality)
            done.seconds.update(wait=waited, encode=time.perf_counter() - start)
            return done, encoded, kind

        result = await self.room.do(work, disconnected=disconnected)
        self._count(result[0])
        self.metrics.regions.inc(len(result[0].hidden))
        return result

    async def check(self, data: bytes, options: Judging, disconnected: Callable[[], Awaitable[object]]) -> Checked:
        """Judge one picture; as `apply`."""
        policy = self.policies.named(options.policy)
        submitted = time.perf_counter()

        def work(leash: Leash) -> Checked:
            waited = time.perf_counter() - submitted
            done = self._censor(policy, leash).check(data)
            done.seconds["wait"] = waited
            return done

        result = await self.room.do(work, disconnected=disconnected)
        self._count(result)
        return result

    def _censor(self, policy: Policy, leash: Leash) -> Censor:
        return Censor(
            policy=policy,
            detector=leash.on(self.detector),
            max_bytes=self.settings.max_bytes,
            max_pixels=self.settings.max_pixels,
        )

    def _count(self, done: Checked) -> None:
        self.metrics.verdicts.labels(done.verdict.level.value).inc()
        self.metrics.pictures.inc()
        self.metrics.pixels.inc(done.width * done.height)
        self.metrics.count_stages(done.seconds)

    async def is_ready(self) -> bool:
        """Whether pictures can be worked on: a place is free of overdue work, and a test picture goes all the way."""
        if self.room.stuck:
            return False
        if time.monotonic() - self._canary_passed < _CANARY_SECONDS:
            return True
        if self._canary_look is None or self._canary_look.done():  # one look at a time, however often it is asked
            censor = Censor(policy=self.policies.named(None), detector=self.detector)
            look = functools.partial(censor.apply, self._canary)
            self._canary_look = asyncio.get_running_loop().run_in_executor(self._canary_pool, look)
        try:
            await asyncio.wait_for(asyncio.shield(self._canary_look), self.settings.picture_seconds)
        except Exception:  # noqa: BLE001  # whatever it is, it would happen to a client's picture too
            return False
        self._canary_passed = time.monotonic()
        return True

    def _look_up(self) -> None:
        self.metrics.inside.set(self.room.inside)
        self.metrics.waiting.set(self.room.waiting)
        self.metrics.held.set(self.ledger.held)
        self.metrics.resident.set(resident_bytes())

    def close(self) -> None:
        """Begin nothing new."""
        self.room.close()
        self._canary_pool.shutdown(wait=False, cancel_futures=True)
        if self._batches is not None:
            self._batches.close()


def _canary() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A soft gradient: nothing that anybody could find anything in."""
    ramp = np.linspace(60, 190, 96).astype(np.uint8)
    return np.stack(
        [np.broadcast_to(ramp, (96, 96)), np.broadcast_to(ramp[:, None], (96, 96)), np.full((96, 96), 120)], axis=2
    ).astype(np.uint8)
