"""Conversion of small networks whose answers can be worked out beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import shipped

from detect.errors import ModelError
from detect.models import conversion
from detect.models.catalogue import Tail
from detect.models.conversion import convert
from detect.runtime.metadata import read_literal, read_names, read_size, read_stride
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession
from detect.runtime.telemetry import import_quietly


def session(content: bytes) -> OnnxRuntimeSession:
    return OnnxRuntimeSession(content, source="tiny.onnx", threads=1)


def softmax(logits: Any) -> Any:
    odds = np.exp(logits)
    return odds / odds.sum(axis=-1, keepdims=True)


def logits_of_cells(picture: Any) -> Any:
    """What the tiny networks say of each block of 8 x 8 pixels, by the definition of a convolution: (h, w, 3)."""
    rows, columns = (side // 8 for side in picture.shape[1:])
    blocks = picture.reshape(3, rows, 8, columns, 8)
    filtered = np.einsum("crhkw,fchw->rkf", blocks, shipped.FILTERS)
    return np.maximum(filtered, 0) @ shipped.WEIGHT + shipped.BIAS


def pictures(batch: int, rows: int, columns: int) -> Any:
    return np.random.default_rng(7).uniform(0, 255, (batch, 3, rows, columns)).astype(np.float32)


@pytest.mark.parametrize("make", [shipped.classifier, shipped.two_headed_classifier])
@pytest.mark.parametrize(("batch", "rows", "columns"), [(1, 16, 16), (3, 16, 16), (2, 24, 40)])
@pytest.mark.parametrize("kind", [OnnxRuntimeSession, OpenVinoSession])
def test_scores_and_heat_are_the_linear_layer_of_the_mean_and_of_each_cell(
    make: Any, batch: Any, rows: Any, columns: Any, kind: Any
) -> None:
    converted = convert(make(), shipped.known(make()))
    given = pictures(batch, rows, columns)
    scores, heat = kind(converted, source="tiny.onnx", threads=1).run(given)
    for picture, values, map_ in zip(given, scores, heat, strict=True):
        cells = logits_of_cells(picture)
        np.testing.assert_allclose(values, softmax(cells.mean(axis=(0, 1))), atol=1e-4)
        np.testing.assert_allclose(map_, softmax(cells)[..., 1:].sum(axis=-1), atol=1e-4)
    assert heat.std() > 0.01  # cells differ, or the comparison would show nothing


def test_the_file_describes_itself() -> None:
    content = shipped.classifier()
    made = session(convert(content, shipped.known(content)))
    assert made.input_shape == (None, 3, None, None)
    assert read_names(made.metadata, "x") == ("cat", "nude", "hentai")
    assert read_literal(made.metadata, "nsfw", "x") == ["nude", "hentai"]
    assert (read_size(made.metadata, "x"), read_stride(made.metadata, "x")) == ((16, 16), 8)
    assert read_literal(made.metadata, "mean", "x") == [104, 117, 123]
    said = {key: made.metadata[key] for key in ("task", "name", "license", "source", "source_sha256", "color")}
    assert said == {
        "task": "classify", "name": "tiny", "license": "MIT", "source": "tiny-model==1.2",
        "source_sha256": shipped.known(content).sha256, "color": "BGR",
    }  # fmt: skip


def test_what_the_original_says_of_itself_stays() -> None:
    model = onnx.load_from_string(shipped.detector())
    onnx.helper.set_model_props(model, {"author": "somebody", "license": "unknown"})
    made = session(convert(model.SerializeToString(), shipped.known_detector()))
    assert (made.metadata["author"], made.metadata["license"]) == ("somebody", "MIT")


def test_a_network_of_one_size_keeps_it() -> None:
    content = shipped.two_headed_classifier()
    made = session(convert(content, shipped.known(content, stride=None)))
    assert made.input_shape == (None, 3, 16, 16)
    assert "stride" not in made.metadata


def test_a_detector_takes_any_batch_and_size_and_its_outputs_have_names() -> None:
    converted = convert(shipped.detector(), shipped.known_detector())
    assert [output.name for output in onnx.load_from_string(converted).graph.output] == ["heatmap", "scale"]
    heatmap, scale = session(converted).run(pictures(1, 64, 48))
    assert heatmap.shape == scale.shape == (1, 1, 16, 12)
    assert session(converted).metadata["task"] == "detect"


def test_what_no_output_needs_is_left_out() -> None:
    content = shipped.classifier()
    graph = onnx.load_from_string(convert(content, shipped.known(content))).graph
    assert "unused" not in {tensor.name for tensor in graph.initializer}
    assert "AveragePool" not in {node.op_type for node in graph.node}


def test_gelus_are_written_so_that_the_engine_knows_them(tmp_path: Path) -> None:
    """All but one whose half is used elsewhere, too."""
    content = shipped.gelu_classifier()
    onnxruntime = import_quietly("onnxruntime")
    options = onnxruntime.SessionOptions()
    for name, model in (("before", content), ("after", convert(content, shipped.known(content)))):
        options.optimized_model_filepath = str(tmp_path / name)
        onnxruntime.InferenceSession(model, options)
    kinds = [[node.op_type for node in onnx.load(tmp_path / name).graph.node] for name in ("before", "after")]
    assert [each.count("Gelu") for each in kinds] == [0, 1]
    assert [each.count("Erf") for each in kinds] == [2, 1]


def test_older_files_list_their_weights_among_the_inputs() -> None:
    model = onnx.load_from_string(shipped.detector())
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    graph = onnx.load_from_string(convert(model.SerializeToString(), shipped.known_detector())).graph
    assert [given.name for given in graph.input] == ["picture"]


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (b"Dear reader", {}, "the original file is no ONNX model"),
        (shipped.classifier(last="Sigmoid"), {}, "does not end in a softmax"),
        (shipped.classifier(head="Mul"), {}, "'product' is not the linear layer behind 'pooled'"),
        (shipped.classifier(), {"names": ("sfw", "nude")}, "does not have 2 labels"),
        (shipped.classifier(), {"tail": Tail(features="features", pooled="mean", nsfw=("nude",))}, "not the linear"),
        # Of the mean of other cells than those that the original's mean is of.
        (shipped.classifier(), {"tail": Tail(features="filtered", pooled="pooled", nsfw=("nude",))}, "output 0 is not"),
        (shipped.classifier(), {"tail": Tail(features="nothing", pooled="pooled", nsfw=("nude",))}, "not valid"),
    ],
)
def test_a_graph_that_is_not_what_the_catalogue_says_is_refused(content: Any, fields: Any, message: Any) -> None:
    with pytest.raises(ModelError, match=f"^tiny: .*{message}"):
        convert(content, shipped.known(content, **fields))


def test_a_network_with_two_inputs_is_refused() -> None:
    model = onnx.load_from_string(shipped.detector())
    model.graph.input.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [1]))
    with pytest.raises(ModelError, match="tiny: the original has 2 inputs, not one"):
        convert(model.SerializeToString(), shipped.known_detector())


@pytest.mark.parametrize("weight", [1e-3, 0])
@pytest.mark.parametrize("bias", [np.array([1e-3, 0, 0], np.float32), 0])
def test_a_conversion_that_answers_otherwise_is_refused(
    weight: Any, bias: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = shipped.classifier()
    right: Any = conversion._replace_tail

    def spoil(graph: Any, known: Any, tail: Any, linear: Any) -> None:
        right(graph, known, tail, (linear[0] + np.float32(weight) * shipped.WEIGHT, linear[1] + bias))

    monkeypatch.setattr(conversion, "_replace_tail", spoil)
    if weight or np.any(bias):
        with pytest.raises(ModelError, match="tiny: converted, its output 0 is not what the original answers"):
            convert(content, shipped.known(content))
    else:
        convert(content, shipped.known(content))


def test_a_graph_that_the_engine_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = shipped.classifier()
    right: Any = conversion._replace_tail
    monkeypatch.setattr(
        conversion, "_replace_tail", lambda graph, known, tail, linear: right(graph, known, tail, (linear[0], 1.5))
    )
    with pytest.raises(ModelError, match="tiny: onnxruntime does not take it: "):
        convert(content, shipped.known(content))


def test_a_heat_that_is_not_the_originals_is_refused() -> None:
    content = shipped.classifier()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "_expected_heat", lambda original, features, known, tail: features[:, 0] * 0)
        with pytest.raises(ModelError, match="output 1 is not what the original answers"):
            convert(content, shipped.known(content))


def test_without_onnx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"^tiny: converting a model needs onnx: pip install 'nsfw-censor\[models\]'$"):
        convert(b"", shipped.known(b""))
