"""A film's frames in their own planes: what is not painted never goes through RGB, and keeps every bit.

Networks look at an RGB view, and regions are painted on one. Of that only what is painted goes back. Colour is often
stored for several pixels at once: where any pixel of such a cell is painted, the cell's colour is a new one, and
regions reach outwards to whole cells before, so that none is hidden in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.masks import Region
from detect.pictures.blocks import BlockGrid

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = [
    "MATRICES",
    "Colors",
    "blocks_of_turned",
    "copied",
    "luma_of",
    "plane_arrays",
    "repainted",
    "rgb_of",
    "turned",
]

_FULL, _LIMITED = 2, 1  # AVCOL_RANGE_JPEG, AVCOL_RANGE_MPEG
_BT709, _BT601 = 1, 5  # of swscale
MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9, 10: 9}
"""Those of H.273, table 4, that are known here, to swscale's."""

_UNSPECIFIED = 2
_HIGH_DEFINITION = 720
_BLOCK = 8  # the largest transform of H.264, MPEG-4 and MPEG-2; most of those of HEVC, VP9 and AV1

Plane = NDArray[Any]
"""uint8 or uint16, (rows, columns)."""


@dataclass(frozen=True, kw_only=True)
class Colors:
    """How a frame's numbers stand for colours.

    Attributes:
        matrix: As swscale calls it.
        full: Whether they use their whole range.
    """

    matrix: int
    full: bool

    @classmethod
    def of(cls, frame: VideoFrame) -> Colors:
        """Those that a frame says, and where it says nothing those that players take."""
        said = int(frame.colorspace)
        guess = _BT709 if frame.height >= _HIGH_DEFINITION else _BT601
        full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
        return cls(matrix=MATRICES.get(said, guess), full=full)

    @property
    def range(self) -> int:
        """As swscale calls it."""
        return _FULL if self.full else _LIMITED


def rgb_of(frame: VideoFrame, colors: Colors, turns: int = 0) -> NDArray[np.uint8]:
    """A frame as people see it, RGB, uint8 (H, W, 3), its own memory.

    Args:
        frame: As it was decoded.
        colors: How its numbers stand for colours.
        turns: Quarter turns, counterclockwise, by which it is shown.
    """
    shown = frame.reformat(
        format="rgb24", src_colorspace=colors.matrix, src_color_range=colors.range, dst_color_range=_FULL, threads=1
    )
    (plane,) = shown.planes
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(shown.height, plane.line_size)[:, : 3 * shown.width]
    return np.ascontiguousarray(turned(rows.reshape(shown.height, shown.width, 3), turns))


def luma_of(frame: VideoFrame, longest: int, turns: int = 0) -> NDArray[np.uint8]:
    """A frame in grey and small: uint8, the longer side `longest` at most."""
    luma = plane_arrays(frame)[0]
    factor = min(1.0, longest / max(luma.shape))
    size = max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor))
    small: Plane = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))
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
    from av import VideoFrame as Frame

    copy = Frame(frame.width, frame.height, frame.format.name)
    for ours, theirs in zip(plane_arrays(copy), plane_arrays(frame), strict=True):
        ours[:] = theirs
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
        pixels: As `rgb_of` gave them, painted.
        regions: What was painted, in these pixels.
        colors: As for `rgb_of`.
        turns: As for `rgb_of`.
    """
    from av import VideoFrame as Frame

    copy = copied(frame)
    mask = np.zeros(pixels.shape[:2], np.bool_)
    for each in regions:
        mask[each.y0 : each.y1, each.x0 : each.x1] |= True if each.cover is None else each.cover > 0
    mask, upright = turned(mask, -turns), turned(pixels, -turns)
    if not mask.any():
        return copy
    (top, bottom), (left, right) = (_span(np.asarray(mask.any(axis=axis))) for axis in (1, 0))
    window = np.ascontiguousarray(upright[top:bottom, left:right])
    painted = Frame.from_ndarray(window, format="rgb24").reformat(
        format=frame.format.name, dst_colorspace=colors.matrix, dst_color_range=colors.range, src_color_range=_FULL,
        threads=1,  # several write over the ends of each other's rows
    )  # fmt: skip
    inside = mask[top:bottom, left:right]
    for ours, new in zip(plane_arrays(copy), plane_arrays(painted), strict=True):
        cell = _cell(frame.height, ours.shape[0]), _cell(frame.width, ours.shape[1])
        touched = _cells(inside, cell)
        rows, columns = touched.shape
        part = ours[top // cell[0] :, left // cell[1] :][:rows, :columns]
        part[touched] = new[:rows, :columns][touched]
    return copy


def plane_arrays(frame: VideoFrame) -> list[Plane]:
    """A frame's planes without their padding: views that write through."""
    wide = frame.format.components[0].bits > 8
    arrays: list[Plane] = []
    for plane in frame.planes:
        samples: Plane = np.frombuffer(memoryview(plane), np.uint16 if wide else np.uint8)
        width = plane.line_size // (2 if wide else 1)
        arrays.append(samples.reshape(-1, width)[: plane.height, : plane.width])
    return arrays


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
