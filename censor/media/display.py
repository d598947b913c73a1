"""What players make of a film's pixels before people see them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.pictures.cicp import Cicp

__all__ = ["Display"]


@dataclass(frozen=True, kw_only=True)
class Display:
    """How pixels are shown that are not square, or hold more light than a screen.

    Attributes:
        aspect: How much wider than high each pixel is shown.
        cicp: Code points of their colours.
    """

    aspect: float
    cicp: Cicp

    @property
    def scale(self) -> tuple[float, float]:
        """By how much columns and rows are stretched, never below 1: nothing is lost."""
        return max(1.0, self.aspect), max(1.0, 1 / self.aspect)

    def show(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB as it is stored, uint8 (H, W, 3), as it is seen."""
        seen = self.cicp.tone_mapped(pixels) if self.cicp.hdr else pixels
        across, down = self.scale
        if self.aspect == 1:
            return seen
        size = max(1, round(seen.shape[1] * across)), max(1, round(seen.shape[0] * down))
        return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_LINEAR))
