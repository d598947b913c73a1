"""Any network of timm's as the body of a classifier, and whether a mean over its cells is what it would pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from detect.training.timm_networks import make_timm

__all__ = ["TimmBody", "make_body", "prove"]

Layout = Literal["row", "BCHW", "BHWC"]

_TOLERANCE = 1e-4


class TimmBody(nn.Module):
    """A network of timm's up to what its last layer is given.

    Attributes:
        net: The network, without its last layer.
        layout: Of what it answers: a row (B, D), or, as (B, D, h, w), the map of which timm takes the mean, and how
            timm lays that out.
    """

    def __init__(self, net: Any) -> None:
        """A body that answers rows."""
        super().__init__()
        self.net = net
        self.layout: Layout = "row"

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D, h, w) or (B, D)."""
        features: Tensor = self.net.forward_features(images)
        if self.layout == "row":
            row: Tensor = self.net.forward_head(features, pre_logits=True)
            return row
        return features.permute(0, 3, 1, 2) if self.layout == "BHWC" else features


def make_body(name: str, size: int) -> TimmBody:
    """Build a network, untrained, for pictures of so many pixels a side."""
    try:
        return TimmBody(make_timm(name, num_classes=0, img_size=size))
    except TypeError:  # what has no attention takes any size, and no such option
        return TimmBody(make_timm(name, num_classes=0))


@torch.no_grad()
def prove(body: TimmBody, size: int) -> tuple[Layout, bool]:
    """Try out what a body can be relied on for, with weights and pictures at random.

    Args:
        body: In evaluation mode; left as it was.
        size: Side in pixels that it was built for.

    Returns:
        How the map is laid out whose mean is the pooled row, wherever that could be tried and there was more than one
        cell; else ``row``. And whether it takes other sizes too.
    """
    generator = torch.Generator().manual_seed(0)
    sides = ((size, size), (size + 64, size + 64), (size + 32, size + 64))
    found: list[Layout] = []
    is_free = True
    with _stirred(body, generator):
        for place, (height, width) in enumerate(sides):
            images = torch.rand(2, 3, height, width, generator=generator)
            try:
                features = body.net.forward_features(images)
                row = body.net.forward_head(features, pre_logits=True)
            except (RuntimeError, AssertionError, ValueError):
                if place == 0:
                    raise
                is_free = False
                continue
            layout = _layout(features, row)
            if layout is not None:
                found.append(layout)
    exact = found[0] if found and all(each == found[0] for each in found) else "row"
    return exact, is_free


def _layout(features: Tensor, row: Tensor) -> Layout | None:
    """Where the cells are whose mean is a row; None where there is only one, of which any pooling is the mean."""
    if features.ndim != 4 or row.ndim != 2:
        return "row"
    places: tuple[tuple[Layout, tuple[int, int], int], ...] = (("BCHW", (2, 3), 1), ("BHWC", (1, 2), 3))
    for layout, cells, channels in places:
        if features.shape[channels] != row.shape[1]:
            continue
        mean, spread = features.mean(cells), float(features.std(cells, correction=0).max())
        near = _TOLERANCE * float(row.abs().max())
        if features.shape[cells[0]] * features.shape[cells[1]] == 1:
            return None
        # Where all cells are alike, any pooling is their mean.
        if spread > 10 * near and torch.allclose(mean, row, rtol=0, atol=near):
            return layout
    return "row"


@contextmanager
def _stirred(module: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Weights and statistics as after training: fresh ones hide what a normalisation or a scale would do."""
    values = [each for each in (*module.parameters(), *module.buffers()) if each.is_floating_point()]
    kept = [each.clone() for each in values]
    for each in values:
        each.add_(0.2 * torch.rand(each.shape, generator=generator) * (each.abs() + 0.1))
    try:
        yield
    finally:
        for each, before in zip(values, kept, strict=True):
            each.copy_(before)
