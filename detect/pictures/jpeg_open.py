"""A JPEG opened once for both libraries that read it, and decoded strictly.

Source:
    simplejpeg's decode_jpeg: it makes room for what its header says at the scale that was asked for, and then decodes;
    a lossless JPEG has no scale, and was written in full into room for a part of it.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ImageFile

from detect.errors import ImageError, LimitError
from detect.pictures.formats import damaged
from detect.pictures.jpeg_segments import JpegParts, take_apart
from detect.pictures.limits import check_size, check_still, plugin

__all__ = ["OpenedJpeg", "decode_strictly", "open_jpeg"]

_SCANS_OF_THE_LARGEST = 20
"""How often the largest picture that is allowed may be walked over; no honest script asks for more."""

_COLORS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
"""Pillow's mode, and what simplejpeg calls it."""


class OpenedJpeg(NamedTuple):
    """A JPEG whose header was read.

    Attributes:
        header: As Pillow opens it; its `info` has the metadata that browsers would heed, and it is never loaded.
        parts: The same, and what is to be decoded.
    """

    header: ImageFile.ImageFile
    parts: JpegParts


def open_jpeg(data: bytes, name: str, max_pixels: int) -> OpenedJpeg:
    """Read the header of a JPEG, and refuse what is not one still picture or would take longer than one.

    Args:
        data: The whole file.
        name: What errors call it.
        max_pixels: See `detect.pictures.still.decode`.

    Raises:
        LimitError: More pixels, or more walks over them, than allowed.
        AnimatedImageError: Several pictures.
        UnsupportedImageError: A kind that cannot be decoded, or whose damage cannot be told.
        DamagedImageError: The header contradicts itself, or the libraries read it differently.
        Exception: Whatever Pillow raises for a broken table.
    """
    parts = take_apart(data, name)
    header = plugin("JPEG")(io.BytesIO(parts.pixels))
    known = {"exif": parts.exif, "xmp": parts.xmp, "icc_profile": parts.icc, "mp": parts.mpf}
    header.info.update({key: value for key, value in known.items() if value is not None})
    check_size(header, name, max_pixels)
    check_still(header, name, max_pixels)
    width, height = header.size
    if parts.scans * width * height > _SCANS_OF_THE_LARGEST * max_pixels:
        raise LimitError(f"{name}: {parts.scans} scans of {width} x {height} pixels are over the cap on their product")
    frame = parts.frame
    agreed = (frame.height, frame.width)
    if (height, width) != agreed or len(header.getbands()) != len(frame.factors) or _size(parts) != agreed:
        raise damaged(name, "its header can be read in two ways")
    return OpenedJpeg(header, parts)


def decode_strictly(jpeg: OpenedJpeg, name: str, *, factor: int = 1) -> NDArray[np.uint8]:
    """The pixels, with libjpeg-turbo's warnings as errors: Pillow would take broken entropy-coded data.

    Args:
        jpeg: As `open_jpeg` gave it.
        name: What errors call it.
        factor: 1, 2, 4 or 8: by how much to shrink it while decoding, rounding up. A lossless one stays as it is.

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB, (H, W, 4) for CMYK as it was stored.

    Raises:
        ImageError: Another size came out than was asked for.
        Exception: Whatever simplejpeg raises for damage.
    """
    frame = jpeg.parts.frame
    if not frame.scalable:
        factor = 1
    # The size of all other rows and columns follows: a scaled block of 8 has 8 / factor (libjpeg.txt, scaling).
    rows, columns = -(-frame.height // factor), -(-frame.width // factor)
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        jpeg.parts.pixels, colorspace=_COLORS[jpeg.header.mode], min_height=rows, min_width=columns
    )
    if pixels.shape[:2] != (rows, columns):
        raise ImageError(f"{name}: decoded to {pixels.shape[:2]} pixels where {(rows, columns)} were asked for")
    return pixels


def _size(parts: JpegParts) -> tuple[int, int]:
    """Rows and columns as simplejpeg reads them."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(parts.pixels)
    except KeyError:  # 4:4:1, which it decodes and has no name for
        return parts.frame.height, parts.frame.width
    return height, width
