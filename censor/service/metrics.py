"""What is counted, for Prometheus.

With several workers prometheus-client shares its numbers through small files, in a folder that `censor serve` makes in
memory (/dev/shm) where there is one. They hold numbers and the names below, nothing of any request.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

__all__ = ["CONTENT_TYPE", "Metrics", "resident_bytes"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The service's counters; labels take values from fixed sets, so their number is bounded.

    Attributes:
        refresh: Called before numbers are read and after every request, to set those that are looked up, not counted:
            what another worker shares is what it set last.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "censor_requests", "Requests by route and outcome.", ["route", "outcome"], registry=registry
        )
        self.request_seconds = Histogram(
            "censor_request_seconds", "From the first byte to the last.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.stage_seconds = Histogram(
            "censor_stage_seconds", "Time of one picture by stage.", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.verdicts = Counter("censor_verdicts", "Pictures by verdict.", ["level"], registry=registry)
        self.pictures = Counter("censor_pictures", "Pictures judged or censored.", registry=registry)
        self.pixels = Counter("censor_pixels", "Their pixels.", registry=registry)
        self.regions = Counter("censor_regions", "Regions hidden.", registry=registry)
        self.inside = self._gauge("censor_pictures_inside", "Pictures worked on or waiting.")
        self.waiting = self._gauge("censor_queue_depth", "Pictures waiting for a place.")
        self.held = self._gauge("censor_upload_bytes_held", "Bytes of bodies in memory.")
        self.resident = self._gauge("censor_resident_bytes", "Resident memory of all workers.")
        self.workers = self._gauge("censor_workers", "Workers alive.")
        self.workers.set(1)
        self.refresh: Callable[[], None] = lambda: None

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")

    def count_stages(self, seconds: Mapping[str, float]) -> None:
        """Time by stage of one picture."""
        for stage, value in seconds.items():
            self.stage_seconds.labels(stage).observe(value)

    def text(self) -> bytes:
        """All numbers, of all workers, in Prometheus' text format."""
        if not (folder := os.environ.get(_FOLDER)):
            return generate_latest(self._registry)
        _forget_dead_workers(Path(folder))
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _forget_dead_workers(folder: Path) -> None:
    """What a worker that died had in hand is in nobody's hand."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def resident_bytes() -> int:
    """Resident memory of this process; 0 where it cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
