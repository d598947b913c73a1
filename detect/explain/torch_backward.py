"""What of a picture drives an answer or a unit, by sending a signal back: deconvnet and guided backpropagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from detect.classifier.fit import RESIZES, inside
from detect.classifier.onnx_classifier import OnnxClassifier
from detect.detections import RGBImage
from detect.errors import ExplanationError
from detect.explain.activation import spread
from detect.explain.target import Heatmap
from detect.explain.torch_graph import GraphSession, Rule, TorchGraph
from detect.runtime.metadata import read_choice, read_names

__all__ = ["Backward", "Layered", "Rule", "UnitStrength", "backward", "find_layer", "strength", "unit_backward"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Backward:
    """What came back at the network's input.

    Attributes:
        pattern: Signed, in the network's order of colors: float32 (3, rows, columns).
        size: Rows and columns of the picture that was explained.
        resize: How it was fitted into the input; see `detect.classifier.fit`.
    """

    pattern: NDArray[np.float32]
    size: tuple[int, int]
    resize: str

    @property
    def heat(self) -> Heatmap:
        """The most of any color, whatever its sign, for each pixel of the picture."""
        return self._on_picture(np.abs(self.pattern).max(axis=0))

    def smoothed(self, sigma: float) -> Heatmap:
        """The same, each pixel with its surroundings: single pixels say little.

        Args:
            sigma: Of a Gaussian, in pixels of the network's input.
        """
        strongest = np.abs(self.pattern).max(axis=0)
        return self._on_picture(np.asarray(cv2.GaussianBlur(strongest, (0, 0), sigma), np.float32))

    def cells(self, side: int) -> NDArray[np.float32]:
        """Its mean in each of `side` x `side` cells of the picture: all that may be shown of one that is hidden."""
        heat = self.heat
        return np.asarray(cv2.resize(heat, (side, side), interpolation=cv2.INTER_AREA), np.float32)

    def _on_picture(self, values: NDArray[np.float32]) -> Heatmap:
        rows, columns = values.shape
        cut = inside(values, *self.size, size=(rows, columns), resize=self.resize)
        return spread(cut, *self.size)


class Layered(Protocol):
    """A network whose layers can be asked for, and signals sent back from them to the pixels."""

    @property
    def source(self) -> str:
        """What errors call it."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of what rectifiers answer, the first layer first."""
        ...

    def given(self, image: RGBImage) -> torch.Tensor:
        """What the network is given for a picture: (1, 3, rows, columns)."""
        ...

    def answers(self, given: torch.Tensor, layer: str, rule: Rule = Rule.GRADIENT) -> torch.Tensor:
        """What a layer answers; the rule says what goes back through rectifiers."""
        ...

    def sent(self, pattern: NDArray[np.float32], image: RGBImage) -> Backward:
        """What came back for a picture: float32 (3, rows, columns), in the network's order of colors."""
        ...


class UnitStrength(NamedTuple):
    """How strongly a unit answers to a picture, and where on its layer's grid it does so most."""

    value: float
    row: int
    column: int


def backward(graph: TorchGraph, image: RGBImage, *, rule: Rule, name: str | None = None) -> Backward:
    """Send a signal back from a classifier's logit.

    Args:
        graph: A classifier.
        image: uint8 (H, W, 3).
        rule: What passes a rectifier.
        name: Of the label; by default the first that counts as NSFW.

    Raises:
        ExplanationError: The classifier does not know the label.
        WeightsError: The file is no classifier's.

    Source:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (arXiv:1311.2901), § 2: pooling is
        undone by its switches, which place the signal where the maximum was, and filters are transposed: as a gradient
        does.
        Springenberg et al., Striving for Simplicity (arXiv:1412.6806), § 3.4.
    """
    network = _Classifier(graph)
    names, label = network.classifier.names, name or read_names(graph.metadata, graph.source, key="nsfw")[0]
    if label not in names:
        raise ExplanationError(f"{graph.source}: says nothing of {label!r}, only of {', '.join(names)}")
    given = network.given(image).requires_grad_()
    logits = network.answers(given, graph.logits, rule)
    return _sent_back(network, given, logits[0, names.index(label)], image)


def find_layer(network: TorchGraph | Layered, layer: str, unit: int) -> str:
    """A layer by its name or its number, which has so many units.

    Args:
        network: A classifier's graph, or any other.
        layer: One of its layers' names, or a number from 1 to how many there are.
        unit: From 0.

    Raises:
        ExplanationError: There is no such layer, or no such unit in it.
    """
    network = _layered(network)
    layers = network.layers
    if layer.isdecimal() and 1 <= int(layer) <= len(layers):
        layer = layers[int(layer) - 1]
    if layer not in layers:
        raise ExplanationError(f"{network.source}: has no layer {layer!r}; layers are 1 to {len(layers)}, or by name")
    with torch.no_grad():
        values = network.answers(network.given(np.zeros((32, 32, 3), np.uint8)), layer)
    if values.dim() != 4:
        raise ExplanationError(f"{network.source}: layer {layer!r} has no units that see places of a picture")
    if not 0 <= unit < values.shape[1]:
        raise ExplanationError(f"{network.source}: layer {layer!r} has units 0 to {values.shape[1] - 1}, not {unit}")
    return layer


def strength(network: TorchGraph | Layered, image: RGBImage, layer: str, unit: int) -> UnitStrength:
    """The most that a unit answers anywhere in a picture; layer and unit as `find_layer` takes and checks them."""
    network = _layered(network)
    with torch.no_grad():
        values = network.answers(network.given(image), layer)
    place = int(values[0, unit].argmax())
    row, column = divmod(place, values.shape[3])
    return UnitStrength(float(values[0, unit, row, column]), row, column)


def unit_backward(network: TorchGraph | Layered, image: RGBImage, layer: str, unit: int, *, rule: Rule) -> Backward:
    """Send back what a unit answers where it answers most, everything else in its layer being nothing.

    Args:
        network: As for `find_layer`.
        image: uint8 (H, W, 3).
        layer: As `find_layer` gives it.
        unit: A unit of that layer.
        rule: What passes a rectifier.

    Source:
        Zeiler and Fergus (arXiv:1311.2901), § 2.1 and 4.1.
    """
    network = _layered(network)
    given = network.given(image).requires_grad_()
    values = network.answers(given, layer, rule)
    # The signal begins as the activation itself: half of its square has that for a derivative.
    return _sent_back(network, given, values[0, unit].max().square() / 2, image)


class _Classifier:
    """A classifier's graph as a `Layered`."""

    def __init__(self, graph: TorchGraph) -> None:
        self._graph = graph
        self.classifier = OnnxClassifier(GraphSession(graph), source=graph.source)

    @property
    def source(self) -> str:
        return self._graph.source

    @property
    def layers(self) -> tuple[str, ...]:
        return self._graph.layers

    def given(self, image: RGBImage) -> torch.Tensor:
        return torch.from_numpy(self.classifier.prepare([image]))

    def answers(self, given: torch.Tensor, layer: str, rule: Rule = Rule.GRADIENT) -> torch.Tensor:
        return self._graph.run(given, layer, rule=rule)[0]

    def sent(self, pattern: NDArray[np.float32], image: RGBImage) -> Backward:
        resize = read_choice(self._graph.metadata, "resize", RESIZES, self.source)
        return Backward(pattern=pattern, size=(image.shape[0], image.shape[1]), resize=resize)


def _layered(network: TorchGraph | Layered) -> Layered:
    return _Classifier(network) if isinstance(network, TorchGraph) else network


def _sent_back(network: Layered, given: torch.Tensor, answer: torch.Tensor, image: RGBImage) -> Backward:
    (pattern,) = torch.autograd.grad(answer, given)
    return network.sent(pattern[0].numpy(), image)
