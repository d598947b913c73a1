from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from censor.cluster.names import VERDICTS
from censor.cluster.verdicts import OUTCOMES, Tally, encode_shard, read_shard, schema, verdicts_name
from censor.records import CensoredAnimationRecord, CensoredRecord, CheckedAnimationRecord, CheckedRecord, FailedRecord

PAGE = (Path(__file__).parent.parent.parent / "docs" / "cluster.md").read_text("utf-8")
ROW: dict[str, Any] = {"file": "/in/a.png", "outcome": "done", "etag": "e", "bytes": 10, "output_bytes": 7,
                       "shard": "s", "finished": 0, "hidden": [{"label": "X", "score": 0.5}],
                       "verdict": {"level": "nsfw"}, "classifiers": {"a": 0.5}}  # fmt: skip


def test_the_columns_are_the_fields_of_the_records() -> None:
    names = set(schema().names)
    for record in (CheckedRecord, CensoredRecord, CheckedAnimationRecord, CensoredAnimationRecord, FailedRecord):
        assert set(record.__annotations__) <= names
    hidden = schema().field("hidden").type.value_type
    assert {"label", "start", "end"} <= {each.name for each in hidden}  # of a still, and of what moves


def test_the_page_names_every_column_and_every_outcome() -> None:
    section = PAGE[PAGE.index("## Verdicts") :]
    for name in (*schema().names, *OUTCOMES):
        assert f"`{name}`" in section
    columns = dict(re.findall(r"^\| `(\w+)` \| (\w+)", section, re.MULTILINE))
    for name, kind in columns.items():
        assert str(schema().field(name).type).startswith(kind)


def test_a_shard_comes_back_as_it_was() -> None:
    tally = Tally.of_rows([ROW], 1.5)
    table, again = read_shard(encode_shard([ROW], tally))
    assert again == tally
    (row,) = table.to_pylist()
    assert (row["file"], row["bytes"], row["verdict"]["level"]) == ("/in/a.png", 10, "nsfw")
    assert row["classifiers"] == [("a", 0.5)]
    assert row["error"] is None
    assert table.schema.field("finished").type == pa.timestamp("ms", tz="UTC")
    assert verdicts_name("s") == f"{VERDICTS}/s.parquet"


def test_a_tally_adds_up() -> None:
    failed = {**ROW, "outcome": "failed", "error": {"type": "ReadError"}, "verdict": None, "hidden": None}
    tally = Tally.of_rows([ROW, failed], 1.0)
    tally.add(Tally.of_rows([{**ROW, "outcome": "passed over", "hidden": []}], 2.0))
    assert tally.objects == 3
    assert (tally.shards, tally.hidden, tally.seconds) == (2, 1, 3.0)
    assert dict(tally.errors) == {"ReadError": 1}
    assert dict(tally.levels) == {"nsfw": 1}
    assert Tally.of_dict(tally.to_dict()) == tally


def test_a_picture_without_a_verdict_is_not_safe() -> None:
    assert dict(Tally.of_rows([{**ROW, "verdict": None}], 0.0).levels) == {"none": 1}
