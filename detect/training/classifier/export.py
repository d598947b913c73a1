"""From a training run's weights to an ONNX file that `detect.classifier` runs, checked picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detect.atomic import write_whole
from detect.classifier.onnx_classifier import OnnxClassifier
from detect.detections import RGBImage
from detect.pictures.rgb import read_rgb
from detect.runtime.metadata import read_size
from detect.runtime.sessions import OnnxRuntimeSession
from detect.training.classifier.checkpoint import STRIDE, Description, load_model
from detect.training.classifier.network import ClassifierNetwork
from detect.training.export import exported, held_against_torch

__all__ = ["export_classifier"]


class _Answering(nn.Module):
    """A network that answers probabilities, and, where that is exact, what each cell says by itself.

    Source:
        As `detect.models.conversion` makes the known classifiers answer: see there.
    """

    def __init__(self, model: ClassifierNetwork, nsfw: Sequence[bool]) -> None:
        super().__init__()
        self.model = model
        weight, bias = model.fc.weight.detach(), model.fc.bias.detach()
        self.register_buffer("weight", weight.T.contiguous())
        self.register_buffer("bias", bias.clone())
        self.register_buffer("nsfw", torch.tensor(nsfw, dtype=torch.float32))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        weight, bias, nsfw = self.get_buffer("weight"), self.get_buffer("bias"), self.get_buffer("nsfw")
        features = self.model.body(images)
        scores = (torch.matmul(self.model.neck(features), weight) + bias).softmax(dim=1)
        if not self.model.has_cells:
            return (scores,)
        cells = (torch.matmul(features.permute(0, 2, 3, 1), weight) + bias).softmax(dim=3)
        return scores, torch.matmul(cells, nsfw).clamp(max=1)  # rounded, a sum of all labels may pass 1


def export_classifier(weights: str | Path, target: str | Path, *, pictures: Sequence[str | Path] = ()) -> float:
    """Write an ONNX file: any batch, any sides that are multiples of 32 where the network allows it.

    Args:
        weights: A safetensors file that training wrote.
        target: The ONNX file; replaced if it exists, and only once it has been checked.
        pictures: On which the two networks are compared; without any, on seeded noise.

    Returns:
        The greatest difference found between the two networks' probabilities, of pictures and of cells.

    Raises:
        WeightsError: The weights cannot be read.
        DetectError: The exported network answers differently.
    """
    model, description = load_model(weights)
    answering = _Answering(model, [name in description.nsfw for name in description.names]).eval()
    noise = np.random.default_rng(0).integers(0, 256, (2 * description.size, description.size, 3), np.uint8)
    shown = [read_rgb(path) for path in pictures] or [noise]
    content, worst = held_against_torch(
        lambda tracing: _convert(answering, description, tracing=tracing),
        lambda content: _difference(answering, OnnxRuntimeSession(content, source=str(target)), shown, str(target)),
        name=str(target),
    )
    write_whole(target, content, overwrite=True)
    return worst


def _convert(answering: _Answering, description: Description, *, tracing: bool) -> bytes:
    import onnx

    axes: dict[int, tuple[str, Any]] = {0: ("batch", torch.export.Dim("batch"))}
    said = description.metadata()
    if answering.model.has_cells and answering.model.is_free:
        rows, columns = (STRIDE * torch.export.Dim(name, min=1, max=128) for name in ("rows", "columns"))
        axes |= {2: ("rows", rows), 3: ("columns", columns)}
        # Ten cells where the network was trained with seven: a finer map, as of open_nsfw.
        said["heat_imgsz"] = str([STRIDE * round(description.size * 10 / 7 / STRIDE)] * 2)
    outputs = ["scores", "heat"] if answering.model.has_cells else ["scores"]
    example = torch.zeros(2, 3, description.size, description.size)
    graph = exported(answering, example, axes=axes, outputs=outputs, tracing=tracing)
    _keep_constants(graph.graph)
    _name_pooling(graph.graph)
    onnx.helper.set_model_props(graph, said)
    return bytes(graph.SerializeToString())


def _keep_constants(graph: Any) -> None:
    """Keep numbers among the weights, as those do who read the file; tracing leaves nodes that answer them."""
    from onnx import helper

    for node in [node for node in graph.node if node.op_type == "Constant"]:
        (value,) = [helper.get_attribute_value(each) for each in node.attribute if each.name == "value"]
        value.name = node.output[0]
        graph.initializer.append(value)
        graph.node.remove(node)


def _name_pooling(graph: Any) -> None:
    """Call the mean over all cells what it is, as those do who read the file; torch's exporter writes it out."""
    from onnx import helper, numpy_helper

    pairs = [tensor for tensor in graph.initializer if list(tensor.dims) == [2]]  # weights are millions of numbers
    constants = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in pairs}
    for node in graph.node:
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        axes = constants.get(node.input[1]) if node.op_type == "ReduceMean" and len(node.input) > 1 else None
        if axes is not None and sorted(axes) in ([-2, -1], [2, 3]) and options.get("keepdims", 1):
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]
    needed = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in needed]:
        graph.initializer.remove(tensor)


@torch.no_grad()
def _difference(answering: _Answering, session: OnnxRuntimeSession, pictures: Sequence[RGBImage], source: str) -> float:
    classifier = OnnxClassifier(session, source=source)  # reads the metadata as production does
    said = session.metadata
    sizes = {read_size(said, source, key=key) for key in ("imgsz", "heat_imgsz") if key in said}
    apart: list[float] = []
    for picture in pictures:
        for size in sizes:
            # Three: another number than was traced.
            batch = classifier.prepare([picture, picture[:, ::-1], picture[::-1]], size=size)
            found: list[NDArray[np.float32]] = session.run(batch)
            expected = [each.numpy() for each in answering(torch.from_numpy(batch))]
            apart += [float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True)]
    return float(np.max(apart))  # NaN where any is
