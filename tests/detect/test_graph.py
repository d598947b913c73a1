"""A file answers the input of its last linear layer, whatever stands around that, and says so where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from tiny_classifiers import constant, reds, serialized

from detect.errors import WeightsError
from detect.runtime.graph import answering_features
from detect.runtime.sessions import OnnxRuntimeSession

WEIGHT = np.array([[2, -1], [0, 1], [1, 0]], np.float32)
BIAS = np.array([0.5, 0], np.float32)
POOLED = [
    helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
    helper.make_node("Flatten", ["mean"], ["pooled"], axis=1),
]
SOFTMAX = helper.make_node("Softmax", ["logits"], ["scores"], axis=1)


def linear(*nodes: onnx.NodeProto, answers: Sequence[str] = ("scores",)) -> bytes:
    return serialized([*POOLED, *nodes, SOFTMAX], {"weight": WEIGHT, "bias": BIAS}, answers)


GEMM = linear(helper.make_node("Gemm", ["pooled", "weight", "bias"], ["logits"]))
MATMUL = linear(
    helper.make_node("MatMul", ["pooled", "weight"], ["product"]),
    helper.make_node("Add", ["product", "bias"], ["logits"]),
)
ADD_FIRST = linear(
    helper.make_node("MatMul", ["pooled", "weight"], ["product"]),
    helper.make_node("Add", ["bias", "product"], ["logits"]),
)
MADE_WEIGHT = linear(
    helper.make_node("Identity", ["weight"], ["made"]), helper.make_node("MatMul", ["pooled", "made"], ["logits"])
)
TWO_HEADS = linear(
    helper.make_node("Gemm", ["pooled", "weight", "bias"], ["one"]),
    helper.make_node("Gemm", ["pooled", "weight"], ["other"]),
    helper.make_node("Add", ["one", "other"], ["logits"]),
)


def answers(model: bytes, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return OnnxRuntimeSession(model, source="tiny.onnx", threads=1).run(picture)


@pytest.mark.parametrize("model", [GEMM, MATMUL, ADD_FIRST, MADE_WEIGHT, TWO_HEADS])
def test_a_file_answers_what_goes_into_its_last_linear_layer_too(model: bytes) -> None:
    picture = np.random.default_rng(3).random((2, 3, 32, 32), np.float32)
    more, position = answering_features(model, "tiny.onnx")
    assert [output.name for output in onnx.load_from_string(more).graph.output] == ["scores", "pooled"]
    (scores,), found = answers(model, picture), answers(more, picture)
    assert position == 1
    np.testing.assert_array_equal(found[0], scores)
    np.testing.assert_allclose(found[1], picture.mean(axis=(2, 3)), rtol=1e-5)


def test_features_that_are_an_output_already_are_not_added_again() -> None:
    model = linear(helper.make_node("MatMul", ["pooled", "weight"], ["logits"]), answers=("scores", "pooled"))
    assert answering_features(model, "tiny.onnx") == (model, 1)


def test_metadata_stay_as_they_are() -> None:
    session = OnnxRuntimeSession(answering_features(GEMM, "tiny.onnx")[0], source="tiny.onnx", threads=1)
    assert session.metadata["name"] == "reds"


@pytest.mark.parametrize("model", [reds(), constant([0.5, 0.5])])
def test_a_network_without_a_linear_layer_has_no_features(model: bytes) -> None:
    with pytest.raises(WeightsError, match=r"mine.onnx: has no features: there is no linear layer"):
        answering_features(model, "mine.onnx")


def test_the_pictures_own_pixels_are_no_features() -> None:
    node = helper.make_node("Conv", ["images", "kernel"], ["scores"])
    model = serialized([node], {"kernel": np.ones((2, 3, 32, 32), np.float32)}, ["scores"])
    with pytest.raises(WeightsError, match="has no features"):
        answering_features(model, "mine.onnx")


@pytest.mark.parametrize(
    "damaged", [b"", b"no model at all", GEMM[:-40], GEMM[:100], b"\x3a\xff", b"\x38\x05", b"\x3a\x02\x08\x01"]
)
def test_what_is_no_model_is_refused_in_one_line(damaged: bytes) -> None:
    with pytest.raises(WeightsError, match=r"^mine.onnx: .*$"):
        answering_features(damaged, "mine.onnx")
