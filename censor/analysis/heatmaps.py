"""Maps as pictures: heat laid over what is shown, and what its colors mean."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.explain.limbs import Segment
from detect.explain.target import Heatmap

__all__ = ["drawn_segments", "legend", "overlay"]

_COLORS = cv2.COLORMAP_INFERNO
"""From black by red to light yellow: its brightness rises with the heat, so that it reads in gray too."""

_OPACITY = 0.6


def overlay(pixels: RGBImage, heat: Heatmap) -> RGBImage:
    """Lay a map over a picture, from its least to its most.

    Args:
        pixels: uint8 (H, W, 3); what is shown.
        heat: Of any size: it is stretched to the picture's.
    """
    height, width = pixels.shape[:2]
    spread = np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    colors = _colored(_normalized(spread))
    return np.asarray(np.rint((1 - _OPACITY) * pixels + _OPACITY * colors), np.uint8)


def legend(*, width: int = 256, height: int = 14) -> RGBImage:
    """The colors, from the least heat on the left to the most on the right."""
    return np.ascontiguousarray(np.broadcast_to(_colored(np.linspace(0, 1, width))[None], (height, width, 3)))


def drawn_segments(
    pixels: RGBImage, segments: Sequence[Segment], *, size: tuple[int, int], picked: Sequence[int] = ()
) -> RGBImage:
    """Draw the outlines of elongated regions over a picture.

    Args:
        pixels: uint8 (H, W, 3); what is shown.
        segments: In pixels of a picture of another size.
        size: Rows and columns of that.
        picked: Positions of those that stand out.
    """
    out = pixels.copy()
    scale = np.array([pixels.shape[1] / size[1], pixels.shape[0] / size[0]], np.float32)
    for number, segment in enumerate(segments):
        corners = np.rint(segment.corners * scale).astype(np.int32)
        color = (255, 210, 60) if number in picked else (90, 200, 255)
        cv2.polylines(out, [corners], isClosed=True, color=color, thickness=2, lineType=cv2.LINE_AA)
    return out


def _normalized(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = float(heat.min()), float(heat.max())
    return np.zeros(heat.shape) if high <= low else (heat.astype(np.float64) - low) / (high - low)


def _colored(shares: NDArray[np.float64]) -> RGBImage:
    flat = np.rint(shares * 255).astype(np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(flat, _COLORS)[:, 0, ::-1].reshape(*shares.shape, 3), np.uint8)
