"""The plan: every picture once, in shards, as Parquet files that workers read their part of.

Rows stream from the listing to files on disk, by a hash of the URI, so that each file can be looked through for
doubles alone, and memory does not grow with the number of pictures.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from censor.cluster.names import PLANS
from censor.cluster.sources import Row
from censor.cluster.stores import Store
from censor.cluster.verdicts import DONE, FAILED, committed, read_shard, verdicts_name
from censor.errors import JobError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Planned", "Shard", "make_plan", "plans", "read_rows", "shard_id", "shards_of"]

_FEW = 100_000
"""Rows up to which all are looked through at once."""

_FILES = 64
"""For more than those."""

_SHARDS_A_FILE = 256


class Shard(NamedTuple):
    """Some pictures that are worked on by one worker and are done together.

    Attributes:
        shard: Its hash.
        part: The plan's file that has its rows.
        group: Which row group of that.
        pictures: How many.
        bytes: As the listing says.
    """

    shard: str
    part: str
    group: int
    pictures: int
    bytes: int


class Planned(NamedTuple):
    """What came of planning.

    Attributes:
        plan: The new plan's name; None where there is nothing new.
        pictures: How many it has.
        shards: In so many shards.
        doubles: Rows that named a picture once more.
    """

    plan: str | None
    pictures: int
    shards: int
    doubles: int


def make_plan(rows: Iterable[Row], store: Store, key: str, *, size: int, hiding: bool, retry: bool = False) -> Planned:
    """Plan what is not planned yet. Where another driver plans at the same time, one plan holds, and both go by it.

    Args:
        rows: All pictures that there are now.
        store: OUT; all that was planned before is done.
        key: The job's.
        size: Pictures in a shard.
        hiding: Outputs are written, so that a picture that changed since has one already.
        retry: Pictures that failed before are planned again.

    Raises:
        JobError: There is no picture at all, now or before.
        StoreError: The plan cannot be written.
    """
    number = sum(1 for _ in plans(store)) + 1
    count = _Count()
    with tempfile.TemporaryDirectory(prefix="censor-plan-") as folder:
        spill = _Spill(Path(folder))
        for row in rows:
            spill.add(row, earlier=False)
        if not spill.rows and number == 1:
            raise JobError("the input has no pictures, and nothing else")
        for row, done in _before(store, retry=retry) if number > 1 else ():
            spill.add(row, earlier=True, done=done)
        fresh = (row for rows_ in spill.files() for row in _fresh(rows_, hiding=hiding, count=count))
        shards = list(_written(fresh, store, key, f"{PLANS}/parts/{number:06}", size))
    if not shards:
        return Planned(None, 0, 0, count.doubles)
    name = f"{PLANS}/{number:06}.parquet"
    store.create(name, _index(shards))
    there = list(shards_of(store, name))  # another driver's, if that was the first
    return Planned(name, sum(each.pictures for each in there), len(there), count.doubles)


def plans(store: Store) -> Iterator[str]:
    """The plans there are, in their order."""
    yield from sorted(each.name for each in store.entries(f"{PLANS}/") if _is_plan(each.name))


def _is_plan(name: str) -> bool:
    return name.endswith(".parquet") and name.count("/") == PLANS.count("/") + 1


def shards_of(store: Store, plan: str) -> Iterator[Shard]:
    """The shards of a plan, done or not."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(store.read(plan)))
    for batch in file.iter_batches(batch_size=1024):
        yield from (Shard(**each) for each in batch.to_pylist())


def read_rows(part: bytes, group: int) -> list[Row]:
    """The pictures of a shard, from the plan's file that has them."""
    import pyarrow.parquet as pq

    return [Row(**each) for each in pq.ParquetFile(io.BytesIO(part)).read_row_group(group).to_pylist()]


def shard_id(key: str, part: str, rows: Sequence[Row]) -> str:
    """The hash of a job's key, of which plan a shard is in, and of which pictures it has, in which state.

    Pictures that have all failed together are planned again in a later plan, where they are another shard: else they
    would be done already.

    Args:
        key: The job's.
        part: The plan's file that has them.
        rows: The pictures.
    """
    plan = PurePosixPath(part).name.partition("-")[0]
    digest = hashlib.sha256(f"{key}\0{plan}\0".encode())
    for row in sorted(rows):
        for value in row:
            digest.update(repr(value).encode() + b"\0")
    return digest.hexdigest()[:32]


class _Count:
    doubles = 0


class _Spill:
    """Rows on disk, in files by the hash of their URI; one file where they are few."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._few: list[dict[str, object]] = []
        self._writers: list[tuple[pa.RecordBatchFileWriter, list[dict[str, object]]]] = []
        self.rows = 0

    def add(self, row: Row, *, earlier: bool, done: bool = False) -> None:
        """One more: one that is there now, or one that was planned before."""
        self.rows += not earlier
        said = {**row._asdict(), "earlier": earlier, "done": done}
        if self._writers:
            self._write(said)
            return
        self._few.append(said)
        if len(self._few) > _FEW:
            self._begin()

    def files(self) -> Iterator[list[dict[str, object]]]:
        """All rows, file by file; no URI is in two."""
        import pyarrow as pa

        if not self._writers:
            yield self._few
            return
        for number, (writer, waiting) in enumerate(self._writers):
            self._flush(writer, waiting)
            writer.close()
            with pa.OSFile(str(self._path(number))) as source:
                rows: list[dict[str, object]] = pa.ipc.open_file(source).read_all().to_pylist()
            self._path(number).unlink()
            yield rows

    def _begin(self) -> None:
        import pyarrow as pa

        self._writers = [(pa.ipc.new_file(str(self._path(number)), _spilled()), []) for number in range(_FILES)]
        few, self._few = self._few, []
        for said in few:
            self._write(said)

    def _write(self, said: dict[str, object]) -> None:
        number = hashlib.blake2b(str(said["uri"]).encode(), digest_size=2).digest()
        writer, waiting = self._writers[int.from_bytes(number, "big") % _FILES]
        waiting.append(said)
        if len(waiting) >= 1000:
            self._flush(writer, waiting)

    def _flush(self, writer: pa.RecordBatchFileWriter, waiting: list[dict[str, object]]) -> None:
        import pyarrow as pa

        if waiting:
            writer.write_table(pa.Table.from_pylist(waiting, schema=_spilled()))
            waiting.clear()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:03}.arrow"


def _fresh(rows: list[dict[str, object]], *, hiding: bool, count: _Count) -> Iterator[Row]:
    """Of rows no two of which are in different lists, those that are to be worked on, in order."""
    planned = {(said["uri"], said["etag"]) for said in rows if said["earlier"]}
    written = {said["uri"] for said in rows if said["earlier"] and said["done"]} if hiding else set()
    seen: set[object] = set()
    for said in rows:
        if said["earlier"]:
            continue
        row = Row(**{name: said[name] for name in Row._fields})  # type: ignore[arg-type]  # as they were added
        if (row.uri, row.etag) in planned:
            count.doubles += (row.uri, row.etag) in seen
        elif hiding and row.uri in written and row.refused is None:
            why = f"{row.uri}: another picture than the one whose output is there already; name another OUT for it"
            yield row._replace(refused=why)
        else:
            yield row
        planned.add((row.uri, row.etag))
        seen.add((row.uri, row.etag))
        written.add(row.uri)


def _before(store: Store, *, retry: bool) -> Iterator[tuple[Row, bool]]:
    """What was worked on before, and whether it was done. Where failures are tried again they are no longer planned."""
    for shard in committed(store):
        table, _ = read_shard(store.read(verdicts_name(shard)))
        for each in table.select(["file", "etag", "outcome"]).to_pylist():
            if not (retry and each["outcome"] == FAILED):
                yield Row(each["file"], "", each["etag"], None), each["outcome"] == DONE


def _written(rows: Iterable[Row], store: Store, key: str, prefix: str, size: int) -> Iterator[Shard]:
    """Write rows as files with a row group a shard."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[list[Row]] = []

    def flush() -> Iterator[Shard]:
        out = io.BytesIO()
        with pq.ParquetWriter(out, _planned(), compression="zstd") as writer:
            for shard in waiting:
                writer.write_table(pa.Table.from_pylist([row._asdict() for row in shard], schema=_planned()))
        name = f"{prefix}-{hashlib.sha256(out.getvalue()).hexdigest()[:16]}.parquet"
        store.create(name, out.getvalue())
        for group, shard in enumerate(waiting):
            yield Shard(shard_id(key, name, shard), name, group, len(shard), sum(row.size or 0 for row in shard))
        waiting.clear()

    for shard in _chunks(rows, size):
        waiting.append(shard)
        if len(waiting) == _SHARDS_A_FILE:
            yield from flush()
    if waiting:
        yield from flush()


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _index(shards: Sequence[Shard]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([shard._asdict() for shard in shards]), out, compression="zstd")
    return out.getvalue()


def _planned() -> pa.Schema:
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("uri", "name", "etag")]
    return pa.schema([*texts, pa.field("size", pa.int64()), pa.field("refused", pa.string())])


def _spilled() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([*_planned(), pa.field("earlier", pa.bool_()), pa.field("done", pa.bool_())])
