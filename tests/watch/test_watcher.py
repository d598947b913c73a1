"""What becomes of uploads: everything that may land in an inbox, and everything that may go wrong around it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakes import RedFinder, Scripted
from PIL import Image
from yard import LABEL, Yard, files, is_censored, scene

from censor.errors import WriteError
from censor.watch import claims as claims_module
from censor.watch import watcher as watcher_module
from censor.watch import worker as worker_module
from censor.watch.claims import Claims
from censor.watch.inbox import STATE
from censor.watch.watcher import Watcher
from censor.watch.worker import DELETE, KEEP
from detect.detections import Detections, RGBImage


def reason(yard: Yard, name: str) -> dict[str, str]:
    said = json.loads((yard.quarantine / f"{name}.json").read_text())
    assert set(said) == {"upload", "error", "bytes", "attempts", "time", "claim"}
    error: dict[str, str] = said["error"]
    return error


@pytest.mark.parametrize("originals", ["delete", "keep", "move"])
def test_uploads_come_out_censored_and_the_original_goes_where_it_is_told(yard: Yard, originals: str) -> None:
    names = ["a.png", "deep/er/b.png", "liar.jpg"]
    for number, name in enumerate(names):
        yard.send(name, number)
    watcher = yard.once(originals=yard.moved if originals == "move" else originals)
    assert files(yard.public) == ["a.png", "deep/er/b.png", "liar.png"]
    assert all(is_censored(yard.public / name) for name in files(yard.public))
    assert files(yard.inbox) == (names if originals == "keep" else [])
    assert files(yard.moved) == (names if originals == "move" else [])
    assert files(yard.quarantine) == []
    assert yard.claimed() == []
    assert watcher.counts == {"censored": 3}
    told = {each["upload"]: each for each in yard.events("censored")}
    assert told["liar.jpg"]["output"] == "liar.png"
    assert told["a.png"]["level"] == "nsfw"
    assert told["a.png"]["regions"] == 1


def test_a_policy_that_only_hides_is_logged_without_a_level(yard: Yard) -> None:
    yard.send("a.png", 1)
    yard.once(nsfw_at=None)
    assert is_censored(yard.public / "a.png")
    (told,) = yard.events("censored")
    assert told["level"] is None
    assert told["regions"] == 1


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_what_cannot_be_processed_goes_to_quarantine_with_a_reason(yard: Yard, originals: str) -> None:
    whole = yard.send("whole.png", 1).read_bytes()
    yard.send("sub/cut.png", body=whole[:-100])
    yard.send("empty.png", body=b"")
    yard.send("notes.txt", body=b"hello")
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(yard.inbox / "moving.gif", save_all=True, append_images=frames[1:])
    yard.once(originals=originals)
    assert files(yard.public) == ["whole.png"]
    assert files(yard.quarantine) == sorted(
        each for name in ("sub/cut.png", "empty.png", "notes.txt", "moving.gif") for each in (name, f"{name}.json")
    )
    assert files(yard.inbox) == (["whole.png"] if originals == KEEP else [])
    assert (yard.quarantine / "sub/cut.png").read_bytes() == whole[:-100]
    assert reason(yard, "sub/cut.png")["type"] == "DamagedImageError"
    assert reason(yard, "sub/cut.png")["message"].startswith("sub/cut.png: the picture is damaged")
    assert reason(yard, "empty.png")["message"] == "empty.png: the file is empty"
    assert reason(yard, "notes.txt")["type"] == "UnsupportedImageError"
    assert reason(yard, "moving.gif")["type"] == "AnimatedImageError"
    assert yard.claimed() == []


@pytest.mark.parametrize("error", [RuntimeError("boom"), ValueError("nonsense")])
def test_a_detector_that_fails_lets_nothing_through(yard: Yard, error: Exception) -> None:
    yard.send("a.png")
    yard.once(detector=Scripted([LABEL], error), originals=DELETE)
    assert files(yard.public) == []
    assert files(yard.quarantine) == ["a.png", "a.png.json"]
    assert reason(yard, "a.png")["type"] == "DetectorError"


def test_what_the_second_look_still_finds_lets_nothing_through(yard: Yard) -> None:
    yard.send("a.png")
    boxes = [[(LABEL, 0.9, (x, 0, x + 9, 9))] for x in range(0, 60, 10)]
    yard.once(detector=Scripted([LABEL], *boxes), originals=DELETE)
    assert files(yard.public) == []
    assert reason(yard, "a.png")["type"] == "RecheckError"


def test_nothing_is_done_twice(yard: Yard) -> None:
    yard.send("a.png", 1)
    finder = RedFinder()
    yard.once(detector=finder)
    looks = finder.looks
    assert yard.once(detector=finder).counts == {}
    assert yard.once(detector=finder).counts == {}
    assert finder.looks == looks
    (yard.public / "a.png").unlink()  # a consumer took it: that is no reason to publish it again
    yard.once(detector=finder)
    assert files(yard.public) == []


def test_a_kept_original_that_changes_is_a_new_upload(yard: Yard) -> None:
    yard.send("a.png", 1)
    yard.once()
    yard.send("a.png", 2)
    os.utime(yard.inbox / "a.png", (100, 100))
    yard.once()
    assert files(yard.public) == ["a-2.png", "a.png"]


def test_the_ledger_forgets_what_is_gone(yard: Yard) -> None:
    for number in range(3):
        yard.send(f"{number}.png", number)
    yard.once()
    (yard.inbox / "0.png").unlink()
    yard.send("1.png", 7)
    ledger = yard.inbox / STATE / "done"
    assert len(list(ledger.iterdir())) == 3
    yard.claims().prune()
    assert len(list(ledger.iterdir())) == 1
    (ledger / "odd").write_text("[]")
    yard.claims().prune()


def test_the_same_name_again_overwrites_nothing(yard: Yard) -> None:
    for seed in range(3):
        yard.send("a.png", seed)
        yard.once(originals=yard.moved)
    assert files(yard.public) == files(yard.moved) == ["a-2.png", "a-3.png", "a.png"]
    assert len({(yard.public / name).read_bytes() for name in files(yard.public)}) == 3
    for body in (b"one", b"two"):
        yard.send("bad.jpg", body=body)
        yard.once(originals=yard.moved)
    assert files(yard.quarantine) == ["bad-2.jpg", "bad-2.jpg.json", "bad.jpg", "bad.jpg.json"]


def test_names_that_share_an_output_get_two(yard: Yard) -> None:
    yard.send("a.jpg", 1)
    yard.send("a.png", 2)
    yard.once(originals=DELETE)
    assert files(yard.public) == ["a-2.png", "a.png"]


def test_links_and_pipes_stay_where_they_are(yard: Yard, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(scene(1)).save(secret)
    (yard.inbox / "link.png").symlink_to(secret)
    (yard.inbox / "folder").symlink_to(tmp_path)
    os.mkfifo(yard.inbox / "pipe.png")
    yard.once(originals=DELETE)
    assert files(yard.public) == files(yard.quarantine) == []
    assert len(files(yard.inbox)) == 3
    assert secret.exists()
    assert len(yard.events("ignored")) == 3


def test_odd_names(yard: Yard) -> None:
    names = [
        "new\nline.png",
        "esc\x1b[2J.png",
        "日本.png",
        os.fsdecode(b"\xff\xfe.png"),
        "a b.png",
        "-o.png",
        "x" * 253,
    ]
    names.append("y" * 251 + ".png")
    for number, name in enumerate(names):
        yard.send(name, number)
    yard.once(originals=DELETE)
    expected = {*names[:6], names[7]}
    assert set(files(yard.public)) == expected
    assert files(yard.inbox) == []
    assert len(files(yard.quarantine)) == 2  # with the right suffix the name would be too long for the file system
    (said,) = yard.quarantine.glob("*.json")
    assert json.loads(said.read_text())["upload"] == "x" * 253
    assert "too long" in json.loads(said.read_text())["error"]["message"]
    json.dumps(yard.said)


def test_a_file_where_a_folder_should_be(yard: Yard) -> None:
    (yard.public / "sub").write_text("in the way")
    (yard.quarantine / "bad").write_text("in the way")
    yard.send("sub/a.png")
    yard.send("bad/b.png", body=b"x")
    yard.once(originals=DELETE)
    assert files(yard.public) == ["sub"]
    found = [json.loads(path.read_text())["upload"] for path in yard.quarantine.rglob("*.json")]
    assert sorted(found) == ["bad/b.png", "sub/a.png"]
    assert files(yard.inbox) == []


def test_a_file_where_a_folder_for_originals_should_be(yard: Yard) -> None:
    (yard.moved / "sub").write_text("in the way")
    body = yard.send("sub/a.png").read_bytes()
    yard.once(originals=yard.moved)
    assert files(yard.public) == ["sub/a.png"]
    (name,) = set(files(yard.moved)) - {"sub"}
    assert (yard.moved / name).read_bytes() == body
    assert yard.claimed() == []


def test_a_huge_file_is_refused_unread(yard: Yard) -> None:
    with yard.send("film.mp4", body=b"").open("wb") as stream:
        stream.truncate(20 * 2**30)
    began = time.monotonic()
    yard.once(originals=DELETE)
    assert time.monotonic() - began < 5
    assert reason(yard, "film.mp4")["type"] in ("LimitError", "UnsupportedImageError")
    (yard.quarantine / "film.mp4").unlink()


# --- around the uploads ---------------------------------------------------------------------------------------------


def full(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[], None]:
    """Let writes below a folder fail as on a full disk, until the returned function is called."""
    original, state = worker_module.write_atomic, {"full": True}

    def write(path: Path, *arguments: object, **options: object) -> None:
        if state["full"] and Path(path).is_relative_to(folder):
            raise WriteError(f"{path}: cannot be written") from OSError(errno.ENOSPC, "No space left on device")
        original(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker_module, "write_atomic", write)

    def free() -> None:
        state["full"] = False

    return free


@pytest.mark.parametrize("which", ["public", "quarantine"])
def test_a_full_disk_loses_nothing_and_is_tried_again(yard: Yard, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    free = full(monkeypatch, getattr(yard, which))
    monkeypatch.setattr(watcher_module, "_LONGEST_PAUSE", 0.1)
    beats: list[dict[str, object]] = []
    yard.send("a.png", 1)
    yard.send("b.png", 2, body=None if which == "public" else b"broken")
    watcher = yard.watcher(originals=DELETE, once=False, beat=beats.append)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: watcher.health()["retrying"] > 0)
    wait_for(lambda: which == "public" or files(yard.public) == ["a.png"])
    wait_for(lambda: "cannot be written" in watcher.health()["trouble"])
    assert (which == "public") == (files(yard.public) == [])
    assert files(yard.quarantine) == []
    free()
    wait_for(lambda: sum(watcher.counts.values()) == 2)
    watcher.stop()
    thread.join()
    assert watcher.health()["state"] == "stopping"
    assert files(yard.public) == (["a.png", "b.png"] if which == "public" else ["a.png"])
    assert files(yard.quarantine) == ([] if which == "public" else ["b.png", "b.png.json"])
    assert yard.events("resumed")
    assert yard.claimed() == []
    assert beats


def test_a_full_disk_costs_no_attempts(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    free = full(monkeypatch, yard.public)
    yard.send("a.png")
    for _ in range(5):
        watcher = yard.once(originals=DELETE)
        assert watcher.health()["retrying"] == 1
    assert files(yard.public) == files(yard.quarantine) == []
    free()
    yard.once(originals=DELETE)
    assert files(yard.public) == ["a.png"]


def test_one_upload_that_cannot_go_on_does_not_keep_the_others(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, yard.public / "stuck")
    yard.send("stuck/a.png", 1)
    os.utime(yard.inbox / "stuck/a.png", (100, 100))
    for number in range(5):
        yard.send(f"{number}.png", number)
    watcher = yard.once(originals=DELETE)
    assert watcher.counts == {"censored": 5}
    assert watcher.health()["retrying"] == 1
    assert len(yard.claimed()) == 1


def test_no_space_for_the_claim_leaves_the_upload_in_the_inbox(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.send("a.png")
    watcher = yard.watcher(originals=DELETE)

    def write(*_: object, **__: object) -> None:
        raise WriteError("full") from OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(claims_module, "write_atomic", write)
        watcher.run()
    assert files(yard.inbox) == ["a.png"]
    assert yard.claimed() == []
    assert watcher.health()["state"] == "stalled"
    yard.once(originals=DELETE)
    assert files(yard.public) == ["a.png"]


@pytest.mark.parametrize("folder", ["public", "quarantine"])
def test_a_folder_that_is_not_mounted_is_waited_for(yard: Yard, folder: str) -> None:
    yard.send("a.png", body=None if folder == "public" else b"x")
    place: Path = getattr(yard, folder)
    place.rmdir()
    watcher = yard.once(originals=DELETE)
    assert watcher.health()["retrying"] == 1
    assert not place.exists()
    place.mkdir()
    yard.once(originals=DELETE)
    assert "a.png" in files(place)


def test_an_inbox_that_vanishes_is_waited_for(yard: Yard) -> None:
    watcher = yard.watcher(originals=DELETE, rescan=0.1)
    yard.inbox.rename(yard.inbox.with_name("away"))
    watcher.run()
    assert watcher.health()["state"] == "stalled"
    yard.inbox.mkdir()  # another disk in its place
    thread = threading.Thread(
        target=(watcher := yard.watcher(originals=DELETE, rescan=0.1, once=False)).run, daemon=True
    )
    shutil.rmtree(yard.inbox / STATE)
    thread.start()
    yard.send("a.png")
    wait_for(lambda: files(yard.public) == ["a.png"])
    watcher.stop()
    thread.join()


def test_pauses_grow_and_end() -> None:
    assert [watcher_module._pause_after(failures) for failures in (1, 2, 3, 7, 5000)] == [1, 2, 4, 60, 60]


class Meddler(RedFinder):
    """Does something to the inbox when it first looks at a picture."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self.meddle = meddle

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        if self.looks == 0:
            self.meddle()
        return super().detect(images)


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_an_upload_that_changes_while_it_is_looked_at_is_looked_at_again(yard: Yard, originals: str) -> None:
    path = yard.send("a.png", 1)
    stream = path.open("r+b")
    body = yard.send("later.part", 2).read_bytes()

    def write_on() -> None:
        stream.write(body)
        stream.truncate()
        stream.close()

    watcher = yard.watcher(originals=originals, detector=Meddler(write_on))
    watcher._inbox._being_written = lambda relative: False  # type: ignore[method-assign]
    watcher.run()
    assert len(yard.events("changing")) == 1
    assert files(yard.public) == ["a.png"]
    (yard.inbox / "later.part").rename(yard.inbox / "b.png")
    yard.once(originals=originals)
    first, second = (yard.public / name for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_the_same_name_that_arrives_meanwhile_is_not_lost(yard: Yard) -> None:
    yard.send("a.png", 1)
    yard.once(originals=DELETE, detector=Meddler(lambda: yard.send("a.png", 2)))
    yard.once(originals=DELETE)
    assert files(yard.public) == ["a-2.png", "a.png"]
    assert files(yard.inbox) == []


def test_a_kept_upload_that_is_taken_away_meanwhile_is_gone(yard: Yard) -> None:
    path = yard.send("a.png", 1)
    watcher = yard.once(detector=Meddler(path.unlink))
    assert files(yard.public) in ([], ["a.png"])
    assert files(yard.quarantine) == []
    assert yard.claimed() == []
    assert sum(watcher.counts.values()) == 1


def test_memory_that_runs_out_again_and_again_ends_in_quarantine(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(worker_module, "encode", no_memory)
    monkeypatch.setattr(watcher_module, "_LONGEST_PAUSE", 0.05)
    yard.send("a.png")
    watcher = yard.watcher(originals=DELETE, once=False)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: watcher.counts["quarantined"] == 1, seconds=20)
    watcher.stop()
    thread.join()
    assert reason(yard, "a.png")["type"] == "CrashedError"


def test_a_bug_of_ours_neither_publishes_nor_loses(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(worker_module, "plan", bug)
    yard.send("a.png")
    yard.once(originals=DELETE)
    assert files(yard.public) == []
    assert reason(yard, "a.png") == {"type": "ZeroDivisionError", "message": "oops"}


# --- several watchers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_two_watchers_on_one_inbox_do_everything_once(yard: Yard, originals: str) -> None:
    for number in range(30):
        yard.send(f"{number}.png", number)
    watchers = [yard.watcher(originals=originals) for _ in range(2)]
    threads = [threading.Thread(target=watcher.run, daemon=True) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files(yard.public)) == sorted(f"{number}.png" for number in range(30))
    assert sum(watcher.counts["censored"] for watcher in watchers) == 30
    assert yard.claimed() == []


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_a_claim_belongs_to_one(yard: Yard, originals: str) -> None:
    yard.send("a.png")
    one, other = yard.claims(originals), yard.claims(originals)
    (upload,) = yard.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
    claim = one.take(upload)
    assert claim is not None
    assert other.take(upload) is None
    assert other.orphans() == []
    claim.release()  # as the kernel does for one that was killed
    (orphan,) = other.orphans()
    assert one.orphans() == []
    assert orphan.record == claim.record
    orphan.release()


def test_a_claim_without_a_record_is_refused(yard: Yard) -> None:
    claims = yard.claims(DELETE)
    folder = yard.inbox / STATE / "claims" / "f00"
    folder.mkdir()
    (folder / "upload").write_bytes(b"x")
    (folder.parent / "empty").mkdir()
    (claim,) = claims.orphans()
    yard.worker(claims, originals=DELETE).process(claim)
    assert reason(yard, "unknown-f00")["type"] == "CrashedError"
    assert yard.claimed() == []


def test_what_one_claimed_to_delete_another_puts_back(yard: Yard) -> None:
    yard.send("a.png")
    first = yard.claims(DELETE)
    (upload,) = yard.watcher(originals=DELETE)._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    yard.once(originals=KEEP)
    assert files(yard.inbox) == files(yard.public) == ["a.png"]
    assert yard.once(originals=KEEP).counts == {}


def test_what_one_claimed_to_keep_another_deletes(yard: Yard) -> None:
    yard.send("a.png")
    first: Claims = yard.claims(KEEP)
    (upload,) = yard.watcher()._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    yard.once(originals=DELETE)
    assert files(yard.inbox) == []
    assert files(yard.public) == ["a.png"]


def test_an_upload_that_changed_since_it_was_looked_at_is_not_claimed(yard: Yard) -> None:
    for originals in (DELETE, KEEP):
        yard.send("a.png", 1)
        (upload,) = yard.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
        yard.send("a.png", 2)
        os.utime(yard.inbox / "a.png", (100, 100))
        assert yard.claims(originals).take(upload) is None
        (yard.inbox / "a.png").unlink()
        assert yard.claims(originals).take(upload) is None
        assert yard.claimed() == []


# --- the loop -------------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_notice_wakes_it_and_it_rests_in_between(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    original = Watcher._turn
    monkeypatch.setattr(Watcher, "_turn", lambda self, pool: (turns.append(0), original(self, pool)))
    watcher = yard.watcher(once=False)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: len(turns) > 0)
    time.sleep(0.5)
    assert len(turns) <= 2
    yard.send("a.png")
    assert files(yard.public) == []
    watcher.notice()
    wait_for(lambda: watcher.counts["censored"] == 1, seconds=5)
    watcher.stop()
    thread.join()
    assert len(turns) < 20
