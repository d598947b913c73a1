"""Networks of a few numbers, as their authors might ship them, and the catalogue's words for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detect.models.catalogue import KnownModel, Tail

FILTERS = np.random.default_rng(1).normal(0, 0.0005, (4, 3, 8, 8)).astype(np.float32)
WEIGHT = np.random.default_rng(2).normal(0, 1, (4, 3)).astype(np.float32)
BIAS = np.array([0.3, -0.2, 0.1], np.float32)
TAIL = Tail(features="features", pooled="pooled", nsfw=("nude", "hentai"))


def serialized(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, NDArray[np.generic] | np.generic],
    given: Sequence[int | str],
    answers: Mapping[str, Sequence[int | str]],
    *,
    opset: int = 9,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in answers.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())


def classifier(last: str = "Softmax", head: str = "MatMul") -> bytes:
    """NHWC, 16 x 16 pixels, eight of them a cell, three labels, and a batch of one; an unused constant too."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["picture"], ["turned"], perm=[0, 3, 1, 2]),
        node("Conv", ["turned", "filters"], ["filtered"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Relu", ["filtered"], ["features"]),
        node("AveragePool", ["features"], ["mean"], kernel_shape=[2, 2]),
        node("Reshape", ["mean", "flat"], ["pooled"]),
        node(head, ["pooled", "weight"], ["product"]),
        node("Add", ["product", "bias"], ["logits"]),
        node(last, ["logits"], ["answer"]),
    ]
    constants = {
        "filters": FILTERS,
        "flat": np.array([1, 4]),
        "weight": WEIGHT if head == "MatMul" else WEIGHT[0, 0],
        "bias": BIAS if head == "MatMul" else BIAS[0],
        "unused": np.zeros(50_000, np.float32),
    }
    return serialized(nodes, constants, [1, 16, 16, 3], {"answer": [1, 3 if head == "MatMul" else 4]})


def two_headed_classifier() -> bytes:
    """NCHW, and two linear layers whose logits are averaged, in the words of a newer opset."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "filters"], ["filtered"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Relu", ["filtered"], ["features"]),
        node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        node("Gemm", ["pooled", "first", "bias"], ["one"], transB=1),
        node("Gemm", ["pooled", "second", "bias"], ["other"], transB=1),
        node("Add", ["one", "other"], ["sum"]),
        node("Div", ["sum", "two"], ["logits"]),
        node("Softmax", ["logits"], ["answer"], axis=-1),
    ]
    constants = {
        "filters": FILTERS,
        "axes": np.array([2, 3]),
        "first": (WEIGHT.T + 1).copy(),
        "second": (WEIGHT.T - 1).copy(),
        "bias": BIAS,
        "two": np.array(2, np.float32),
    }
    return serialized(nodes, constants, ["batch", 3, 16, 16], {"answer": ["batch", 3]}, opset=18)


def gelu_classifier() -> bytes:
    """Its features are GELUs, as torch writes them, of one layer and of another that is used twice."""
    node = helper.make_node
    nodes = [node("Conv", ["picture", "filters"], ["a0"], kernel_shape=[8, 8], strides=[8, 8])]
    for name, made in (("a", "b0"), ("b", "features")):
        nodes += [
            node("Div", [f"{name}0", "root"], [f"{name}1"]),
            node("Erf", [f"{name}1"], [f"{name}2"]),
            node("Add", [f"{name}2", "one"], [f"{name}3"]),
            node("Mul", ["half", f"{name}3"], [f"{name}4"]),
            node("Mul", [f"{name}0", f"{name}4"], [made if name == "a" else "b5"]),
        ]
    nodes += [
        node("Add", ["b4", "b5"], ["features"]),
        node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        node("Gemm", ["pooled", "weight", "bias"], ["logits"]),
        node("Softmax", ["logits"], ["answer"], axis=-1),
    ]
    constants = {
        "filters": FILTERS, "weight": WEIGHT, "bias": BIAS, "axes": np.array([2, 3]),
        "root": np.sqrt(np.float32(2)), "one": np.float32(1), "half": np.float32(0.5),
    }  # fmt: skip
    return serialized(nodes, constants, ["batch", 3, 16, 16], {"answer": ["batch", 3]}, opset=18)


def detector() -> bytes:
    """Ten pictures of 32 x 32 at once, and two maps of a quarter of that."""
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "filters"], ["maps"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Sigmoid", ["maps"], ["1"]),
        node("Relu", ["maps"], ["2"]),
    ]
    constants = {"filters": FILTERS[:1, :, :4, :4].copy()}
    return serialized(nodes, constants, [10, 3, 32, 32], {"1": [10, 1, 8, 8], "2": [10, 1, 8, 8]})


def known(content: bytes, **fields: object) -> KnownModel:
    """What the catalogue would say of a shipped classifier."""
    said: dict[str, object] = {
        "name": "tiny", "summary": "three labels", "names": ("cat", "nude", "hentai"), "license": "MIT",
        "distribution": "tiny-model", "version": "1.2", "member": "tiny/model.onnx",
        "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "size": (16, 16), "stride": 8,
        "tail": TAIL, "said": {"color": "BGR", "mean": "[104, 117, 123]"},
    }  # fmt: skip
    return KnownModel(**(said | fields))  # type: ignore[arg-type]  # fields of all kinds in one mapping


def known_detector() -> KnownModel:
    """What the catalogue would say of the shipped detector."""
    return known(
        detector(), names=("FACE",), size=(32, 32), stride=4, tail=None, said={"head": "centerface"},
        outputs=("heatmap", "scale"),
    )  # fmt: skip
