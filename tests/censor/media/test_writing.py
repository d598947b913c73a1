"""Files written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from censor.errors import OutputExistsError, WriteError
from censor.media.writing import write_atomic


def test_write_makes_a_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"one"
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_stream_is_written_from_its_beginning(tmp_path: Path) -> None:
    stream = io.BytesIO(b"one")
    stream.seek(2)
    write_atomic(tmp_path / "a", stream)
    assert (tmp_path / "a").read_bytes() == b"one"


def test_write_overwrites_only_when_told_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o640)
    with pytest.raises(OutputExistsError, match="exists already"):
        write_atomic(path, b"two")
    assert path.read_bytes() == b"one"
    write_atomic(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    write_atomic(tmp_path / "new", b"x", overwrite=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "new"]


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@ROOT_ONLY
def test_an_overwrite_keeps_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.chown(path, 1234, 4321)
    path.chmod(0o4750)
    write_atomic(path, b"two", overwrite=True)
    status = path.stat()
    assert (path.read_bytes(), status.st_uid, status.st_gid, status.st_mode & 0o7777) == (b"two", 1234, 4321, 0o750)


def test_where_the_group_cannot_be_kept_another_gets_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o674)
    real = os.fstat

    def other_group(descriptor: int) -> os.stat_result:
        return os.stat_result([*real(descriptor)[:5], 4321, *real(descriptor)[6:]])

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", other_group)
    write_atomic(path, b"two", overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_overwrite_keeps_access_lists_and_nothing_that_may_show_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    user, group = struct.pack("<HHI", 2, 6, 1234), struct.pack("<HHI", 4, 4, 0xFFFFFFFF)
    entries = struct.pack("<HHI", 1, 6, 0xFFFFFFFF) + user + group
    entries += struct.pack("<HHI", 0x10, 6, 0xFFFFFFFF) + struct.pack("<HHI", 0x20, 0, 0xFFFFFFFF)
    rights = struct.pack("<I", 2) + entries  # acl(5): owner rw, user 1234 rw, group r, mask rw, others nothing
    try:
        os.setxattr(path, "user.thumbnail", b"what the picture showed")
        os.setxattr(path, "system.posix_acl_access", rights)
    except OSError as error:
        pytest.skip(f"no extended attributes or access lists here: {error}")
    write_atomic(path, b"two", overwrite=True)
    assert os.listxattr(path) == ["system.posix_acl_access"]
    assert os.getxattr(path, "system.posix_acl_access") == rights
    assert path.stat().st_mode & 0o777 == 0o660


def test_where_an_access_list_cannot_be_kept_the_group_gets_no_more_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a list the group's bits are the most that anybody in the list may do, not what the group may."""
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o664)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["system.posix_acl_access"])
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: b"list")
    monkeypatch.setattr(os, "setxattr", refuse)
    write_atomic(path, b"two", overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    write_atomic(tmp_path / "link", b"two", overwrite=True)
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "link").read_bytes()) == (b"one", b"two")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").stat().st_mode & 0o400


def test_an_overwrite_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_atomic(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    results: list[str] = []

    def write(body: bytes) -> None:
        try:
            write_atomic(tmp_path / "a", body)
            results.append("won")
        except OutputExistsError:
            results.append("lost")

    threads = [threading.Thread(target=write, args=(bytes([65 + n]) * 100_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert len(set((tmp_path / "a").read_bytes())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    write_atomic(tmp_path / "a", b"one")
    with pytest.raises(OutputExistsError):
        write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(WriteError, match="not a regular file"):
            write_atomic(tmp_path / name, b"x", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_failed_last_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteError, match="Input/output error"):
        write_atomic(tmp_path / "a", b"one")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_and_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot be written: No such file"):
        write_atomic(tmp_path / "gone" / "a", b"x")
    with pytest.raises(WriteError, match="cannot be written: File name too long"):
        write_atomic(tmp_path / ("a" * 300), b"x")
    assert not list(tmp_path.iterdir())


def test_killed_half_way_it_leaves_nothing(tmp_path: Path) -> None:
    """Killed between the last byte and the name."""
    program = (
        "import os, signal, sys\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from censor.media.writing import write_atomic\n"
        "write_atomic(sys.argv[1], b'x' * 100_000, durable=True)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [False, True])
def test_durable_writes_are_synchronized_before_and_after_the_name_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        monkeypatch.delattr(os, "O_TMPFILE")
    seen: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append((tmp_path / "a").exists()))
    write_atomic(tmp_path / "a", b"x", durable=True)
    assert seen == [False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
