"""Where pictures lie and outputs go: folders, S3, and whatever else fsspec knows that creates exclusively."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from censor.cluster.names import KEPT, is_local, scheme
from censor.errors import ChangedObjectError, OutputExistsError, StoreError, WriteError
from detect.errors import LimitError, ReadError
from detect.folders import PathBeneath, open_file, walk

__all__ = ["Entry", "Folder", "Store", "changed", "open_store", "require_exclusive"]


class Entry(NamedTuple):
    """What a listing says of one object.

    Attributes:
        name: Below the store's root.
        etag: Changes when the object does; None where nobody says.
        size: In bytes; None where nobody says.
        fault: Why it cannot even be read.
    """

    name: str
    etag: str | None
    size: int | None
    fault: str | None = None


class Store(Protocol):
    """Objects below one root. Every method may be called from several threads.

    Attributes:
        url: The root, without a slash at its end.
    """

    url: str

    def entries(self, below: str = "") -> Iterator[Entry]:
        """All objects below a name, as a stream: ten millions of them take no more memory than a page.

        Raises:
            StoreError: There is no such place, or it may not be listed.
        """
        ...

    def entry(self, name: str) -> Entry | None:
        """One object, without a listing; None where there is none.

        Raises:
            StoreError: Nobody may ask.
        """
        ...

    def read(self, name: str, *, etag: str | None = None, cap: int | None = None) -> bytes:
        """All bytes of an object.

        Args:
            name: Below the root.
            etag: What the listing said; None for whatever is there now.
            cap: Refuse more bytes than these before reading them.

        Raises:
            ChangedObjectError: It is not there, or is another than was listed.
            LimitError: It has more bytes.
            ReadError: It may not be read, or cannot.
        """
        ...

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of an object; raises as `read` does."""
        ...

    def stream(self, name: str) -> AbstractContextManager[BinaryIO]:
        """An object to be read in pieces, and in any order.

        Raises:
            StoreError: It is not there, or may not be read.
        """
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Make an object, whole and at once, where there is none.

        Returns:
            False where there is one of that name: it is left alone, whoever made it.

        Raises:
            WriteError: This name cannot be written.
            StoreError: Nothing can be written here.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Make an object or replace it; raises as `create` does."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if that is possible: nothing depends on it."""
        ...


def open_store(uri: str) -> Store:
    """The store whose root is a folder, or a URL.

    Raises:
        StoreError: fsspec knows no such URLs, or what it needs for them is not installed.
    """
    if is_local(uri):
        return Folder(Path(uri.removeprefix("file://")))
    if scheme(uri) in ("s3", "s3a"):
        from censor.cluster.s3 import Bucket

        return Bucket(uri)
    from censor.cluster.other_stores import OtherStore

    return OtherStore(uri)


def require_exclusive(store: Store) -> None:
    """Make sure that of two who create an object under one name only one succeeds: everything rests on that.

    Raises:
        StoreError: The store takes the second for good as well, or may not be written.
        WriteError: As `Store.create` says.
    """
    token = secrets.token_hex(8)
    name, loud = f"{KEPT}/probe-{token}", f"{KEPT}/PROBE-{token}"
    try:
        store.create(name, b"1")
        second = store.create(name, b"2")
        store.create(loud, b"3")
        # What create says of the others counts for nothing: a request whose answer was lost is sent again, and then
        # finds its own object.
        first, spelled = _holds(store, name, b"1"), _holds(store, loud, b"3")
    finally:
        store.remove(name)
        store.remove(loud)
    if not first or second:
        raise StoreError(
            f"{store.url}: creates an object although there is one of that name, so that two workers could not be "
            "told apart; name a disk, S3, or another store that creates exclusively"
        )
    if not spelled:
        raise StoreError(f"{store.url}: takes A.jpg and a.jpg for one name, so that two pictures could be one output")


def _holds(store: Store, name: str, data: bytes) -> bool:
    try:
        return store.read(name) == data
    except ChangedObjectError:
        return False


class Folder:
    """A folder of this machine, or of a disk that all machines share. Below it no link is followed."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100  # links on the way stay as they were named
        self.url = str(self._root)

    def entries(self, below: str = "") -> Iterator[Entry]:
        """All files below a folder; what is a link, or no file, or unreadable, says so."""
        if not self._root.is_dir():
            raise StoreError(f"{self._root}: no such folder")
        if not (top := self._root / below).is_dir():
            return
        faults: list[Entry] = []

        def unreadable(folder: Path, error: OSError) -> None:
            named = str(Path(below) / folder)
            faults.append(Entry(named, None, None, f"cannot be read: {error.strerror or error}"))

        for relative, status in walk(top, enter=lambda *_: True, unreadable=unreadable):
            yield from _drained(faults)
            name = str(Path(below) / relative)
            if not stat.S_ISREG(status.st_mode):
                kind = "a link, which is not followed" if stat.S_ISLNK(status.st_mode) else "not a regular file"
                yield Entry(name, None, None, f"cannot be read: {kind}")
            else:
                yield Entry(name, _stamped(status), status.st_size)
        yield from _drained(faults)

    def read(self, name: str, *, etag: str | None = None, cap: int | None = None) -> bytes:
        """All bytes of a file, unless it changes meanwhile."""
        path = PathBeneath(self._root, Path(name))
        try:
            with open_file(path) as stream:
                before = os.fstat(stream.fileno())
                if etag is not None and _stamped(before) != etag:
                    raise changed(str(path))
                if cap is not None and before.st_size > cap:
                    raise LimitError(f"{path}: more than {cap:,} bytes, the cap on a picture's size")
                data = stream.read()
                if _stamped(os.fstat(stream.fileno())) != _stamped(before):
                    raise changed(str(path))
        except FileNotFoundError as error:
            raise changed(str(path), vanished=True) from error
        except (OSError, ValueError) as error:
            raise ReadError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        return data

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of a file."""
        path = PathBeneath(self._root, Path(name))
        try:
            with open_file(path) as stream:
                return stream.read(count)
        except FileNotFoundError as error:
            raise changed(str(path), vanished=True) from error
        except (OSError, ValueError) as error:
            raise ReadError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def stream(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The file, opened."""
        try:
            return open_file(self._root / name)
        except OSError as error:
            raise StoreError(f"{self._root / name}: cannot be read: {error.strerror or error}") from error

    def entry(self, name: str) -> Entry | None:
        """One file; a link is none."""
        try:
            status = PathBeneath(self._root, Path(name)).lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return Entry(name, None, None, f"cannot be read: {error.strerror or error}")
        if not stat.S_ISREG(status.st_mode):
            return Entry(name, None, None, "cannot be read: a link, or not a regular file")
        return Entry(name, _stamped(status), status.st_size)

    def create(self, name: str, data: bytes) -> bool:
        """Make a file that would survive a loss of power."""
        from censor.media.writing import write_atomic

        path = PathBeneath(self._root, Path(name))
        try:
            self._make_way(path)
            write_atomic(path, data, durable=True)
        except OutputExistsError:
            return False
        except (OSError, WriteError) as error:
            raise _unwritten(str(path), self.url, error) from error
        return True

    def put(self, name: str, data: bytes) -> None:
        """Make a file or replace it."""
        from censor.media.writing import write_atomic

        path = PathBeneath(self._root, Path(name))
        try:
            self._make_way(path)
            write_atomic(path, data, overwrite=True)
        except (OSError, WriteError) as error:
            raise _unwritten(str(path), self.url, error) from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(OSError):
            PathBeneath(self._root, Path(name)).unlink()

    def _make_way(self, path: PathBeneath) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with path.opened_parent(make=True):
            pass


def changed(uri: str, *, vanished: bool = False) -> ChangedObjectError:
    """What is said of an object that is not what was listed."""
    what = "it vanished" if vanished else "it was replaced or changed"
    return ChangedObjectError(f"{uri}: {what} after it was listed; run the command again when it is done")


def _drained(faults: list[Entry]) -> Iterator[Entry]:
    while faults:
        yield faults.pop()


def _stamped(status: os.stat_result) -> str:
    return f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"


_THE_NAME = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP)
"""What says that one name is wrong, and not that nothing can be written."""


def _unwritten(path: str, url: str, error: Exception) -> StoreError | WriteError:
    cause = error.__cause__ if isinstance(error, WriteError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if number in _THE_NAME:
        return WriteError(f"{path}: cannot be written: {getattr(cause, 'strerror', None) or cause}")
    return StoreError(f"{url}: cannot be written: {getattr(cause, 'strerror', None) or cause}")
