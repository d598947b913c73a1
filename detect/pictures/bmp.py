"""Whether a bitmap is one that viewers show alike.

Source:
    Microsoft's BITMAPFILEHEADER, BITMAPINFOHEADER to BITMAPV5HEADER and "Bitmap Compression"; what Chromium 156 shows.
"""

from __future__ import annotations

import numpy as np

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged

__all__ = ["check_bitmap"]

_RLE8, _RLE4, _BITFIELDS = 1, 2, 3

_MOST_CODES, _MOST_NIBBLES = 3_000_000, 20_000_000
"""Run-length codes, and pixels of 4 bits in them: Pillow takes a microsecond for each code, a tenth for a pixel."""


def check_bitmap(data: bytes, name: str) -> None:
    """Refuse a bitmap that Pillow reads otherwise than browsers do, or that leaves pixels unsaid.

    Raises:
        DamagedImageError: Pixels that lie in the header, and run-length codes that leave gaps, end early or have single
            pixels over the edge: viewers fill them in different ways.
        UnsupportedImageError: Transparency that some viewers heed and others don't; run-length codes at an odd place.
        LimitError: More run-length codes than can be read in a few seconds.
    """

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(data[at : at + size], "little")

    offset, header = number(10), number(14)
    if header < 40:
        return  # of OS/2: no compression and no transparency
    width, height, bits, compression = number(18), number(22), number(28, 2), number(30)
    masks = 12 if compression == _BITFIELDS and header == 40 else 0
    palette = 4 * min(number(46) or 2**bits, 256) if 0 < bits <= 8 else 0
    if offset < 14 + header + masks + palette:
        raise damaged(name, "pixels that begin in the header")
    if compression in (_RLE8, _RLE4):
        if height >= 2**31:
            raise damaged(name, "run-length codes from top to bottom")
        if offset % 2:
            raise UnsupportedImageError(
                f"{name}: a BMP with run-length codes at an odd place, which readers align apart"
            )
        if compression == _RLE4 and width * height > _MOST_NIBBLES:
            raise LimitError(f"{name}: more than {_MOST_NIBBLES:,} pixels in run-length codes of 4 bits")
        _check_runs(data[offset:], width, height, compression == _RLE4, name)
    if compression == 0 and bits == 32 and header >= 56 and number(66):  # the mask of transparency
        alpha = np.frombuffer(data, np.uint8, offset=offset)[3::4]
        rows = min(height, 2**32 - height)  # negative from top to bottom
        if not (alpha[: width * rows] == 255).all():
            raise UnsupportedImageError(f"{name}: a BMP with transparency that some viewers heed alone; convert it")


def _check_runs(data: bytes, width: int, height: int, nibbles: bool, name: str) -> None:
    """Whether run-length codes say every pixel once."""
    at = column = row = codes = 0
    while row < height:
        codes += 1
        if codes > _MOST_CODES:
            raise LimitError(f"{name}: more than {_MOST_CODES:,} run-length codes; save it without")
        count, value = data[at : at + 2] if at + 2 <= len(data) else (0, 2)
        at += 2
        if count:
            column = min(column + count, width)  # ImageMagick's fill rows up to a multiple of four
        elif value >= 3:  # that many pixels one by one, padded to 16 bits
            column += value
            length = (value + 1) // 2 if nibbles else value
            at += length + length % 2
        elif value == 2 or column != width:
            raise damaged(name, "run-length codes that leave pixels out")
        else:
            column, row = 0, row + 1
            if value == 1:  # the end
                break
        if column > width:
            raise damaged(name, "run-length codes that run over the edge")
    if row != height or at > len(data):
        raise damaged(name, "run-length codes that end early")
