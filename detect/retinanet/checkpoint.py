"""What a run leaves on disk: weights that describe themselves, and all it takes to go on. No pickle, no half files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from detect.atomic import write_whole
from detect.errors import WeightsError
from detect.labels import canonical
from detect.retinanet.losses import BoxLoss
from detect.retinanet.model import Backbone, Norm, RetinaNet
from detect.runtime.metadata import read_size
from detect.runtime.retinanet import AnchorGrid

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Description",
    "load_model",
    "load_state",
    "restore",
    "save_state",
    "save_weights",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of each colour in [0, 1], as torchvision's backbones were trained."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""By which each colour is divided after that."""

_STRIDE = 32
"""The sides of an input are multiples of this, so that P3 to P5 fit one another."""

_MOST_CHANNELS = 4096
"""Sixteen times RetinaNet's own; a network is built before its weights are seen not to fit."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a weights file says of itself: enough to build the network, feed it and read its answer.

    Attributes:
        names: The labels, in order.
        size: Side of the square that pictures are fitted into, in pixels.
        backbone: See `RetinaNet`.
        norm: See `RetinaNet`.
        head_norm: See `RetinaNet`.
        channels: See `RetinaNet`.
        box_loss: See `RetinaNet`.
        grid: The anchors.
        mean: Taken from each colour.
        std: Divides each colour after that.
        thresholds: For each label, the score with the best F1 on the validation set; empty where there was none.
        metrics: What the last evaluation found.
        config: The options of the run.
    """

    names: Sequence[str]
    size: int
    backbone: Backbone
    norm: Norm
    head_norm: bool
    channels: int
    box_loss: BoxLoss
    grid: AnchorGrid
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    thresholds: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self) -> dict[str, str]:
        """As a metadata map, of a safetensors or an ONNX file; `OnnxDetector` reads the first six keys."""
        values = {
            "names": list(self.names),
            "imgsz": self.size,
            "stride": _STRIDE,
            "anchors": asdict(self.grid),
            "normalisation": {"mean": list(self.mean), "std": list(self.std)},
            "thresholds": dict(self.thresholds),
            "architecture": {
                "backbone": self.backbone,
                "norm": self.norm,
                "head_norm": self.head_norm,
                "channels": self.channels,
                "box_loss": self.box_loss,
            },
            "metrics": dict(self.metrics),
            "config": dict(self.config),
        }
        return {"head": "retinanet"} | {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str) -> Self:
        """Read a metadata map back.

        Raises:
            WeightsError: It is not one that `metadata` wrote.
        """
        if (head := metadata.get("head")) != "retinanet":
            raise WeightsError(f"{source}: metadata key 'head' must be 'retinanet', found {head!r}")
        try:
            values = {key: json.loads(value) for key, value in metadata.items() if key != "head"}
            anchors = values["anchors"]
            described = cls(
                names=tuple(canonical(name) for name in values["names"]),
                size=max(read_size(metadata, source)),
                **values["architecture"],
                grid=AnchorGrid(
                    tuple(tuple(level) for level in anchors["sizes"]),
                    tuple(anchors["ratios"]),
                    tuple(anchors["strides"]),
                ),
                mean=tuple(values["normalisation"]["mean"]),
                std=tuple(values["normalisation"]["std"]),
                thresholds=values["thresholds"],
                metrics=values["metrics"],
                config=values["config"],
            )
            described.grid.check(source)
            wide = not 1 <= described.channels <= _MOST_CHANNELS
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{source}: the file does not describe a RetinaNet of ours: {error!r}") from error
        if wide:
            raise WeightsError(f"{source}: a RetinaNet of {described.channels} channels is none of ours")
        return described

    def build(self) -> RetinaNet:
        """The network, untrained."""
        return RetinaNet(
            classes=len(self.names),
            backbone=self.backbone,
            norm=self.norm,
            head_norm=self.head_norm,
            channels=self.channels,
            box_loss=self.box_loss,
            grid=self.grid,
        )


def save_weights(path: Path, model: nn.Module, description: Description) -> None:
    """Write weights with torchvision's keys and what they are."""
    write_whole(path, save(_plain(model.state_dict()), description.metadata()), overwrite=True)


def load_model(path: str | Path) -> tuple[RetinaNet, Description]:
    """Build the network that a weights file describes, with its weights, ready to predict.

    Raises:
        WeightsError: The file cannot be read, or holds something else.
    """
    tensors, metadata = _read(Path(path))
    description = Description.from_metadata(metadata, source=str(path))
    model = description.build()
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: the weights are not those of the network it describes: {error}") from error
    return model.eval(), description


def save_state(
    path: Path, *, model: nn.Module, ema: nn.Module, optimizer: Optimizer, progress: Mapping[str, Any]
) -> None:
    """Write all that a run needs to go on as if it had never stopped, in one file.

    Args:
        path: Where to.
        model: The network in training.
        ema: Its averaged twin.
        optimizer: With its state.
        progress: Whatever else, as JSON: the step, the options, the best result.
    """
    saved = optimizer.state_dict()
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in ema.state_dict().items()}
    numbers: dict[str, dict[str, Any]] = {}
    for row, values in saved["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{row}.{name}"] = value
            else:
                numbers.setdefault(str(row), {})[name] = value
    tensors["rng.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    metadata = {
        "progress": json.dumps(dict(progress), ensure_ascii=False),
        "optimizer": json.dumps({"groups": saved["param_groups"], "numbers": numbers}),
    }
    write_whole(path, save(_plain(tensors), metadata), overwrite=True)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str], dict[str, Any]]:
    """Read what `save_state` wrote: tensors, metadata and progress; `restore` puts the first two back.

    Raises:
        WeightsError: The file cannot be read, or is no such state.
    """
    tensors, metadata = _read(path)
    if "progress" not in metadata or "optimizer" not in metadata:
        raise WeightsError(f"{path}: holds no training state (weights alone cannot be resumed)")
    return tensors, metadata, json.loads(metadata["progress"])


def restore(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    model: nn.Module,
    ema: nn.Module,
    optimizer: Optimizer,
) -> None:
    """Put a state back, bit by bit, into objects built with the same options."""
    model.load_state_dict(_part(tensors, "model."))
    ema.load_state_dict(_part(tensors, "ema."))
    saved = json.loads(metadata["optimizer"])
    state: dict[int, dict[str, Any]] = {int(row): dict(values) for row, values in saved["numbers"].items()}
    for key, value in _part(tensors, "optimizer.").items():
        row, name = key.split(".", 1)
        state.setdefault(int(row), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Laid out as the parameter is: where the two differ, torch updates one parameter after the other.
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the weights, the file may be damaged or cut short: {error}") from error


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
