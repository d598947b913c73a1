"""A load that actors on Ray can import, and what they need to be able to."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path

from fakes import Moody, RedFinder, finder

from censor.cluster.job import Loaded
from censor.pipeline import Censor
from detect.detections import Detections, RGBImage

TESTS = Path(__file__).parent.parent
"""With `TESTS / "cluster"`, what must be on an actor's path."""


class SlowRed(RedFinder):
    """A `RedFinder` that takes a while."""

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        time.sleep(0.1)
        return super().detect(images)


def load_slowly(cores: int) -> Loaded:
    """See `censor.cluster.job.Load`."""
    return Loaded(Censor("boxes", detector=SlowRed(others=finder().names[1:]), classifiers=()), {"red": "0" * 64})


def load_with_little_memory(cores: int) -> Loaded:
    """The same in an actor that may take a GiB more, with a detector that takes all there is, or ends its process."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, resource.RLIM_INFINITY))
    return Loaded(Censor("boxes", detector=Moody(), classifiers=()), {"red": "0" * 64})
