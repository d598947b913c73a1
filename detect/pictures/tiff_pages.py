"""A TIFF of several pages, taken apart: each becomes a file of one page to the decoder of stills.

Source:
    TIFF 6.0, sections 2 (directories) and 8 (NewSubfileType, SubfileType); BigTIFF as libtiff has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged
from detect.pictures.still import MAX_PIXELS, Picture, decode_bytes
from detect.pictures.tiff import first_value, read_directory

__all__ = ["MAX_PAGES", "MAX_TOTAL_PIXELS", "decode_pages", "pages_in"]

MAX_PAGES = 1000
"""Default cap on the number of pages."""

MAX_TOTAL_PIXELS = 8_000_000_000
"""Default cap on the pixels of all pages."""

_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT = 254, 255, 256, 257
_PAGE = 2  # of NewSubfileType: one page of several
_WHOLE = (0, 1, 3)  # of SubfileType: not said, a picture in full, one page of several


def pages_in(
    data: bytes, name: str, *, max_pages: int = MAX_PAGES, max_total_pixels: int = MAX_TOTAL_PIXELS
) -> tuple[int, ...]:
    """Where the directory of each page of a TIFF lies; nothing is decoded.

    Args:
        data: A file that `sniff` takes for a TIFF.
        name: What errors call it.
        max_pages: Cap on their number.
        max_total_pixels: Cap on the pixels of all.

    Raises:
        DamagedImageError: A directory that is broken, or comes twice.
        LimitError: Over a cap.
        UnsupportedImageError: A page that is none: a smaller copy of another, or a mask, which viewers show or do not;
            a big-endian BigTIFF.
    """
    if data[:4] == b"MM\0+":
        raise UnsupportedImageError(f"{name}: a big-endian BigTIFF; save it as another TIFF")
    order, first, width = _layout(data)
    directories: list[int] = []
    pixels, at = 0, int.from_bytes(data[first : first + width], order)
    while at:
        page = f"{name}, page {len(directories) + 1}"
        if at in directories:
            raise damaged(page, "a page that comes twice")
        if len(directories) >= max_pages:
            raise LimitError(f"{name}: more than {max_pages:,} pages")
        directories.append(at)
        try:
            tags, at = read_directory(data, at)
        except (ValueError, IndexError) as error:
            raise damaged(page, str(error)) from error
        if first_value(tags, _NEW_SUBFILE, 0) not in (0, _PAGE) or first_value(tags, _SUBFILE, 0) not in _WHOLE:
            raise UnsupportedImageError(f"{page}: a smaller copy of another page, or a mask; save it without")
        pixels += first_value(tags, _WIDTH, 0) * first_value(tags, _HEIGHT, 0)
        if pixels > max_total_pixels:
            raise LimitError(f"{name}: pages of more than {max_total_pixels:,} pixels in all")
    if not directories:
        raise damaged(name, "a TIFF without pages")
    return tuple(directories)


def decode_pages(
    data: bytes,
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    max_pages: int = MAX_PAGES,
    max_total_pixels: int = MAX_TOTAL_PIXELS,
) -> Iterator[Picture]:
    """The pages of a TIFF, one after the other, decoded as they are asked for: each as a still would be.

    Args:
        data: As for `pages_in`.
        name: What errors call it, with the page's number from 1.
        max_pixels: Cap on a page's columns times rows.
        max_pages: Cap on their number.
        max_total_pixels: Cap on the pixels of all.

    Raises:
        ImageError: As for `pages_in`, before any is decoded, and as for `decode`.
    """
    order, first, width = _layout(data)
    pages = pages_in(data, name, max_pages=max_pages, max_total_pixels=max_total_pixels)
    if len(pages) == 1:
        yield decode_bytes(data, f"{name}, page 1", max_pixels=max_pixels)
        return
    alone = bytearray(data)
    for number, at in enumerate(pages, 1):
        behind = _behind(data, at)
        alone[first : first + width] = at.to_bytes(width, order)
        alone[behind : behind + width] = bytes(width)
        yield decode_bytes(bytes(alone), f"{name}, page {number}", max_pixels=max_pixels)
        alone[behind : behind + width] = data[behind : behind + width]


def _layout(data: bytes) -> tuple[Literal["little", "big"], int, int]:
    """The order of bytes, where the offset of the first directory stands, and how many bytes an offset has."""
    big = data[2:4] == b"+\0"
    return ("little" if data[:2] == b"II" else "big"), (8 if big else 4), (8 if big else 4)


def _behind(data: bytes, directory: int) -> int:
    """Where a directory says which one follows it."""
    order, _, width = _layout(data)
    count, entry = (8, 20) if width == 8 else (2, 12)
    return directory + count + entry * int.from_bytes(data[directory : directory + count], order)
