"""From torch to ONNX in two ways, of which the first whose answers are right is taken."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from detect.errors import DetectError, InferenceError

__all__ = ["Axes", "exported", "held_against_torch"]

Axes = Mapping[int, tuple[str, Any]]
"""Dimensions of the input that are free: each one's name, and what torch's newer way is told of it."""

_OPSET = 18
"""Of ONNX; torch's newer way writes this one, too."""

_TOLERANCE = 1e-3
"""How far an answer may be from torch's."""


def exported(model: nn.Module, example: torch.Tensor, *, axes: Axes, outputs: Sequence[str], tracing: bool) -> Any:
    """An `onnx.ModelProto` of a network that takes ``images``.

    Args:
        model: In evaluation.
        example: An input (B, 3, H, W).
        axes: Its free dimensions.
        outputs: Names of what it answers.
        tracing: By following one run, in half a second; otherwise by torch's newer way, which takes half a minute.

    Raises:
        RuntimeError: It cannot be done in this way.
    """
    import onnx

    how: dict[str, Any] = (
        {"dynamic_axes": {"images": {axis: name for axis, (name, _) in axes.items()}}, "opset_version": _OPSET}
        if tracing
        else {"dynamic_shapes": {"images": {axis: free for axis, (_, free) in axes.items()}}}
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torch's exporter warns of its own deprecated calls; what matters is checked on the result.
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            file,
            input_names=["images"],
            output_names=list(outputs),
            external_data=False,
            dynamo=not tracing,
            verbose=False,
            **how,
        )
        return onnx.load(file)


def held_against_torch(
    convert: Callable[[bool], bytes], difference: Callable[[bytes], float], *, name: str
) -> tuple[bytes, float]:
    """The first file whose answers are torch's, and how far from them it is.

    A trace knows one size alone where a network reckons with sizes outside of torch, which shows at the next.

    Args:
        convert: Makes the file, by tracing or not.
        difference: The greatest difference between the two networks' answers; NaN where any is.
        name: What errors call the file.

    Raises:
        DetectError: The exported network answers differently.
        RuntimeError, InferenceError: It cannot be exported or run.
    """
    for tracing in (True, False):
        try:
            content = convert(tracing)
            worst = difference(content)
        except (RuntimeError, InferenceError):
            if not tracing:
                raise
        else:
            if worst <= _TOLERANCE:
                return content, worst
    raise DetectError(f"{name}: the exported network's answers differ by {worst:.2g}, more than {_TOLERANCE:g}")
