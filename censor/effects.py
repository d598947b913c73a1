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

from censor.cells import CellMeans, Pixels, cell_means
from censor.masks import Region

__all__ = ["blur", "pixelate", "solid", "sticker"]


def pixelate(
    image: Pixels, region: Region, *, cells: int = 6, means: CellMeans | None = None, out: Pixels | None = None
) -> Pixels:
    """Show square cells of their mean colour.

    Args:
        image: Where the means are taken from.
        region: What to hide.
        cells: Squares along the region's longer side, 1..8; fewer where they would be under four pixels wide.
        means: What `censor.cells` said of the region before anything was painted: how several regions are painted onto
            one picture, with means from the original.
        out: Paint onto this picture instead of a copy of `image`; may be `image` itself.

    Returns:
        The painted picture.

    Raises:
        ValueError: `cells` out of range.
    """
    return _lay(_grown(means or cell_means(image, region, cells=cells), region, cv2.INTER_NEAREST), region, image, out)


def blur(
    image: Pixels, region: Region, *, cells: int = 6, means: CellMeans | None = None, out: Pixels | None = None
) -> Pixels:
    """Show the means of square cells, interpolated smoothly; arguments as for `pixelate`."""
    return _lay(_grown(means or cell_means(image, region, cells=cells), region, cv2.INTER_CUBIC), region, image, out)


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


def _grown(means: CellMeans, region: Region, interpolation: int) -> Pixels:
    height, width = region.y1 - region.y0, region.x1 - region.x0
    rows, columns = means.colors.shape[:2]
    # A single row of cells is flat from top to bottom: a thin region needs no square as high as it is long.
    down, across = height if rows == 1 else rows * means.side, width if columns == 1 else columns * means.side
    grown = np.empty((max(height, down), max(width, across), 3), np.uint8)
    cv2.resize(means.colors, (across, down), dst=grown[:down, :across], interpolation=interpolation)
    grown[:down, across:] = grown[:down, across - 1 : across]  # the last cells, where they are larger
    grown[down:] = grown[down - 1]
    return grown[:height, :width]


def _lay(patch: NDArray[np.uint8], region: Region, image: Pixels, out: Pixels | None) -> Pixels:
    """Paint a patch, (h, w, 3) or one colour (3,), over a region. Where the picture has transparency it is opaque."""
    canvas = image.copy() if out is None else out
    view = region.of(canvas)
    shown = patch
    if patch.shape != view.shape:
        shown = np.empty(view.shape, np.uint8)
        shown[..., :3], shown[..., 3:] = patch, 255
    if region.cover is None:
        view[:] = shown
        return canvas
    whole = cv2.inRange(region.cover, 255, 255)
    soft = cv2.inRange(region.cover, 1, 254)
    if cv2.countNonZero(soft):
        where = soft > 0
        share = region.cover[where].astype(np.uint32)[:, None]
        view[where] = (shown[where] * share + view[where] * (255 - share) + 127) // 255
    cv2.copyTo(shown, whole, view)
    return canvas
