"""Somebody who may write in the inbox puts a link in a folder's place, between any two steps of the watcher."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from watched import WatchedFolders, files, scene

from censor.watch.processor import DELETE, KEEP

SECRET = 7
CALLS = ("open", "stat", "lstat", "scandir", "rename", "link", "unlink", "mkdir")


class Intruder:
    """Swaps before the n-th call to the system, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, swap: Callable[[], None]) -> None:
        self.calls, self._number, self._swap = 0, number, swap
        self._busy = threading.RLock()
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, call: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            with self._busy:
                self.calls += 1
                if self.calls == self._number:
                    self._swap()
            return call(*arguments, **options)

        return step


def swapped_at_every_step(
    root: Path, monkeypatch: pytest.MonkeyPatch, originals: str, folder: str, body: bytes | None, stride: int
) -> Iterator[tuple[WatchedFolders, Path]]:
    """Runs of a watcher, in each of which the folder became a link at another step; with the folder outside."""
    number, reached = 1, True
    while reached:
        (root / str(number)).mkdir(parents=True)
        watched = WatchedFolders(root / str(number))
        outside = root / f"{number}-outside"
        outside.mkdir()
        Image.fromarray(scene(SECRET)).save(outside / "a.png")
        place = {
            "inbox": watched.inbox,
            "public": watched.public,
            "quarantine": watched.quarantine,
            "moved": watched.moved,
        }[folder]
        (place / "sub").mkdir()
        sent = watched.send("sub/a.png", 1, body=body)
        status = sent.stat()
        if body is not None:
            (outside / "a.png").write_bytes(body[::-1])
        os.utime(outside / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))

        def swap(place: Path = place, outside: Path = outside) -> None:
            (place / "sub").rename(place / ".sub")
            (place / "sub").symlink_to(outside)

        before = (outside / "a.png").read_bytes()
        with monkeypatch.context() as patch:
            intruder = Intruder(patch, number, swap)
            watched.once(originals=watched.moved if originals == "move" else originals, threads=1)
        reached = intruder.calls >= number
        assert (outside / "a.png").read_bytes() == before, number
        assert files(outside) == ["a.png"], number
        yield watched, outside
        shutil.rmtree(root / str(number))
        number += stride


@pytest.mark.parametrize("originals", [DELETE, KEEP, "move"])
@pytest.mark.parametrize("body", [None, b"no picture"], ids=["picture", "broken"])
def test_nothing_outside_is_published_moved_or_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, originals: str, body: bytes | None
) -> None:
    steps = 0
    for watched, _ in swapped_at_every_step(tmp_path, monkeypatch, originals, "inbox", body, 7):
        steps += 1
        for name in files(watched.public):
            with Image.open(watched.public / name) as shown:
                assert (np.asarray(shown)[-1] == scene(1)[-1]).all(), f"step {steps}"
        for name in files(watched.quarantine):
            assert name.endswith(".json") or (watched.quarantine / name).read_bytes() == body
            assert not (watched.quarantine / name).is_symlink()
    assert steps > 10


@pytest.mark.parametrize("folder", ["public", "quarantine", "moved"])
def test_nothing_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    body = b"no picture" if folder == "quarantine" else None
    steps = 0
    for _ in swapped_at_every_step(tmp_path, monkeypatch, "move", folder, body, 7):
        steps += 1
    assert steps > 10


def test_a_file_that_becomes_a_link_or_a_folder_is_not_taken(watched: WatchedFolders, tmp_path: Path) -> None:
    for kind in ("link", "folder"):
        path = watched.send("a.png", 1)
        watcher = watched.watcher(originals=DELETE)
        (upload,) = watcher._inbox.settled(0, skip=lambda _: False)
        claims = watched.claims(DELETE)
        rename = os.rename

        def swap(
            *arguments: str, path: Path = path, kind: str = kind, rename: Callable[..., None] = rename, **options: int
        ) -> None:
            path.unlink()
            if kind == "link":
                path.symlink_to(tmp_path / "secret")
            else:
                path.mkdir()
            os.rename = rename
            rename(*arguments, **options)

        os.rename = swap  # type: ignore[assignment]
        try:
            assert claims.take(upload) is None
        finally:
            os.rename = rename
        assert path.is_symlink() == (kind == "link")
        assert path.is_dir() == (kind == "folder")
        assert watched.claimed() == []
        path.unlink() if kind == "link" else path.rmdir()


def test_a_record_that_leads_elsewhere_is_nobodys(watched: WatchedFolders, tmp_path: Path) -> None:
    """Who may write in the inbox may also write claims."""
    (tmp_path / "victim.png").write_bytes(b"x")
    status = (tmp_path / "victim.png").stat()
    facts = f'"size": 1, "mtime_ns": {status.st_mtime_ns}'
    claims = watched.claims(DELETE)
    for number, record in enumerate((
        f'{{"relative": "../victim.png", {facts}}}', f'{{"relative": "{tmp_path}/victim.png", {facts}}}',
        f'{{"relative": "a\\u0000.png", {facts}}}', f'{{"relative": 5, {facts}}}', "[" * 100_000,
        f'{{"relative": "a.png", {facts}, "target": "../../victim.png", "digest": "00"}}',
        f'{{"relative": "\\ud800.png", {facts}}}',
    )):  # fmt: skip
        folder = watched.inbox / ".censor-watch" / "claims" / str(number)
        folder.mkdir()
        (folder / "record.json").write_text(record)
        (folder / "upload").write_bytes(b"no picture")
    (watched.inbox / ".censor-watch" / "done" / "deep").write_text("[" * 100_000)
    claims.prune()
    watched.once(originals=DELETE)
    assert (tmp_path / "victim.png").read_bytes() == b"x"
    assert watched.claimed() == []
    assert len([name for name in files(watched.quarantine) if not name.endswith(".json")]) == 7
