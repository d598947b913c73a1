"""A film's frames in their own planes: what is not painted never goes through RGB, and keeps every bit.

Networks look at an RGB view, and regions are painted on one. Of that only what is painted goes back. Colour is often
stored for several pixels at once: where any pixel of such a cell is painted, the cell's colour is a new one, and
regions reach outwards to whole cells before, so that none is hidden in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.masks import Region
from detect.pictures.blocks import BlockGrid
from detect.pictures.yuv import Colors, frame_of, plane_arrays, rgb_of, with_planes_of

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["blocks_of_turned", "copied", "luma_of", "repainted", "shown_rgb", "turned"]

_BLOCK = 8  # the largest transform of H.264, MPEG-4 and MPEG-2; most of those of HEVC, VP9 and AV1


def shown_rgb(frame: VideoFrame, colors: Colors, turns: int = 0) -> NDArray[np.uint8]:
    """A frame as people see it, RGB, uint8 (H, W, 3), its own memory.

    Args:
        frame: As it was decoded.
        colors: How its numbers stand for colours.
        turns: Quarter turns, counterclockwise, by which it is shown.
    """
    return np.ascontiguousarray(turned(rgb_of(frame, colors), turns))


def luma_of(frame: VideoFrame, longest: int, turns: int = 0) -> NDArray[np.uint8]:
    """A frame in grey and small: uint8, the longer side `longest` at most."""
    luma = plane_arrays(frame)[0]
    factor = min(1.0, longest / max(luma.shape))
    size = max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor))
    small: NDArray[Any] = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))
    shift = frame.format.components[0].bits - 8
    return np.ascontiguousarray(turned((small >> shift).astype(np.uint8), turns))


def turned(pixels: NDArray[Any], turns: int) -> NDArray[Any]:
    """Rows and columns turned by quarters, counterclockwise: a view."""
    return np.rot90(pixels, turns) if turns % 4 else pixels


def blocks_of_turned(width: int, height: int, turns: int) -> BlockGrid:
    """The blocks that a film's frames were coded in, of columns and rows as stored, where they lie when it is shown."""
    return BlockGrid(
        _BLOCK,
        _BLOCK,
        {2: width, 3: height}.get(turns % 4, 0) % _BLOCK,
        {1: width, 2: height}.get(turns % 4, 0) % _BLOCK,
    )


def copied(frame: VideoFrame) -> VideoFrame:
    """The same planes in a frame that has nothing else: no captions, no side data, no notes of its encoder."""
    copy = with_planes_of(frame, frame.format.name)
    copy.pts, copy.time_base, copy.duration = frame.pts, frame.time_base, frame.duration
    for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
        setattr(copy, name, getattr(frame, name))
    return copy


def repainted(
    frame: VideoFrame, pixels: NDArray[np.uint8], regions: Sequence[Region], colors: Colors, turns: int = 0
) -> VideoFrame:
    """A copy of a frame in which regions show what was painted there.

    Args:
        frame: As it was decoded.
        pixels: As `shown_rgb` gave them, painted.
        regions: What was painted, in these pixels.
        colors: As for `shown_rgb`.
        turns: As for `shown_rgb`.
    """
    copy = copied(frame)
    mask = np.zeros(pixels.shape[:2], np.bool_)
    for each in regions:
        mask[each.y0 : each.y1, each.x0 : each.x1] |= True if each.cover is None else each.cover > 0
    mask, upright = turned(mask, -turns), turned(pixels, -turns)
    if not mask.any():
        return copy
    (top, bottom), (left, right) = (_span(np.asarray(mask.any(axis=axis))) for axis in (1, 0))
    window = np.ascontiguousarray(upright[top:bottom, left:right])
    painted = frame_of(window, frame.format.name, colors)
    inside = mask[top:bottom, left:right]
    for ours, new in zip(plane_arrays(copy), plane_arrays(painted), strict=True):
        cell = _cell(frame.height, ours.shape[0]), _cell(frame.width, ours.shape[1])
        touched = _cells(inside, cell)
        rows, columns = touched.shape
        part = ours[top // cell[0] :, left // cell[1] :][:rows, :columns]
        part[touched] = new[:rows, :columns][touched]
    return copy


def _span(touched: NDArray[np.bool_]) -> tuple[int, int]:
    """Of rows or columns the first that is touched and the one after the last, outwards to whole blocks."""
    first, last = int(touched.argmax()), len(touched) - int(touched[::-1].argmax())
    return first // _BLOCK * _BLOCK, min(len(touched), -(-last // _BLOCK) * _BLOCK)


def _cell(pixels: int, samples: int) -> int:
    """Pixels along a sample: 1, 2 or 4."""
    return 1 << round(np.log2(pixels / samples)) if samples < pixels else 1


def _cells(mask: NDArray[np.bool_], cell: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether any pixel of each cell is set; the last cells may be smaller."""
    if cell == (1, 1):
        return mask
    rows, columns = -(-mask.shape[0] // cell[0]), -(-mask.shape[1] // cell[1])
    whole = np.zeros((rows * cell[0], columns * cell[1]), np.bool_)
    whole[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(whole.reshape(rows, cell[0], columns, cell[1]).any(axis=(1, 3)))
