from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.annotations.document import read_json, write_bytes, write_document
from detect.errors import AnnotationsError


def test_a_document_is_written_one_record_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_document(path, {"info": {"year": 1}, "images": [{"id": 1}, {"id": 2, "file_name": "é.png"}], "none": []})
    assert path.read_text(encoding="utf-8") == (
        '{\n "info": {"year": 1},\n "images": [\n  {"id": 1},\n  {"id": 2, "file_name": "é.png"}\n ],\n "none": []\n}\n'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(document=st.dictionaries(st.text(), json_values))
def test_what_is_written_is_what_is_read(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("document") / "a.json"
    write_document(path, document)
    assert read_json(path) == document


def test_half_a_character_survives(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", {"a": ["\ud800"]})
    assert read_json(tmp_path / "a.json") == {"a": ["\ud800"]}


def test_nothing_but_the_file_is_left_behind_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_document(path, {"a": 1})
    write_document(path, {"a": 2}, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert read_json(path) == {"a": 2}
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_existing_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine")
    with pytest.raises(AnnotationsError, match="exists already"):
        write_document(path, {})
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"gone/a\.json: cannot be written: No such file"):
        write_bytes(tmp_path / "gone" / "a.json", b"")


def test_numbers_that_json_cannot_say_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"a\.json: cannot be written: .*not JSON compliant"):
        write_document(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(AnnotationsError, match="cannot be written"):
        write_bytes(tmp_path / "a.json", b"x", overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"gone\.json: cannot be read: No such file"):
        read_json(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated: ends too early at line 1, column 1"),
        (b'{"images": [', "truncated: ends too early at line 1, column 13"),
        (b'{"images": ["a', "truncated"),
        (b'{"images": tru', "is not JSON"),
        (b"{'images': []}", "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        (b'{"a": 1} {"b": 2}', "is not JSON: Extra data"),
        (b'{"a": NaN}', "is not JSON: NaN is no JSON number"),
        (b'{"a": "\xff\xfe"}', "is not JSON: 'utf-8' codec"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 5_000, "is not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationsError, match=reason.replace("{", r"\{")):
        read_json(path)


@given(cut=st.integers(1, 60))
def test_every_cut_of_a_file_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = json.dumps({"images": [{"id": 1, "file_name": "a.png", "width": 12, "height": 345}], "x": "y"}).encode()
    path = tmp_path_factory.mktemp("cut") / "a.json"
    path.write_bytes(content[:-cut])
    with pytest.raises(AnnotationsError):
        read_json(path)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(path) == {}


def test_a_key_twice_in_one_object_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text('{"annotations": [{"id": 1, "bbox": [1, 2, 3, 4], "bbox": [5, 6, 7, 8]}]}')
    with pytest.raises(AnnotationsError, match=r'twice\.json: .*the key "bbox" is there twice in one object'):
        read_json(path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"id": ' + "9" * 10_000 + "}", '{"a": ' * 5_000])
def test_what_lies_too_deep_or_is_too_long_is_an_error_of_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(AnnotationsError, match=r"a\.json: is not JSON") as raised:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(raised.value)


def test_a_document_too_deep_to_write_is_an_error(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(AnnotationsError, match="cannot be written"):
        write_document(tmp_path / "a.json", {"more": deep})
