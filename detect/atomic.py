"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> None:
    """Write a file so that at no moment a part of it stands under its name.

    The bytes go to a temporary file in the same folder, which then takes the name in one step. Without `overwrite` the
    step itself fails if the name is taken, so that two writers never take each other's output for their own.

    Raises:
        FileExistsError: The file is there and `overwrite` is false.
        OSError: The folder is missing or may not be written, the disk is full …; nothing is left behind.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        if target.exists() and not target.is_file():
            raise OSError("not a regular file")
        mode = target.stat().st_mode & 0o777 if overwrite and target.exists() else 0o666
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if overwrite:  # what is replaced must not be lost to a crash that the new bytes did not survive
                stream.flush()
                os.fsync(stream.fileno())
        if overwrite:
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        else:
            _take_name(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


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
