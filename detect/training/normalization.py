"""From pixels to what a network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "normalize", "on_device"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of each colour in [0, 1], as torchvision's backbones were trained."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""By which each colour is divided after that."""


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B, 3, H, W) to what the network is trained on, float32 on the same device."""
    shift, scale = (on_device(tuple(values), images.device) for values in (mean, std))
    return (images.float() / 255 - shift) / scale


@lru_cache(maxsize=32)
def on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A number for each colour, float32 (1, 3, 1, 1)."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1)  # kept: a copy at each step would wait for the device
