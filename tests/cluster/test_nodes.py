"""Ray itself, shared by all tests here: a worker is killed, a node is lost, one has a GPU, if only in Ray's books."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import DEADLY, HUNGRY, RED
from jobs import folder_of, job, picture
from object_store import ACCESS, object_store
from PIL import Image
from processes import processes_below
from red_on_ray import TESTS, load_slowly, load_with_little_memory

from censor.cluster.job import Load, claim_output
from censor.cluster.names import KEPT
from censor.cluster.running import Cluster, Progress, Summary, run_job
from censor.cluster.sources import open_source
from censor.cluster.stores import open_store
from censor.cluster.verdicts import committed, read_shard, verdicts_name
from censor.errors import JobError
from detect.pictures.still import decode
from detect.runtime.telemetry import import_quietly

pytestmark = [
    pytest.mark.slow,  # minutes where others work: nodes start and end, and a silent one is waited for
    pytest.mark.filterwarnings("ignore"),  # Ray's own, which would be errors in this process
]

NODE = {"object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def nodes(failing: str) -> Iterator[Any]:
    """A head without cores for actors; tests add the nodes that work."""
    import_quietly("ray")
    utils = import_quietly("ray.cluster_utils")
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(map(str, (TESTS, TESTS / "cluster")))
    os.environ.update({"PYTHONPATH": path, "RAY_worker_niceness": "0"})  # else nodes nice their workers by 15
    cluster = utils.Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 1, "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture(scope="module")
def failing() -> Iterator[str]:
    """A place in a store that fails one request in twenty; to be there before any node is, which inherits the way."""
    with object_store("--bucket", "pictures", "--fail", "0.05") as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ACCESS, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        yield "s3://pictures"


def worked_off(
    source: Path | str, out: Path | str, chosen: Cluster, tell: Any = None, load: Load = load_slowly
) -> Summary:
    work, store = job(str(source), str(out)), open_store(str(out))
    claim_output(store, work)
    return run_job(work, load, open_source(str(source)), store, chosen, size=2, max_failures=0.5, tell=tell)


def require_each_once(source: Path | str, out: Path | str) -> None:
    """Lost 0, twice 0, partial 0."""
    sent, store = open_store(str(source)), open_store(str(out))
    rows = [row for each in committed(store) for row in read_shard(store.read(verdicts_name(each)))[0].to_pylist()]
    assert Counter(row["file"] for row in rows) == Counter(f"{sent.url}/{each.name}" for each in sent.entries())
    outputs = [each.name for each in store.entries() if not each.name.startswith(f"{KEPT}/")]
    assert {row["output"] for row in rows} == {f"{store.url}/{name}" for name in outputs}
    for name in outputs:
        assert not (decode(store.read(name)).pixels == RED).all(axis=2).any()


def test_a_worker_is_killed_while_one_request_in_twenty_fails(nodes: Any, failing: str) -> None:
    source, out, killed = f"{failing}/in", f"{failing}/out", list[int]()
    store = open_store(source)
    for number in range(12):
        store.create(f"{number % 2}/{number:03}.png", picture(number))
    there = nodes.add_node(num_cpus=2, **NODE)

    def kill(progress: Progress) -> None:
        if not killed and (workers := processes_below(os.getpid(), "ray::MapWorker")):
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    try:
        summary = worked_off(source, out, Cluster(address=nodes.address, workers=2), kill)
        while summary.progress.lost:
            summary = worked_off(source, out, Cluster(address=nodes.address, workers=2))
    finally:
        nodes.remove_node(there)
    assert killed
    assert summary.progress.tally.objects == 12
    require_each_once(source, out)


def test_a_node_is_lost_with_its_actors(tmp_path: Path, nodes: Any) -> None:
    source, out = folder_of(tmp_path / "in", pictures=40), tmp_path / "out"
    kept, lost = nodes.add_node(num_cpus=1, **NODE), nodes.add_node(num_cpus=1, **NODE)
    killed = threading.Event()

    def kill(progress: Progress) -> None:
        if progress.tally.shards >= 4 and not killed.is_set():
            killed.set()
            nodes.remove_node(lost, allow_graceful=False)

    try:
        summary = worked_off(source, out, Cluster(address=nodes.address, workers=3), kill)
        while summary.progress.lost:  # as the command says: run it again
            summary = worked_off(source, out, Cluster(address=nodes.address, workers=2))
    finally:
        nodes.remove_node(kept)
    assert killed.is_set()
    assert summary.progress.tally.objects == 40
    require_each_once(source, out)


def test_a_picture_for_which_an_actor_has_no_memory_fails_alone(tmp_path: Path, nodes: Any) -> None:
    """Whether memory is refused, or the actor is killed for it, as the system and Ray's memory monitor do."""
    source, out = folder_of(tmp_path / "in", pictures=4), tmp_path / "out"
    for name, shape in (("hungry", HUNGRY), ("deadly", DEADLY)):
        Image.fromarray(np.full(shape, 90, np.uint8)).save(source / f"{name}.png")
    there = nodes.add_node(num_cpus=1, **NODE)
    try:
        chosen = Cluster(address=nodes.address, workers=1)
        summary = worked_off(source, out, chosen, load=load_with_little_memory)
        while summary.progress.lost:
            summary = worked_off(source, out, chosen, load=load_with_little_memory)
    finally:
        nodes.remove_node(there)
    store = open_store(str(out))
    rows = [row for each in committed(store) for row in read_shard(store.read(verdicts_name(each)))[0].to_pylist()]
    failed = {Path(row["file"]).stem: row["error"] for row in rows if row["outcome"] == "failed"}
    assert {name: error["type"] for name, error in failed.items()} == {
        "hungry": "DetectorError",
        "deadly": "CrashedError",
    }
    assert "MemoryError" in failed["hungry"]["message"]
    assert sum(row["outcome"] == "done" for row in rows) == 4


def test_actors_with_a_gpu_work_where_one_is(tmp_path: Path, nodes: Any) -> None:
    source, out = folder_of(tmp_path / "in", pictures=4), tmp_path / "out"
    with pytest.raises(JobError, match=r"no machine of the cluster has 1 cores and 1 GPUs"):
        worked_off(source, out, Cluster(address=nodes.address, gpus=1.0))
    there = nodes.add_node(num_cpus=2, num_gpus=1, **NODE)
    try:
        worked_off(source, out, Cluster(address=nodes.address, gpus=0.5))
    finally:
        nodes.remove_node(there)
    require_each_once(source, out)
