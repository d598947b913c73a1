"""Where files go: names that are free, folders that mirror the inbox, and moves that lose and overwrite nothing."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from censor.errors import WriteError
from censor.media.writing import write_atomic
from detect.errors import ReadError
from detect.folders import PathBeneath, Stamp, open_file, walk

__all__ = ["is_for_good", "make_folder", "move", "move_to_free_name", "names", "sweep"]

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


def make_folder(path: PathBeneath) -> None:
    """Make the folder of a path below its root, which must be there: made anew, it would hide an unmounted disk.

    Raises:
        OSError: The root is missing, or the folder cannot be made, or a link is in its place.
    """
    if not path.root.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder; is its disk mounted?", str(path.root))
    with path.opened_parent(make=True):
        pass


def move(source: PathBeneath, target: PathBeneath) -> None:
    """Move a file to a name that the caller has made sure is free, or is the same file after an interrupted move.

    Within a file system this is one step. To another the copy is whole and on the disk before the source goes, so a
    process that is killed leaves both; the next call with the same names finds the copy and removes the source.

    Raises:
        FileExistsError: Something else has the name.
        OSError: It cannot be moved, or another has taken its name meanwhile; what is there is where it was.
        ReadError: It is to go to another file system, and is no regular file.
    """
    old, new = source.relative.name, target.relative.name
    with source.opened_parent() as here, target.opened_parent() as there:
        stamp = Stamp.of(os.stat(old, dir_fd=here, follow_symlinks=False))
        if target.exists():
            if not _same(source, target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            os.unlink(old, dir_fd=here)
            return
        try:
            os.rename(old, new, src_dir_fd=here, dst_dir_fd=there)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(source, target, stamp)
            os.unlink(old, dir_fd=here)
            return
        if Stamp.of(os.stat(new, dir_fd=there, follow_symlinks=False)) != stamp:
            os.rename(new, old, src_dir_fd=there, dst_dir_fd=here)
            raise OSError(errno.ESTALE, "another file has taken its name", str(source))
        os.fsync(there)


def move_to_free_name(source: PathBeneath, root: Path, relative: Path) -> PathBeneath:
    """Move a file to its path below a root, or to the next name that is free.

    Raises:
        OSError: It cannot be moved; the source is where it was.
    """
    make_folder(PathBeneath(root, relative))
    for free in itertools.islice(names(relative), 1000):
        target = PathBeneath(root, free)
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
    for relative, status in walk(root, enter=lambda *_: True, unreadable=lambda *_: None):
        is_ours = relative.name.startswith(".censor-") and relative.suffix == ".tmp"
        if is_ours and now - status.st_mtime > _LEFT_AFTER:
            with contextlib.suppress(OSError):  # its writer finished after all, or it is not ours to remove
                PathBeneath(root, relative).unlink()


def _same(source: PathBeneath, target: PathBeneath) -> bool:
    """Whether both are regular files of the same content."""
    with contextlib.suppress(ReadError), open_file(source) as one, open_file(target) as other:
        if os.fstat(one.fileno()).st_size != os.fstat(other.fileno()).st_size:
            return False
        return all(left == right for left, right in zip(_parts(one), _parts(other), strict=True))
    return False


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    while part := stream.read(1 << 20):
        yield part


def _copy(source: PathBeneath, target: PathBeneath, stamp: Stamp) -> None:
    try:
        with open_file(source) as stream:
            status = os.fstat(stream.fileno())
            if Stamp.of(status) != stamp:
                raise OSError(errno.ESTALE, "another file has taken its name", str(source))
            write_atomic(target, stream, durable=True)
        with open_file(target) as copy:
            os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    except WriteError as error:
        raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from error
