from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import folder_of, job, picture, planned, worker

from censor.cluster import planning
from censor.cluster.names import PLANS
from censor.cluster.planning import Planned, Shard, make_plan, plans, read_rows, shard_id, shards_of
from censor.cluster.sources import Row, open_source
from censor.cluster.stores import Folder, Store
from censor.errors import JobError


def rows(count: int, *, etag: str = "1") -> list[Row]:
    return [Row(f"/in/{number:04}.png", f"{number:04}.png", etag, number) for number in range(count)]


def all_rows(store: Store) -> list[Row]:
    shards = [each for plan in plans(store) for each in shards_of(store, plan)]
    return [row for each in shards for row in read_rows(store.read(each.part), each.group)]


def finish(store: Store, source: str, out: str) -> None:
    work = worker(job(source, out))
    for plan in plans(store):
        for each in shards_of(store, plan):
            work.work_off(each.shard, each.part, each.group)


def test_every_row_is_in_one_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_SHARDS_A_FILE", 2)
    store = Folder(tmp_path)
    plan = make_plan(rows(11), store, "key", size=3, hiding=True)
    assert plan == Planned(f"{PLANS}/000001.parquet", 11, 4, 0)
    shards = list(shards_of(store, f"{PLANS}/000001.parquet"))
    assert [(each.group, each.pictures) for each in shards] == [(0, 3), (1, 3), (0, 3), (1, 2)]
    assert len({each.part for each in shards}) == 2
    assert sum(each.bytes for each in shards) == sum(range(11))
    assert all_rows(store) == rows(11)


def test_many_rows_go_by_way_of_the_disk_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_FEW", 10)
    store = Folder(tmp_path)
    plan = make_plan([*rows(3000), *rows(5)], store, "key", size=100, hiding=True)
    assert (plan.pictures, plan.doubles) == (3000, 5)
    assert sorted(all_rows(store)) == rows(3000)


def test_a_shard_is_called_after_all_that_it_is() -> None:
    few, part = rows(3), f"{PLANS}/parts/000001-ab.parquet"
    assert shard_id("key", part, few) == shard_id("key", part.replace("ab", "cd"), few[::-1])
    others = [
        shard_id("other", part, few),
        shard_id("key", part, few[:2]),
        shard_id("key", part, rows(3, etag="2")),
        shard_id("key", part, [few[0]._replace(refused="why"), *few[1:]]),
        shard_id("key", part.replace("000001", "000002"), few),
    ]
    assert len({shard_id("key", part, few), *others}) == 6


def test_of_two_plans_made_at_once_one_holds(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    made = []

    def overtaken() -> list[Row]:
        made.append(make_plan(rows(4), store, "key", size=2, hiding=True))
        return rows(6)

    def late() -> Iterator[Row]:
        yield from overtaken()

    second = make_plan(late(), store, "key", size=2, hiding=True)
    assert (second.plan, second.pictures) == (made[0].plan, 4)
    assert len(list(plans(store))) == 1


def test_one_picture_named_twice_is_one(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    twice = [*rows(2), Row("/in/0001.png", "0001.png", "2", 1), *rows(2)]
    plan = make_plan(twice, store, "key", size=9, hiding=True)
    assert plan.doubles == 2
    assert [row.refused is not None for row in all_rows(store)] == [False, False, True]  # of two states one is right


def test_nothing_to_do_is_an_error_and_nothing_new_is_none(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=2)
    out = str(tmp_path / "out")
    store, _ = planned(job(str(source), out), str(source))
    finish(store, str(source), out)
    _, again = planned(job(str(source), out), str(source))
    assert again == (None, 0, 0, 0)
    (tmp_path / "other").mkdir()
    with pytest.raises(JobError, match="no pictures"):
        make_plan([], Folder(tmp_path / "other"), "key", size=2, hiding=True)


def test_what_came_since_is_planned_and_what_changed_has_no_second_output(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", pictures=2), str(tmp_path / "out")
    store, _ = planned(job(str(source), out), str(source))
    finish(store, str(source), out)
    (source / "new.png").write_bytes(picture(9))
    (source / "000.png").write_bytes(picture(8))
    _, again = planned(job(str(source), out), str(source))
    assert again.pictures == 2
    refused = {Path(row.uri).name: row.refused for row in all_rows(store)[2:]}
    assert refused["new.png"] is None
    assert "another picture than the one whose output is there already" in (refused["000.png"] or "")


def test_what_failed_is_planned_again_only_where_that_is_asked_for(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", pictures=2), str(tmp_path / "out")
    (source / "broken.png").write_bytes(picture(3)[:-30])
    store, _ = planned(job(str(source), out), str(source))
    finish(store, str(source), out)
    assert planned(job(str(source), out), str(source))[1].pictures == 0
    _, again = planned(job(str(source), out), str(source), retry=True)
    assert again.pictures == 1
    assert [Path(row.uri).name for row in all_rows(store)[3:]] == ["broken.png"]


def test_the_index_says_where_each_shard_is(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=5)
    work = job(str(source), str(tmp_path / "out"))
    store, plan = planned(work, str(source), size=2)
    for each in shards_of(store, plan.plan or ""):
        assert isinstance(each, Shard)
        assert shard_id(work.key, each.part, read_rows(store.read(each.part), each.group)) == each.shard
    assert {row.uri for row in all_rows(store)} == {row.uri for row in open_source(str(source)).rows()}
