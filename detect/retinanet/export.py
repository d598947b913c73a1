"""From a training run's weights to an ONNX file that describes itself, checked picture by picture."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detect.atomic import write_whole
from detect.detections import RGBImage
from detect.errors import DetectError, InferenceError
from detect.pictures.rgb import read_rgb
from detect.retinanet.checkpoint import Description, load_model
from detect.retinanet.model import RetinaNet
from detect.runtime.letterbox import Letterbox
from detect.runtime.retinanet import RetinaNetHead
from detect.runtime.sessions import OnnxRuntimeSession

__all__ = ["export_onnx"]

_OPSET = 18
"""Of ONNX; torch's newer way writes this one, too."""

_TOLERANCE = 1e-3
"""How far a score or a delta may be from torch's."""


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
    # What tracing takes half a second for, export takes half a minute for; but a trace knows one size alone where a
    # network reckons with sizes outside of torch, which shows at the next.
    for tracing in (True, False):
        try:
            content = _convert(model, description, tracing=tracing)
            worst = _difference(model, description, OnnxRuntimeSession(content, source=str(target)), shown)
        except (RuntimeError, InferenceError):
            if not tracing:
                raise
        else:
            if worst <= _TOLERANCE:
                break
    else:
        raise DetectError(f"{target}: the exported network's answers differ by {worst:.2g}, more than {_TOLERANCE:g}")
    write_whole(target, content, overwrite=True)
    return worst


def _convert(model: RetinaNet, description: Description, *, tracing: bool) -> bytes:
    import onnx

    side = 32
    rows, columns = (side * torch.export.Dim(name, min=1, max=512) for name in ("rows", "columns"))
    shapes: dict[str, Any] = (
        {"dynamic_axes": {"images": {0: "batch", 2: "rows", 3: "columns"}}, "opset_version": _OPSET}
        if tracing
        else {"dynamic_shapes": {"images": {0: torch.export.Dim("batch"), 2: rows, 3: columns}}}
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torch's exporter warns of its own deprecated calls; what matters is checked on the result.
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, 3 * side, 4 * side),),
            file,
            input_names=["images"],
            output_names=["logits", "deltas"],
            external_data=False,
            dynamo=not tracing,
            verbose=False,
            **shapes,
        )
        graph = onnx.load(file)
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
