"""Whatever may go wrong around the uploads: disks, folders, memory, and files that change meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakes import RedFinder
from watched import WatchedFolders, files, reason, wait_for

from censor.errors import WriteError
from censor.media import still
from censor.watch import claims as claims_module
from censor.watch import processor as processor_module
from censor.watch import watcher as watcher_module
from censor.watch.inbox import STATE
from censor.watch.processor import DELETE, KEEP
from detect.detections import Detections, RGBImage


def full(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[], None]:
    """Let writes below a folder fail as on a full disk, until the returned function is called."""
    original, state = processor_module.write_atomic, {"full": True}

    def write(path: Path, *arguments: object, **options: object) -> None:
        if state["full"] and Path(path).is_relative_to(folder):
            raise WriteError(f"{path}: cannot be written") from OSError(errno.ENOSPC, "No space left on device")
        original(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(processor_module, "write_atomic", write)

    def free() -> None:
        state["full"] = False

    return free


@pytest.mark.parametrize("which", ["public", "quarantine"])
def test_a_full_disk_loses_nothing_and_is_tried_again(
    watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    free = full(monkeypatch, getattr(watched, which))
    monkeypatch.setattr(watcher_module, "_LONGEST_PAUSE", 0.1)
    beats: list[dict[str, object]] = []
    watched.send("a.png", 1)
    watched.send("b.png", 2, body=None if which == "public" else b"broken")
    watcher = watched.watcher(originals=DELETE, once=False, beat=beats.append)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: watcher.health()["retrying"] > 0)
    wait_for(lambda: which == "public" or files(watched.public) == ["a.png"])
    wait_for(lambda: "cannot be written" in watcher.health()["trouble"])
    assert (which == "public") == (files(watched.public) == [])
    assert files(watched.quarantine) == []
    free()
    wait_for(lambda: sum(watcher.counts.values()) == 2)
    watcher.stop()
    thread.join()
    assert watcher.health()["state"] == "stopping"
    assert files(watched.public) == (["a.png", "b.png"] if which == "public" else ["a.png"])
    assert files(watched.quarantine) == ([] if which == "public" else ["b.png", "b.png.json"])
    assert watched.events("resumed")
    assert watched.claimed() == []
    assert beats


def test_a_full_disk_costs_no_attempts(watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    free = full(monkeypatch, watched.public)
    watched.send("a.png")
    for _ in range(5):
        watcher = watched.once(originals=DELETE)
        assert watcher.health()["retrying"] == 1
    assert files(watched.public) == files(watched.quarantine) == []
    free()
    watched.once(originals=DELETE)
    assert files(watched.public) == ["a.png"]


def test_one_upload_that_cannot_go_on_does_not_keep_the_others(
    watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch, watched.public / "stuck")
    watched.send("stuck/a.png", 1)
    os.utime(watched.inbox / "stuck/a.png", (100, 100))
    for number in range(5):
        watched.send(f"{number}.png", number)
    watcher = watched.once(originals=DELETE)
    assert watcher.counts == {"censored": 5}
    assert watcher.health()["retrying"] == 1
    assert len(watched.claimed()) == 1


def test_no_space_for_the_claim_leaves_the_upload_in_the_inbox(
    watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.send("a.png")
    watcher = watched.watcher(originals=DELETE)

    def write(*_: object, **__: object) -> None:
        raise WriteError("full") from OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(claims_module, "write_atomic", write)
        watcher.run()
    assert files(watched.inbox) == ["a.png"]
    assert watched.claimed() == []
    assert watcher.health()["state"] == "stalled"
    watched.once(originals=DELETE)
    assert files(watched.public) == ["a.png"]


@pytest.mark.parametrize("folder", ["public", "quarantine"])
def test_a_folder_that_is_not_mounted_is_waited_for(watched: WatchedFolders, folder: str) -> None:
    watched.send("a.png", body=None if folder == "public" else b"x")
    missing: Path = getattr(watched, folder)
    missing.rmdir()
    watcher = watched.once(originals=DELETE)
    assert watcher.health()["retrying"] == 1
    assert not missing.exists()
    missing.mkdir()
    watched.once(originals=DELETE)
    assert "a.png" in files(missing)


def test_an_inbox_that_vanishes_is_waited_for(watched: WatchedFolders) -> None:
    watcher = watched.watcher(originals=DELETE, rescan=0.1)
    watched.inbox.rename(watched.inbox.with_name("away"))
    watcher.run()
    assert watcher.health()["state"] == "stalled"
    watched.inbox.mkdir()  # another disk in its place
    thread = threading.Thread(
        target=(watcher := watched.watcher(originals=DELETE, rescan=0.1, once=False)).run, daemon=True
    )
    shutil.rmtree(watched.inbox / STATE)
    thread.start()
    watched.send("a.png")
    wait_for(lambda: files(watched.public) == ["a.png"])
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
        if self.calls == 0:
            self.meddle()
        return super().detect(images)


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_an_upload_that_changes_while_it_is_looked_at_is_looked_at_again(
    watched: WatchedFolders, originals: str
) -> None:
    path = watched.send("a.png", 1)
    stream = path.open("r+b")
    body = watched.send("later.part", 2).read_bytes()

    def write_on() -> None:
        stream.write(body)
        stream.truncate()
        stream.close()

    watcher = watched.watcher(originals=originals, detector=Meddler(write_on))
    watcher._inbox._being_written = lambda relative: False  # type: ignore[method-assign]
    watcher.run()
    assert len(watched.events("changing")) == 1
    assert files(watched.public) == ["a.png"]
    (watched.inbox / "later.part").rename(watched.inbox / "b.png")
    watched.once(originals=originals)
    first, second = (watched.public / name for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_the_same_name_that_arrives_meanwhile_is_not_lost(watched: WatchedFolders) -> None:
    watched.send("a.png", 1)
    watched.once(originals=DELETE, detector=Meddler(lambda: watched.send("a.png", 2)))
    watched.once(originals=DELETE)
    assert files(watched.public) == ["a-2.png", "a.png"]
    assert files(watched.inbox) == []


def test_a_kept_upload_that_is_taken_away_meanwhile_is_gone(watched: WatchedFolders) -> None:
    path = watched.send("a.png", 1)
    watcher = watched.once(detector=Meddler(path.unlink))
    assert files(watched.public) in ([], ["a.png"])
    assert files(watched.quarantine) == []
    assert watched.claimed() == []
    assert sum(watcher.counts.values()) == 1


def test_memory_that_runs_out_again_and_again_ends_in_quarantine(
    watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(still, "encode", no_memory)
    monkeypatch.setattr(watcher_module, "_LONGEST_PAUSE", 0.05)
    watched.send("a.png")
    watcher = watched.watcher(originals=DELETE, once=False)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: watcher.counts["quarantined"] == 1, seconds=20)
    watcher.stop()
    thread.join()
    assert reason(watched, "a.png")["type"] == "CrashedError"


def test_a_bug_of_ours_neither_publishes_nor_loses(watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(processor_module, "mirrored", bug)
    watched.send("a.png")
    watched.once(originals=DELETE)
    assert files(watched.public) == []
    assert reason(watched, "a.png") == {"type": "ZeroDivisionError", "message": "oops"}
