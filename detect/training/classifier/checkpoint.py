"""A classifier's weights on disk, which describe themselves; and weights of others' to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from detect.classifier.fit import RESIZES
from detect.errors import WeightsError
from detect.runtime.metadata import (
    MODEL_NAME,
    read_choice,
    read_literal,
    read_names,
    read_numbers,
    read_size,
)
from detect.training.checkpoint import check_shapes, fill, read_state_dict, read_tensors, save_tensors
from detect.training.classifier.architectures import build_network, check_architecture, find_architecture
from detect.training.classifier.network import ClassifierNetwork
from detect.training.classifier.open_nsfw import SCALE, read_open_nsfw
from detect.training.normalization import on_device

__all__ = ["STRIDE", "Description", "Input", "Pretrained", "load_model", "read_pretrained", "save_weights"]

STRIDE = 32
"""The sides of an input are multiples of this."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """How a network wants its pictures: ``(pixels - mean) * scale``, pixels from 0 to 255.

    Attributes:
        color: ``RGB`` or ``BGR``.
        mean: In the order of `color`.
        scale: In the order of `color`.
    """

    color: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, architecture: str) -> Self:
        """What weights of torchvision's or timm's want."""
        known = find_architecture(architecture)
        return cls(
            color="RGB",
            mean=tuple(255 * value for value in known.mean),
            scale=tuple(1 / (255 * value) for value in known.std),
        )

    def normalized(self, images: Tensor) -> Tensor:
        """What the network is given of uint8 RGB (B, 3, H, W): float32, on the same device."""
        colors = images.flip(1) if self.color == "BGR" else images
        mean, scale = (on_device(tuple(values), images.device) for values in (self.mean, self.scale))
        return (colors.float() - mean) * scale


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a weights file says of itself: enough to build the network, feed it and read its answer.

    Attributes:
        name: What policies and reports will call it.
        names: The labels, in order.
        nsfw: Those of `names` that add up to the probability of NSFW.
        architecture: See `find_architecture`.
        size: Side of the input in pixels.
        resize: One of `detect.classifier.fit.RESIZES`.
        input: How it wants its pixels.
        dropout: See `ClassifierNetwork`.
        metrics: What the last evaluation found.
        config: The options of the run.
    """

    name: str
    names: Sequence[str]
    nsfw: Sequence[str]
    architecture: str
    size: int
    resize: str
    input: Input
    dropout: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self) -> dict[str, str]:
        """As a metadata map, of a safetensors or an ONNX file; `OnnxClassifier` reads it."""
        values = {
            "names": list(self.names),
            "nsfw": list(self.nsfw),
            "imgsz": [self.size, self.size],
            "stride": STRIDE,
            "mean": list(self.input.mean),
            "scale": list(self.input.scale),
            "dropout": self.dropout,
            "metrics": dict(self.metrics),
            "config": dict(self.config),
        }
        words = {
            "task": "classify",
            "name": self.name,
            "architecture": self.architecture,
            "layout": "NCHW",
            "color": self.input.color,
            "resize": self.resize,
        }
        return words | {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str) -> Self:
        """Read a metadata map back.

        Raises:
            WeightsError: It is not one that `metadata` wrote.
        """
        read_choice(metadata, "task", ("classify",), source)
        if (name := metadata.get("name", "")) is None or not MODEL_NAME.fullmatch(name):
            raise WeightsError(f"{source}: metadata key 'name' is no name of a model: {name[:80]!r}")
        dropout = read_literal(metadata, "dropout", source)
        size = max(read_size(metadata, source))
        if size % STRIDE or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise WeightsError(f"{source}: the file does not describe a classifier of ours: {size=}, {dropout=}")
        try:
            check_architecture(architecture := metadata.get("architecture", ""))
        except ValueError as error:
            raise WeightsError(f"{source}: metadata key 'architecture' {error}") from error
        try:
            metrics, config = (json.loads(metadata[key]) for key in ("metrics", "config"))
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{source}: the file does not describe a classifier of ours: {error!r}") from error
        return cls(
            name=name,
            names=read_names(metadata, source),
            nsfw=read_names(metadata, source, key="nsfw"),
            architecture=architecture,
            size=size,
            resize=read_choice(metadata, "resize", RESIZES, source),
            input=Input(
                color=read_choice(metadata, "color", ("RGB", "BGR"), source),
                mean=read_numbers(metadata, "mean", 3, source, default=0),
                scale=read_numbers(metadata, "scale", 3, source, default=1),
            ),
            dropout=float(dropout),
            metrics=metrics,
            config=config,
        )

    def build(self) -> ClassifierNetwork:
        """The network, untrained.

        Raises:
            ValueError: The size is too small for it.
        """
        return build_network(self.architecture, classes=len(self.names), size=self.size, dropout=self.dropout)


def save_weights(path: Path, model: nn.Module, description: Description) -> None:
    """Write weights and what they are."""
    save_tensors(path, model, description.metadata())


def load_model(path: str | Path) -> tuple[ClassifierNetwork, Description]:
    """Build the network that a weights file describes, with its weights, in evaluation mode.

    Raises:
        WeightsError: The file cannot be read, or holds something else.
    """
    tensors, metadata = read_tensors(Path(path))
    description = Description.from_metadata(metadata, source=str(path))
    try:
        check_shapes(description.build, tensors, last="fc.")
        model = description.build()
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: the weights are not those of the network it describes: {error}") from error
    return model.eval(), description


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights to begin with.

    Attributes:
        state: By name, as `ClassifierNetwork` has them.
        input: How they want their pixels.
        names: Labels of the last layer, in order; none where it is of no use here.
        source: Where they came from; named in errors.
        architecture: Of what.
    """

    state: Mapping[str, Tensor]
    input: Input
    names: tuple[str, ...]
    source: str
    architecture: str

    def load(self, model: ClassifierNetwork, names: Sequence[str]) -> bool:
        """Fill a network; its last layer too, where the labels are the same in whatever order.

        Returns:
            Whether the last layer was filled.

        Raises:
            WeightsError: They are another network's.
        """
        fill(model.body, self._part("body."), source=self.source, what=f"a {self.architecture}")
        fill(model.neck, self._part("neck."), source=self.source, what=f"a {self.architecture} of this input size")
        if not self.names or set(self.names) != set(names):
            return False
        rows = [self.names.index(name) for name in names]
        last = {key: value[rows] for key, value in self._part("fc.").items()}
        fill(model.fc, last, source=self.source, what=f"a {self.architecture}")
        return True

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}


def read_pretrained(path: Path, architecture: str) -> Pretrained:
    """Read weights to begin with.

    Args:
        path: A file of torchvision's or timm's weights of this architecture (.pth or .safetensors); weights that
            training wrote; or, of a thin ResNet-50, open_nsfw's ONNX file.
        architecture: See `find_architecture`.

    Raises:
        WeightsError: It cannot be read, or is of another network.
    """
    source = str(path)
    if path.suffix == ".onnx":
        if architecture != "thin_resnet50":
            raise WeightsError(f"{path}: an ONNX file is read as open_nsfw's thin_resnet50, not as a {architecture}")
        state, names = read_open_nsfw(path)
        given = Input(color="BGR", mean=(104.0, 117.0, 123.0), scale=(SCALE,) * 3)
        return Pretrained(state=state, names=names, input=given, source=source, architecture=architecture)
    if path.suffix == ".safetensors":
        tensors, metadata = read_tensors(path)
        if metadata.get("task") == "classify" and "architecture" in metadata:
            said = Description.from_metadata(metadata, source=source)
            if (found := said.architecture) != architecture:
                raise WeightsError(f"{path}: not the weights of a {architecture}: they are those of a {found}")
            names = tuple(said.names)
            return Pretrained(state=tensors, names=names, input=said.input, source=source, architecture=architecture)
    renamed: dict[str, Tensor] = {}
    for key, value in read_state_dict(path).items():
        for old, new in find_architecture(architecture).renamed.items():
            if key.startswith(old):
                renamed[new + key.removeprefix(old)] = value
    given = Input.of(architecture)
    return Pretrained(state=renamed, names=(), input=given, source=source, architecture=architecture)
