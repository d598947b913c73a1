"""What becomes of uploads: everything that may land in an inbox."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import RedFinder, Scripted
from PIL import Image
from watched import LABEL, WatchedFolders, files, is_censored, reason, scene, wait_for

from censor.cli.watch import _log
from censor.watch.inbox import STATE
from censor.watch.processor import DELETE, KEEP
from censor.watch.watcher import Watcher


@pytest.mark.parametrize("originals", ["delete", "keep", "move"])
def test_uploads_come_out_censored_and_the_original_goes_where_it_is_told(
    watched: WatchedFolders, originals: str
) -> None:
    names = ["a.png", "deep/er/b.png", "liar.jpg"]
    for number, name in enumerate(names):
        watched.send(name, number)
    watcher = watched.once(originals=watched.moved if originals == "move" else originals)
    assert files(watched.public) == ["a.png", "deep/er/b.png", "liar.png"]
    assert all(is_censored(watched.public / name) for name in files(watched.public))
    assert files(watched.inbox) == (names if originals == "keep" else [])
    assert files(watched.moved) == (names if originals == "move" else [])
    assert files(watched.quarantine) == []
    assert watched.claimed() == []
    assert watcher.counts == {"censored": 3}
    told = {each["upload"]: each for each in watched.events("censored")}
    assert told["liar.jpg"]["output"] == "liar.png"
    assert told["a.png"]["level"] == "nsfw"
    assert told["a.png"]["regions"] == 1


def test_a_policy_that_only_hides_is_logged_without_a_level(watched: WatchedFolders) -> None:
    watched.send("a.png", 1)
    watched.once(nsfw_at=None)
    assert is_censored(watched.public / "a.png")
    (told,) = watched.events("censored")
    assert told["level"] is None
    assert told["regions"] == 1


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_what_cannot_be_processed_goes_to_quarantine_with_a_reason(watched: WatchedFolders, originals: str) -> None:
    whole = watched.send("whole.png", 1).read_bytes()
    watched.send("sub/cut.png", body=whole[:-100])
    watched.send("empty.png", body=b"")
    watched.send("notes.txt", body=b"hello")
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(pages := watched.inbox / "pages.tiff", save_all=True, append_images=frames[1:])
    os.truncate(pages, pages.stat().st_size - 100)
    watched.once(originals=originals)
    assert files(watched.public) == ["whole.png"]
    assert files(watched.quarantine) == sorted(
        each for name in ("sub/cut.png", "empty.png", "notes.txt", "pages.tiff") for each in (name, f"{name}.json")
    )
    assert files(watched.inbox) == (["whole.png"] if originals == KEEP else [])
    assert (watched.quarantine / "sub/cut.png").read_bytes() == whole[:-100]
    assert reason(watched, "sub/cut.png")["type"] == "DamagedImageError"
    assert reason(watched, "sub/cut.png")["message"].startswith("sub/cut.png: the picture is damaged")
    assert reason(watched, "empty.png")["message"] == "empty.png: the file is empty"
    assert reason(watched, "notes.txt")["type"] == "UnsupportedImageError"
    assert reason(watched, "pages.tiff")["type"] == "DamagedImageError"
    assert watched.claimed() == []


@pytest.mark.parametrize("error", [RuntimeError("boom"), ValueError("nonsense")])
def test_a_detector_that_fails_lets_nothing_through(watched: WatchedFolders, error: Exception) -> None:
    watched.send("a.png")
    watched.once(detector=Scripted([LABEL], error), originals=DELETE)
    assert files(watched.public) == []
    assert files(watched.quarantine) == ["a.png", "a.png.json"]
    assert reason(watched, "a.png")["type"] == "DetectorError"


def test_what_the_second_look_still_finds_lets_nothing_through(watched: WatchedFolders) -> None:
    watched.send("a.png")
    boxes = [[(LABEL, 0.9, (x, 0, x + 9, 9))] for x in range(0, 60, 10)]
    watched.once(detector=Scripted([LABEL], *boxes), originals=DELETE)
    assert files(watched.public) == []
    assert reason(watched, "a.png")["type"] == "RecheckError"


def test_nothing_is_done_twice(watched: WatchedFolders) -> None:
    watched.send("a.png", 1)
    finder = RedFinder()
    watched.once(detector=finder)
    calls = finder.calls
    assert watched.once(detector=finder).counts == {}
    assert watched.once(detector=finder).counts == {}
    assert finder.calls == calls
    (watched.public / "a.png").unlink()  # a consumer took it: that is no reason to publish it again
    watched.once(detector=finder)
    assert files(watched.public) == []


def test_a_kept_original_that_changes_is_a_new_upload(watched: WatchedFolders) -> None:
    watched.send("a.png", 1)
    watched.once()
    watched.send("a.png", 2)
    os.utime(watched.inbox / "a.png", (100, 100))
    watched.once()
    assert files(watched.public) == ["a-2.png", "a.png"]


def test_the_ledger_forgets_what_is_gone(watched: WatchedFolders) -> None:
    for number in range(3):
        watched.send(f"{number}.png", number)
    watched.once()
    (watched.inbox / "0.png").unlink()
    watched.send("1.png", 7)
    ledger = watched.inbox / STATE / "done"
    assert len(list(ledger.iterdir())) == 3
    watched.claims().prune()
    assert len(list(ledger.iterdir())) == 1
    (ledger / "odd").write_text("[]")
    watched.claims().prune()


def test_the_same_name_again_overwrites_nothing(watched: WatchedFolders) -> None:
    for seed in range(3):
        watched.send("a.png", seed)
        watched.once(originals=watched.moved)
    assert files(watched.public) == files(watched.moved) == ["a-2.png", "a-3.png", "a.png"]
    assert len({(watched.public / name).read_bytes() for name in files(watched.public)}) == 3
    for body in (b"one", b"two"):
        watched.send("bad.jpg", body=body)
        watched.once(originals=watched.moved)
    assert files(watched.quarantine) == ["bad-2.jpg", "bad-2.jpg.json", "bad.jpg", "bad.jpg.json"]


def test_names_that_share_an_output_get_two(watched: WatchedFolders) -> None:
    watched.send("a.jpg", 1)
    watched.send("a.png", 2)
    watched.once(originals=DELETE)
    assert files(watched.public) == ["a-2.png", "a.png"]


def test_links_and_pipes_stay_where_they_are(watched: WatchedFolders, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(scene(1)).save(secret)
    (watched.inbox / "link.png").symlink_to(secret)
    (watched.inbox / "folder").symlink_to(tmp_path)
    os.mkfifo(watched.inbox / "pipe.png")
    watched.once(originals=DELETE)
    assert files(watched.public) == files(watched.quarantine) == []
    assert len(files(watched.inbox)) == 3
    assert secret.exists()
    assert len(watched.events("ignored")) == 3


def test_odd_names(watched: WatchedFolders) -> None:
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
        watched.send(name, number)
    watched.once(originals=DELETE)
    expected = {*names[:6], names[7]}
    assert set(files(watched.public)) == expected
    assert files(watched.inbox) == []
    assert len(files(watched.quarantine)) == 2  # with the right suffix the name would be too long for the file system
    (said,) = watched.quarantine.glob("*.json")
    assert json.loads(said.read_text())["upload"] == "x" * 253
    assert "too long" in json.loads(said.read_text())["error"]["message"]
    json.dumps(watched.said)


@pytest.mark.parametrize("name", [b"a\xff\n.png", b"\xfe/\xff.png", b"\xff" * 255])
def test_names_that_are_no_text_come_out_as_json_that_every_parser_takes(
    watched: WatchedFolders, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    watched.send(os.fsdecode(name), body=b"broken")
    watched.once(originals=DELETE)
    assert files(watched.inbox) == []
    (path,) = (watched.quarantine / each for each in files(watched.quarantine) if each.endswith(".json"))
    log = _log(quiet=False, verbose=False)
    (event,) = watched.events("quarantined")
    log(**event)
    for text in (path.read_text(), capsys.readouterr().err):
        said = json.loads(text)["upload"]
        assert said.encode() == os.fsdecode(name).encode(errors="backslashreplace")


def test_a_file_where_a_folder_should_be(watched: WatchedFolders) -> None:
    (watched.public / "sub").write_text("in the way")
    (watched.quarantine / "bad").write_text("in the way")
    watched.send("sub/a.png")
    watched.send("bad/b.png", body=b"x")
    watched.once(originals=DELETE)
    assert files(watched.public) == ["sub"]
    found = [json.loads(path.read_text())["upload"] for path in watched.quarantine.rglob("*.json")]
    assert sorted(found) == ["bad/b.png", "sub/a.png"]
    assert files(watched.inbox) == []


def test_a_file_where_a_folder_for_originals_should_be(watched: WatchedFolders) -> None:
    (watched.moved / "sub").write_text("in the way")
    body = watched.send("sub/a.png").read_bytes()
    watched.once(originals=watched.moved)
    assert files(watched.public) == ["sub/a.png"]
    (name,) = set(files(watched.moved)) - {"sub"}
    assert (watched.moved / name).read_bytes() == body
    assert watched.claimed() == []


def test_a_huge_file_is_refused_unread(watched: WatchedFolders) -> None:
    with watched.send("film.mp4", body=b"").open("wb") as stream:
        stream.truncate(20 * 2**30)
    began = time.monotonic()
    watched.once(originals=DELETE)
    assert time.monotonic() - began < 5
    assert reason(watched, "film.mp4")["type"] in ("LimitError", "UnsupportedImageError")
    (watched.quarantine / "film.mp4").unlink()


def test_a_notice_wakes_it_and_it_rests_in_between(watched: WatchedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    original = Watcher._turn

    def turn(self: Watcher, pool: Any) -> None:
        turns.append(0)
        original(self, pool)

    monkeypatch.setattr(Watcher, "_turn", turn)
    watcher = watched.watcher(once=False)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    wait_for(lambda: len(turns) > 0)
    time.sleep(0.5)
    assert len(turns) <= 2
    watched.send("a.png")
    assert files(watched.public) == []
    watcher.notice()
    wait_for(lambda: watcher.counts["censored"] == 1, seconds=5)
    watcher.stop()
    thread.join()
    assert len(turns) < 20
