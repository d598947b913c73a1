from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs import folder_of, picture

from censor.cluster.sources import MANIFEST, Row, Sources, open_source
from censor.cluster.stores import open_store
from censor.errors import JobError, StoreError

Place = Callable[[str], str]


def names(uri: str) -> list[str]:
    return sorted(row.name for row in open_source(uri).rows() if row.refused is None)


def test_a_folder_a_pattern_and_a_file(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=3)
    assert names(str(source)) == ["000.png", "002.png", "below/001.png"]
    assert names(f"file://{source}") == names(str(source))
    assert names(f"{source}/*.png") == ["000.png", "002.png"]
    assert names(f"{source}/**/*.png") == ["000.png", "002.png", "below/001.png"]
    assert names(f"{source}/be*/?01.png") == ["below/001.png"]
    assert names(f"{source}/000.png") == ["000.png"]
    (row,) = open_source(f"{source}/000.png").rows()
    assert row.size == (source / "000.png").stat().st_size


def test_a_folder_named_like_a_pattern_is_a_folder(tmp_path: Path) -> None:
    assert names(str(folder_of(tmp_path / "in[1]", pictures=1))) == ["000.png"]


def test_a_prefix_a_pattern_and_an_object(s3: Place) -> None:
    place = s3("in")
    store = open_store(place)
    for name in ("a.png", "below/b.png", "c.jpg", "folder/"):
        store.create(name, b"" if name.endswith("/") else picture(1))
    open_store(f"{place}more").create("x.png", b"1")
    assert names(place) == ["a.png", "below/b.png", "c.jpg"]
    assert names(f"{place}/") == names(place)
    assert names(f"{place}/*.png") == ["a.png"]
    assert names(f"{place}/a.png") == ["a.png"]
    (row,) = open_source(f"{place}/a.png").rows()
    assert row == Row(f"{place}/a.png", "a.png", row.etag, len(picture(1)))


def test_a_listing_of_several_pages_is_whole(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(s3("in"))
    for number in range(5):
        store.create(f"{number}.png", b"1")
    call = store._fs.call_s3  # type: ignore[attr-defined]
    monkeypatch.setattr(store._fs, "call_s3", lambda *given, **named: call(*given, **named, MaxKeys=2))  # type: ignore[attr-defined]
    assert [each.name for each in store.entries()] == [f"{number}.png" for number in range(5)]


@pytest.mark.parametrize("uri", ["/no/such/folder", "nowhere/*.png", "s3://no-such-bucket/in", "nonsense://in"])
def test_what_is_not_there(uri: str, s3: Place) -> None:
    with pytest.raises(StoreError, match=r"no such|not known"):
        list(open_source(uri).rows())


def test_a_prefix_without_objects(s3: Place) -> None:
    with pytest.raises(StoreError, match="holds no objects"):
        open_source(s3("nothing"))


def test_a_name_that_leads_elsewhere_or_is_ours_or_no_text_fails(s3: Place, tmp_path: Path) -> None:
    store = open_store(s3("in"))
    for name in ("a//b.png", "../c.png", "_censor/d.png", "_CENSOR/e.png", "good.png"):
        store.create(name, b"1")
    refused = {row.name: row.refused for row in open_source(store.url).rows()}
    assert [name for name, why in refused.items() if why is None] == ["good.png"]
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"1")
    (row,) = open_source(str(tmp_path)).rows()
    assert row.uri == f"{tmp_path}/\\udcff.png"
    assert "no text" in (row.refused or "")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_list_names_pictures_anywhere(tmp_path: Path, s3: Place, kind: str) -> None:
    place = s3("in")
    open_store(place).create("a.png", picture(1))
    listed = tmp_path / f"list.{kind}"
    columns = {"uri": [f"{place}/a.png", "/data/b.png"], "etag": ['"e"', None], "bytes": [5, None], "more": ["x", "y"]}
    if kind == "parquet":
        pq.write_table(pa.table(columns), listed)
    else:
        lines = [f'{place}/a.png,"""e""",5,x', "/data/b.png,,,y"]
        listed.write_text("\n".join(["uri,etag,bytes,more", *lines]))
    source = open_source(str(listed))
    assert source.root == MANIFEST
    first, second = source.rows()
    assert first == Row(f"{place}/a.png", f"s3/{place.removeprefix('s3://')}/a.png", "e", 5)
    assert second == Row("/data/b.png", "file/data/b.png", None, None)
    store, name = Sources(MANIFEST).place(first.uri)
    assert store.read(name) == picture(1)
    open_store(place).create(f"list.{kind}", listed.read_bytes())
    assert list(open_source(f"{place}/list.{kind}").rows()) == [first, second]


def test_a_row_that_cannot_be_read_fails_under_its_number(tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    bad = ["", '""', "a.png,many", "/ok.png,1", "too,many,fields", "relative.png,1", "/x/../y.png,1", "/\xff.png,1"]
    listed.write_bytes("\n".join(["uri,bytes", *bad]).encode("latin-1"))
    found = list(open_source(str(listed)).rows())
    assert [row.uri for row in found if row.refused is None] == ["/ok.png"]
    assert len(found) == 7  # an empty line is no row
    assert found[0].uri == f"{listed}#1"
    assert len({row.uri for row in found}) == 7


@pytest.mark.parametrize(("name", "content"), [("l.csv", b"url\n/a.png\n"), ("l.csv", b""), ("l.parquet", b"uri")])
def test_a_list_that_is_none(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(JobError, match=r"needs a column `uri`|cannot be read"):
        list(open_source(str(tmp_path / name)).rows())
    with pytest.raises(StoreError, match="cannot be read"):
        list(open_source(str(tmp_path / f"missing-{name}")).rows())
