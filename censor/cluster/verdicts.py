"""What is kept of a shard that is done: one Parquet file, whose being there is what makes it done."""

from __future__ import annotations

import io
import json
import types
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from censor.cluster.names import VERDICTS
from censor.cluster.stores import Store
from censor.records import (
    CensoredAnimationRecord,
    CensoredRecord,
    CheckedAnimationRecord,
    CheckedRecord,
    FailedRecord,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DONE",
    "FAILED",
    "OUTCOMES",
    "PASSED_OVER",
    "Tally",
    "committed",
    "encode_shard",
    "read_shard",
    "schema",
    "verdicts_name",
]

DONE, FAILED, PASSED_OVER = "done", "failed", "passed over"
OUTCOMES = {
    DONE: "judged, and hidden where that was asked for",
    FAILED: "neither output nor verdict; `error` says why",
    PASSED_OVER: "neither a picture nor a film by content or suffix",
}
"""What can become of an object."""

_TALLY = b"censor.tally"
_RECORDS = (CheckedRecord, CensoredRecord, CheckedAnimationRecord, CensoredAnimationRecord, FailedRecord)


@dataclass
class Tally:
    """How many of what.

    Attributes:
        shards: How many are done.
        outcomes: Objects by what became of them.
        levels: Pictures that were done, by their verdict's level; "none" without one.
        errors: Failures by the error's type.
        hidden: Pictures with hidden regions.
        bytes_in: Of what was read.
        bytes_out: Of the outputs.
        seconds: Spent on shards, of each worker.
    """

    shards: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    @property
    def objects(self) -> int:
        """How many there were in all."""
        return self.outcomes.total()

    def add(self, other: Tally) -> None:
        """Count another's too."""
        self.shards += other.shards
        self.outcomes += other.outcomes
        self.levels += other.levels
        self.errors += other.errors
        self.hidden += other.hidden
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.seconds += other.seconds

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "shards": self.shards,
            "outcomes": dict(self.outcomes),
            "levels": dict(self.levels),
            "errors": dict(self.errors),
            "hidden": self.hidden,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def of_dict(cls, said: Mapping[str, Any]) -> Tally:
        """Back from JSON."""
        counted = {name: Counter(said[name]) for name in ("outcomes", "levels", "errors")}
        return cls(**{**said, **counted})

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], seconds: float) -> Tally:
        """Of the rows of one shard."""
        tally = cls(shards=1, seconds=seconds)
        for row in rows:
            tally.outcomes[row["outcome"]] += 1
            tally.bytes_in += row["bytes"] or 0
            tally.bytes_out += row["output_bytes"] or 0
            tally.hidden += bool(row.get("hidden"))
            if row["outcome"] == DONE:
                tally.levels[(row.get("verdict") or {}).get("level") or "none"] += 1
            elif row["outcome"] == FAILED:
                tally.errors[row["error"]["type"]] += 1
        return tally


def verdicts_name(shard: str) -> str:
    """Where a shard's verdicts lie below OUT."""
    return f"{VERDICTS}/{shard}.parquet"


def schema() -> pa.Schema:
    """The columns: first what this package says of an object, then the fields of `censor.records`."""
    import pyarrow as pa

    own = [
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("etag", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("output_bytes", pa.int64()),
        pa.field("content", pa.string()),
        pa.field("looks", pa.string()),
        pa.field("said", pa.string()),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("finished", pa.timestamp("ms", tz="UTC"), nullable=False),
    ]
    fields: dict[str, pa.DataType] = {}
    for record in _RECORDS:
        for name, hint in get_type_hints(record, include_extras=True).items():
            kind = _arrow(hint)
            fields[name] = _both(fields[name], kind) if name in fields else kind
    return pa.schema(
        [pa.field("file", fields.pop("file"), nullable=False), *own, *map(pa.field, fields, fields.values())]
    )


def encode_shard(rows: Sequence[Mapping[str, Any]], tally: Tally) -> bytes:
    """The verdicts of a shard as a Parquet file, and what they come to in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema())
    out = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({_TALLY: json.dumps(tally.to_dict()).encode()}), out, compression="zstd"
    )
    return out.getvalue()


def read_shard(data: bytes) -> tuple[pa.Table, Tally]:
    """The verdicts of a shard, and what they come to."""
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    return table, Tally.of_dict(json.loads(table.schema.metadata[_TALLY]))


def committed(store: Store) -> Iterator[str]:
    """The shards that are done."""
    for entry in store.entries(f"{VERDICTS}/"):
        if entry.name.endswith(".parquet"):
            yield entry.name.rpartition("/")[2].removesuffix(".parquet")


def _arrow(hint: Any) -> pa.DataType:
    import pyarrow as pa

    origin = get_origin(hint)
    if origin is Annotated:
        return _arrow(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        (kind,) = (each for each in get_args(hint) if each is not type(None))
        return _arrow(kind)
    if origin is list:
        return pa.list_(_arrow(get_args(hint)[0]))
    if origin is dict:
        return pa.map_(*map(_arrow, get_args(hint)))
    if is_typeddict(hint):
        return pa.struct([(name, _arrow(each)) for name, each in get_type_hints(hint, include_extras=True).items()])
    return {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}[hint]


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A type that holds what either holds: where two kinds of records have fields of one name, one may say more."""
    import pyarrow as pa

    if pa.types.is_list(one):
        return pa.list_(_both(one.value_type, other.value_type))
    if not pa.types.is_struct(one):
        return one
    fields = {each.name: each.type for each in one}
    for each in other:
        fields[each.name] = _both(fields[each.name], each.type) if each.name in fields else each.type
    return pa.struct(list(fields.items()))
