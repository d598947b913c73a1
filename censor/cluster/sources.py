"""Which pictures are meant by a folder, a bucket, a pattern or a list: one after the other, however many there are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from censor.cluster.names import is_local, is_manifest, output_fault, scheme, split_glob
from censor.cluster.stores import Entry, Folder, Store, open_store
from censor.errors import JobError, StoreError

__all__ = ["MANIFEST", "Listing", "Row", "Source", "Sources", "open_source"]

MANIFEST = "manifest"
"""Stands for the root where a list names pictures anywhere."""


class Row(NamedTuple):
    """One picture that is meant.

    Attributes:
        uri: Where it lies.
        name: What its output is called below OUT.
        etag: What its listing said of its state; None where nobody said.
        size: In bytes; None where nobody said.
        refused: Why it fails before it is read.
    """

    uri: str
    name: str
    etag: str | None
    size: int | None
    refused: str | None = None


class Listing(Protocol):
    """Anything that says which pictures are meant."""

    def rows(self) -> Iterator[Row]:
        """All pictures, as a stream; raises as `Source.rows` does."""
        ...


@dataclass(frozen=True)
class Source:
    """What a user named.

    Attributes:
        root: What outputs' names are relative to; `MANIFEST` for a list.
        uri: As it was named.
        pattern: For a pattern, what names must match.
        one: The name of the one object that is meant.
    """

    root: str
    uri: str
    pattern: str | None = None
    one: str | None = None

    def rows(self) -> Iterator[Row]:
        """All pictures, as a stream.

        Raises:
            JobError: The list cannot be read at all.
            StoreError: There is no such place, or it may not be listed.
        """
        if self.root == MANIFEST:
            yield from map(_listed, _manifest_rows(self.uri))
            return
        store = open_store(self.root)
        wanted = None if self.pattern is None else re.compile(_translated(self.pattern))
        for entry in store.entries() if self.one is None else _only(store, self.one):
            if wanted is None or wanted.fullmatch(entry.name):
                yield _found(store.url, entry)


def open_source(uri: str) -> Source:
    """What a user's IN means; nothing is listed yet.

    Raises:
        StoreError: There is nothing of that name.
    """
    if is_manifest(uri):
        return Source(MANIFEST, uri)
    if is_local(uri):
        path = Path(uri.removeprefix("file://"))
        if path.is_dir():
            return Source(Folder(path).url, uri)
        if path.exists():
            return Source(Folder(path.parent).url, uri, one=path.name)
    root, pattern = split_glob(uri)
    if pattern is not None:
        return Source(open_store(root).url, uri, pattern=pattern)
    if is_local(uri):
        raise StoreError(f"{uri}: no such file or folder")
    store = open_store(uri)
    if next(store.entries(), None) is not None:
        return Source(store.url, uri)
    parent, _, name = uri.rpartition("/")
    if not parent.endswith("/") and name and open_store(parent).entry(name) is not None:
        return Source(open_store(parent).url, uri, one=name)
    raise StoreError(f"{uri}: holds no objects")


class Sources:
    """Reads pictures by their URIs; one for all threads of a worker."""

    def __init__(self, root: str) -> None:
        self._root = None if root == MANIFEST else open_store(root)
        self._buckets: dict[str, Store] = {}

    def place(self, uri: str) -> tuple[Store, str]:
        """The store that a picture lies in, and its name there.

        Raises:
            StoreError: There can be no such place.
        """
        if self._root is not None and uri.startswith(f"{self._root.url}/"):
            return self._root, uri[len(self._root.url) + 1 :]
        if is_local(uri):
            path = PurePosixPath(uri.removeprefix("file://"))
            return Folder(Path(path.parent)), path.name
        kind, _, rest = uri.partition("://")
        top, _, name = rest.partition("/")
        url = f"{kind}://{top}"
        if url not in self._buckets:
            self._buckets[url] = open_store(url)
        return self._buckets[url], name


def _found(root: str, entry: Entry) -> Row:
    uri = f"{root}/{entry.name}"
    try:
        uri.encode()
    except UnicodeEncodeError:
        legible, name = (each.encode("utf-8", "backslashreplace").decode() for each in (uri, entry.name))
        return Row(legible, name, entry.etag, entry.size, f"{legible}: its name is no text in UTF-8; rename it")
    fault = entry.fault or output_fault(entry.name)
    return Row(uri, entry.name, entry.etag, entry.size, None if fault is None else f"{uri}: {fault}")


def _only(store: Store, name: str) -> Iterator[Entry]:
    if (entry := store.entry(name)) is not None:
        yield entry


def _translated(pattern: str) -> str:
    """A regular expression: ``*`` and ``?`` stop at slashes, ``**`` does not."""
    from fsspec.utils import glob_translate

    return str(glob_translate(pattern))


def _listed(given: tuple[str, dict[str, Any] | None]) -> Row:
    """A row of a list; what cannot be made out fails under the name of its place in the list."""
    place, fields = given
    uri = (fields or {}).get("uri")
    if fields is None or not isinstance(uri, str) or not uri:
        return Row(place, place, None, None, f"{place}: the row cannot be read: it needs a `uri`")
    etag, size = fields.get("etag") or None, fields.get("bytes")
    try:
        uri.encode()
        number = None if size in (None, "") else int(size)
    except (ValueError, TypeError):
        return Row(place, place, None, None, f"{place}: the row cannot be read: `uri` is no text, or `bytes` no number")
    if is_local(uri):
        path = uri.removeprefix("file://")
        name, fault = f"file{path}", None if path.startswith("/") else "must be a URL or an absolute path"
    else:
        name, fault = f"{scheme(uri)}/{uri.partition('://')[2]}", None
    etag = None if etag is None else str(etag).strip('"')
    fault = fault or output_fault(name)
    return Row(uri, name, etag, number, None if fault is None else f"{uri}: {fault}")


def _manifest_rows(uri: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each row of a list, and what it is called; None for one that cannot be read."""
    parent, _, name = uri.rpartition("/")
    store = open_store(parent or ("/" if uri.startswith("/") else "."))
    with store.stream(name) as stream:
        rows = _parquet_rows(stream, uri) if uri.lower().endswith(".parquet") else _csv_rows(stream, uri)
        for number, fields in enumerate(rows, 1):
            yield f"{uri}#{number}", fields


def _parquet_rows(stream: Any, uri: str) -> Iterator[dict[str, Any] | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        columns = _columns(file.schema_arrow.names, uri)
        for batch in file.iter_batches(batch_size=10_000, columns=columns):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise JobError(f"{uri}: the list cannot be read: {' '.join(str(error).split())}") from error


def _csv_rows(stream: Any, uri: str) -> Iterator[dict[str, Any] | None]:
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text)
        try:
            header = next(reader)
        except (StopIteration, csv.Error):
            header = []
        _columns(header, uri)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield None
                continue
            if row:
                yield dict(zip(header, row, strict=True)) if len(row) == len(header) else None


def _columns(names: Iterable[str], uri: str) -> list[str]:
    there = [name for name in ("uri", "etag", "bytes") if name in names]
    if "uri" not in there:
        raise JobError(f"{uri}: the list needs a column `uri`, and may have `etag` and `bytes`")
    return there
