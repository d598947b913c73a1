"""Where files go: names that are free, folders that mirror the inbox, and moves that lose and overwrite nothing."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from censor.errors import WriteError
from censor.files import write_atomic
from censor.watch.inbox import open_upload
from detect.atomic import sync_folder

__all__ = ["is_for_good", "make_folder", "move", "names", "place", "sweep"]

_FOR_GOOD = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EFBIG}
"""What is wrong with this one file or its name, and will still be when there is space and the disk is back."""

_LEFT_AFTER = 3600.0
"""Seconds after which a temporary output is taken to be one of a process that was killed."""


def is_for_good(error: BaseException | None) -> bool:
    """Whether trying again would fail again, whatever is done about the disk."""
    return not isinstance(error, OSError) or error.errno in _FOR_GOOD


def names(path: Path) -> Iterator[Path]:
    """The name, then `NAME-2.SUFFIX` and so on, then names that nobody else would think of; never ends."""
    yield path
    for number in range(2, 100):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
    while True:
        yield path.with_name(f"{path.stem}-{secrets.token_hex(8)}{path.suffix}")


def make_folder(root: Path, folder: Path) -> None:
    """Make a folder below a root, which must be there: made anew, it would hide that its disk is not mounted.

    Raises:
        OSError: The root is missing, or the folder cannot be made.
    """
    if not root.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder; is its disk mounted?", str(root))
    folder.mkdir(parents=True, exist_ok=True)


def move(source: Path, target: Path) -> None:
    """Move a file to a name that the caller has made sure is free, or is the same file after an interrupted move.

    Within a file system this is one step. To another the copy is whole and on the disk before the source goes, so a
    process that is killed leaves both; the next call with the same names finds the copy and removes the source.

    Raises:
        FileExistsError: Something else has the name.
        OSError: It cannot be moved; the source is where it was.
    """
    if os.path.lexists(target):
        if not _same(source, target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.unlink()
        return
    try:
        source.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()


def place(source: Path, root: Path, relative: Path) -> Path:
    """Move a file to its path below a root, or to the next name that is free.

    Raises:
        OSError: It cannot be moved; the source is where it was.
    """
    make_folder(root, (root / relative).parent)
    for target in itertools.islice(names(root / relative), 1000):
        try:
            move(source, target)
        except FileExistsError:
            continue
        return target
    raise FileExistsError(errno.EEXIST, "no name is free", str(root / relative))


def sweep(root: Path, now: float) -> None:
    """Remove what a killed process left beside its targets where the file system has no files without a name.

    Args:
        root: A folder that outputs are written to.
        now: Seconds since the epoch.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.close(os.open(root, os.O_TMPFILE | os.O_WRONLY))
        return
    for path in root.rglob(".censor-*.tmp"):
        try:
            if now - path.lstat().st_mtime > _LEFT_AFTER:
                path.unlink()
        except OSError:  # its writer finished after all, or it is not ours to remove
            continue


def _same(source: Path, target: Path) -> bool:
    return target.is_file() and not target.is_symlink() and filecmp.cmp(source, target, shallow=False)


def _copy(source: Path, target: Path) -> None:
    try:
        with open_upload(source) as stream:
            write_atomic(target, stream, durable=True)
        shutil.copystat(source, target)
    except WriteError as error:
        raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from error
