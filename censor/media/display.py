"""What players make of a film's pixels before people see them, and what pixels show a colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.pictures.cicp import Cicp
from detect.pictures.color import is_plain, settle

__all__ = ["Display"]


@dataclass(frozen=True, kw_only=True)
class Display:
    """How pixels are shown that are not square, or whose numbers stand for other colours than those of a screen.

    Attributes:
        aspect: How much wider than high each pixel is shown.
        cicp: Code points of their colours.
    """

    aspect: float
    cicp: Cicp

    @property
    def plain(self) -> bool:
        """Whether pixels are shown as they are stored."""
        return self.aspect == 1 and is_plain((self.cicp,))

    @property
    def scale(self) -> tuple[float, float]:
        """By how much columns and rows are stretched, never below 1: nothing is lost."""
        return max(1.0, self.aspect), max(1.0, 1 / self.aspect)

    def readings(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """RGB as it is stored, uint8 (H, W, 3), as players show it: as most do, and as those that know less of colours.

        Viewers of pictures differ in the same way, and what is made of one rule holds for both: see `settle`.
        """
        settled = settle(pixels, (self.cicp,), "a film")
        return [self._stretched(each) for each in (settled.pixels, *settled.others)]

    def srgb(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB as it is stored in the colours that most players show, its pixels where they were."""
        return settle(pixels, (self.cicp,), "a film").pixels

    def coded(self, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What is stored to show colours of sRGB, uint8 (..., 3)."""
        return colors if is_plain((self.cicp,)) else self.cicp.coded(colors)

    def _stretched(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.aspect == 1:
            return pixels
        across, down = self.scale
        size = max(1, round(pixels.shape[1] * across)), max(1, round(pixels.shape[0] * down))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))
