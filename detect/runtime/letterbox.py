"""Fitting a picture into a network's input, and boxes back into the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.reduction import halved

__all__ = ["SHORT", "Letterbox", "shrink"]

_GRAY = 114
"""The padding that YOLO networks are trained with."""

SHORT = 1.5
"""Factor below which bilinear interpolation lets every pixel count for more than half of its share: a pixel midway
between two results that lie r apart has the weight 2 - r of 1 / r, and so on both axes."""


@dataclass(frozen=True)
class Letterbox:
    """Where a picture of `height` x `width` lies inside a network's input; all in pixels.

    Attributes:
        height: The picture's rows.
        width: The picture's columns.
        rows: Rows that the resized picture takes.
        columns: Columns that the resized picture takes.
        input_height: Rows of the network's input, padding included.
        input_width: Columns of the network's input, padding included.
    """

    height: int
    width: int
    rows: int
    columns: int
    input_height: int
    input_width: int

    @classmethod
    def fit(
        cls, height: int, width: int, *, size: tuple[int, int], stride: int, fixed: bool = False, stretch: int = 1
    ) -> Letterbox:
        """Scale a picture into `size`, then pad it to the next multiple of `stride`.

        Padding to the stride rather than to the whole of `size` saves the network from looking at a grey bar that is
        a quarter of a 4:3 photograph's square.

        Args:
            height: The picture's rows.
            width: The picture's columns.
            size: (rows, columns) of the network's nominal input.
            stride: What the network's input sides must be multiples of.
            fixed: The network takes `size` and nothing else.
            stretch: Sides are enlarged to multiples of so many pixels before anything is padded: the network's own
                stride, where it was made to see no padding.
        """
        scale = min(size[0] / height, size[1] / width)
        rows = min(max(1, round(height * scale)), size[0])
        columns = min(max(1, round(width * scale)), size[1])
        if fixed:
            return cls(height, width, rows, columns, *size)
        rows, columns = -(-rows // stretch) * stretch, -(-columns // stretch) * stretch
        return cls(height, width, rows, columns, -(-rows // stride) * stride, -(-columns // stride) * stride)

    @property
    def top(self) -> int:
        """Rows of padding above the picture."""
        return (self.input_height - self.rows) // 2

    @property
    def left(self) -> int:
        """Columns of padding left of the picture."""
        return (self.input_width - self.columns) // 2

    def apply(self, image: RGBImage) -> NDArray[np.float32]:
        """Resize and pad one picture.

        Returns:
            float32 of shape (3, input_height, input_width), RGB in [0, 1].
        """
        pixels = self.pixels(image)
        colors = np.empty((3, *pixels.shape[:2]), np.float32)
        for color, plane in zip(colors, cv2.split(pixels), strict=True):  # a transposed copy takes ten times as long
            np.divide(plane, np.float32(255), out=color)
        return colors

    def pixels(self, image: RGBImage) -> RGBImage:
        """Resize and pad one picture: uint8 of shape (input_height, input_width, 3)."""
        canvas = np.full((self.input_height, self.input_width, 3), _GRAY, np.uint8)
        inside = canvas[self.top : self.top + self.rows, self.left : self.left + self.columns]
        inside[:] = shrink(image, rows=self.rows, columns=self.columns)
        return canvas

    def place(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) in the picture to boxes in the network's input; what `restore` undoes."""
        origin = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([self.columns / self.width, self.rows / self.height] * 2, np.float32)
        return xyxy * scale + origin

    def restore(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) in the network's input back to boxes in the picture; each axis by its own exact scale."""
        origin = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([self.width / self.columns, self.height / self.rows] * 2, np.float32)
        return (xyxy - origin) * scale


def shrink(image: RGBImage, *, rows: int, columns: int) -> RGBImage:
    """Resize a picture so that small parts survive: every pixel counts when shrinking, bilinear when growing.

    Averaging two by two is many times faster than by fractions of pixels, so a picture that is twice too large or more
    is halved first. Where the rest of the way is short, bilinear interpolation still lets every pixel count, at a third
    of the cost of averages.
    """
    while min(image.shape[0] / rows, image.shape[1] / columns) >= 2:
        image = halved(image)
    if image.shape[:2] == (rows, columns):
        return image
    less, more = sorted((image.shape[0] / rows, image.shape[1] / columns))
    way = cv2.INTER_LINEAR if less <= 1 or more < SHORT else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=way), np.uint8)
