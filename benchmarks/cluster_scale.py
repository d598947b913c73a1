"""What docs/scale.md says, beside what happens: with a store that takes its time, and with many rows.

    python benchmarks/cluster_scale.py [--latency SECONDS]... [--pictures N] [--rows N]... [--json FILE]
    python benchmarks/cluster_scale.py --driven N [--shard N]

Latency: one worker without Ray hides red squares in small pictures, from and to a server that speaks like S3 and waits
before each answer (benchmarks/s3_server.py). Work takes `--work` seconds a picture, slept and not computed, so that
the machine does not matter. The model says

    seconds = pictures * max(work / cores, (read + latency) / readers, (written + latency) / writers)
              + shards * (begin + requests * latency)

with `read`, `written` and `begin` measured at no latency. Rows: the driver's memory while a list of so many pictures is
planned, of pictures that are not there; its peak is that of a process of its own. With `--driven` the list is worked
off on Ray by two actors, which find none of the pictures and write a row of each; the peak is that of the driver, and
neither Ray's own processes nor the actors count.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cluster_faults import ACCESS, IN, OUT, RedFinder, content_of, name_of, s3_server

from censor.batch import run
from censor.cluster.job import Job, Loaded, claim_output
from censor.cluster.planning import make_plan, plans, shards_of
from censor.cluster.running import Cluster, run_job
from censor.cluster.shard_worker import ShardWorker
from censor.cluster.sources import Row, open_source
from censor.cluster.stores import Folder, open_store
from censor.pipeline import Censor
from censor.policy_toml import format_policy, load_policy
from detect.detections import Detections, RGBImage

SHARD, READERS = 50, 4


class SlowFinder(RedFinder):
    """A `RedFinder` that takes so many seconds a look."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Sleep, then find."""
        time.sleep(self._seconds * len(images))
        return super().detect(images)


def load(cores: int, *, work: float) -> Loaded:  # noqa: ARG001  # as `censor.cluster.job.Load` has it
    """Networks that take `work` seconds a picture, both looks together."""
    return Loaded(Censor("boxes", detector=SlowFinder(work / 2), classifiers=()), {"red": "0"})


def seconds_of(pictures: int, *, latency: float, work: float, cores: int) -> float:
    """How long one worker takes for them."""
    with s3_server(latency=latency) as url:
        os.environ.update({**ACCESS, "AWS_ENDPOINT_URL": url})
        source = open_store(IN)
        for _ in run(range(pictures), lambda number: source.create(name_of(number), content_of(number)), threads=16):
            pass
        rules = format_policy(load_policy("boxes"))
        job = Job(kind="hide", root=IN, out=OUT, policy="boxes", rules=rules, models={"red": "0"}, max_bytes=2**20)
        store = open_store(OUT)
        claim_output(store, job)
        make_plan(open_source(IN).rows(), store, job.key, size=SHARD, hiding=True)
        worker = ShardWorker(job, functools.partial(load, work=work), cores)
        began = time.monotonic()
        for shard in (each for plan in plans(store) for each in shards_of(store, plan)):
            worker.work_off(shard.shard, shard.part, shard.group)
        return time.monotonic() - began


def said_by_the_model(pictures: int, *, latency: float, work: float, cores: int, own: float) -> float:
    """The formula; `own` is what a picture takes beyond work and latency."""
    shards, requests = -(-pictures // SHARD), 5
    slowest = max(work / cores, (own + latency) / READERS)
    fill = 2 * latency + work + own
    return pictures * max(slowest, own) + shards * (requests * latency + fill)


def plan_rows(rows: int) -> dict[str, float]:
    """Peak memory and time of planning a list of so many pictures, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        made = (Row(f"s3://pictures/in/{n % 997}/{n}.jpg", f"{n % 997}/{n}.jpg", f"{n:032x}", n) for n in range(rows))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        planned = make_plan(made, Folder(Path(folder)), "key", size=200, hiding=True)
        return {
            "rows": rows, "shards": planned.shards, "before_mb": round(before / 1024),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "processor_seconds": round(time.process_time() - began, 1),
        }  # fmt: skip


def drive_rows(rows: int, size: int) -> dict[str, float]:
    """Peak memory and time of the driver of a list of so many pictures, none of which is there."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list.parquet")
        with pq.ParquetWriter(listed, pa.schema([("uri", pa.string())])) as writer:
            for first in range(0, rows, 10_000):
                uris = [f"{folder}/in/{n % 997}/{n}.jpg" for n in range(first, min(first + 10_000, rows))]
                writer.write_table(pa.table({"uri": uris}))
        source, store = open_source(str(listed)), Folder(Path(folder, "out"))
        job = Job(kind="check", root=source.root, out=store.url, policy="boxes", rules="", models={"red": "0"},
                  max_bytes=2**20)  # fmt: skip
        claim_output(store, job)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        summary = run_job(
            job, functools.partial(load, work=0.0), source, store, Cluster(workers=2), size=size, max_failures=1.0
        )
        after = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "rows": rows, "told of": summary.progress.tally.objects, "shards": summary.progress.shards,
            "before_mb": round(before.ru_maxrss / 1024), "peak_mb": round(after.ru_maxrss / 1024),
            "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip


def main() -> None:
    """Measure, and print what the model says beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, action="append")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--work", type=float, default=0.1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--driven", type=int, help="the driver's memory over so many rows, on Ray, and nothing else")
    parser.add_argument("--shard", type=int, default=200, help="rows that are worked off together")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plan", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plan:
        print(json.dumps(plan_rows(given.plan)))
        return
    if given.driven:
        print(json.dumps(drive_rows(given.driven, given.shard)))
        return
    result: dict[str, Any] = {"latency": [], "rows": []}
    how = {"work": given.work, "cores": given.cores}
    alone = seconds_of(given.pictures, latency=0.0, work=0.0, cores=given.cores)
    own = alone / given.pictures
    print(f"{own * 1000:.1f} ms a picture beside work and latency")
    for latency in given.latency or [0.0, 0.05, 0.2, 0.5]:
        measured = seconds_of(given.pictures, latency=latency, **how)
        said = said_by_the_model(given.pictures, latency=latency, own=own, **how)
        result["latency"].append({"latency": latency, "measured": round(measured, 2), "model": round(said, 2)})
        print(f"latency {latency:5.2f} s: measured {measured:6.1f} s, model {said:6.1f} s")
    for rows in given.rows or [10_000, 100_000, 1_000_000]:
        done = subprocess.run(
            [sys.executable, __file__, "--plan", str(rows)], capture_output=True, text=True, check=True
        )
        result["rows"].append(json.loads(done.stdout))
        print(done.stdout.strip())
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
