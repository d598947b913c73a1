"""What becomes of uploads: everything that may land in an inbox."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from fakes import RedFinder, Scripted
from PIL import Image
from yard import LABEL, Yard, files, is_censored, reason, scene, wait_for

from censor.cli.watch import _log
from censor.watch.inbox import STATE
from censor.watch.watcher import Watcher
from censor.watch.worker import DELETE, KEEP


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


@pytest.mark.parametrize("name", [b"a\xff\n.png", b"\xfe/\xff.png", b"\xff" * 255])
def test_names_that_are_no_text_come_out_as_json_that_every_parser_takes(
    yard: Yard, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    yard.send(os.fsdecode(name), body=b"broken")
    yard.once(originals=DELETE)
    assert files(yard.inbox) == []
    (path,) = (yard.quarantine / each for each in files(yard.quarantine) if each.endswith(".json"))
    log = _log(quiet=False, verbose=False)
    (event,) = yard.events("quarantined")
    log(**event)
    for text in (path.read_text(), capsys.readouterr().err):
        said = json.loads(text)["upload"]
        assert said.encode() == os.fsdecode(name).encode(errors="backslashreplace")


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
