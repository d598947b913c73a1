"""open_nsfw's weights, out of the ONNX file that is kept of it, as those of our thin ResNet-50."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from torch import Tensor

from detect.errors import WeightsError
from detect.runtime.metadata import read_names
from detect.runtime.onnx_detector import read_weights

__all__ = ["SCALE", "read_open_nsfw"]

_PART = {"branch2a": ("conv1", "bn1"), "branch2b": ("conv2", "bn2"), "branch2c": ("conv3", "bn3")}
SCALE = 1 / 58
"""What pixels are multiplied by in front of our network, and the first layer divided by.

The original is fed numbers of a hundred, and that layer's gradient is as large: at a rate at which the others learn it
would be torn apart.
"""

_EPSILON = 1e-5
"""Of `nn.BatchNorm2d`."""


def read_open_nsfw(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the file that `detect.models` made of the original.

    Normalisation is folded into its convolutions. Here it becomes a scale of one and a shift, with statistics that
    change nothing as long as they stay as they are.

    Returns:
        Weights as `ClassifierNetwork` names them, and the labels of the last layer in order.

    Raises:
        WeightsError: The file cannot be read, or is not that network.
    """
    content = read_weights(path)
    try:
        import onnx

        model = onnx.load_from_string(content)
    except ModuleNotFoundError as error:
        raise WeightsError(f"{path}: reading it needs {error.name}: pip install 'nsfw-censor[train]'") from error
    except Exception as error:  # protobuf has an error of its own for each of its builds
        raise WeightsError(f"{path}: no ONNX file") from error
    arrays = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer
    }
    state: dict[str, Tensor] = {}
    for node in model.graph.node:
        if node.op_type == "Conv" and (layer := _layer(node.output[0])):
            weight, bias = (arrays[name] for name in node.input[1:])
            state[f"{layer[0]}.weight"] = weight
            state |= _normalization(layer[1], bias)
    if "tail/weight" not in arrays or "body.layer4.2.conv3.weight" not in state:
        raise WeightsError(f"{path}: not open_nsfw as `censor models add` keeps it")
    state["body.conv1.weight"] /= SCALE
    state |= {"fc.weight": arrays["tail/weight"].T.contiguous(), "fc.bias": arrays["tail/bias"]}
    return state, read_names({prop.key: prop.value for prop in model.metadata_props}, str(path))


def _layer(output: str) -> tuple[str, str] | None:
    """Names of a convolution and its normalisation here, by what the original calls what they answer."""
    if output.startswith("bn_1/"):
        return "body.conv1", "body.bn1"
    found = re.match(r"bn_stage(\d)_block(\d)_(proj_shortcut|branch2[abc])/", output)
    if found is None:
        return None
    block = f"body.layer{int(found[1]) + 1}.{found[2]}"
    if found[3] == "proj_shortcut":
        return f"{block}.downsample.0", f"{block}.downsample.1"
    conv, norm = _PART[found[3]]
    return f"{block}.{conv}", f"{block}.{norm}"


def _normalization(name: str, bias: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}.weight": torch.full_like(bias, math.sqrt(1 + _EPSILON)),
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros_like(bias),
        f"{name}.running_var": torch.ones_like(bias),
    }
