"""Notices: at any depth, in folders that come later, and never behind a link."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from censor.watch import notices
from censor.watch.notices import listen


class Ear:
    def __init__(self, root: Path) -> None:
        self.heard, self.reasons = threading.Event(), list[str]()
        self.end = listen(root, notice=self.heard.set, trouble=self.reasons.append)
        self.settle()

    def settle(self, seconds: float = 1.3) -> None:
        """Until nothing has been heard for a while; after a new folder, for longer than a first round takes."""
        deadline = time.monotonic() + 10
        while self.heard.is_set():
            assert time.monotonic() < deadline
            self.heard.clear()
            time.sleep(seconds)

    def hears(self, seconds: float = 3, *, settle: float = 0.4) -> bool:
        found = self.heard.wait(seconds)
        self.settle(settle)
        return found


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inbox" / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "inbox" / "link").symlink_to(tmp_path / "outside")
    monkeypatch.chdir(tmp_path)
    return Path("inbox")


@pytest.fixture
def ear(inbox: Path) -> Iterator[Ear]:
    found = Ear(inbox)
    yield found
    found.end()


def test_what_is_heard_and_what_not(ear: Ear, inbox: Path) -> None:
    (inbox / "a" / "x.jpg").write_bytes(b"x")
    assert ear.hears()
    (inbox / "b" / "c").mkdir(parents=True)
    (inbox / "b" / "c" / "x.jpg.part").write_bytes(b"x")
    assert ear.hears(settle=1.3)
    (inbox / "b" / "c" / "x.jpg.part").rename(inbox / "b" / "c" / "x.jpg")
    assert ear.hears()
    for name in ("../outside/x.jpg", ".hidden", "a/y.part"):
        (inbox / name).write_bytes(b"x")
    (inbox / "a" / "x.jpg").unlink()
    assert not ear.hears(1)
    assert ear.reasons == []


def test_a_folder_that_is_gone_is_told_of_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_RETRY", 0.2)
    reasons: list[str] = []
    heard = threading.Event()
    end = listen(tmp_path / "inbox", notice=heard.set, trouble=reasons.append)
    time.sleep(0.3)
    assert reasons
    (tmp_path / "inbox").mkdir()
    assert heard.wait(3)
    end()


def test_names_that_are_no_text_do_not_stop_the_notices(ear: Ear, inbox: Path) -> None:
    odd = os.fsencode(inbox) + b"/\xff\xfe"
    for number in range(3):
        Path(os.fsdecode(odd + b"%d.jpg" % number)).write_bytes(b"x")
        assert ear.hears(settle=1.3)
        (inbox / "a" / f"{number}.jpg").write_bytes(b"x")
        assert ear.hears()
    Path(os.fsdecode(odd)).mkdir()
    assert ear.hears(settle=1.3)
    Path(os.fsdecode(odd + b"/x.jpg")).write_bytes(b"x")
    (inbox / "a" / "line\nfeed.jpg").write_bytes(b"x")
    assert ear.hears()
    (inbox / "b").mkdir()
    assert ear.hears(settle=1.3)
    (inbox / "b" / "x.jpg").write_bytes(b"x")
    assert ear.hears()
    assert ear.reasons == []
