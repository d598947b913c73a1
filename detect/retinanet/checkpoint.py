"""A RetinaNet's weights on disk, which describe themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import nn

from detect.errors import WeightsError
from detect.labels import canonical
from detect.retinanet.backbones import Norm, check_name
from detect.retinanet.losses import BoxLoss
from detect.retinanet.model import RetinaNet
from detect.runtime.metadata import read_size
from detect.runtime.retinanet import AnchorGrid
from detect.training.checkpoint import read_tensors, save_tensors
from detect.training.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Description", "load_model", "save_weights"]

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
    backbone: str
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
            check_name(described.backbone)
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
    save_tensors(path, model, description.metadata())


def load_model(path: str | Path) -> tuple[RetinaNet, Description]:
    """Build the network that a weights file describes, with its weights, ready to predict.

    Raises:
        WeightsError: The file cannot be read, or holds something else.
    """
    tensors, metadata = read_tensors(Path(path))
    description = Description.from_metadata(metadata, source=str(path))
    try:
        model = description.build()
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: the weights are not those of the network it describes: {error}") from error
    return model.eval(), description
