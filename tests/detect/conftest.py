"""What the tests of the detect core share: tiny ONNX networks, and the detector that a fresh machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detect import Detections, Detector, load_detector
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import OnnxRuntimeSession

FREE = ("batch", 3, "height", "width")
METADATA = {"names": "{0: 'FACE_FEMALE', 1: 'FEET_EXPOSED'}", "imgsz": "[64, 64]", "stride": "32"}

Shape = Sequence[int | str | None]


def _serialized(
    nodes: list[onnx.NodeProto],
    *,
    constants: Mapping[str, NDArray[np.generic]],
    metadata: Mapping[str, str],
    inputs: Mapping[str, Shape],
    dtype: int = TensorProto.FLOAT,
    answers: int = TensorProto.FLOAT,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("output0", answers, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()


@pytest.fixture(scope="session")
def constant_network() -> Callable[..., bytes]:
    """``constant_network(head)``: an ONNX file that answers `head`, shape (4 + classes, anchors), for every picture."""

    def make(
        head: object,
        *,
        without: Sequence[str] = (),
        shape: Shape = FREE,
        inputs: Sequence[str] = ("images",),
        dtype: int = TensorProto.FLOAT,
        **metadata: str,
    ) -> bytes:
        head = np.asarray(head)
        head = head.astype(np.float32) if head.dtype.kind == "f" else head
        node = helper.make_node
        return _serialized(
            [
                # (B, 1, 1) ones, so that the head comes once for each picture of the batch
                node("Shape", [inputs[0]], ["batch"], end=1),
                node("Concat", ["batch", "tail"], ["shape"], axis=0),
                node("Expand", ["head", "shape"], ["output0"]),
            ],
            constants={"head": head[None], "tail": np.array(head.shape, np.int64)},
            metadata={key: value for key, value in (METADATA | metadata).items() if key not in without},
            inputs=dict.fromkeys(inputs, shape),
            dtype=dtype,
            answers=helper.np_dtype_to_tensor_dtype(head.dtype),
        )

    return make


def _extent(anchor: str, axis: int) -> list[onnx.NodeProto]:
    """The nodes that find middle and length, along one axis, of what a mask covers."""
    node, name = helper.make_node, f"{anchor}_{axis}"
    return [
        node("ReduceMax", [f"mask_{anchor}"], [f"seen_{name}"], axes=[3 - axis], keepdims=1),
        node("Mul", [f"seen_{name}", "zero"], [f"zeros_{name}"]),
        node("Add", [f"zeros_{name}", "one"], [f"ones_{name}"]),
        node("CumSum", [f"ones_{name}", f"axis_{axis}"], [f"up_{name}"]),  # 1 … length
        node("CumSum", [f"ones_{name}", f"axis_{axis}"], [f"down_{name}"], reverse=1),  # length … 1
        node("ReduceMax", [f"up_{name}"], [f"length_{name}"], axes=[1, 2], keepdims=1),
        node("Mul", [f"seen_{name}", f"up_{name}"], [f"seen_up_{name}"]),
        node("Mul", [f"seen_{name}", f"down_{name}"], [f"seen_down_{name}"]),
        node("ReduceMax", [f"seen_up_{name}"], [f"high_{name}"], axes=[1, 2], keepdims=1),
        node("ReduceMax", [f"seen_down_{name}"], [f"below_{name}"], axes=[1, 2], keepdims=1),
        node("Sub", [f"length_{name}", f"below_{name}"], [f"low_{name}"]),
        node("Sub", [f"high_{name}", f"low_{name}"], [f"side_{name}"]),
        node("Add", [f"high_{name}", f"low_{name}"], [f"sum_{name}"]),
        node("Mul", [f"sum_{name}", "half"], [f"centre_{name}"]),
    ]


@pytest.fixture(scope="session")
def square_network() -> Callable[..., bytes]:
    """An ONNX file that finds the box around all red pixels (a face, to it) and around all blue ones (feet)."""

    def make(*, shape: Shape = FREE, **metadata: str) -> bytes:
        node = helper.make_node
        nodes = [
            node("Gather", ["images", "red"], ["r"], axis=1),
            node("Gather", ["images", "blue"], ["b"], axis=1),
            node("Sub", ["r", "b"], ["difference_0"]),
            node("Sub", ["b", "r"], ["difference_1"]),
        ]
        for anchor in "01":
            nodes += [
                node("Greater", [f"difference_{anchor}", "half"], [f"is_{anchor}"]),
                node("Cast", [f"is_{anchor}"], [f"mask_{anchor}"], to=TensorProto.FLOAT),  # (B, H, W)
                node("ReduceMax", [f"mask_{anchor}"], [f"score_{anchor}"], axes=[1, 2], keepdims=1),  # (B, 1, 1)
            ]
            for axis in (1, 2):
                nodes += _extent(anchor, axis)
            boxes = [f"centre_{anchor}_2", f"centre_{anchor}_1", f"side_{anchor}_2", f"side_{anchor}_1"]
            nodes += [
                node("Relu", [f"side_{anchor}_2"], [f"width_{anchor}"]),  # nothing seen: sides below zero
                node("Relu", [f"side_{anchor}_1"], [f"height_{anchor}"]),
                node("Mul", [f"score_{anchor}", "zero"], [f"other_{anchor}"]),
                node(
                    "Concat",
                    [*boxes[:2], f"width_{anchor}", f"height_{anchor}"]
                    + [f"{'score' if anchor == label else 'other'}_{anchor}" for label in "01"],
                    [f"anchor_{anchor}"],
                    axis=1,
                ),
            ]
        nodes.append(node("Concat", ["anchor_0", "anchor_1"], ["output0"], axis=2))
        return _serialized(
            nodes,
            constants={
                "red": np.array(0, np.int64),
                "blue": np.array(2, np.int64),
                "half": np.array(0.5, np.float32),
                "zero": np.array(0, np.float32),
                "one": np.array(1, np.float32),
                "axis_1": np.array(1, np.int64),
                "axis_2": np.array(2, np.int64),
            },
            metadata=METADATA | metadata,
            inputs={"images": shape},
        )

    return make


@pytest.fixture(scope="session")
def detector_of() -> Callable[..., OnnxDetector]:
    """``detector_of(model, **options)``: an `OnnxDetector` on an ONNX file's bytes, called tiny.onnx."""

    def make(model: bytes, **options: float) -> OnnxDetector:
        return OnnxDetector(OnnxRuntimeSession(model, source="tiny.onnx", threads=1), source="tiny.onnx", **options)

    return make


@pytest.fixture(scope="session")
def installed_detector() -> Detector:
    """The 320n weights inside the installed `nudenet` distribution."""
    return load_detector(min_score=0.05, engine="onnxruntime")


@pytest.fixture(scope="session")
def best_box() -> Callable[[Detections, str], NDArray[np.float32]]:
    """``best_box(found, label)``: the box of the best-scored detection of a label that must be there."""

    def pick(found: Detections, label: str) -> NDArray[np.float32]:
        rows = [row for row in range(len(found)) if found.label(row) == label]
        assert rows, f"no {label} among {[found.label(row) for row in range(len(found))]}"
        return found.xyxy[max(rows, key=lambda row: found.scores[row])]

    return pick
