"""From boxes and cells to pixels: the only place where that happens.

Every shape covers every pixel that its box touches: edges go outwards to whole pixels first, the shape is drawn around
the result, and only then is it cut to the picture. An ellipse goes *around* the box; one inside it would leave the
corners bare. In a picture that was coded in blocks every block that the shape touches is covered whole, since what is
left of one tells the rest; the outline is then the blocks'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.pictures.blocks import BlockGrid

__all__ = ["Region", "outwards", "region", "union"]

_CORNER = 0.25
"""Radius of a rounded region's corners, as a share of its shorter side."""


@dataclass(frozen=True, eq=False)
class Region:
    """Part of a picture: a window of whole pixels, and how much of each of them is covered.

    Attributes:
        x0: First column.
        y0: First row.
        x1: Column after the last.
        y1: Row after the last. The window lies inside the picture and is not empty.
        cover: uint8 (y1 - y0, x1 - x0): 255 where the picture is covered wholly, 1..254 in the soft edge, 0 where it
            shows; None where every pixel of the window is covered wholly.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    cover: NDArray[np.uint8] | None = None

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window's pixels: a view."""
        return pixels[self.y0 : self.y1, self.x0 : self.x1]

    def mark(self, mask: NDArray[np.bool_]) -> None:
        """Set a picture-sized mask where this region covers wholly."""
        mask[self.y0 : self.y1, self.x0 : self.x1] |= True if self.cover is None else self.cover == 255

    def within(self, mask: NDArray[np.bool_]) -> bool:
        """Whether a picture-sized mask is set wherever this region covers wholly."""
        inside = mask[self.y0 : self.y1, self.x0 : self.x1]
        return bool(inside.all() if self.cover is None else inside[self.cover == 255].all())


def region(
    xyxy: Sequence[float],
    *,
    width: int,
    height: int,
    shape: str = "box",
    expand: float = 0.0,
    feather: float = 0.0,
    blocks: BlockGrid | None = None,
) -> Region | None:
    """The pixels that hide a box.

    Args:
        xyxy: The box in the picture's pixels; may reach beyond the picture.
        width: The picture's columns.
        height: Its rows.
        shape: "box", "rounded" or "ellipse".
        expand: Each edge moves outwards by this share of the box's width or height.
        feather: Width of a soft edge outside the shape, as a share of the box's shorter side. Inside the shape
            everything stays covered wholly.
        blocks: The picture's, which the shape covers whole; the soft edge begins beyond them.

    Returns:
        None where box and picture do not meet.

    Raises:
        ValueError: An unknown shape.
    """
    if shape not in _HALF_WIDTHS:
        raise ValueError(f"shape must be one of {', '.join(_HALF_WIDTHS)}, not {shape!r}")
    x0, y0, x1, y1 = outwards(xyxy, expand)
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return None
    soft = feather * min(x1 - x0, y1 - y0)
    grow_x, grow_y = (math.ceil(grow) for grow in _reach(x1 - x0, y1 - y0, shape))
    edges = (x0 - grow_x, y0 - grow_y, x1 + grow_x, y1 + grow_y)
    left, top, right, bottom = edges if blocks is None else blocks.outwards(*edges)
    margin = math.ceil(soft)
    window = Region(
        max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)
    )
    if shape == "box" and not soft:
        return window
    cover = _rasterise((x0, y0, x1, y1), window, shape, blocks)
    if soft:
        cover = _softened(cover, soft)
    return Region(window.x0, window.y0, window.x1, window.y1, cover)


def union(
    boxes: Sequence[Sequence[float]],
    *,
    width: int,
    height: int,
    shape: str = "box",
    expand: float = 0.0,
    feather: float = 0.0,
    blocks: BlockGrid | None = None,
) -> Region | None:
    """The pixels that hide several boxes at once, such as the connected cells of a map: each has its shape around it.

    Args:
        boxes: In the picture's pixels; they may reach beyond the picture.
        width: The picture's columns.
        height: Its rows.
        shape: "box", "rounded" or "ellipse".
        expand: Each edge of a box moves outwards by this share of the box's width or height.
        feather: Width of a soft edge outside all shapes, as a share of the smallest side of any box.
        blocks: The picture's, which are covered whole; the soft edge begins beyond them.

    Returns:
        None where no box meets the picture.

    Raises:
        ValueError: An unknown shape.
    """
    each = [region(box, width=width, height=height, shape=shape, expand=expand, blocks=blocks) for box in boxes]
    parts = [part for part in each if part is not None]
    if not parts:
        return None
    sides = [outwards(box, expand) for box in boxes]
    soft = feather * min(min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in sides)
    margin = math.ceil(soft)
    x0, y0 = (max(0, min(edges) - margin) for edges in ([part.x0 for part in parts], [part.y0 for part in parts]))
    x1, y1 = max(part.x1 for part in parts), max(part.y1 for part in parts)
    x1, y1 = min(width, x1 + margin), min(height, y1 + margin)
    cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for part in parts:
        window = cover[part.y0 - y0 : part.y1 - y0, part.x0 - x0 : part.x1 - x0]
        np.maximum(window, 255 if part.cover is None else part.cover, out=window)
    if soft:
        cover = _softened(cover, soft)
    return Region(x0, y0, x1, y1, None if (cover == 255).all() else cover)


def _softened(cover: NDArray[np.uint8], soft: float) -> NDArray[np.uint8]:
    away = cv2.distanceTransform(255 - cover, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # 0 inside the shape
    fade = np.clip(255 * (1 - away / (soft + 1)), 0, 254).astype(np.uint8)
    return np.asarray(np.maximum(cover, fade))


def outwards(xyxy: Sequence[float], expand: float = 0.0) -> tuple[int, int, int, int]:
    """Expand, then floor and ceil; at least one pixel, so that a box without area still hides where it points."""
    x0, y0, x1, y1 = (float(edge) for edge in xyxy)
    dx, dy = expand * (x1 - x0), expand * (y1 - y0)
    left, top = math.floor(x0 - dx), math.floor(y0 - dy)
    return left, top, max(left + 1, math.ceil(x1 + dx)), max(top + 1, math.ceil(y1 + dy))


def _reach(width: int, height: int, shape: str) -> tuple[float, float]:
    """How far a shape around a box of whole pixels goes beyond it, left and right, above and below."""
    if shape == "ellipse":  # the smallest one through the corners: half-axes of sqrt(2) half-sides
        return width * (math.sqrt(2) - 1) / 2, height * (math.sqrt(2) - 1) / 2
    if shape == "rounded":  # moved out until the arc passes through the box's corner
        out = _CORNER * min(width, height) * (1 - math.sqrt(0.5))
        return out, out
    return 0.0, 0.0


def _rasterise(
    box: tuple[int, int, int, int], window: Region, shape: str, blocks: BlockGrid | None
) -> NDArray[np.uint8]:
    """255 for the window's pixels that have their centre inside the shape around a box, 0 for the others.

    With blocks, 255 for all that share one with such a pixel.
    """
    x0, y0, x1, y1 = box
    grow_x, grow_y = _reach(x1 - x0, y1 - y0, shape)
    a, b = (x1 - x0) / 2 + grow_x, (y1 - y0) / 2 + grow_y
    rows = np.arange(window.y0, window.y1)
    down = np.abs(rows + 0.5 - (y0 + y1) / 2)
    half = _HALF_WIDTHS[shape](np.minimum(down, b), a, b, _CORNER * min(x1 - x0, y1 - y0))
    width, middle = window.x1 - window.x0, (x0 + x1) / 2 - 0.5 - window.x0
    starts = np.where(down <= b, np.clip(np.ceil(middle - half), 0, width), width).astype(int)
    ends = np.where(down <= b, np.clip(np.floor(middle + half) + 1, 0, width), 0).astype(int)
    firsts = np.arange(len(rows))
    if blocks is not None:  # the rows of a block have one span, the widest: those of a shape lie inside each other
        firsts = np.flatnonzero(np.diff((rows - blocks.y) // blocks.height, prepend=-(10**9)))
        starts, ends = np.minimum.reduceat(starts, firsts), np.maximum.reduceat(ends, firsts)
        offset = window.x0 - blocks.x
        touched = starts < ends
        starts = np.where(touched, (starts + offset) // blocks.width * blocks.width - offset, width).clip(0, width)
        ends = np.where(touched, -(-(ends + offset) // blocks.width) * blocks.width - offset, 0).clip(0, width)
    lasts = [*firsts[1:].tolist(), len(rows)]
    cover = np.zeros((len(rows), width), np.uint8)
    for first, last, start, end in zip(firsts.tolist(), lasts, starts.tolist(), ends.tolist(), strict=True):
        cover[first:last, start:end] = 255
    return cover


def _box_half_width(down: NDArray[np.float64], a: float, b: float, radius: float) -> NDArray[np.float64]:  # noqa: ARG001
    return np.full_like(down, a)


def _ellipse_half_width(down: NDArray[np.float64], a: float, b: float, radius: float) -> NDArray[np.float64]:  # noqa: ARG001
    return np.asarray(a * np.sqrt(1 - (down / b) ** 2))


def _rounded_half_width(down: NDArray[np.float64], a: float, b: float, radius: float) -> NDArray[np.float64]:
    into_corner = np.clip(down - (b - radius), 0, radius)
    return np.asarray(a - radius + np.sqrt(radius**2 - into_corner**2))


_HALF_WIDTHS = {"box": _box_half_width, "rounded": _rounded_half_width, "ellipse": _ellipse_half_width}
"""Shape: half its width at rows that lie `down` from its centre, for half-axes `a` and `b`."""
