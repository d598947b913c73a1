"""The driver: what is to be done is planned, given to Ray Data, and counted as it comes back."""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from censor.cluster.job import Job, Load
from censor.cluster.planning import Planned, Shard, make_plan, plans, shards_of
from censor.cluster.sources import Listing
from censor.cluster.stores import Store
from censor.cluster.verdicts import FAILED, Tally, committed, read_shard, verdicts_name
from censor.errors import JobError
from detect.runtime.telemetry import import_quietly

__all__ = ["Cluster", "Progress", "Summary", "run_job"]

_WAVE = 4096
"""Shards that Ray is given at once: what it keeps of each would grow with the job else."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What works, and how.

    Attributes:
        address: Of a running cluster; None for one on this machine, for as long as the work lasts.
        workers: Actors at most; None for as many as there are cores for.
        cores: Of each actor.
        gpus: Of each actor; may be a share of one.
    """

    address: str | None = None
    workers: int | None = None
    cores: int = 1
    gpus: float = 0.0


@dataclass(kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        pictures: In the plans that are worked on.
        shards: Of those plans.
        before: What was done before this run.
        tally: All that is done.
        seconds: Since this run began to work.
        lost: Shards that could not be done, and why.
    """

    pictures: int = 0
    shards: int = 0
    before: Tally = field(default_factory=Tally)
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Pictures a second, of this run."""
        return (self.tally.objects - self.before.objects) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At that rate; None where nobody knows."""
        return (self.pictures - self.tally.objects) / self.rate if self.rate else None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came of a run.

    Attributes:
        progress: How far it came.
        plans: How many plans there are.
        doubles: Rows of the input that named a picture once more.
        stopped: Why it was broken off, in one line.
    """

    progress: Progress
    plans: int
    doubles: int
    stopped: str | None = None


def run_job(
    job: Job,
    load: Load,
    source: Listing,
    store: Store,
    cluster: Cluster,
    *,
    size: int,
    max_failures: float,
    retry: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> Summary:
    """Work off all that there is: first what was planned before, then what has come since.

    Args:
        job: What is done; OUT is its own.
        load: See `Load`.
        source: Where the pictures are.
        store: OUT.
        cluster: What works.
        size: Pictures in a shard.
        max_failures: Share of the planned pictures beyond which failures stop the job.
        retry: Pictures that failed before are tried again.
        tell: Called after each shard.

    Raises:
        JobError: It cannot begin or go on.
        StoreError: A place cannot be listed or written.
    """
    progress, doubles = Progress(), 0
    unfinished = _todo(store, progress)
    with _connected(cluster) as ray:
        listed = False
        while True:
            if not unfinished and not listed:
                planned = _planned(job, source, store, size=size, retry=retry)
                listed, doubles = True, planned.doubles
                unfinished = _todo(store, progress)
            if not unfinished:
                break
            stopped = _work_off(ray, unfinished, job, load, cluster, progress, max_failures, tell)
            unfinished = []
            if stopped or progress.lost:
                return Summary(progress=progress, plans=sum(1 for _ in plans(store)), doubles=doubles, stopped=stopped)
    return Summary(progress=progress, plans=sum(1 for _ in plans(store)), doubles=doubles)


def _planned(job: Job, source: Listing, store: Store, *, size: int, retry: bool) -> Planned:
    return make_plan(source.rows(), store, job.key, size=size, hiding=job.kind == "hide", retry=retry)


def _todo(store: Store, progress: Progress) -> list[Shard]:
    """The shards that are planned and not done; counts those that are."""
    done = set(committed(store))
    progress.pictures = progress.shards = 0
    todo = []
    for plan in plans(store):
        for shard in shards_of(store, plan):
            progress.pictures += shard.pictures
            progress.shards += 1
            if shard.shard not in done:
                todo.append(shard)
    if progress.tally.shards != len(done):
        progress.tally = _counted(store, done)
        progress.before = _counted_again(progress.tally)
    return todo


def _counted(store: Store, done: Iterable[str]) -> Tally:
    from censor.batch import run

    tally = Tally()
    for each in run(done, lambda shard: read_shard(store.read(verdicts_name(shard)))[1], threads=16):
        tally.add(each)
    return tally


def _counted_again(tally: Tally) -> Tally:
    return Tally.of_dict(tally.to_dict())


def _work_off(
    ray: Any,
    shards: Sequence[Shard],
    job: Job,
    load: Load,
    cluster: Cluster,
    progress: Progress,
    max_failures: float,
    tell: Callable[[Progress], None] | None,
) -> str | None:
    """Give shards to the actors, and count what they tell; why it was broken off, if it was."""
    began, most = time.monotonic(), max_failures * progress.pictures
    for said in _told(ray, shards, job, load, cluster):
        if said["fault"]:
            raise JobError(said["fault"])
        if said["lost"]:
            progress.lost[said["shard"]] = said["lost"]
        else:
            progress.tally.add(Tally.of_dict(json.loads(said["tally"])))
        progress.seconds = time.monotonic() - began
        if tell is not None:
            tell(progress)
        if (failed := progress.tally.outcomes[FAILED]) > most:
            share = f"more than the share of {max_failures:g} that may"
            return f"stopped: {failed} of {progress.pictures} pictures failed, {share}"
    return None


def _told(ray: Any, shards: Sequence[Shard], job: Job, load: Load, cluster: Cluster) -> Iterator[dict[str, str]]:
    """What the actors say of each shard, as it comes."""
    from censor.cluster.metrics import count
    from censor.cluster.shard_worker import ShardWorker
    from censor.cluster.together import load_together

    data = import_quietly("ray.data")
    loading = functools.partial(load_together, load=load) if cluster.gpus else load
    waiting = iter(shards)
    while wave := list(islice(waiting, _WAVE)):
        rows = [{"shard": each.shard, "part": each.part, "group": each.group} for each in wave]
        actors = _actors(ray, cluster, len(wave))
        # All at once: Ray would add one after the other, each only once those that are there are busy.
        pool = data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors)
        told = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            ShardWorker, fn_constructor_args=(job, loading, cluster.cores, count), batch_size=1, compute=pool,
            num_cpus=cluster.cores, num_gpus=cluster.gpus or None,
        )  # fmt: skip
        yield from told.iter_rows()


def _actors(ray: Any, cluster: Cluster, shards: int) -> int:
    """As many actors as were asked for, or as there is room for: Ray would wait for ever for what no machine has."""
    machines = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    room = sum(_room(each, cluster) for each in machines)
    if not room:
        wanted = f"{cluster.cores} cores" + (f" and {cluster.gpus:g} GPUs" if cluster.gpus else "")
        raise JobError(f"no machine of the cluster has {wanted}, which is what one worker needs")
    return max(1, min(cluster.workers or room, shards))


def _room(machine: Mapping[str, float], cluster: Cluster) -> int:
    """How many actors find room on one machine."""
    room = machine.get("CPU", 0.0) // cluster.cores
    return int(min(room, machine.get("GPU", 0.0) // cluster.gpus) if cluster.gpus else room)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, on a running cluster or on one of our own; quiet, and telling nobody.

    Raises:
        JobError: The extra is missing, or there is no cluster there.
    """
    try:
        ray = import_quietly("ray")
        data = import_quietly("ray.data")
    except ModuleNotFoundError as error:
        raise JobError(f"{error.name} is not installed; install it with: pip install 'nsfw-censor[cluster]'") from error
    local = (
        {}
        if cluster.address
        else {
            "num_cpus": (cluster.workers or 0) * cluster.cores or os.cpu_count(),
            "include_dashboard": False,
            "object_store_memory": 128 * 2**20,  # pictures never go there
        }
    )
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # standard error is for what goes wrong here
    # Ray would nice workers by 15, so that beside anything else they would get a thirtieth of a core and seem to hang.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        with _no_standard_error():
            _begin(ray, cluster.address or "local", **local)
    except Exception as error:  # Ray raises bare ones too
        raise JobError(f"{cluster.address or 'Ray'}: cannot be reached: {' '.join(str(error).split())}") from error
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield ray
    finally:
        ray.shutdown()


def _begin(ray: Any, address: str, **options: Any) -> None:
    """Reach a cluster, or start one: Ray gives its own processes 30 s for that, which is short where others work."""
    for last in (False, False, True):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception:
            if last or address != "local":
                raise
            ray.shutdown()
        else:
            return


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Ray's own core says there which log level it was told to take; what goes wrong is raised."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
