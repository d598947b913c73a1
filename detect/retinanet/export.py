"""From a training run's weights to an ONNX file that describes itself, checked picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from detect.atomic import write_whole
from detect.detections import RGBImage
from detect.pictures.rgb import read_rgb
from detect.retinanet.checkpoint import Description, load_model
from detect.retinanet.model import RetinaNet
from detect.runtime.letterbox import Letterbox
from detect.runtime.retinanet import RetinaNetHead
from detect.runtime.sessions import OnnxRuntimeSession
from detect.training.export import exported, held_against_torch

__all__ = ["export_onnx"]


def export_onnx(weights: str | Path, target: str | Path, *, pictures: Sequence[str | Path] = ()) -> float:
    """Write an ONNX file: any batch, any sides that are multiples of 32, names and the rest in its metadata.

    Args:
        weights: A safetensors file that training wrote.
        target: The ONNX file; replaced if it exists, and only once it has been checked.
        pictures: On which the two networks are compared; without any, on seeded noise.

    Returns:
        The greatest difference found between the two networks' scores and deltas.

    Raises:
        WeightsError: The weights cannot be read.
        DetectError: The exported network answers differently.
    """
    model, description = load_model(weights)
    size = description.size
    noise = np.random.default_rng(0).integers(0, 256, (size, -(-size // 64) * 32, 3), np.uint8)
    shown = [read_rgb(Path(path)) for path in pictures] or [noise]
    content, worst = held_against_torch(
        lambda tracing: _convert(model, description, tracing=tracing),
        lambda content: _difference(model, description, OnnxRuntimeSession(content, source=str(target)), shown),
        name=str(target),
    )
    write_whole(target, content, overwrite=True)
    return worst


def _convert(model: RetinaNet, description: Description, *, tracing: bool) -> bytes:
    import onnx

    side = 32
    rows, columns = (side * torch.export.Dim(name, min=1, max=512) for name in ("rows", "columns"))
    axes = {0: ("batch", torch.export.Dim("batch")), 2: ("rows", rows), 3: ("columns", columns)}
    example = torch.zeros(2, 3, 3 * side, 4 * side)
    graph = exported(model, example, axes=axes, outputs=("logits", "deltas"), tracing=tracing)
    onnx.helper.set_model_props(graph, description.metadata())
    return bytes(graph.SerializeToString())


def _difference(
    model: RetinaNet, description: Description, session: OnnxRuntimeSession, pictures: Sequence[RGBImage]
) -> float:
    head = RetinaNetHead.from_metadata(session.metadata, classes=len(description.names), source="export")
    apart: list[float] = []
    batches = []
    for picture in pictures:
        fit = Letterbox.fit(*picture.shape[:2], size=(description.size,) * 2, stride=32, fixed=head.square)
        batches.append(head.prepare(fit.apply(picture)[None]))
    # Of neither the size nor the number that was traced.
    other = np.random.default_rng(1).random((3, 3, 64, 160), np.float32)
    for batch in (*batches, head.prepare(other)):
        with torch.no_grad():
            logits, deltas = (output.numpy() for output in model(torch.from_numpy(batch)))
        found_logits, found_deltas = session.run(batch)
        scores, found_scores = (1 / (1 + np.exp(-values)) for values in (logits, found_logits))
        apart += [float(np.abs(scores - found_scores).max()), float(np.abs(deltas - found_deltas).max())]
    return float(np.max(apart))  # NaN where any is
