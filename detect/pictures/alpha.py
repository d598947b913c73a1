"""What a picture with transparency looks like on a page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["over", "straight"]


def over(pixels: NDArray[np.uint8], background: int) -> NDArray[np.uint8]:
    """RGBA laid on a plain grey: what a viewer shows.

    Args:
        pixels: uint8 (H, W, 4), straight alpha.
        background: The grey, 0..255.

    Returns:
        RGB, uint8 (H, W, 3).
    """
    shown = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), 256):  # in strips: the products take twice the memory of the pixels
        strip = pixels[top : top + 256]
        alpha = strip[..., 3:].astype(np.uint16)
        shown[top : top + 256] = (strip[..., :3] * alpha + np.uint16(background) * (255 - alpha) + 127) // 255
    return shown


def straight(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA whose colours are multiplied by alpha, (H, W, 4) uint8, with straight alpha; black where that is zero."""
    shown = np.empty_like(pixels)
    for top in range(0, len(pixels), 64):
        strip = pixels[top : top + 64]
        alpha = strip[..., 3:].astype(np.uint16)
        shown[top : top + 64, :, :3] = np.minimum(
            (strip[..., :3] * np.uint16(255) + alpha // 2) // np.maximum(alpha, 1), 255
        )
        shown[top : top + 64, :, 3] = strip[..., 3]
    shown[shown[..., 3] == 0] = 0
    return shown
