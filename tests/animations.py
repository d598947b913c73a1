"""Animations that tests make."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fakes import RED
from numpy.typing import NDArray
from PIL import Image

__all__ = ["FORMATS", "encoded", "red_square", "stripes"]

FORMATS = ("GIF", "PNG", "WEBP")


def stripes(height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """(H, W, 3): grey stripes, sixteen pixels wide, each with its own brightness."""
    columns = (np.arange(width) // 16 * 37 % 200).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(columns[None, :, None], (height, width, 3)))


def red_square(left: int, top: int = 20, side: int = 16) -> NDArray[np.uint8]:
    """`stripes` with a square that `fakes.RedFinder` finds: a chequered one, since the mean of plain red is red."""
    pixels = stripes()
    rows, columns = np.indices((side, side))
    square = np.where(
        ((rows + columns) % 2 == 0)[..., None], np.array(RED, np.uint8), np.array((180, 90, 100), np.uint8)
    )
    pixels[top : top + side, left : left + side] = square
    return pixels


def encoded(frames: Sequence[NDArray[np.uint8]], format: str = "WEBP", **options: Any) -> bytes:  # noqa: A002
    """An animation of these frames, hardly any of its colours lost; 100 ms each unless `duration` says otherwise."""
    if format == "HEIF":
        return _heif(frames, **options)
    images = [Image.fromarray(each) for each in frames]
    if format == "GIF":
        images = [each.quantize(256) if each.mode == "RGB" else each for each in images]
    finely: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4", "speed": 9},
    }
    how: dict[str, Any] = {"duration": 100, "loop": 0, **finely.get(format, {}), **options}
    stream = io.BytesIO()
    images[0].save(stream, format, save_all=True, append_images=images[1:], **how)
    return stream.getvalue()


def _heif(frames: Sequence[NDArray[np.uint8]], *, duration: int | Sequence[int] = 100, loop: int = 0) -> bytes:
    import libheif  # few tests need it

    ticks = [duration] * len(frames) if isinstance(duration, int) else duration
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.heics"
        return libheif.write_sequence(frames, ticks, path, plays=loop, chroma="444")
