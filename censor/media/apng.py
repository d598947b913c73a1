"""Writing an animated PNG: Pillow would hold all frames at once, and round their durations.

Source:
    PNG 3rd ed., 11.3.6.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.pictures.limits import plugin
from detect.pictures.png import END, SIGNATURE, chunks_of
from detect.pictures.still import Picture

__all__ = ["write_apng"]

_LARGEST = 65_535  # of a duration's numerator and denominator


def write_apng(pictures: Iterable[Picture], out: BinaryIO, durations: Sequence[Fraction], plays: int) -> None:
    """Write frames as an animation; of each, what has changed since the one before.

    Args:
        pictures: As many as there are durations, all of one size, with transparency or without.
        out: Where the bytes go.
        durations: In seconds.
        plays: How many times it is to be shown; 0 for without end.

    Raises:
        ValueError: A frame of another size or with another number of channels than the first.
    """
    sequence = 0
    before: NDArray[np.uint8] | None = None
    for picture, seconds in zip(pictures, durations, strict=True):
        pixels = picture.pixels
        if before is not None and before.shape != pixels.shape:
            raise ValueError(f"a frame of shape {pixels.shape} after one of {before.shape}")
        top, left, bottom, right = (0, 0, *pixels.shape[:2]) if before is None else _changed(before, pixels)
        chunks = _encoded(pixels[top:bottom, left:right], picture.icc)
        if before is None:
            out.write(SIGNATURE)
            animation = _chunk(b"acTL", len(durations).to_bytes(4) + plays.to_bytes(4))
            out.write(
                _chunk(*chunks[0]) + animation + b"".join(_chunk(*each) for each in chunks[1:] if each[0] == b"iCCP")
            )
        numbers = (sequence, right - left, bottom - top, left, top)
        shown = seconds.limit_denominator(_LARGEST) if seconds.numerator <= _LARGEST else Fraction(_LARGEST)
        control = b"".join(each.to_bytes(4) for each in numbers)
        out.write(_chunk(b"fcTL", control + shown.numerator.to_bytes(2) + shown.denominator.to_bytes(2) + bytes(2)))
        sequence += 1
        for body in (body for kind, body in chunks if kind == b"IDAT"):
            if before is None:
                out.write(_chunk(b"IDAT", body))
            else:
                out.write(_chunk(b"fdAT", sequence.to_bytes(4) + body))
                sequence += 1
        before = pixels.copy()
    out.write(END)


def _changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The rectangle in which two frames differ, a pixel of it at least: top, left, bottom, right."""
    differ = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differ.any(axis=1)), np.flatnonzero(differ.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _encoded(pixels: NDArray[np.uint8], icc: bytes | None) -> list[tuple[bytes, bytes]]:
    """Kind and body of each chunk of a still PNG."""
    plugin("PNG")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", icc_profile=icc)
    data = stream.getvalue()
    return [(chunk.kind, data[chunk.start : chunk.end]) for chunk in chunks_of(data)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join([len(body).to_bytes(4), kind, body, zlib.crc32(body, zlib.crc32(kind)).to_bytes(4)])
