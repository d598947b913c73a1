"""`python -m detect quantize` on a small classifier whose weights were worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper
from PIL import Image
from tiny_classifiers import serialized

from detect.__main__ import main
from detect.errors import InferenceError, WeightsError
from detect.installed import load_classifiers
from detect.models import quantize as module
from detect.models.deviation import compare_classifiers
from detect.models.quantize import is_classifier, quantize
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession

ENGINES = ["onnxruntime", "openvino"]


def colors(*, batch: int | str = "batch", sharpness: float = 4) -> bytes:
    """Red or blue, by the mean of one channel less the other's over cells of 4 x 4, and of each cell for the map."""
    node = helper.make_node
    means = np.zeros((3, 3, 4, 4), np.float32)
    means[range(3), range(3)] = 1 / 16
    each = np.zeros((3, 1, 3, 3), np.float32)
    each[:, :, 1, 1] = 1
    apart = np.array([[1, 0, -1], [-1, 0, 1]], np.float32).reshape(2, 3, 1, 1)
    nodes = [
        node("Conv", ["images", "means"], ["c1"], "first", strides=[4, 4]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "each"], ["c2"], "grouped", group=3, pads=[1, 1, 1, 1]),
        node("Conv", ["c2", "same"], ["c3"], "pointwise"),
        node("Conv", ["c3", "same"], ["c4"], "another"),
        node("Add", ["c4", "c3"], ["sum"], "residual"),
        node("Mul", ["sum", "sharpness"], ["m3"], "scale"),
        node("Conv", ["m3", "apart"], ["cells"], "last"),
        node("GlobalAveragePool", ["cells"], ["mean"]),
        node("Flatten", ["mean"], ["logits"], axis=1),
        node("Softmax", ["logits"], ["scores"], axis=1),
        node("Transpose", ["cells"], ["turned"], perm=[0, 2, 3, 1]),
        node("Softmax", ["turned"], ["odds"], axis=3),
        node("MatMul", ["odds", "red"], ["heat"]),
    ]
    constants: dict[str, Any] = {
        "means": means, "each": each, "same": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "apart": apart,
        "sharpness": np.float32(sharpness), "red": np.array([1, 0], np.float32),
    }  # fmt: skip
    said = {
        "task": "classify", "name": "colors", "names": "['red', 'blue']", "nsfw": "['red']", "imgsz": "[32, 32]",
        "resize": "squash", "scale": "0.00392156862745098", "license": "MIT",
    }  # fmt: skip
    model = onnx.load_from_string(
        serialized(nodes, constants, ["scores", "heat"], shape=(batch, 3, "height", "width"), said=said)
    )
    model.opset_import[0].version = 9  # as old as open_nsfw's: whose scales could not be one for each channel
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of noise, redder and redder."""
    made = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(6)
    for number in range(8):
        pixels = rng.integers(0, 120, (40, 48, 3))
        pixels[..., 0] += 18 * number
        pixels[..., 2] += 18 * (7 - number)
        Image.fromarray(pixels.astype(np.uint8)).save(made / f"{number}.png")
    return made


@pytest.fixture(scope="module")
def quantized(folder: Path) -> bytes:
    return quantize(colors(), sorted(folder.iterdir()), source="colors.onnx")


def test_convolutions_of_all_channels_compute_in_whole_numbers_but_for_the_first_and_the_last(quantized: bytes) -> None:
    graph = onnx.load_from_string(quantized).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    rounded = {node.name: makers.get(node.input[1]) for node in graph.node if node.op_type == "Conv"}
    whole = dict.fromkeys(("pointwise", "another"), "DequantizeLinear")
    assert rounded == {"first": None, "grouped": None, **whole, "last": None}
    sums = {
        node.name: [makers.get(name) for name in node.input] for node in graph.node if node.op_type in ("Add", "Mul")
    }
    assert sums == {"residual": ["DequantizeLinear"] * 2, "scale": ["Add", None]}


def test_weights_take_seven_bits_so_that_no_sum_overflows(quantized: bytes) -> None:
    graph = onnx.load_from_string(quantized).graph
    read = [node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"]
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in read]
    assert weights
    assert all(60 <= np.abs(each.astype(int)).max() <= 64 for each in weights)


def test_the_file_says_of_itself_what_it_said_before(quantized: bytes) -> None:
    before, after = (OnnxRuntimeSession(model, source="x", threads=1) for model in (colors(), quantized))
    assert after.metadata == {**before.metadata, "quantised": "checked on onnxruntime and openvino"}
    assert (after.input_shape, before.precision, after.precision) == (before.input_shape, "f32", "int8")
    assert is_classifier(quantized, source="x")


def test_both_engines_say_nearly_what_the_exact_network_says(quantized: bytes, folder: Path, tmp_path: Path) -> None:
    found = compare_classifiers(colors(), quantized, sorted(folder.iterdir()), source="x")
    assert [each.engine for each in found] == ENGINES
    for each in found:
        assert 0 < each.median <= each.nine_in_ten <= each.largest < 0.05
        assert each.moved == 0
    with pytest.raises(ValueError, match="need at least one picture"):
        compare_classifiers(colors(), quantized, [], source="x")
    for name, model in (("exact", colors()), ("rounded", quantized)):
        (tmp_path / f"{name}.onnx").write_bytes(model)
    red = np.full((32, 32, 3), (200, 60, 60), np.uint8)
    paths = [tmp_path / "exact.onnx", tmp_path / "rounded.onnx"]
    exact, rounded = (load_classifiers([path], folder=None, threads=1)[0] for path in paths)
    assert (exact.precision in ("f32", "bf16"), rounded.precision) == (True, "int8")
    (one,), (other,) = exact.classify([red], heat=True), rounded.classify([red], heat=True)
    assert one.heat is not None
    assert other.heat is not None
    assert np.abs(one.heat - other.heat).max() < 0.05
    with pytest.raises(WeightsError, match="quantised, so it runs in int8, not in f32"):
        load_classifiers(paths[1:], folder=None, precision="f32")


@pytest.fixture
def done_before(monkeypatch: pytest.MonkeyPatch, quantized: bytes) -> list[Any]:
    """Calibration, which takes seconds, is left out; what the network is given for each picture is kept here."""
    given: list[Any] = []

    def run(graph: Any, transform: Callable[[Path], Any], pictures: Sequence[Path], kept: Any, *, narrow: bool) -> Any:
        given.extend(transform(path)["images"] for path in pictures)
        return onnx.load_from_string(quantized)

    monkeypatch.setattr(module, "_run_nncf", run)
    return given


def test_a_network_that_wants_several_pictures_at_once_gets_them(folder: Path, done_before: list[Any]) -> None:
    quantize(colors(batch=2), sorted(folder.iterdir())[:1], source="x")
    assert [each.shape for each in done_before] == [(2, 3, 32, 32)]
    assert np.array_equal(done_before[0][0], done_before[0][1])


@pytest.mark.usefixtures("done_before")
def test_the_command_says_how_far_it_is_off(folder: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "colors.onnx", tmp_path / "colors.int8.onnx"
    model.write_bytes(colors())
    arguments = ["quantize", str(model), "--images", str(folder), "-o", str(out), "--limit", "3"]
    refused = CliRunner().invoke(main, [*arguments, "--annotations", str(model)])
    assert (refused.exit_code, "colors.onnx: a classifier, and" in refused.output, out.exists()) == (1, True, False)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    first, *said = done.stdout.splitlines()
    assert first.startswith(f"{out}: calibrated on 3 pictures; ")
    assert [line.split(":")[0] for line in said] == [f"P(NSFW) on {engine}" for engine in ENGINES]
    assert all(line.endswith("; by more than 0.1 in 0.0%") for line in said)
    assert is_classifier(out.read_bytes(), source="x")


@pytest.mark.usefixtures("done_before")
@pytest.mark.parametrize(("kind", "engine"), [(OnnxRuntimeSession, "onnxruntime"), (OpenVinoSession, "openvino")])
def test_what_says_other_things_than_before_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, engine: str
) -> None:
    original: Callable[..., Any] = kind.run

    def run(self: Any, batch: Any) -> Any:
        scores, heat = original(self, batch)
        return [scores[:, ::-1] if self.precision == "int8" else scores, heat]

    monkeypatch.setattr(kind, "run", run)
    with pytest.raises(InferenceError, match=rf"w\.onnx: quantised and on {engine}, P\(NSFW\) would be off by more"):
        quantize(colors(), sorted(folder.iterdir())[:3], source="w.onnx")


def test_a_classifier_without_convolutions_of_all_channels_is_refused(folder: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["images", "each"], ["c"], group=3),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "two"], ["cells"]),
        node("GlobalAveragePool", ["cells"], ["mean"]),
        node("Flatten", ["mean"], ["logits"]),
        node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    constants = {"each": np.ones((3, 1, 1, 1), np.float32), "two": np.ones((2, 3, 1, 1), np.float32)}
    with pytest.raises(WeightsError, match=r"w\.onnx: has no convolutions to quantise"):
        quantize(serialized(nodes, constants, ["scores"]), sorted(folder.iterdir())[:1], source="w.onnx")
