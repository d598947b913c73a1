"""Frames in planes of luma and chroma, as PyAV has them, to RGB and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["MATRICES", "STRICT", "Colors", "Plane", "frame_of", "levels_of", "plane_arrays", "rgb_of", "with_planes_of"]

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""What FFmpeg's decoders are told, so that they refuse what is damaged."""

_FULL, _LIMITED = 2, 1  # AVCOL_RANGE_JPEG, AVCOL_RANGE_MPEG
_BT709, _BT601 = 1, 5  # of swscale
MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9, 10: 9}
"""Those of H.273, table 4, that are known here, to swscale's."""

_HIGH_DEFINITION = 720
_FULL_BY_NAME = "yuvj"

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
        full = int(frame.color_range) == _FULL or frame.format.name.startswith(_FULL_BY_NAME)
        return cls(matrix=MATRICES.get(said, guess), full=full)

    @property
    def range(self) -> int:
        """As swscale calls it."""
        return _FULL if self.full else _LIMITED


def rgb_of(frame: VideoFrame, colors: Colors) -> NDArray[np.uint8]:
    """A frame as it is stored, RGB, uint8 (H, W, 3).

    Args:
        frame: As it was decoded; with colours.
        colors: How its numbers stand for colours, whatever the frame says.
    """
    name = frame.format.name
    if name.startswith(_FULL_BY_NAME) and not colors.full:  # swscale would go by the name
        frame = with_planes_of(frame, name.replace(_FULL_BY_NAME, "yuv"))
    shown = frame.reformat(
        format="rgb24", src_colorspace=colors.matrix, src_color_range=colors.range, dst_color_range=_FULL, threads=1
    )
    (plane,) = shown.planes
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(shown.height, plane.line_size)[:, : 3 * shown.width]
    return rows.reshape(shown.height, shown.width, 3)


def frame_of(pixels: NDArray[np.uint8], name: str, colors: Colors) -> VideoFrame:
    """RGB, uint8 (H, W, 3), as a frame.

    Args:
        pixels: What it is to show.
        name: FFmpeg's name of how its planes are to lie.
        colors: How its numbers are to stand for colours.
    """
    from av import VideoFrame as Frame

    return Frame.from_ndarray(pixels, format="rgb24").reformat(
        format=name, dst_colorspace=colors.matrix, dst_color_range=colors.range, src_color_range=_FULL,
        interpolation="AREA", threads=1,  # several write over the ends of each other's rows
    )  # fmt: skip


def levels_of(frame: VideoFrame, *, full: bool) -> NDArray[np.uint8]:
    """A frame's luma, uint8 (H, W): 0 for what is darkest, 255 for what is brightest.

    Args:
        frame: As it was decoded.
        full: Whether its numbers use their whole range.
    """
    luma: NDArray[Any] = plane_arrays(frame)[0]
    bits = frame.format.components[0].bits
    if full and bits == 8:
        return np.array(luma, np.uint8)
    unit = 1 << (bits - 8)
    darkest, brightest = (0, (1 << bits) - 1) if full else (16 * unit, 235 * unit)
    levels = (luma.astype(np.float32) - darkest) * np.float32(255 / (brightest - darkest))
    return np.asarray(np.rint(np.clip(levels, 0, 255)), np.uint8)


def plane_arrays(frame: VideoFrame) -> list[Plane]:
    """A frame's planes without their padding: views that write through."""
    wide = frame.format.components[0].bits > 8
    arrays: list[Plane] = []
    for plane in frame.planes:
        samples: Plane = np.frombuffer(memoryview(plane), np.uint16 if wide else np.uint8)
        width = plane.line_size // (2 if wide else 1)
        arrays.append(samples.reshape(-1, width)[: plane.height, : plane.width])
    return arrays


def with_planes_of(frame: VideoFrame, name: str) -> VideoFrame:
    """A frame of the same planes and nothing else, whose layout is called by a name that means the same planes."""
    from av import VideoFrame as Frame

    copy = Frame(frame.width, frame.height, name)
    for ours, theirs in zip(plane_arrays(copy), plane_arrays(frame), strict=True):
        ours[:] = theirs
    return copy
