"""Networks of timm's, named with ``timm/`` in front: which there are, and what they need. Nothing is downloaded."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from detect.training.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["TIMM", "colors_of", "is_timm", "make_timm", "synchronized"]

TIMM = "timm/"
_NAME = re.compile(r"timm/[a-z0-9_]+(\.[a-z0-9_]+)?")
"""timm reads other names as addresses, and downloads what they lead to."""


def is_timm(name: str) -> bool:
    """Whether timm has a network of this name, which begins with ``timm/``."""
    if not _NAME.fullmatch(name):
        return False
    import timm

    return bool(timm.is_model(name.removeprefix(TIMM)))


def make_timm(name: str, **how: Any) -> Any:
    """An untrained network of a name that `is_timm`."""
    import timm

    return timm.create_model(name.removeprefix(TIMM), pretrained=False, **how)


def colors_of(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each colour, in [0, 1], that a network's trained weights want."""
    if not name.startswith(TIMM):
        return IMAGENET_MEAN, IMAGENET_STD
    import timm

    said = timm.get_pretrained_cfg(name.removeprefix(TIMM), allow_unregistered=True)
    return (tuple(said.mean), tuple(said.std)) if said else (IMAGENET_MEAN, IMAGENET_STD)


def synchronized(model: Any) -> Any:
    """The same network, whose BatchNorm takes in what all processes see."""
    if any(isinstance(module, nn.BatchNorm2d) and hasattr(module, "act") for module in model.modules()):
        from timm.layers.norm_act import convert_sync_batchnorm

        return convert_sync_batchnorm(model)
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
