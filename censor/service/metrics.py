"""What is counted, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics", "resident_bytes"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The service's counters; labels take values from fixed sets, so their number is bounded.

    Attributes:
        refresh: Called before numbers are read, to set those that are looked up, not counted.
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
        self.network_seconds = Histogram(
            "censor_network_seconds",
            "Time of one picture in one network, all looks together.",
            ["network"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "censor_second_look_refused", "Pictures that a look at the output refused.", registry=registry
        )
        self.verdicts = Counter("censor_verdicts", "Pictures by verdict.", ["level"], registry=registry)
        self.pictures = Counter("censor_pictures", "Pictures judged or censored.", registry=registry)
        self.frames = Counter("censor_frames", "Frames and pages among them.", registry=registry)
        self.job_ends = Counter("censor_job_ends", "Jobs by what became of them.", ["end"], registry=registry)
        self.pixels = Counter("censor_pixels", "Their pixels.", registry=registry)
        self.regions = Counter("censor_regions", "Regions hidden.", registry=registry)
        self.jobs = self._gauge("censor_jobs", "Jobs that are kept, done or not.")
        self.inside = self._gauge("censor_pictures_inside", "Pictures worked on or waiting.")
        self.waiting = self._gauge("censor_queue_depth", "Pictures waiting for a slot.")
        self.held = self._gauge("censor_upload_bytes_held", "Bytes of bodies in memory.")
        self.resident = self._gauge("censor_resident_bytes", "Resident memory, workers included.")
        self.workers = self._gauge("censor_workers", "Workers that can take pictures.")
        self.refresh: Callable[[], None] = lambda: None

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def count_stages(self, seconds: Mapping[str, float]) -> None:
        """Time by stage of one picture."""
        for stage, value in seconds.items():
            self.stage_seconds.labels(stage).observe(value)

    def count_networks(self, seconds: Mapping[str, float]) -> None:
        """Time by network of one picture; only networks that are known, or the numbers would not be bounded."""
        for network, value in seconds.items():
            self.network_seconds.labels(network).observe(value)

    def text(self) -> bytes:
        """All numbers, in Prometheus' text format."""
        self.refresh()
        return generate_latest(self._registry)


def resident_bytes(process: int) -> int:
    """Resident memory of a process; 0 where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
