"""Files below a folder that is trusted, where others may write: reached step by step, so that no link is followed.

A path that is looked at and then opened may lead elsewhere by then: whoever may rename in a folder on the way can put a
link in its place. A folder that is held open stays the one it was, so each step is taken from the last descriptor.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from detect.errors import ReadError

__all__ = ["PathBeneath", "Stamp", "open_file", "opened_folder", "walk"]

_DEEPEST = 256
"""Folders in folders. Each is opened from the one above, so depth costs time, and no collection is as deep."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What changes when a file does, or when another takes its name."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Of a file's status."""
        return cls(device=status.st_dev, inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)


@dataclass(frozen=True)
class PathBeneath(os.PathLike[str]):
    """A path of which only the first part is trusted; `open_file` and `detect.atomic` follow no link in the rest.

    Attributes:
        root: A folder that was named by whoever runs the program; links on the way to it are followed.
        relative: What lies below it.
        replaces: What alone may be overwritten there; None for anything.
    """

    root: Path
    relative: Path
    replaces: Stamp | None = None

    def __fspath__(self) -> str:
        """For messages, and for its suffix."""
        return str(self.root / self.relative)

    def __str__(self) -> str:
        """As it would be typed."""
        return str(self.root / self.relative)

    @contextmanager
    def opened_parent(self, *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder that it is in, as `opened_folder` opens it."""
        if self.relative.name == "":
            raise _odd(errno.EINVAL, "no file name", self.relative)
        with opened_folder(self.root, self.relative.parent, make=make) as folder:
            yield folder

    def lstat(self) -> os.stat_result:
        """Its status, no link followed.

        Raises:
            OSError: It is not there, or a folder on the way is none.
        """
        with self.opened_parent() as folder:
            return os.stat(self.relative.name, dir_fd=folder, follow_symlinks=False)

    def exists(self) -> bool:
        """Whether there is anything of that name, be it a link that leads nowhere.

        Raises:
            OSError: That cannot be told: a folder on the way is none, or cannot be searched.
        """
        try:
            self.lstat()
        except FileNotFoundError:
            return False
        return True

    def unlink(self) -> None:
        """Remove it.

        Raises:
            OSError: It cannot be removed.
        """
        with self.opened_parent() as folder:
            os.unlink(self.relative.name, dir_fd=folder)


@contextmanager
def opened_folder(root: Path, relative: Path = Path(), *, make: bool = False) -> Iterator[int]:
    """Open a folder below another, one step at a time.

    Args:
        root: Where trust ends; it must be there, and links on the way to it are followed.
        relative: The way from there.
        make: Make the folders that are missing below the root.

    Yields:
        A descriptor, open for as long as the context is.

    Raises:
        OSError: A folder is missing, may not be entered, or is a link or a file; or the way leads upwards.
    """
    if relative.is_absolute() or ".." in relative.parts:
        raise _odd(errno.EINVAL, "the path leads out of its folder", relative)
    if len(relative.parts) > _DEEPEST:
        raise _odd(errno.ENAMETOOLONG, f"more than {_DEEPEST} folders deep", relative)
    descriptor = _open_directory(root, None, 0)
    try:
        for name in relative.parts:
            below = _enter(descriptor, name, make=make)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(folder: int, name: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    try:
        return _open_directory(name, folder, os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise _odd(errno.ENOTDIR, "a link or a file where a folder is expected", Path(name)) from error


def _open_directory(name: str | Path, folder: int | None, flags: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=folder)
    except PermissionError:  # a folder may be passed through by those who may not list it
        if not hasattr(os, "O_PATH"):
            raise
        return os.open(name, os.O_PATH | os.O_DIRECTORY | flags, dir_fd=folder)


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file for reading; below a root neither a link is followed nor a pipe waited for.

    Raises:
        ReadError: Below a root: it is a link, or not a regular file.
        OSError: It cannot be opened.
    """
    if not isinstance(path, PathBeneath):
        return Path(path).open("rb")
    name = path.relative.name
    with path.opened_parent() as folder:
        # Opening a device can do something; a pipe would wait for its writer.
        _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            stream = open(str(path), "rb", opener=lambda *_: os.open(name, flags, dir_fd=folder))  # noqa: SIM115
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ReadError(f"{path}: cannot be read: a link, which is not followed") from error
    try:
        _require_regular(os.fstat(stream.fileno()), path)
    except ReadError:
        stream.close()
        raise
    return stream


def _require_regular(status: os.stat_result, path: PathBeneath) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ReadError(f"{path}: cannot be read: a link, which is not followed")
    if not stat.S_ISREG(status.st_mode):
        raise ReadError(f"{path}: cannot be read: not a regular file")


def walk(
    root: Path,
    *,
    enter: Callable[[Path, os.stat_result], bool],
    unreadable: Callable[[Path, OSError], None],
) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below a folder that is no folder, links too; none is followed.

    Args:
        root: Where to begin.
        enter: Asked of each folder, with its path below the root and its status.
        unreadable: Told of each folder that cannot be read, the root too, as the path below it.

    Yields:
        Path below the root, and status; a folder's files in order of name, then those of the folders in it.
    """
    waiting = [Path()]
    while waiting:
        folder = waiting.pop()
        try:
            found = _entries(root, folder)
        except OSError as error:
            unreadable(folder, error)
            continue
        below = []
        for name, status in found:
            if not stat.S_ISDIR(status.st_mode):
                yield folder / name, status
            elif enter(folder / name, status):
                below.append(folder / name)
        waiting += reversed(below)


def _entries(root: Path, folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    try:
        with opened_folder(root, folder) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # gone since: renamed by its writer, or claimed by another watcher
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        raise _odd(errno.EACCES, os.strerror(errno.EACCES), folder) from error  # it may only be passed through
    return sorted(found, key=lambda each: each[0])


def _odd(number: int, what: str, path: Path) -> OSError:
    return OSError(number, what, str(path))
