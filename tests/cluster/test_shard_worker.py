"""One worker, without Ray: every picture one row, every output once, whatever breaks."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from animations import encoded, red_square, stripes
from fakes import RED
from film_files import film
from jobs import folder_of, job, load_red, picture, planned, worker

from censor.cluster.job import Job
from censor.cluster.names import ATTEMPTS
from censor.cluster.one_picture import Worked
from censor.cluster.planning import plans, shards_of
from censor.cluster.shard_worker import ShardWorker
from censor.cluster.sources import Row
from censor.cluster.stores import Folder, Store, open_store
from censor.cluster.verdicts import Tally, committed, read_shard, verdicts_name
from detect.pictures.still import decode

Place = Callable[[str], str]


def work_off(store: Store, workers: list[ShardWorker]) -> Tally:
    """All shards, by turns."""
    tally = Tally()
    for number, shard in enumerate(each for plan in plans(store) for each in shards_of(store, plan)):
        tally.add(workers[number % len(workers)].work_off(shard.shard, shard.part, shard.group))
    return tally


def verdicts(store: Store) -> dict[str, dict[str, Any]]:
    rows = [row for shard in committed(store) for row in read_shard(store.read(verdicts_name(shard)))[0].to_pylist()]
    assert len({row["file"] for row in rows}) == len(rows)
    return {row["file"]: row for row in rows}


def filled(url: str, pictures: int = 7) -> None:
    store = open_store(url)
    for number in range(pictures):
        store.create(f"{number % 2}/{number:03}.png", picture(number, red=number % 3 > 0))


@pytest.mark.parametrize("kind", ["hide", "check"])
def test_every_picture_of_a_folder_has_a_row_and_an_output(tmp_path: Path, kind: Any) -> None:
    source, out = folder_of(tmp_path / "in"), tmp_path / "out"
    work = job(str(source), str(out), kind=kind)
    store, plan = planned(work, str(source))
    assert (plan.pictures, plan.shards, plan.doubles) == (7, 3, 0)
    tally = work_off(store, [worker(work)])
    assert dict(tally.outcomes) == {"done": 7}
    rows = verdicts(store)
    assert set(rows) == {str(each) for each in source.rglob("*.png")}
    outputs = {str(each.relative_to(out)) for each in out.rglob("*.png")}
    assert outputs == ({str(each.relative_to(source)) for each in source.rglob("*.png")} if kind == "hide" else set())
    for file, row in rows.items():
        assert row["verdict"]["level"] == ("safe" if int(Path(file).stem) % 3 == 0 else "nsfw")
        assert row["bytes"] == Path(file).stat().st_size
        if kind == "hide":
            assert row["output"] == str(out / Path(file).relative_to(source))
            assert row["output_bytes"] == Path(row["output"]).stat().st_size
            assert not (decode(Path(row["output"])).pixels == RED).all(axis=2).any()


def test_every_picture_of_a_bucket_has_a_row_and_an_output(s3: Place) -> None:
    source, out = s3("in"), s3("out")
    filled(source)
    work = job(source, out)
    store, _ = planned(work, source)
    tally = work_off(store, [worker(work)])
    assert dict(tally.outcomes) == {"done": 7}
    assert dict(tally.levels) == {"safe": 3, "nsfw": 4}
    names = {each.name for each in open_store(source).entries()}
    assert names == {each.name for each in store.entries() if not each.name.startswith("_censor/")}
    assert not list(store.entries(f"{ATTEMPTS}/"))
    for file, row in verdicts(store).items():
        output = open_store(out).read(file.removeprefix(f"{source}/"))
        assert row["output"] == f"{out}/{file.removeprefix(f'{source}/')}"
        assert not (decode(output).pixels == RED).all(axis=2).any()


def test_what_is_done_is_neither_read_nor_written_again(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = s3("in"), s3("out")
    filled(source)
    work = job(source, out)
    store, _ = planned(work, source)
    first = work_off(store, [worker(work)])
    again = worker(work)
    monkeypatch.setattr(again, "_read", lambda _: pytest.fail("a picture is read again"))
    second = work_off(store, [again])
    assert {**second.to_dict(), "seconds": 0} == {**first.to_dict(), "seconds": 0}


def test_two_workers_at_one_shard_commit_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins while the first is at work, and is done first."""
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    work = job(str(source), str(out))
    store, _ = planned(work, str(source))
    slow, quick = worker(work), worker(work)
    begin = slow._begin

    def begun(shard: str) -> Any:
        number = begin(shard)
        work_off(store, [quick])
        return number

    monkeypatch.setattr(slow, "_begin", begun)
    monkeypatch.setattr(slow, "_record", lambda *given: {**ShardWorker._record(slow, *given), "output_bytes": 1})
    tally = work_off(store, [slow])
    assert tally.bytes_out == sum(each.stat().st_size for each in out.glob("**/*.png"))
    assert tally.bytes_out > 3
    assert len(verdicts(store)) == 3


def test_a_worker_that_died_half_way_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    work = job(str(source), str(out))
    store, _ = planned(work, str(source))
    dying = worker(work)
    monkeypatch.setattr(dying, "_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        work_off(store, [dying])
    written = {each: each.stat().st_ino for each in out.glob("**/*.png")}
    assert written
    assert not list(committed(store))
    tally = work_off(store, [worker(work)])
    assert dict(tally.outcomes) == {"done": 3}
    assert {each: each.stat().st_ino for each in written} == written  # adopted, not written again


def test_a_picture_at_which_workers_end_again_and_again_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    work = job(str(source), str(out))
    store, _ = planned(work, str(source))

    def dies(self: ShardWorker, read: Any) -> Any:
        if any(each.row.name.endswith("001.png") for each in read):
            raise KeyboardInterrupt  # nothing of ours catches it, as nothing does SIGKILL
        return original(self, read)

    original = ShardWorker._work_together
    monkeypatch.setattr(ShardWorker, "_work_together", dies)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            work_off(store, [worker(work)])
    tally = work_off(store, [worker(work)])
    assert dict(tally.outcomes) == {"done": 2, "failed": 1}
    assert dict(tally.errors) == {"CrashedError": 1}


def test_each_failure_is_a_row_with_its_type(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", pictures=2), tmp_path / "out"
    (source / "broken.png").write_bytes(picture(1)[:-40])
    (source / "gone.png").write_bytes(picture(2))
    (source / "changed.png").write_bytes(picture(3))
    (source / "large.png").write_bytes(picture(4) + bytes(2**20))
    (source / "large.tar").write_bytes(b"tar" + bytes(2**20))
    (source / "words.txt").write_text("words")
    (source / "words.jpg").write_text("words")
    (source / "empty.png").touch()
    (source / "link.png").symlink_to(source / "000.png")
    os.mkfifo(source / "pipe.png")
    work = job(str(source), str(out))
    store, plan = planned(work, str(source))
    assert plan.pictures == 12
    (source / "gone.png").unlink()
    (source / "changed.png").write_bytes(picture(5))
    tally = work_off(store, [worker(work)])
    said = {
        Path(file).name: (row["outcome"], (row["error"] or {}).get("type")) for file, row in verdicts(store).items()
    }
    assert said == {
        "000.png": ("done", None),
        "001.png": ("done", None),
        "broken.png": ("failed", "DamagedImageError"),
        "gone.png": ("failed", "ChangedObjectError"),
        "changed.png": ("failed", "ChangedObjectError"),
        "large.png": ("failed", "LimitError"),
        "large.tar": ("passed over", None),
        "words.txt": ("passed over", None),
        "words.jpg": ("failed", "UnsupportedImageError"),
        "empty.png": ("failed", "DamagedImageError"),
        "link.png": ("failed", "ReadError"),
        "pipe.png": ("failed", "ReadError"),
    }
    assert {row["verdict"] for row in verdicts(store).values() if row["outcome"] != "done"} == {None}
    assert {each.name for each in out.rglob("*") if each.suffix in (".png", ".jpg")} == {"000.png", "001.png"}
    assert tally.outcomes["failed"] == 8


def test_an_object_that_is_not_what_was_listed_fails(s3: Place) -> None:
    source, out = s3("in"), s3("out")
    filled(source, pictures=2)
    store = open_store(source)
    for name in ("gone.png", "changed.png"):
        store.create(name, picture(7))
    work = job(source, out)
    written, _ = planned(work, source)
    store.remove("gone.png")
    store.put("changed.png", picture(8))
    tally = work_off(written, [worker(work)])
    assert (dict(tally.outcomes), dict(tally.errors)) == ({"done": 2, "failed": 2}, {"ChangedObjectError": 2})
    assert not written.entry("changed.png")


def test_an_animation_is_hidden_frame_by_frame(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    (source / "moving.gif").write_bytes(encoded([red_square(10), red_square(14), stripes()], "GIF"))
    work = job(str(source), str(tmp_path / "out"))
    store, _ = planned(work, str(source))
    work_off(store, [worker(work)])
    row = verdicts(store)[str(source / "moving.gif")]
    assert row["outcome"] == "done"
    assert row["frames"] > 1
    assert row["spans"]
    assert Path(row["output"]).read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize("name", ["moving.gif", "moving.mkv", "moving.mp4"])
def test_what_moves_is_the_same_to_the_byte_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Or no worker could go on with what a dead one has written."""
    source = folder_of(tmp_path / "in", pictures=1)
    frames = [red_square(10), red_square(14), stripes()]
    container = {".mkv": "matroska", ".mp4": "mp4"}.get(Path(name).suffix)
    (source / name).write_bytes(encoded(frames, "GIF") if container is None else film(frames, container))
    work = job(str(source), str(tmp_path / "out"))
    store, _ = planned(work, str(source))
    dying = worker(work)
    record = dying._record

    def killed(row: Row, worked: Worked, shard: str) -> dict[str, Any]:
        if row.uri.endswith(name):
            raise KeyboardInterrupt
        return record(row, worked, shard)

    monkeypatch.setattr(dying, "_record", killed)
    with pytest.raises(KeyboardInterrupt):
        work_off(store, [dying])
    assert store.entry(name)
    assert dict(work_off(store, [worker(work)]).outcomes) == {"done": 2}


def test_a_picture_that_somebody_put_under_an_outputs_name_is_no_output(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", pictures=3), tmp_path / "out"
    work = job(str(source), str(out))
    store, _ = planned(work, str(source))
    (out / "below").mkdir()
    foreign = out / "below" / "001.png"
    foreign.write_bytes((source / "below" / "001.png").read_bytes())
    tally = work_off(store, [worker(work)])
    assert (dict(tally.outcomes), dict(tally.errors)) == ({"done": 2, "failed": 1}, {"OutputExistsError": 1})
    row = verdicts(store)[str(source / "below" / "001.png")]
    assert "exists already, and is not what comes of" in row["error"]["message"]
    assert (row["output"], row["output_bytes"], row["verdict"]) == (None, None, None)
    foreign.unlink()
    planned(work, str(source), retry=True)
    assert work_off(store, [worker(work)]).outcomes["done"] == 3
    assert not (decode(foreign).pixels == RED).all(axis=2).any()


def test_a_name_that_lies_about_its_format_keeps_its_place(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    (source / "000.jpg").write_bytes(picture(9))
    work = job(str(source), str(tmp_path / "out"))
    store, _ = planned(work, str(source))
    work_off(store, [worker(work)])
    assert (tmp_path / "out" / "000.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert (tmp_path / "out" / "000.png").read_bytes()[:4] == b"\x89PNG"


def told(work: Job, **given: Any) -> str:
    """What a worker says that cannot work: of no shard, since none is at fault."""
    answer = worker(work, **given)({"shard": ["s"], "part": ["p"], "group": [0]})
    assert answer["tally"] == answer["lost"] == [""]
    return answer["fault"][0]


def test_a_machine_that_cannot_work_says_so(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    work = job(str(source), str(tmp_path / "out"))
    assert "OUT must be the same place on every machine" in told(work)
    planned(work, str(source))
    other = functools.partial(load_red, models={"red": "1" * 64})
    assert "other models than where the job was begun: red" in told(work, load=other)
    missing = functools.partial(load_red, policy="strict.toml")
    assert "strict.toml" in told(work, load=missing)


def test_an_output_that_cannot_be_written_for_its_name_fails_alone(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    listed = tmp_path / "list.csv"
    long = tmp_path / "in" / ("x" * 251 + ".png")
    long.write_bytes(picture(3))
    listed.write_text(f"uri\n{source}/000.png\n{long}\n")
    out = tmp_path / "out"
    work = job(str(listed), str(out))
    store, _ = planned(work, str(listed))
    (out / "file").mkdir()
    blocked = out / f"file{source}"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder is wanted")
    tally = work_off(store, [worker(work)])
    assert (dict(tally.outcomes), dict(tally.errors)) == ({"failed": 2}, {"WriteError": 2})


def test_a_place_where_nothing_can_be_written_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    work = job(str(source), str(tmp_path / "out"))
    store, _ = planned(work, str(source))
    (shard,) = (each for plan in plans(store) for each in shards_of(store, plan))
    refused = worker(work)
    monkeypatch.setattr("censor.media.writing.write_whole", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
    answer = refused({"shard": [shard.shard], "part": [shard.part], "group": [shard.group]})
    assert "full" in answer["fault"][0]
    assert not list(committed(Folder(tmp_path / "out")))
    assert json.dumps(answer)
