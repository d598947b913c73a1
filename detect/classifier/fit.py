"""Fitting a whole picture into a classifier's input, and its map back over the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.reduction import halved
from detect.runtime.letterbox import SHORT, Letterbox, shrink

__all__ = ["RESIZES", "fed", "inside", "laid", "shrunk_by"]

RESIZES = ("squash", "pad", "letterbox")
"""How a network was trained to see pictures that are not of its shape: stretched to it, on a blurred copy of themselves
that fills it, or on grey. Always the whole picture: what is at its edge counts as much as what is in the middle."""

_BLUR = cv2.getGaussianKernel(35, 10)
"""Standard deviation and extent, in pixels of an input, of the padding that such a network was trained on."""


def fed(image: RGBImage, *, size: tuple[int, int], resize: str) -> RGBImage:
    """What a network sees of a picture.

    Args:
        image: uint8 (H, W, 3).
        size: (rows, columns) of the network's input.
        resize: One of `RESIZES`.

    Returns:
        uint8 of shape (rows, columns, 3), in the colour order of `image`.
    """
    height, width = image.shape[:2]
    fit = _letterbox(height, width, size)
    if resize == "squash" or (fit.rows, fit.columns) == size:
        return _shrunk(image, *size)
    if resize == "letterbox":
        return fit.pixels(image)
    picture = _shrunk(image, fit.rows, fit.columns)
    # Of the picture as it is shrunk already: under the blur nobody sees that it was not the picture itself.
    behind = np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    axis, first, sides = (0, fit.top, fit.rows) if fit.rows < size[0] else (1, fit.left, fit.columns)
    canvas = np.empty_like(behind)
    canvas[_along(axis, first, first + sides)] = picture
    for start, stop in ((0, first), (first + sides, size[axis])):
        if start < stop:
            canvas[_along(axis, start, stop)] = _blurred(behind, axis, start, stop)
    return canvas


def _shrunk(image: RGBImage, rows: int, columns: int) -> RGBImage:
    """As `shrink`, in half the time where that would go by fractions of pixels.

    That is where the picture is to become more than half as large, but not much: on the way to twice the size bilinear
    interpolation lets every pixel count, and what comes out is a tenth of a level off, in photographs. Classifiers do
    not mind; CenterFace sees more faces in a mosaic.
    """
    while min(image.shape[0] / rows, image.shape[1] / columns) >= 2:
        image = halved(image)
    less, more = sorted((image.shape[0] / rows, image.shape[1] / columns))
    if less <= 1 or not SHORT <= more < 2:
        return shrink(image, rows=rows, columns=columns)
    twice = cv2.resize(image, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    return halved(np.asarray(twice, np.uint8))


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """Some rows, or some columns."""
    return (slice(None),) * axis + (slice(start, stop),)


def _blurred(image: RGBImage, axis: int, start: int, stop: int) -> RGBImage:
    """Rows, or columns, of the picture when it is blurred, and no more work than these need."""
    low, high = max(0, start - len(_BLUR) // 2), min(image.shape[axis], stop + len(_BLUR) // 2)
    around = cv2.sepFilter2D(image[_along(axis, low, high)], -1, _BLUR, _BLUR, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(around, np.uint8)[_along(axis, start - low, stop - low)]


def shrunk_by(height: int, width: int, *, size: tuple[int, int], resize: str) -> float:
    """By how much a picture of so many rows and columns is shrunk, on the axis where that is less."""
    fit = _letterbox(height, width, size)
    rows, columns = size if resize == "squash" else (fit.rows, fit.columns)
    return min(height / rows, width / columns)


def inside(
    heat: NDArray[np.float32], height: int, width: int, *, size: tuple[int, int], resize: str
) -> NDArray[np.float32]:
    """A map over a network's input as a map over the picture in it, padding cut off.

    Args:
        heat: (h, w), a grid over the whole input.
        height: The picture's rows.
        width: Its columns.
        size: (rows, columns) of the network's input.
        resize: One of `RESIZES`.

    Returns:
        A grid over the whole picture: the same where there is no padding, else with cells a quarter as long, because
        the picture does not begin where a cell does. See `laid` for what they hold.
    """
    fit = _letterbox(height, width, size)
    if resize == "squash" or (fit.rows, fit.columns) == size:
        return heat
    rows = max(1, round(4 * heat.shape[0] * fit.rows / size[0]))
    columns = max(1, round(4 * heat.shape[1] * fit.columns / size[1]))
    left, top = -fit.left / fit.columns, -fit.top / fit.rows
    box = (left, top, left + size[1] / fit.columns, top + size[0] / fit.rows)
    return laid(np.zeros((rows, columns), np.float32), heat, box)


def laid(
    grid: NDArray[np.float32], heat: NDArray[np.float32], box: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """A grid over a picture with a map laid over a part of it: each cell holds the most of all that touches it.

    Args:
        grid: (h, w), what is known of the picture so far.
        heat: (m, n), the map.
        box: Where its edges lie, left, top, right, bottom, as shares of the picture: 0 and 1 are the picture's own, and
            a map may reach beyond them.

    Returns:
        As `grid`, nowhere less than it.
    """
    rows = _touched(grid.shape[0], heat.shape[0], box[1], box[3])
    columns = _touched(grid.shape[1], heat.shape[1], box[0], box[2])
    out = grid.copy()
    if rows and columns:
        high = np.stack([heat[first:last].max(axis=0) for _, first, last in rows])
        most = np.stack([high[:, first:last].max(axis=1) for _, first, last in columns], axis=1)
        where = np.ix_([row for row, _, _ in rows], [column for column, _, _ in columns])
        out[where] = np.maximum(out[where], most)
    return out


def _touched(cells: int, others: int, low: float, high: float) -> list[tuple[int, int, int]]:
    """Along one axis: each of `cells` that a map of `others` from `low` to `high` touches, and the map's own there."""
    found = []
    for cell in range(cells):
        first, last = ((edge / cells - low) / (high - low) * others for edge in (cell, cell + 1))
        first, last = max(0, int(np.floor(first + 1e-6))), min(others, int(np.ceil(last - 1e-6)))  # edges that meet
        if first < last:
            found.append((cell, first, last))
    return found


def _letterbox(height: int, width: int, size: tuple[int, int]) -> Letterbox:
    return Letterbox.fit(height, width, size=size, stride=1, fixed=True)
