"""Which networks there are, by name: how each is built, and what its trained weights are called elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision
from torch import nn

from detect.training.classifier.ms_ctc import PyramidPooling, ms_ctc
from detect.training.classifier.network import ClassifierNetwork
from detect.training.classifier.thin_resnet import thin_resnet50
from detect.training.classifier.timm_body import TimmBody, make_body, prove
from detect.training.normalization import IMAGENET_MEAN, IMAGENET_STD
from detect.training.timm_networks import TIMM, colors_of, is_timm, make_timm

__all__ = ["ARCHITECTURES", "Architecture", "build_network", "check_architecture", "find_architecture"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network.

    Attributes:
        body: Builds it, untrained, up to its last feature map, for pictures of so many pixels a side.
        neck: Builds what makes one row of a map of so many channels and cells a side, and says how long that is; None
            for the mean over all cells.
        is_free: Whether it takes any size that is a multiple of 32, once it was trained at one.
        renamed: Beginnings of names in a file of torchvision's or timm's weights, and what they are here.
        mean: What such weights were trained with: taken from each colour, in [0, 1].
        std: Divides each colour after that.
    """

    body: Callable[[int], nn.Module]
    neck: Callable[[int, int], tuple[nn.Module, int]] | None = None
    is_free: bool = True
    renamed: Mapping[str, str] = field(default_factory=lambda: {"": "body."})
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def _until(model: nn.Module, last: str) -> nn.Sequential:
    """The layers of a network from its first to a named one, under their names."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in model.named_children():
        layers[name] = layer
        if name == last:
            break
    return nn.Sequential(layers)


def _resnet(name: str) -> Callable[[int], nn.Module]:
    return lambda _: _until(getattr(torchvision.models, name)(weights=None, zero_init_residual=True), "layer4")


def _timm(name: str, last: str, *, sized: bool = False) -> Callable[[int], nn.Module]:
    def build(size: int) -> nn.Module:
        how: dict[str, Any] = {"img_size": size} if sized else {}
        return _until(make_timm(TIMM + name, **how), last)

    return build


def _fully_connected(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(width, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()
    )


def _vgg_neck(channels: int, side: int) -> tuple[nn.Module, int]:
    return _fully_connected(channels * side**2), 4096


def _pyramid_neck(channels: int, side: int) -> tuple[nn.Module, int]:
    pyramid = PyramidPooling(channels, side)
    return nn.Sequential(pyramid, *_fully_connected(pyramid.width)), 4096


ARCHITECTURES: Mapping[str, Architecture] = {
    "thin_resnet50": Architecture(body=lambda _: thin_resnet50()),
    "resnet18": Architecture(body=_resnet("resnet18")),
    "resnet50": Architecture(body=_resnet("resnet50")),
    "squeezenet": Architecture(
        body=lambda _: torchvision.models.squeezenet1_1(weights=None).features, renamed={"features.": "body."}
    ),
    "vgg16": Architecture(
        body=lambda _: torchvision.models.vgg16(weights=None, init_weights=False).features,
        neck=_vgg_neck,
        is_free=False,
        # Its classifier begins with the first linear layer, ours with what flattens the map.
        renamed={"features.": "body.", "classifier.0.": "neck.1.", "classifier.3.": "neck.4."},
    ),
    "googlenet": Architecture(
        body=lambda _: _until(
            torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False), "inception5b"
        )
    ),
    "xception": Architecture(body=_timm("legacy_xception", "act4"), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    # Its attention learns one bias for each pair of cells.
    "efficientformerv2_s1": Architecture(body=_timm("efficientformerv2_s1", "norm", sized=True), is_free=False),
    "ms_ctc": Architecture(body=lambda _: ms_ctc(), neck=_pyramid_neck, is_free=False),
}
"""Thin ResNet-50 first: the others are those that open_nsfw was chosen among, NudeNet's, image-safety-s's and one for
small sets. SqueezeNet's last convolution has no rectifier behind it here, so that it is a linear layer."""


def check_architecture(name: str) -> None:
    """Refuse what is no network of ours, and none of timm's.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in ARCHITECTURES and not is_timm(name):
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"must be one of {known}, or timm/NAME of a network that timm has, not {name[:80]!r}")


def find_architecture(name: str) -> Architecture:
    """What is known of a network: one of `ARCHITECTURES`, or of timm's, with ``timm/`` in front.

    Raises:
        ValueError: See `check_architecture`.
    """
    check_architecture(name)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    mean, std = colors_of(name)
    return Architecture(body=lambda size: make_body(name, size), renamed={"": "body.net."}, mean=mean, std=std)


def build_network(name: str, *, classes: int, size: int, dropout: float = 0.0) -> ClassifierNetwork:
    """An untrained network; on the meta device, without its memory, the width of its last layer may not be known.

    Args:
        name: See `find_architecture`.
        classes: Labels to tell apart.
        size: Side of the input in pixels, a multiple of 32.
        dropout: See `ClassifierNetwork`.

    Raises:
        ValueError: The input is too small for it, or it takes no pictures of that size, or there is none of that name.
    """
    architecture = find_architecture(name)
    try:
        body = architecture.body(size)
        if isinstance(body, TimmBody):
            return _around_timm(body, classes=classes, size=size, dropout=dropout)
        training = body.training
        with torch.no_grad():
            shape = body.eval()(torch.zeros(1, 3, size, size)).shape
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(f"{name} cannot take pictures of {size} pixels a side") from error
    body.train(training)
    channels, side = shape[1], shape[2]
    neck, width = architecture.neck(channels, side) if architecture.neck else (None, channels)
    return ClassifierNetwork(
        body, neck=neck, width=width, classes=classes, dropout=dropout, is_free=architecture.is_free
    )


def _around_timm(body: TimmBody, *, classes: int, size: int, dropout: float) -> ClassifierNetwork:
    is_free, width = False, 1
    if not any(each.is_meta for each in body.parameters()):
        body.eval()
        body.layout, is_free = prove(body, size)
        with torch.no_grad():
            width = body(torch.zeros(1, 3, size, size)).shape[1]
        body.train()
    neck = nn.Identity() if body.layout == "row" else None
    return ClassifierNetwork(body, neck=neck, width=width, classes=classes, dropout=dropout, is_free=is_free)
