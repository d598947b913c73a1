"""Classifiers of a few nodes whose answers can be worked out beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.classifier.scores import Scores
from detect.runtime.sessions import OnnxRuntimeSession

CELL = 8
"""Pixels of a side of a cell of the map."""

SAID = {
    "task": "classify",
    "name": "reds",
    "names": "['sfw', 'red']",
    "nsfw": "['red']",
    "imgsz": "[32, 32]",
    "stride": "8",
    "resize": "squash",
    "scale": "0.00392156862745098",
}
FREE = ("batch", 3, "height", "width")


def serialized(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, NDArray[np.generic]],
    answers: Sequence[str],
    *,
    shape: Sequence[int | str] = FREE,
    without: Sequence[str] = (),
    said: Mapping[str, str] = SAID,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in answers],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: value for key, value in said.items() if key not in without})
    return bytes(model.SerializeToString())


def reds(*, shape: Sequence[int | str] = FREE, without: Sequence[str] = (), heat: bool = True, **said: str) -> bytes:
    """Says how much of the first channel there is on the whole, and in each cell of 8 x 8 pixels."""
    node = helper.make_node
    nodes = [
        node("Gather", ["images", "first"], ["channel"], axis=1),  # (B, 1, H, W)
        node("AveragePool", ["channel"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        node("ReduceMean", ["channel"], ["red"], axes=[2, 3], keepdims=0),  # (B, 1)
        node("Sub", ["one", "red"], ["other"]),
        node("Concat", ["other", "red"], ["scores"], axis=1),
    ]
    if heat:
        nodes.append(node("Squeeze", ["cells", "axis"], ["heat"]))
    constants: dict[str, NDArray[np.generic]] = {
        "first": np.array([0], np.int64),
        "one": np.array(1, np.float32),
        "axis": np.array([1], np.int64),
    }
    answers = ["scores", "heat"] if heat else ["scores"]
    return serialized(nodes, constants, answers, shape=shape, without=without, said=SAID | said)


def means(*, cells: bool = False, times: float = 1.0, shape: Sequence[int | str] = ("batch", 3, 32, 32)) -> bytes:
    """Its features are the means of the channels, 0 to 1; of each cell of 8 x 8 pixels, if wanted, not of the whole."""
    node, weight = helper.make_node, np.array([[2, -1], [0, 1], [1, 0]], np.float32)
    size = [8, 8] if cells else [32, 32]
    nodes = [
        node("AveragePool", ["images"], ["small"], kernel_shape=size, strides=size),
        node("Mul", ["small", "times"], ["seen"]),
        node("Conv", ["seen", "kernel"], ["logits"]),
        node("GlobalAveragePool", ["logits"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"], axis=1),
        node("Softmax", ["flat"], ["scores"], axis=1),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "kernel": weight.T.reshape(2, 3, 1, 1).copy(),
        "times": np.array(times, np.float32),
    }
    return serialized(nodes, constants, ["scores"], shape=shape, said=SAID)


def constant(*answers: object, **said: str) -> bytes:
    """Answers the same for every picture: one output for each of `answers`, which lack the batch."""
    nodes = [helper.make_node("Shape", ["images"], ["batch"], end=1)]
    constants: dict[str, NDArray[np.generic]] = {}
    for number, answer in enumerate(answers):
        array = np.asarray(answer, np.float32)
        constants |= {f"answer{number}": array[None], f"tail{number}": np.array(array.shape, np.int64)}
        nodes += [
            helper.make_node("Concat", ["batch", f"tail{number}"], [f"shape{number}"], axis=0),
            helper.make_node("Expand", [f"answer{number}", f"shape{number}"], [f"output{number}"]),
        ]
    return serialized(nodes, constants, [f"output{number}" for number in range(len(answers))], said=SAID | said)


def classifier_of(model: bytes, **options: int) -> OnnxClassifier:
    return OnnxClassifier(OnnxRuntimeSession(model, source="tiny.onnx", threads=1), source="tiny.onnx", **options)


class Reds:
    """The same without a network, for pictures of any size: a cell for each 8 x 8 pixels or what is left of them."""

    name, names = "reds", ("sfw", "red")

    def __init__(self, *, maps: bool = True) -> None:
        self.seen: list[NDArray[np.uint8]] = []
        self._maps = maps

    def spare_factor(self, height: int, width: int) -> float:
        return 4.0

    def classify(self, images: Sequence[NDArray[np.uint8]], *, heat: bool = False) -> list[Scores]:
        self.seen += images
        return [self._one(image, heat=heat and self._maps) for image in images]

    def _one(self, image: NDArray[np.uint8], *, heat: bool) -> Scores:
        red = image[..., 0].astype(np.float32) / 255
        rows, columns = (range(0, side, CELL) for side in red.shape)
        cells = [[red[y : y + CELL, x : x + CELL].mean() for x in columns] for y in rows] if heat else None
        values = np.array([1 - red.mean(), red.mean()], np.float32)
        return Scores(values, self.names, ("red",), None if cells is None else np.array(cells, np.float32))
