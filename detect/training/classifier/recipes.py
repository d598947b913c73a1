"""How known classifiers were trained: options by name, each with its source. What is named besides counts instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RECIPES"]

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    # Mahadeokar and Pesavento, "Open Sourcing a Deep Learning Solution for Detecting NSFW Images", Yahoo Engineering,
    # 30 September 2016: pictures of 256 pixels, mirrored, crops of 224, scale augmentation as for residual networks,
    # and for the last layer five times the rate of the others, which are fine-tuned. Step size and base rate were
    # tuned and not published: these are ours, with momentum and decay of He et al. (arXiv:1512.03385), § 3.4.
    "open_nsfw": {
        "architecture": "thin_resnet50",
        "size": 224,
        "augment": "open_nsfw",
        "optimizer": "sgd",
        "lr": 1e-3,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "last_factor": 5.0,
        "batch_size": 32,
    },
    # Bedapudi, "NudeNet: An ensemble of Neural Nets for Nudity Detection and Censoring", 30 March 2019: Xception at 256
    # pixels, batches of 32, SGD with momentum, and dropout or L2, of which `--dropout 0 --weight-decay` is the other.
    # The rate and the numbers behind those words were not published: these are ours.
    "nudenet-v1": {
        "architecture": "xception",
        "size": 256,
        "augment": "nudenet-v1",
        "optimizer": "sgd",
        "lr": 1e-2,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "dropout": 0.5,
        "batch_size": 32,
    },
}
