"""What of a picture drives an answer or a unit, by sending a signal back: deconvnet and guided backpropagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
from detect.runtime.metadata import read_choice, read_names, read_size

__all__ = ["Backward", "Rule", "UnitStrength", "backward", "find_layer", "strength", "unit_backward"]


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
    classifier = _classifier(graph)
    label = name or _nsfw(graph)[0]
    if label not in classifier.names:
        raise ExplanationError(f"{graph.source}: says nothing of {label!r}, only of {', '.join(classifier.names)}")
    given = torch.from_numpy(classifier.prepare([image])).requires_grad_()
    (logits,) = graph.run(given, graph.logits, rule=rule)
    return _sent(graph, given, logits[0, classifier.names.index(label)], image)


def find_layer(graph: TorchGraph, layer: str, unit: int) -> str:
    """A layer by its name or its number, which has so many units.

    Args:
        graph: Any.
        layer: One of `TorchGraph.layers`, or a number from 1 to how many there are.
        unit: From 0.

    Raises:
        ExplanationError: There is no such layer, or no such unit in it.
    """
    layers = graph.layers
    if layer.isdecimal() and 1 <= int(layer) <= len(layers):
        layer = layers[int(layer) - 1]
    if layer not in layers:
        raise ExplanationError(f"{graph.source}: has no layer {layer!r}; layers are 1 to {len(layers)}, or by name")
    size = read_size(graph.metadata, graph.source)
    with torch.no_grad():
        (values,) = graph.run(torch.zeros(1, 3, *size), layer)
    if values.dim() != 4 or not 0 <= unit < values.shape[1]:
        raise ExplanationError(f"{graph.source}: layer {layer!r} has units 0 to {values.shape[1] - 1}, not {unit}")
    return layer


def strength(graph: TorchGraph, image: RGBImage, layer: str, unit: int) -> UnitStrength:
    """The most that a unit answers anywhere in a picture; layer and unit as `find_layer` takes and checks them."""
    with torch.no_grad():
        (values,) = graph.run(torch.from_numpy(_classifier(graph).prepare([image])), layer)
    place = int(values[0, unit].argmax())
    row, column = divmod(place, values.shape[3])
    return UnitStrength(float(values[0, unit, row, column]), row, column)


def unit_backward(graph: TorchGraph, image: RGBImage, layer: str, unit: int, *, rule: Rule) -> Backward:
    """Send back what a unit answers where it answers most, everything else in its layer being nothing.

    Args:
        graph: Any.
        image: uint8 (H, W, 3).
        layer: As `find_layer` gives it.
        unit: A unit of that layer.
        rule: What passes a rectifier.

    Source:
        Zeiler and Fergus (arXiv:1311.2901), § 2.1 and 4.1.
    """
    given = torch.from_numpy(_classifier(graph).prepare([image])).requires_grad_()
    (values,) = graph.run(given, layer, rule=rule)
    # The signal begins as the activation itself: half of its square has that for a derivative.
    return _sent(graph, given, values[0, unit].max().square() / 2, image)


def _sent(graph: TorchGraph, given: torch.Tensor, answer: torch.Tensor, image: RGBImage) -> Backward:
    (pattern,) = torch.autograd.grad(answer, given)
    resize = read_choice(graph.metadata, "resize", RESIZES, graph.source)
    return Backward(pattern=pattern[0].numpy(), size=(image.shape[0], image.shape[1]), resize=resize)


def _classifier(graph: TorchGraph) -> OnnxClassifier:
    return OnnxClassifier(GraphSession(graph), source=graph.source)


def _nsfw(graph: TorchGraph) -> tuple[str, ...]:
    return read_names(graph.metadata, graph.source, key="nsfw")
