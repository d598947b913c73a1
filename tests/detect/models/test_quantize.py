"""`python -m detect quantize` on a small RetinaNet whose weights were worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from detect import WeightsError, load_detector
from detect.__main__ import main
from detect.errors import AnnotationsError, InferenceError, UnsupportedImageError
from detect.models.quantize import quantize
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession, openvino_core

NAMES = ["RED", "BLUE"]


@pytest.fixture(scope="module")
def network() -> bytes:
    """Means of 16 x 16 pixels every 8, passed through one more layer; a logit is 12 (its colour - other) - 6."""
    node = helper.make_node
    means = np.zeros((3, 3, 16, 16), np.float32)
    means[range(3), range(3)] = 1 / 256
    same = np.zeros((3, 3, 3, 3), np.float32)
    same[range(3), range(3), 1, 1] = 1
    colors = np.array([[12, 0, -12], [-12, 0, 12]], np.float32).reshape(2, 3, 1, 1)
    weights = {
        "means": means, "same": same, "colours": colors, "away": np.array([-6, -6], np.float32),
        "none": np.zeros((4, 3, 1, 1), np.float32), "two": np.array([0, -1, 2]), "four": np.array([0, -1, 4]),
    }  # fmt: skip
    nodes = [
        node("Conv", ["images", "means"], ["c1"], "first", strides=[8, 8], pads=[8, 8, 0, 0]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "same"], ["c2"], "second", pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["r2"]),
        node("Conv", ["r2", "colours", "away"], ["l"], "scores"),
        node("Conv", ["r2", "none"], ["d"], "edges"),
    ]
    for name, made, shape in (("logits", "l", "two"), ("deltas", "d", "four")):
        nodes += [
            node("Transpose", [made], [f"{name}_last"], perm=[0, 2, 3, 1]),
            node("Reshape", [f"{name}_last", shape], [name]),
        ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", None, None]) for name in ("logits", "deltas")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    anchors = {"sizes": [[16.0]], "ratios": [1.0], "strides": [8]}
    normalization = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    about = {"names": NAMES, "imgsz": 64, "stride": 32, "head": "retinanet", "thresholds": {"RED": 0.4}}
    props = {**about, "anchors": anchors, "normalisation": normalization}
    helper.set_model_props(model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in props.items()})
    return model.SerializeToString()


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """COCO file and folder: ten pictures of noise, each with a red and a blue square where the network has anchors."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(4)
    images, annotations = [], []
    for number in range(1, 11):
        pixels = rng.integers(90, 160, (64, 64, 3), np.uint8)
        for category, color in ((1, (220, 30, 30)), (2, (30, 30, 220))):
            x, y = 32 * (category - 1) + 8, 8 * int(rng.integers(0, 6))
            pixels[y : y + 16, x : x + 16] = color
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": 0}
            annotations.append(row | {"bbox": [x, y, 16, 16], "area": 256})
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        images.append({"id": number, "file_name": f"{number:02}.png", "width": 64, "height": 64})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)]
    file = folder / "boxes.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file, folder


@pytest.fixture(scope="module")
def quantized(network, annotated) -> bytes:
    return quantize(network, sorted(annotated[1].glob("*.png")), source="tiny.onnx")


def test_layers_compute_in_whole_numbers_but_the_last_do_not(network, quantized):
    graph = onnx.load_from_string(quantized).graph
    makers = {output: node for node in graph.node for output in node.output}
    rounded = {node.name: makers[node.input[1]].op_type for node in graph.node if node.op_type == "Conv"
               if node.input[1] in makers}  # fmt: skip
    assert rounded == {"first": "DequantizeLinear", "second": "DequantizeLinear"}
    assert all(makers[output.name].op_type == "Reshape" for output in graph.output)


def test_the_file_says_of_itself_what_it_said_before(network, quantized):
    before, after = (OnnxRuntimeSession(model, source="x", threads=1) for model in (network, quantized))
    assert after.metadata == {**before.metadata, "quantised": "checked on onnxruntime and openvino"}
    assert after.input_shape == before.input_shape
    assert (before.precision, after.precision) == ("f32", "int8")


def test_pictures_of_nothing_prove_nothing(network, tmp_path):
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    session = OnnxRuntimeSession(quantize(network, [tmp_path / "grey.png"], source="x"), source="x", threads=1)
    assert session.precision == "int8"
    assert "quantised" not in session.metadata


def test_both_engines_answer_nearly_what_the_exact_network_answers(network, quantized):
    batch = np.random.default_rng(1).random((3, 3, 64, 96), np.float32)
    batch[1, 0, :32] = 0.8  # within what the pictures showed
    logits, deltas = OnnxRuntimeSession(network, source="x", threads=1).run(batch)
    assert np.ptp(logits) > 3
    for kind in (OnnxRuntimeSession, OpenVinoSession):
        found_logits, found_deltas = kind(quantized, source="x", threads=1).run(batch)
        assert np.array_equal(found_deltas, deltas)
        assert 0 < np.abs(found_logits - logits).max() < 0.2  # 12 times one step in 256, twice


def test_layers_left_out_are_in_bf16_where_the_processor_computes_in_it(network, quantized, monkeypatch):
    core = openvino_core("x")
    capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    hints = []
    original = core.compile_model

    def compile_model(network, device, options):
        hints.append(options["INFERENCE_PRECISION_HINT"])
        return original(network, device, options)

    monkeypatch.setattr(core, "compile_model", compile_model)
    assert OpenVinoSession(quantized, source="x", threads=1).precision == "int8"
    assert OpenVinoSession(network, source="x", threads=1).precision == "f32"
    assert hints == ["bf16" if capable else "f32", "f32"]


def test_the_command_measures_before_and_after(network, annotated, tmp_path):
    file, folder = annotated
    model, out = tmp_path / "tiny.onnx", tmp_path / "tiny.int8.onnx"
    model.write_bytes(network)
    arguments = ["quantize", str(model), "--images", str(folder), "-o", str(out)]
    done = CliRunner().invoke(main, [*arguments, "--annotations", str(file), "--limit", "4"])
    assert done.exit_code == 0, done.output
    first, *measured = done.stdout.splitlines()
    assert first.startswith(f"{out}: calibrated on 4 pictures; ")
    assert [line.split(":")[0] for line in measured] == [str(model), str(out)]
    assert ["f32)" in measured[0], "int8)" in measured[1]] == [True, True]
    before, after = (float(line.split("AP ")[1].split()[0]) for line in measured)
    assert before > 0.9
    assert abs(after - before) < 0.01
    assert load_detector(out, precision="int8").names == ("RED", "BLUE")
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "exists; add --overwrite" in again.output) == (1, True)


def test_what_cannot_be_quantized_is_refused(network, quantized, annotated, constant_network, tmp_path):
    pictures = sorted(annotated[1].glob("*.png"))[:2]
    with pytest.raises(WeightsError, match=r"w\.onnx: is quantised already"):
        quantize(quantized, pictures, source="w.onnx")
    with pytest.raises(AnnotationsError, match=r"w\.onnx: no pictures to calibrate on"):
        quantize(network, [], source="w.onnx")
    with pytest.raises(WeightsError, match=r"w\.onnx: not a model"):
        quantize(b"Dear reader", pictures, source="w.onnx")
    nameless = onnx.load_from_string(network)
    del nameless.metadata_props[:]
    with pytest.raises(WeightsError, match=r"w\.onnx: the model does not describe itself"):
        quantize(nameless.SerializeToString(), pictures, source="w.onnx")
    with pytest.raises(WeightsError, match=r"w\.onnx: has no convolutions to quantise"):
        quantize(constant_network(np.zeros((6, 2))), pictures, source="w.onnx")
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(UnsupportedImageError, match=r"broken\.png: not a picture"):
        quantize(network, [tmp_path / "broken.png"], source="w.onnx")


@pytest.mark.parametrize(("kind", "engine"), [(OnnxRuntimeSession, "onnxruntime"), (OpenVinoSession, "openvino")])
@pytest.mark.parametrize(("shift", "fault"), [(-9, "lost"), (9, "made up")])
def test_what_finds_other_things_than_before_is_refused(network, annotated, monkeypatch, kind, engine, shift, fault):
    original = kind.run

    def run(self, batch):
        logits, deltas = original(self, batch)
        return [logits + np.float32(shift) * (self.precision == "int8"), deltas]

    monkeypatch.setattr(kind, "run", run)
    with pytest.raises(InferenceError, match=rf"w\.onnx: quantised and on {engine}, \d+ of \d+ boxes would be {fault}"):
        quantize(network, sorted(annotated[1].glob("*.png"))[:3], source="w.onnx")


def test_the_commands_refusals_leave_nothing(network, annotated, tmp_path):
    model, out = tmp_path / "tiny.onnx", tmp_path / "out.onnx"
    model.write_bytes(b"Dear reader")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", annotated[1]):
        done = CliRunner().invoke(main, ["quantize", str(model), "--images", str(folder), "-o", str(out)])
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert not out.exists()
