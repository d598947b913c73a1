"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from detect.folders import PathBeneath, Stamp, opened_folder

__all__ = ["write_whole"]

_KEPT = ("system.posix_acl_access", "system.nfs4_acl", "security.selinux", "security.SMACK64")
"""Extended attributes that say who may do what. All others stay behind: `user.*` may hold a thumbnail or a comment on
the picture that is replaced, `security.ima` a digest of it."""


def write_whole(
    path: str | os.PathLike[str], content: bytes | BinaryIO, *, overwrite: bool = False, durable: bool = False
) -> None:
    """Write a file so that at no moment a part of it stands under its name.

    The bytes go to a file without a name, which then takes the name in one step: a process that is killed half way
    leaves nothing. Where the system has no such files, or one is to be replaced, they go to a temporary file in the
    same folder. Without `overwrite` the step itself fails if the name is taken, so that two writers never take each
    other's output for their own. The folder is held open throughout: all of it happens in the one that was found first.

    Args:
        path: The file to write; of a `PathBeneath`, no link below its root is followed.
        content: Its content, or a file that holds it.
        overwrite: Replace the file if it is there. Owner, group, permissions, access list and security label stay as
            far as the system allows; where the group or the list cannot be kept, the group gets the rights of others.
        durable: Return only when the file would survive a loss of power. What is replaced is always synchronised before
            it is lost, its successor's name only if this is set.

    Raises:
        FileExistsError: The file is there and `overwrite` is false.
        OSError: The folder is missing or may not be written, the disk is full, what is there is not what the path says
            may be replaced …; nothing is left behind.
    """
    with _opened_parent(path) as (folder, name):
        if overwrite or not _write_unnamed(folder, name, content, durable=durable):
            replaces = path.replaces if isinstance(path, PathBeneath) else None
            _write_beside(folder, name, content, overwrite=overwrite, durable=durable, replaces=replaces)
        if durable and folder is not None:
            os.fsync(folder)


@contextlib.contextmanager
def _opened_parent(path: str | os.PathLike[str]) -> Iterator[tuple[int | None, str]]:
    """A folder's descriptor and the name in it; None and the whole path on systems that have no such descriptors."""
    target = Path(path)
    if isinstance(path, PathBeneath):
        with path.opened_parent() as folder:
            yield folder, target.name
    elif os.open not in os.supports_dir_fd:
        yield None, str(target)
    else:
        with opened_folder(target.parent) as folder:
            yield folder, target.name


def _write_unnamed(folder: int | None, name: str, data: bytes | BinaryIO, *, durable: bool) -> bool:
    """Fill a file that has no name, then give it one. False, and nothing done, where that is not possible.

    Source:
        open(2), O_TMPFILE, and its example of linking through /proc, which needs no privilege.
    """
    if folder is None or (unnamed := getattr(os, "O_TMPFILE", None)) is None:
        return False
    try:
        descriptor = os.open(".", unnamed | os.O_WRONLY, 0o666, dir_fd=folder)
    except OSError:
        return False  # a file system without them; or a reason that the other way will report
    with os.fdopen(descriptor, "wb") as stream:
        _fill(stream, data, synchronized=durable)
        try:
            # Naming the folder's descriptor makes this linkat(2), which follows the link in /proc.
            os.link(f"/proc/self/fd/{stream.fileno()}", name, dst_dir_fd=folder)
        except FileExistsError:
            raise
        except OSError:
            return False
    return True


def _write_beside(
    folder: int | None, name: str, data: bytes | BinaryIO, *, overwrite: bool, durable: bool, replaces: Stamp | None
) -> None:
    old = _status(folder, name)
    if old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode)):
        raise OSError("not a regular file")
    temporary = str(Path(name).with_name(f".censor-{secrets.token_hex(8)}.tmp"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    model = old if overwrite and old is not None and stat.S_ISREG(old.st_mode) else None
    try:
        # Nobody else's until it is known whose it is to be.
        descriptor = os.open(temporary, flags, 0o666 if model is None else 0o600, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as stream:
            if model is not None:
                _resemble(stream.fileno(), folder, name, model)
            # What is replaced must not be lost to a crash that the new bytes did not survive.
            _fill(stream, data, synchronized=overwrite or durable)
        if not overwrite:
            _take_name(folder, temporary, name)
            return
        if replaces is not None and ((now := _status(folder, name)) is None or Stamp.of(now) != replaces):
            raise OSError("it was changed or replaced meanwhile")
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _status(folder: int | None, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _resemble(descriptor: int, folder: int | None, name: str, old: os.stat_result) -> None:
    """Let a new file belong to whom the old one belonged, and be open to those whom that was open to, or to fewer."""
    if folder is None:  # Windows: there is nothing to be kept but the mark that it is read-only
        return
    for owner in (old.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, old.st_gid)
            break
    mode = old.st_mode & 0o777
    kept = os.fstat(descriptor).st_gid == old.st_gid
    if not (_copy_attributes(descriptor, f"/proc/self/fd/{folder}/{name}") and kept):
        mode &= 0o707 | (mode & 0o007) << 3  # the group may be another, or what the list gave to a few
    os.fchmod(descriptor, mode)


def _copy_attributes(descriptor: int, source: str) -> bool:
    """Whether the access list was kept: there is none, or the new file has the same."""
    if not hasattr(os, "getxattr"):
        return True
    try:
        there = os.listxattr(source, follow_symlinks=False)
    except OSError as error:
        return error.errno == errno.ENOTSUP  # a file system without them
    kept = True
    for name in _KEPT:
        try:
            if name in there:
                os.setxattr(descriptor, name, os.getxattr(source, name, follow_symlinks=False))
            elif name == "system.posix_acl_access":  # or the folder's default list would give more rights than before
                os.removexattr(descriptor, name)
        except OSError:
            kept = kept and not (name in there and "acl" in name)
    return kept


def _fill(stream: BinaryIO, data: bytes | BinaryIO, *, synchronized: bool) -> None:
    if isinstance(data, bytes):
        stream.write(data)
    else:
        data.seek(0)  # this may be the second way that is tried
        shutil.copyfileobj(data, stream, 1 << 20)
    stream.flush()
    if synchronized:
        os.fsync(stream.fileno())


def _take_name(folder: int | None, temporary: str, name: str) -> None:
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then fill it
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder))
        try:
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(name, dir_fd=folder)
            raise
