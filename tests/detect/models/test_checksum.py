"""The checksum that a model file ends in."""

from __future__ import annotations

import hashlib

import onnx
import pytest
import shipped
from hypothesis import given
from hypothesis import strategies as st

from detect.errors import ModelError
from detect.models.checksum import append_checksum, verify_checksum
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession

CONTENT = shipped.detector()
MARKED = append_checksum(CONTENT)


def test_a_marked_file_is_the_same_model_with_one_more_entry():
    model = onnx.load_from_string(MARKED)
    assert {prop.key: prop.value for prop in model.metadata_props} == {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    del model.metadata_props[:]
    assert model == onnx.load_from_string(CONTENT)
    verify_checksum(MARKED, "w.onnx")


@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
def test_both_engines_take_it(kind):
    model = onnx.load_from_string(CONTENT)
    onnx.helper.set_model_props(model, {"names": "['FACE']"})
    session = kind(append_checksum(model.SerializeToString()), source="w.onnx", threads=1)
    assert session.input_shape == (10, 3, 32, 32)
    assert session.metadata["names"] == "['FACE']"


@given(st.integers(0, len(MARKED) - 1), st.integers(1, 255))
def test_any_byte_that_changes_shows(position, change):
    spoilt = bytearray(MARKED)
    spoilt[position] ^= change
    with pytest.raises(ModelError, match=r"^w\.onnx: "):
        verify_checksum(bytes(spoilt), "w.onnx")


@given(st.integers(0, len(MARKED) - 1))
def test_any_cut_shows(length):
    with pytest.raises(ModelError, match=r"^w\.onnx: does not end in its checksum: cut short, or not made by adding"):
        verify_checksum(MARKED[:length], "w.onnx")


def test_what_comes_after_it_shows():
    with pytest.raises(ModelError, match="does not end in its checksum"):
        verify_checksum(MARKED + b"\n", "w.onnx")
