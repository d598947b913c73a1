"""A patch of noise that a classifier takes for what it looks for: known truth to hold maps against."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.detections import RGBImage
from detect.explain.torch_graph import GraphSession, TorchGraph
from detect.runtime.metadata import read_names

__all__ = ["strong_patch"]

_STEP = 12
"""By how much each number of the patch is changed at once, of 255."""


def strong_patch(
    graph: TorchGraph, backgrounds: Sequence[RGBImage], *, side: int, steps: int = 60, seed: int = 0
) -> RGBImage:
    """Change noise until pictures with it somewhere in them score high.

    Args:
        graph: A classifier of two labels or more, the one that is sought the first of those that mean NSFW.
        backgrounds: uint8 (H, W, 3), of the size of the network's input; the patch is smaller by 16 pixels and more.
        side: Of the patch, in pixels of a background.
        steps: How often it is changed, each time on one background and at another place.
        seed: Of the noise and of the places.

    Returns:
        uint8 (side, side, 3): colored noise, and no picture of anything.

    Source:
        Brown et al., Adversarial Patch (arXiv:1712.09665).
    """
    classifier = OnnxClassifier(GraphSession(graph), source=graph.source)
    is_bgr = graph.metadata.get("color") == "BGR"
    wanted = classifier.names.index(read_names(graph.metadata, graph.source, key="nsfw")[0])
    rng = np.random.default_rng(seed)
    patch = rng.uniform(96, 160, (side, side, 3)).astype(np.float32)
    for step in range(steps):
        image = backgrounds[step % len(backgrounds)].copy()
        size = int(rng.integers(side * 3 // 4, side + 1))
        top, left = (int(rng.integers(8, length - size - 7)) for length in image.shape[:2])
        image[top : top + size, left : left + size] = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
        given = torch.from_numpy(classifier.prepare([image])).requires_grad_()
        (logits,) = graph.run(given, graph.logits)
        others = [place for place in range(logits.shape[1]) if place != wanted]
        (slope,) = torch.autograd.grad(logits[0, wanted] - logits[0, others].logsumexp(0), given)
        here = slope[0, :, top : top + size, left : left + size].permute(1, 2, 0).numpy()
        here = here[..., ::-1] if is_bgr else here
        patch = np.clip(patch + _STEP * np.sign(cv2.resize(here, (side, side))), 0, 255)
    return np.asarray(np.rint(patch), np.uint8)
