"""The loop: look at the inbox, hand uploads to threads, try again later what could not be finished."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from censor.errors import WriteError
from censor.watch.claims import Claim, Claims
from censor.watch.inbox import Inbox, Upload
from censor.watch.processor import Fate, PostponedError, UploadProcessor

__all__ = ["Log", "Watcher"]

Log = Callable[..., None]
"""Takes an event's name, and what is to be said of it as keywords; `serious=True` if somebody should look."""

_LONGEST_PAUSE = 60.0
"""Seconds: between two tries, and for which uploads may wait after whatever stood in their way is gone."""

_ENOUGH = 3
"""Failures in a row after which one that does not watch on gives up."""

_BEAT = 5.0
"""Seconds between two signs of life."""

_SHORTEST_LOOK = 0.2
"""Seconds between two looks at the inbox, however many notices come."""


class Watcher:
    """Works off an inbox until it is told to stop. Several may watch the same one."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        claims: Claims,
        processor: UploadProcessor,
        threads: int,
        settle: float,
        rescan: float,
        log: Log,
        beat: Callable[[dict[str, Any]], None],
        once: bool = False,
    ) -> None:
        """Bring the parts together; nothing is looked at yet.

        Args:
            inbox: Which uploads are whole.
            claims: Which of them are ours.
            processor: What is done with one.
            threads: Uploads worked on at once.
            settle: Seconds for which an upload must have stood still.
            rescan: Seconds after which the inbox is looked at though no notice came, and claims of watchers that died
                are taken over.
            log: Told of everything that happens.
            beat: Called every few seconds with `health()`.
            once: Stop when the inbox is empty.
        """
        self._inbox, self._claims, self._processor, self._threads = inbox, claims, processor, threads
        self._settle, self._rescan, self._log, self._beat, self._once = settle, rescan, log, beat, once
        self._stop, self._wake = threading.Event(), threading.Event()
        self._ready: deque[Upload] = deque()
        self._held: list[tuple[float, Claim]] = []
        self._running: dict[Future[Fate], tuple[float, Claim]] = {}
        self._untaken: dict[Path, float] = {}
        self._alone = False
        self._failures, self._resume_at, self._trouble = 0, 0.0, ""
        self._look_at = self._recover_at = self._beat_at = 0.0
        self.counts: Counter[str] = Counter()
        """Uploads by the event that ended them."""

    def stop(self) -> None:
        """Begin nothing else, and finish the pictures that were begun. May be called from a signal handler."""
        self._stop.set()
        self._processor.break_off()
        self._wake.set()

    def notice(self) -> None:
        """Something happened in the inbox. May be called from any thread."""
        self._look_at = min(self._look_at, time.monotonic() + _SHORTEST_LOOK)
        self._wake.set()

    def run(self) -> None:
        """Work until `stop` is called; with `once`, until nothing is left that can be done."""
        try:
            with ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="censor") as pool:
                while not self._stop.is_set():
                    self._wake.clear()
                    self._turn(pool)
                    if self._once and self._is_finished():
                        break
                    self._wake.wait(self._pause())
            self._collect()
        finally:
            self._beat(self.health())
            for _, claim in self._held:
                claim.release()

    def health(self) -> dict[str, Any]:
        """What an alarm should look at; nothing of what uploads show."""
        now = time.monotonic()
        return {
            "state": "stalled" if self._failures or self._untaken else "stopping" if self._stop.is_set() else "ok",
            "trouble": self._trouble if self._failures or self._untaken else "",
            "counts": dict(self.counts),
            "ready": len(self._ready),
            "arriving": self._inbox.unsettled,
            "running": len(self._running),
            "retrying": len(self._held) + len(self._untaken),
            "longest_running_seconds": round(max((now - since for since, _ in self._running.values()), default=0.0), 1),
        }

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        self._collect()
        now = time.monotonic()
        if now >= self._recover_at:
            self._guarded(self._recover)
            self._recover_at = now + self._rescan
        if now >= self._look_at and not self._ready:
            self._look_at = now + self._rescan
            self._guarded(self._look)
        self._begin(pool)
        if now >= self._beat_at:
            self._beat(self.health())
            self._beat_at = now + _BEAT

    def _guarded(self, step: Callable[[], None]) -> None:
        """An inbox that cannot be read today may be read tomorrow."""
        try:
            step()
        except OSError as error:
            self._stall(str(error))
            self._look_at = self._recover_at = self._resume_at

    def _recover(self) -> None:
        for claim in self._claims.orphans():
            self._log("recovered", upload=claim.progress.relative, attempts=claim.progress.attempts)
            self._held.append((0.0, claim))

    def _look(self) -> None:
        now = time.monotonic()
        self._untaken = {path: until for path, until in self._untaken.items() if until > now}
        skip = lambda upload: upload.relative in self._untaken or self._claims.is_done(upload)  # noqa: E731
        self._ready.extend(self._inbox.settled(now, skip=skip))
        if self._inbox.unsettled:
            self._look_at = time.monotonic() + max(_SHORTEST_LOOK, self._settle / 4)

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Give the threads what they can take.

        After a failure of a disk one upload at a time probes it, after a pause that grows. A picture whose last attempt
        was not finished runs alone: if it ends the process again, no other is suspected.
        """
        while len(self._running) < (1 if self._failures or self._alone else self._threads):
            now = time.monotonic()
            if self._stop.is_set() or now < self._resume_at or (claim := self._next(now)) is None:
                return
            if claim.progress.attempts > 0 and self._running:
                self._held.insert(0, (0.0, claim))
                return
            self._alone = claim.progress.attempts > 0
            future = pool.submit(self._processor.process, claim)
            self._running[future] = (now, claim)
            future.add_done_callback(lambda _: self._wake.set())

    def _next(self, now: float) -> Claim | None:
        """What to do next. While something is wrong, not what has just failed: it may be the only one that cannot."""
        sources = (self._next_held, self._next_ready)
        for source in reversed(sources) if self._failures else sources:
            if (claim := source(now)) is not None:
                return claim
        return None

    def _next_held(self, now: float) -> Claim | None:
        for index, (due, claim) in enumerate(self._held):
            if due <= now:
                del self._held[index]
                return claim
        return None

    def _next_ready(self, now: float) -> Claim | None:
        while self._ready:
            upload = self._ready.popleft()
            try:
                if (claim := self._claims.take(upload)) is not None:
                    return claim
            except (OSError, WriteError) as error:  # no pause: the next may lie in a folder of other rights
                self._untaken[upload.relative] = now + _LONGEST_PAUSE
                self._trouble = " ".join(str(error).split())
                self._log("stalled", serious=True, upload=str(upload.relative), reason=self._trouble)
        return None

    def _collect(self) -> None:
        for future in [future for future in self._running if future.done()]:
            _, claim = self._running.pop(future)
            self._alone = False
            try:
                fate = future.result()
            except Exception as error:  # noqa: BLE001  # whatever it was, the upload is where it was
                self._postpone(claim, error)
                continue
            self.counts[fate.event] += 1
            if fate.event == "gone":  # or changed, and to be seen with other eyes
                self._look_at = 0.0
            if self._failures:
                self._log("resumed", after=self._failures)
                self._failures, self._resume_at = 0, 0.0
            self._log(fate.event, serious=fate.event == "quarantined", upload=fate.upload, **fate.fields)

    def _postpone(self, claim: Claim, error: Exception) -> None:
        claim.retries += 1
        upload = claim.progress.relative
        if isinstance(error, PostponedError) and error.changing:
            claim.retries = 0
            self._held.append((time.monotonic() + self._settle, claim))
            self._log("changing", upload=upload)
            return
        if isinstance(error, PostponedError) and error.broken_off:
            claim.release()
            self._log("broken off", upload=upload)
            return
        reason = str(error) if isinstance(error, PostponedError) else f"{type(error).__name__}: {error}"
        self._held.append((time.monotonic() + _pause_after(claim.retries), claim))
        self._stall(reason, upload=upload)

    def _stall(self, reason: str, **fields: str) -> None:
        self._failures += 1
        pause = _pause_after(self._failures)
        self._trouble = " ".join(reason.split())
        self._resume_at = time.monotonic() + pause
        self._log("stalled", serious=True, **fields, reason=self._trouble, pause_seconds=pause)

    def _is_finished(self) -> bool:
        """Whether nothing is left but what has been tried in vain, or the disks refuse one upload after another."""
        left = self._ready or self._inbox.unsettled or any(not claim.retries for _, claim in self._held)
        left = left or self._look_at <= time.monotonic()
        return not self._running and (not left or self._failures >= _ENOUGH)

    def _pause(self) -> float:
        """Seconds until there is something to do that no notice will tell of."""
        times = [self._recover_at, self._beat_at]
        if not self._ready:
            times.append(self._look_at)
        if not self._running:
            times += [max(due, self._resume_at) for due, _ in self._held]
            times += [self._resume_at] * bool(self._ready)
        return max(0.01, min(times) - time.monotonic())


def _pause_after(failures: int) -> float:
    return min(2.0 ** min(failures - 1, 10), _LONGEST_PAUSE)
