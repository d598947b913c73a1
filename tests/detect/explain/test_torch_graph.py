from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import NodeProto, helper
from tiny_classifiers import SAID, serialized

from detect.errors import ExplanationError
from detect.explain.torch_backward import backward, find_layer, strength, unit_backward
from detect.explain.torch_graph import Rule, TorchGraph, load_graph, rectified
from detect.models.storage import read_model
from detect.runtime.telemetry import import_quietly

node = helper.make_node


def read(
    nodes: Sequence[NodeProto], constants: Mapping[str, NDArray[np.generic]], answers: Sequence[str], **said: str
) -> TorchGraph:
    return load_graph(serialized(nodes, constants, answers, said=SAID | said), source="toy.onnx")


@pytest.mark.parametrize("name", ["open_nsfw", "image-safety-s"])
def test_known_classifiers_answer_as_onnxruntime_does(models_folder: Path, name: str) -> None:
    content = read_model(models_folder, name)
    graph = load_graph(content, source=name)
    given = np.random.default_rng(4).uniform(0, 255, (1, 3, 224, 224)).astype(np.float32)
    session = import_quietly("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = graph.run(torch.from_numpy(given), *graph.answers)
    for one, other in zip(found, session.run(None, {graph.given: given}), strict=True):
        assert np.abs(one.numpy() - other).max() < 1e-4
    assert len(graph.layers) == {"open_nsfw": 49, "image-safety-s": 27}[name]
    assert graph.logits == "tail/logits"


def test_rectifiers_send_back_what_their_rule_says() -> None:
    given = torch.tensor([-1.0, -2.0, 3.0, 4.0])
    signal = torch.tensor([5.0, -6.0, 7.0, -8.0])
    expected = {
        Rule.GRADIENT: [0, 0, 7, -8],  # where something came through
        Rule.DECONVNET: [5, 0, 7, 0],  # what is positive
        Rule.GUIDED: [0, 0, 7, 0],  # both
    }
    for rule, wanted in expected.items():
        leaf = given.clone().requires_grad_()
        out = rectified(leaf, rule=rule)
        assert out.tolist() == [0, 0, 3, 4]
        (back,) = torch.autograd.grad(out, leaf, signal)
        assert back.tolist() == wanted
    soft = given.clone().requires_grad_()
    (back,) = torch.autograd.grad(rectified(soft, rule=Rule.GUIDED, is_soft=True), soft, signal)
    assert back.tolist() == [0, 0, 7, 0]


def three_layers() -> TorchGraph:
    """Convolution (1 x 1, red minus 100), ReLU, maximum of 2 x 2, convolution (1 x 1, by 2 and by -3), ReLU, mean."""
    first = np.zeros((1, 3, 1, 1), np.float32)
    first[0, 0] = 1
    nodes = [
        node("Conv", ["images", "first", "less"], ["c1"]),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["m", "second"], ["c2"]),
        node("Relu", ["c2"], ["r2"]),
        node("GlobalAveragePool", ["r2"], ["mean"]),
        node("Flatten", ["mean"], ["logits"], axis=1),
        node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "first": first,
        "less": np.array([-100], np.float32),
        "second": np.array([2, -3], np.float32).reshape(2, 1, 1, 1),
    }
    return read(nodes, constants, ["scores"], names="['red', 'other']", imgsz="[4, 4]", scale="1.0", stride="4")


def reddish() -> NDArray[np.uint8]:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = [[101, 102, 0, 0], [104, 103, 0, 0], [0, 0, 150, 0], [0, 0, 0, 160]]
    return image


def test_switches_place_the_signal_where_the_maximum_was() -> None:
    """Of each square of 2 x 2 the largest, with weight 2 a cell and a quarter for the mean; nothing of other colors."""
    graph = three_layers()
    assert (graph.layers, graph.logits) == (("r1", "r2"), "logits")
    guided = backward(graph, reddish(), rule=Rule.GUIDED).pattern
    expected = np.zeros((3, 4, 4))
    expected[0, 1, 0] = expected[0, 3, 3] = 0.5
    assert np.allclose(guided, expected)
    # Where a square was all below 100 there is no maximum, and a deconvnet sends something back all the same: to the
    # first of equals.
    upwards = backward(graph, reddish(), rule=Rule.DECONVNET).pattern
    assert upwards[0, 1, 0] == upwards[0, 3, 3] == 0.5
    assert np.count_nonzero(upwards) == 4
    assert np.allclose(upwards.sum(), 2)


def test_signs_decide_what_is_sent_back() -> None:
    graph = three_layers()
    for rule in (Rule.GUIDED, Rule.DECONVNET):  # the other label is made of what speaks against it
        assert not backward(graph, reddish(), rule=rule, name="other").pattern.any()


def test_a_unit_is_sent_back_from_where_it_answers_most() -> None:
    graph = three_layers()
    assert find_layer(graph, "2", 0) == find_layer(graph, "r2", 1) == "r2"
    assert strength(graph, reddish(), "r2", 0) == (120, 1, 1)  # 2 * (160 - 100)
    back = unit_backward(graph, reddish(), "r2", 0, rule=Rule.DECONVNET)
    assert np.argwhere(back.pattern).tolist() == [[0, 3, 3]]
    assert back.pattern[0, 3, 3] == 2 * 120
    assert back.heat.shape == (4, 4)
    assert back.cells(2).tolist() == [[0, 0], [0, 60]]


@pytest.mark.parametrize(
    ("layer", "unit", "said"),
    [
        ("r2", 2, "layer 'r2' has units 0 to 1, not 2"),
        ("r2", -1, "not -1"),
        ("3", 0, "has no layer '3'; layers are 1 to 2"),
        ("0", 0, "has no layer '0'"),
        ("c1", 0, "has no layer 'c1'"),
    ],
)
def test_layers_and_units_that_do_not_exist_are_refused(layer: str, unit: int, said: str) -> None:
    with pytest.raises(ExplanationError, match=said):
        find_layer(three_layers(), layer, unit)


def test_a_label_that_is_not_known_is_refused() -> None:
    with pytest.raises(ExplanationError, match=r"toy\.onnx: says nothing of 'blue', only of red, other"):
        backward(three_layers(), reddish(), rule=Rule.GUIDED, name="blue")


@pytest.mark.parametrize(
    "options", [{}, {"ceil_mode": 1}, {"pads": [1] * 4}, {"count_include_pad": 1, "pads": [1] * 4}]
)
def test_means_over_windows_are_those_of_onnxruntime(options: dict[str, Any]) -> None:
    nodes = [node("AveragePool", ["images"], ["a"], kernel_shape=[3, 2], strides=[2, 2], **options)]
    given = np.random.default_rng(4).random((2, 3, 8, 11), np.float32)
    session = import_quietly("onnxruntime").InferenceSession(
        serialized(nodes, {}, ["a"], said=SAID), providers=["CPUExecutionProvider"]
    )
    (found,) = read(nodes, {}, ["a"]).run(torch.from_numpy(given), "a")
    np.testing.assert_allclose(found.numpy(), session.run(None, {"images": given})[0], atol=1e-6)


def test_means_over_padding_of_one_side_are_refused() -> None:
    graph = read([node("AveragePool", ["images"], ["a"], kernel_shape=[2, 2], pads=[0, 0, 1, 1])], {}, ["a"])
    with pytest.raises(ExplanationError, match="a: means over padding of one side alone"):
        graph.run(torch.zeros(1, 3, 4, 4), "a")


def test_operators_that_are_not_read_are_named() -> None:
    with pytest.raises(ExplanationError, match=r"toy.onnx: operators that are not read in torch: Cos, Sin"):
        read([node("Sin", ["images"], ["a"]), node("Cos", ["a"], ["b"])], {}, ["b"])
    with pytest.raises(ExplanationError, match=r"toy\.onnx: no ONNX file"):
        load_graph(b"no model", source="toy.onnx")
    with pytest.raises(ExplanationError, match="has no tensor 'nothing'"):
        three_layers().run(torch.zeros(1, 3, 4, 4), "nothing")
