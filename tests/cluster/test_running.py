"""The driver. Ray's part, to call workers with shards, is played by a loop, but in tests/cluster/test_on_ray.py."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jobs import folder_of, job, load_red, picture

from censor.cluster import running, shard_worker
from censor.cluster.job import Job, Load, claim_output
from censor.cluster.planning import Shard
from censor.cluster.running import Cluster, Progress, Summary, run_job
from censor.cluster.shard_worker import ShardWorker
from censor.cluster.sources import open_source
from censor.cluster.stores import Folder
from censor.cluster.summary import page_of, record_of, sentence
from censor.cluster.verdicts import Tally
from censor.errors import JobError


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that workers were called with, one after the other."""
    shards: list[str] = []

    def told(ray: Any, given: Sequence[Shard], work: Job, load: Load, cluster: Cluster) -> Iterator[dict[str, str]]:
        one = ShardWorker(work, load, cluster.cores)
        for each in given:
            shards.append(each.shard)
            answer = one({name: [value] for name, value in each._asdict().items()})
            yield {name: value[0] for name, value in answer.items()}

    monkeypatch.setattr(running, "_told", told)
    monkeypatch.setattr(running, "_connected", lambda _: nullcontext())
    return shards


def run(source: Path, out: Path, *, load: Load = load_red, **options: Any) -> Summary:
    work, store = job(str(source), str(out)), Folder(out)
    claim_output(store, work)
    given: dict[str, Any] = {"size": 2, "max_failures": 0.5, **options}
    return run_job(work, load, open_source(str(source)), store, Cluster(), **given)


def test_all_is_worked_off_and_counted(tmp_path: Path, called: list[str]) -> None:
    told: list[int] = []
    summary = run(
        folder_of(tmp_path / "in"), tmp_path / "out", tell=lambda progress: told.append(progress.tally.objects)
    )
    assert told == [2, 4, 6, 7]
    assert (summary.progress.pictures, summary.progress.shards, summary.plans) == (7, 4, 1)
    assert dict(summary.progress.tally.levels) == {"nsfw": 4, "safe": 3}
    assert summary.progress.rate > 0
    assert summary.progress.seconds_left == 0
    assert sentence(summary) == "7 of 7 objects, 3 safe, 0 review, 4 nsfw, 4 with hidden regions, 0 failed"


def test_what_is_done_is_not_done_again_and_what_came_since_is(tmp_path: Path, called: list[str]) -> None:
    source, out = folder_of(tmp_path / "in"), tmp_path / "out"
    run(source, out)
    assert len(called) == 4
    summary = run(source, out)
    assert len(called) == 4
    assert summary.progress.before.objects == summary.progress.tally.objects == 7
    (source / "new.png").write_bytes(picture(20))
    summary = run(source, out)
    assert len(called) == 5
    assert summary.progress.tally.objects == 8
    assert summary.plans == 2


def test_a_plan_that_was_not_finished_is_finished_before_anything_is_listed(
    tmp_path: Path, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folder_of(tmp_path / "in"), tmp_path / "out"

    def killed(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, out, tell=killed)
    (source / "new.png").write_bytes(picture(20))
    order: list[str] = []
    planned = running._planned

    def listing(*given: Any, **named: Any) -> Any:
        order.append("listed")
        return planned(*given, **named)

    monkeypatch.setattr(running, "_planned", listing)
    summary = run(source, out, tell=lambda _: order.append("done"))
    assert order == ["done"] * 3 + ["listed", "done"]
    assert len(called) == len(set(called)) == 5
    assert summary.progress.tally.objects == 8


def test_too_many_failures_stop_the_job(tmp_path: Path, called: list[str]) -> None:
    source, out = folder_of(tmp_path / "in", pictures=4), tmp_path / "out"
    for path in source.rglob("*.png"):
        path.write_bytes(b"no picture")
    summary = run(source, out, max_failures=0.25)
    assert summary.stopped == "stopped: 2 of 4 pictures failed, more than the share of 0.25 that may"
    assert len(called) == 1
    assert run(source, out, max_failures=1.0).progress.tally.outcomes["failed"] == 4


def test_failures_are_tried_again_where_that_is_asked_for(tmp_path: Path, called: list[str]) -> None:
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    (source / "broken.png").write_bytes(picture(9)[:-20])
    assert run(source, out).progress.tally.outcomes["failed"] == 1
    assert len(called) == 2
    run(source, out)
    assert len(called) == 2
    run(source, out, retry=True)
    assert len(called) == 3


def test_a_shard_all_of_which_failed_is_tried_again(tmp_path: Path, called: list[str]) -> None:
    """Its pictures are as they were, and what was wrong lay elsewhere."""
    source, out = folder_of(tmp_path / "in", pictures=2), tmp_path / "out"
    claim_output(Folder(out), job(str(source), str(out)))
    names = [path.relative_to(source) for path in source.rglob("*.png")]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"somebody's")
    assert run(source, out, max_failures=1.0).progress.tally.errors == {"OutputExistsError": 2}
    for name in names:
        (out / name).unlink()
    summary = run(source, out, max_failures=1.0, retry=True)
    assert summary.progress.tally.outcomes == {"failed": 2, "done": 2}
    assert all((out / name).exists() for name in names)


@pytest.mark.parametrize("years", [-30, 30])
def test_no_clock_is_compared_with_another(
    tmp_path: Path, called: list[str], monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """Neither a worker's, which says when a shard was done, nor that of the disk, which says when a file changed."""
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    (source / "broken.png").write_bytes(picture(9)[:-20])
    os.utime(source / "000.png", (0, 0))
    os.utime(source / "broken.png", (2**32, 2**32))
    run(source, out)

    class Off:
        @staticmethod
        def now(tz: Any) -> datetime:
            there = datetime.now(tz)
            return there.replace(day=1, year=there.year + years)

    monkeypatch.setattr(shard_worker, "datetime", Off)
    (source / "new.png").write_bytes(picture(20))
    assert run(source, out).progress.tally.outcomes == {"done": 4, "failed": 1}
    assert run(source, out, retry=True).progress.tally.outcomes == {"done": 4, "failed": 2}
    monkeypatch.setattr(shard_worker, "datetime", datetime)
    assert run(source, out).progress.tally.objects == 6
    assert len(called) == 4


def test_a_machine_that_cannot_work_ends_the_job(tmp_path: Path, called: list[str]) -> None:
    source = folder_of(tmp_path / "in", pictures=3)
    with pytest.raises(JobError, match=r"on .+: other models than where the job was begun: red"):
        run(source, tmp_path / "out", load=functools.partial(load_red, models={"red": "1"}))


def test_a_shard_that_could_not_be_done_is_told_and_done_the_next_time(
    tmp_path: Path, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(ShardWorker, "work_off", lambda *_: (_ for _ in ()).throw(TimeoutError("slow")))
        summary = run(source, out)
    assert set(summary.progress.lost.values()) == {"TimeoutError: slow"}
    assert run(source, out).progress.tally.objects == 3


class Machines:
    """What is asked of Ray."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self._nodes = [{"Alive": True, "Resources": each} for each in resources]

    def nodes(self) -> list[dict[str, Any]]:
        return [*self._nodes, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}]


def test_as_many_actors_as_there_is_room_for() -> None:
    machines = Machines({"CPU": 4.0}, {"CPU": 3.0, "GPU": 1.0})
    assert running._actors(machines, Cluster(), 100) == 7
    assert running._actors(machines, Cluster(), 5) == 5
    assert running._actors(machines, Cluster(workers=2), 100) == 2
    assert running._actors(machines, Cluster(cores=2), 100) == 3  # one core is left over on the second
    assert running._actors(machines, Cluster(gpus=0.5), 100) == 2
    assert running._actors(machines, Cluster(gpus=0.25), 100) == 3
    with pytest.raises(JobError, match="no machine of the cluster has 1 cores and 2 GPUs"):
        running._actors(machines, Cluster(gpus=2.0), 100)
    with pytest.raises(JobError, match="no machine of the cluster has 5 cores, which"):
        running._actors(machines, Cluster(cores=5, workers=1), 100)


class SlowToStart:
    """Ray on a machine that others use as well."""

    def __init__(self, failures: int) -> None:
        self.failures, self.began, self.ended = failures, 0, 0

    def init(self, **_: Any) -> None:
        self.began += 1
        if self.began <= self.failures:
            raise RuntimeError("timed out\nduring startup")

    def shutdown(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(("address", "failures", "begins"), [("local", 2, 3), ("local", 3, 3), ("10.0.0.1:6379", 1, 1)])
def test_a_cluster_that_does_not_start_in_time_is_started_again(address: str, failures: int, begins: int) -> None:
    ray = SlowToStart(failures)
    if failures == begins:
        with pytest.raises(RuntimeError, match="timed out"):
            running._begin(ray, address)
    else:
        running._begin(ray, address)
    assert (ray.began, ray.ended) == (begins, begins - 1)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(JobError, match=r"pip install 'nsfw-censor\[cluster\]'"):
        run(folder_of(tmp_path / "in", pictures=1), tmp_path / "out")


def test_the_record_and_the_page_say_what_came_of_it() -> None:
    tally = Tally(shards=2, hidden=3, bytes_in=1000, bytes_out=900, seconds=7200.0)
    tally.outcomes.update({"done": 5, "failed": 2, "passed over": 1})
    tally.levels.update({"nsfw": 3, "none": 2})
    tally.errors.update({"ReadError": 2})
    progress = Progress(pictures=8, shards=2, tally=tally, seconds=4.0, lost={"ab": "x"})
    summary = Summary(progress=progress, plans=1, doubles=1, stopped="stopped: why")
    said = record_of(summary, price=0.05)
    assert said["cost"] == 0.1
    assert said["pictures_a_second"] == 2.0
    assert said["errors"] == {"ReadError": 2}
    assert said["stopped"] == "stopped: why"
    page = page_of(summary, out="s3://b/<out>", price=0.05)
    for text in ("ReadError", "stopped: why", "s3://b/&lt;out&gt;", "0.10", "passed over"):
        assert text in page
    assert sentence(summary).endswith("2 failed, 1 other files passed over, 1 named twice")
