"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

__all__ = ["sync_folder", "write_whole"]


def write_whole(
    path: str | os.PathLike[str], content: bytes | BinaryIO, *, overwrite: bool = False, durable: bool = False
) -> None:
    """Write a file so that at no moment a part of it stands under its name.

    The bytes go to a file without a name, which then takes the name in one step: a process that is killed half way
    leaves nothing. Where the system has no such files, or one is to be replaced, they go to a temporary file in the
    same folder. Without `overwrite` the step itself fails if the name is taken, so that two writers never take each
    other's output for their own.

    Args:
        path: The file to write.
        content: Its content, or a file that holds it.
        overwrite: Replace the file if it is there.
        durable: Return only when the file would survive a loss of power. What is replaced is always synchronised before
            it is lost, its successor's name only if this is set.

    Raises:
        FileExistsError: The file is there and `overwrite` is false.
        OSError: The folder is missing or may not be written, the disk is full …; nothing is left behind.
    """
    target = Path(path)
    if overwrite or not _write_unnamed(target, content, durable=durable):
        _write_beside(target, content, overwrite=overwrite, durable=durable)
    if durable:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder would survive a loss of power.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_unnamed(target: Path, data: bytes | BinaryIO, *, durable: bool) -> bool:
    """Fill a file that has no name, then give it one. False, and nothing done, where that is not possible.

    Source:
        open(2), O_TMPFILE, and its example of linking through /proc, which needs no privilege.
    """
    if (unnamed := getattr(os, "O_TMPFILE", None)) is None:
        return False
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        try:
            descriptor = os.open(target.parent, unnamed | os.O_WRONLY, 0o666)
        except OSError:
            return False  # a file system without them; or a reason that the other way will report
        with os.fdopen(descriptor, "wb") as stream:
            _fill(stream, data, synchronised=durable)
            try:
                # Naming the folder's descriptor makes this linkat(2), which follows the link in /proc.
                os.link(f"/proc/self/fd/{stream.fileno()}", target.name, dst_dir_fd=folder)
            except FileExistsError:
                raise
            except OSError:
                return False
    finally:
        os.close(folder)
    return True


def _write_beside(target: Path, data: bytes | BinaryIO, *, overwrite: bool, durable: bool) -> None:
    if target.exists() and not target.is_file():
        raise OSError("not a regular file")
    temporary = target.with_name(f".censor-{secrets.token_hex(8)}.tmp")
    mode = target.stat().st_mode & 0o777 if overwrite and target.exists() else 0o666
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        with os.fdopen(descriptor, "wb") as stream:
            # What is replaced must not be lost to a crash that the new bytes did not survive.
            _fill(stream, data, synchronised=overwrite or durable)
        if overwrite:
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        else:
            _take_name(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _fill(stream: BinaryIO, data: bytes | BinaryIO, *, synchronised: bool) -> None:
    if isinstance(data, bytes):
        stream.write(data)
    else:
        data.seek(0)  # this may be the second way that is tried
        shutil.copyfileobj(data, stream, 1 << 20)
    stream.flush()
    if synchronised:
        os.fsync(stream.fileno())


def _take_name(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then fill it
        target.touch(exist_ok=False)
        try:
            temporary.replace(target)
        except OSError:
            target.unlink()
            raise
