"""What is counted for Prometheus: by Ray, on the port of each machine that it exports its own numbers on."""

from __future__ import annotations

import functools
from typing import Any

from censor.cluster.verdicts import Tally
from detect.runtime.telemetry import import_quietly

__all__ = ["NAMES", "count"]

NAMES = {
    "objects": ("censor_cluster_objects", "Objects by what became of them.", ("outcome",)),
    "shards": ("censor_cluster_shards", "Shards that were done.", ()),
    "bytes_in": ("censor_cluster_bytes_in", "Bytes of the objects that were read.", ()),
    "bytes_out": ("censor_cluster_bytes_out", "Bytes of the outputs.", ()),
}
"""Each counter's name, to which Ray adds ``ray_`` and ``_total``; what it says; and its labels."""


def count(tally: Tally) -> None:
    """Count one shard that was done here; to be called in an actor."""
    counters = _counters()
    for outcome, number in tally.outcomes.items():
        counters["objects"].inc(number, tags={"outcome": outcome})
    for name, number in (("shards", tally.shards), ("bytes_in", tally.bytes_in), ("bytes_out", tally.bytes_out)):
        if number:
            counters[name].inc(number)


@functools.cache
def _counters() -> dict[str, Any]:
    metrics = import_quietly("ray.util.metrics")
    return {
        key: metrics.Counter(name, description=said, tag_keys=labels) for key, (name, said, labels) in NAMES.items()
    }
