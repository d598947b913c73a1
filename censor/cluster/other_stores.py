"""Whatever else fsspec knows by its URL: taken where it creates exclusively, which is tried before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, BinaryIO

from censor.cluster.stores import Entry, changed
from censor.errors import StoreError, WriteError
from detect.errors import LimitError, ReadError

__all__ = ["OtherStore"]

_ETAGS = ("ETag", "etag", "md5Hash", "crc32c", "md5", "mtime", "last_modified", "created")
"""What file systems call what changes with an object, the surest first."""


class OtherStore:
    """What lies below a URL."""

    def __init__(self, url: str) -> None:
        """Nothing is asked of it yet.

        Raises:
            StoreError: fsspec knows no such URLs, or what it needs for them is not installed.
        """
        import fsspec

        self.url = url.rstrip("/")
        try:
            self._fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(f"{url}: {' '.join(str(error).split())}") from error
        self._root = str(root).rstrip("/")

    def entries(self, below: str = "") -> Iterator[Entry]:
        """Every object, a folder at a time."""
        try:
            if below and not self._fs.exists(self._path(below)):
                return
            for folder, _, files in self._fs.walk(self._path(below), detail=True, on_error="raise"):
                for found in files.values():
                    name = found["name"].removeprefix(self._root).lstrip("/")
                    if folder and name:
                        yield Entry(name, _etag(found), found.get("size"))
        except Exception as error:
            raise StoreError(f"{self.url}: cannot be listed: {_reason(error)}") from error

    def entry(self, name: str) -> Entry | None:
        """One object, by what is told of it."""
        try:
            found = self._fs.info(self._path(name))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StoreError(f"{self.url}/{name}: cannot be listed: {_reason(error)}") from error
        return Entry(name, _etag(found), found.get("size")) if found.get("type") != "directory" else None

    def read(self, name: str, *, etag: str | None = None, cap: int | None = None) -> bytes:
        """All bytes of an object, if what is told of it before and after is what the listing told."""
        uri = f"{self.url}/{name}"
        try:
            before = self._fs.info(self._path(name))
            if etag is not None and _etag(before) != etag:
                raise changed(uri)
            if cap is not None and (before.get("size") or 0) > cap:
                raise LimitError(f"{uri}: more than {cap:,} bytes, the cap on a picture's size")
            data = bytes(self._fs.cat_file(self._path(name)))
            if etag is not None and _etag(self._fs.info(self._path(name))) != etag:
                raise changed(uri)
        except FileNotFoundError as error:
            raise changed(uri, vanished=True) from error
        except OSError as error:
            raise ReadError(f"{uri}: cannot be read: {_reason(error)}") from error
        return data

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of an object."""
        try:
            return bytes(self._fs.cat_file(self._path(name), start=0, end=count))
        except FileNotFoundError as error:
            raise changed(f"{self.url}/{name}", vanished=True) from error
        except OSError as error:
            raise ReadError(f"{self.url}/{name}: cannot be read: {_reason(error)}") from error

    def stream(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object, opened."""
        try:
            opened: AbstractContextManager[BinaryIO] = self._fs.open(self._path(name), "rb")
        except Exception as error:
            raise StoreError(f"{self.url}/{name}: cannot be read: {_reason(error)}") from error
        return opened

    def create(self, name: str, data: bytes) -> bool:
        """As the file system creates; those that cannot do so exclusively fail `require_exclusive`."""
        try:
            self._make_way(name)
            self._fs.pipe_file(self._path(name), data, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            raise self._unwritten(name, error) from error
        return True

    def put(self, name: str, data: bytes) -> None:
        """Make an object or replace it."""
        try:
            self._make_way(name)
            self._fs.pipe_file(self._path(name), data)
        except Exception as error:
            raise self._unwritten(name, error) from error

    def remove(self, name: str) -> None:
        """Remove an object, if that is possible."""
        with suppress(Exception):
            self._fs.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _make_way(self, name: str) -> None:
        parent = self._path(name).rpartition("/")[0]
        self._fs.makedirs(parent, exist_ok=True)

    def _unwritten(self, name: str, error: Exception) -> StoreError | WriteError:
        kind = WriteError if isinstance(error, OSError) and not isinstance(error, PermissionError) else StoreError
        return kind(f"{self.url}/{name}: cannot be written: {_reason(error)}")


def _etag(found: dict[str, Any]) -> str | None:
    said = next((found[key] for key in _ETAGS if found.get(key)), None)
    return None if said is None else f"{found.get('size')}-{str(said).strip(chr(34))}"


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
