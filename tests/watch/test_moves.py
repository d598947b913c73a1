"""Moves that lose and overwrite nothing."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import pytest

from censor.watch.moves import is_for_good, make_folder, move, move_to_free_name, names, sweep
from detect.folders import PathBeneath


def at(folder: Path, name: str) -> PathBeneath:
    return PathBeneath(folder, Path(name))


def test_names_never_end_and_never_repeat() -> None:
    first = [str(path) for path in itertools.islice(names(Path("a/b.tar.gz")), 300)]
    assert first[:3] == ["a/b.tar.gz", "a/b.tar-2.gz", "a/b.tar-3.gz"]
    assert len(set(first)) == 300


def test_a_move_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        move(at(tmp_path, "a"), at(tmp_path, "b"))
    assert move_to_free_name(at(tmp_path, "a"), tmp_path, Path("b")) == at(tmp_path, "b-2")
    assert (tmp_path / "b").read_bytes() == b"old"
    assert (tmp_path / "b-2").read_bytes() == b"new"


def test_a_move_to_another_file_system(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "a").chmod(0o640)
    os.utime(tmp_path / "a", (100, 100))
    move(at(tmp_path, "a"), at(elsewhere, "a"))
    assert not (tmp_path / "a").exists()
    status = (elsewhere / "a").stat()
    assert (status.st_size, status.st_mode & 0o777, status.st_mtime) == (3_000_000, 0o640, 100)
    assert [path.name for path in elsewhere.iterdir()] == ["a"]


def test_an_interrupted_move_to_another_file_system_is_finished(tmp_path: Path, elsewhere: Path) -> None:
    for folder in (tmp_path, elsewhere):
        (folder / "a").write_bytes(b"same")
    assert move_to_free_name(at(tmp_path, "a"), elsewhere, Path("a")) == at(elsewhere, "a")
    assert not (tmp_path / "a").exists()
    assert [path.name for path in elsewhere.iterdir()] == ["a"]
    (tmp_path / "a").write_bytes(b"other")
    assert move_to_free_name(at(tmp_path, "a"), elsewhere, Path("a")) == at(elsewhere, "a-2")


def test_a_folder_whose_disk_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is its disk mounted"):
        make_folder(at(tmp_path / "mount", "a/b.jpg"))
    assert not list(tmp_path.iterdir())


def test_what_passes_and_what_does_not() -> None:
    assert not any(is_for_good(OSError(code, "")) for code in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES))
    assert all(is_for_good(OSError(code, "")) for code in (errno.ENAMETOOLONG, errno.ENOTDIR))
    assert is_for_good(None)


def test_old_temporary_files_are_swept_where_there_are_no_files_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".censor-1.tmp", ".censor-2.tmp", "a.jpg"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1000, 1000))
    os.utime(tmp_path / ".censor-2.tmp", (9000, 9000))
    sweep(tmp_path, 9100)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.delattr(os, "O_TMPFILE")
    sweep(tmp_path, 9100)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".censor-2.tmp", "a.jpg"]
