"""What is shown instead of a region.

Each effect takes a picture and a region and returns a new picture; pixels outside the region stay as they are, bit for
bit. Inside, how much of the original can be recovered is bounded by construction: `pixelate` and `blur` show functions
of the means of square cells, at most eight along the region's longer side, and of nothing else; `solid` and `sticker`
show functions of nothing. It is also why their cost grows with area, and not with area times kernel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.masks import Region

__all__ = ["MAX_CELLS", "Pixels", "blur", "pixelate", "solid", "sticker"]

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 3) RGB or (H, W, 4) RGBA."""

MAX_CELLS = 8
"""The information bound: never more cells than this along the longer side of a region."""

_SMALLEST_CELL = 4
"""Pixels. Without it a region of 8 x 8 would keep every pixel as a cell of its own."""


def pixelate(image: Pixels, region: Region, *, cells: int = 6, out: Pixels | None = None) -> Pixels:
    """Show square cells of their mean colour.

    Args:
        image: Where the means are taken from.
        region: What to hide.
        cells: Squares along the region's longer side, 1..8; fewer where they would be under four pixels wide.
        out: Paint onto this picture instead of a copy of `image`: how several regions share one copy, each with its
            means from the original.

    Returns:
        The painted picture.

    Raises:
        ValueError: `cells` out of range.
    """
    window = region.of(image)
    means, side = _cell_means(window, cells)
    return _lay(_grown(means, side, window, cv2.INTER_NEAREST), region, image, out)


def blur(image: Pixels, region: Region, *, cells: int = 6, out: Pixels | None = None) -> Pixels:
    """Show the means of square cells, interpolated smoothly; arguments as for `pixelate`."""
    window = region.of(image)
    means, side = _cell_means(window, cells)
    return _lay(_grown(means, side, window, cv2.INTER_CUBIC), region, image, out)


def solid(
    image: Pixels, region: Region, *, color: tuple[int, int, int] = (0, 0, 0), out: Pixels | None = None
) -> Pixels:
    """Show one colour, RGB; `out` as for `pixelate`."""
    return _lay(np.array(color, np.uint8), region, image, out)


def sticker(
    image: Pixels,
    region: Region,
    *,
    sticker: Pixels,
    color: tuple[int, int, int] = (0, 0, 0),
    out: Pixels | None = None,
) -> Pixels:
    """Show one colour and, in the middle, a sticker as large as fits.

    Args:
        image: The picture.
        region: What to hide.
        sticker: RGBA. Where it is transparent the colour shows, never the picture.
        color: RGB.
        out: As for `pixelate`.
    """
    height, width = region.y1 - region.y0, region.x1 - region.x0
    scale = min(height / sticker.shape[0], width / sticker.shape[1])
    rows, columns = max(1, round(sticker.shape[0] * scale)), max(1, round(sticker.shape[1] * scale))
    fitted = cv2.resize(sticker, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    patch = np.empty((height, width, 3), np.uint8)
    patch[:] = color
    top, left = (height - rows) // 2, (width - columns) // 2
    inside = patch[top : top + rows, left : left + columns]
    alpha = fitted[..., 3:].astype(np.uint16)
    inside[:] = (fitted[..., :3] * alpha + inside * (255 - alpha) + 127) // 255
    return _lay(patch, region, image, out)


def _grown(means: Pixels, side: int, window: Pixels, interpolation: int) -> Pixels:
    height, width = window.shape[:2]
    rows, columns = means.shape[:2]
    # A single row of cells is flat from top to bottom: a thin region needs no square as high as it is long.
    size = (width if columns == 1 else columns * side, height if rows == 1 else rows * side)
    grown = cv2.resize(means, size, interpolation=interpolation)
    return np.asarray(grown, np.uint8)[:height, :width]


def _cell_means(window: Pixels, cells: int) -> tuple[Pixels, int]:
    """Mean RGB of the square cells of a window, uint8 (rows, columns, 3), and the cells' side in pixels.

    The last row and column of cells may be cut by the window; their means are over what is there.
    """
    if not 1 <= cells <= MAX_CELLS:
        raise ValueError(f"cells must lie in 1..{MAX_CELLS}, not {cells}")
    height, width = window.shape[:2]
    side = max(-(-max(height, width) // cells), _SMALLEST_CELL)
    tops, lefts = np.arange(0, height, side), np.arange(0, width, side)
    columns = np.add.reduceat(window[..., :3], tops, axis=0, dtype=np.uint32)  # 255 * rows fits
    sums = np.add.reduceat(columns, lefts, axis=1, dtype=np.uint64)
    counts = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width)).astype(np.uint64)[..., None]
    return ((sums + counts // 2) // counts).astype(np.uint8), side


def _lay(patch: NDArray[np.uint8], region: Region, image: Pixels, out: Pixels | None) -> Pixels:
    """Paint a patch, (h, w, 3) or one colour (3,), over a region. Where the picture has transparency it is opaque."""
    canvas = image.copy() if out is None else out
    view = region.of(canvas)
    shown = np.empty(view.shape, np.uint8)
    shown[..., :3], shown[..., 3:] = patch, 255
    if region.cover is None:
        view[:] = shown
        return canvas
    soft = (region.cover > 0) & (region.cover < 255)
    if soft.any():
        share = region.cover[soft].astype(np.uint32)[:, None]
        view[soft] = (shown[soft] * share + view[soft] * (255 - share) + 127) // 255
    cv2.copyTo(shown, (region.cover == 255).view(np.uint8), view)
    return canvas
