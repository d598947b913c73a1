"""Which side of a picture is up, by the one place that browsers look in for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.pictures.png import early_chunks

__all__ = ["exif_orientation", "orientation_of", "tiff_orientation", "upright"]

_ORIENTATION, _SHORT = 0x0112, 3  # EXIF 2.32, table 4; TIFF 6.0, section 2


def tiff_orientation(block: bytes) -> int:
    """The orientation, 1-8, that an EXIF block says; 1 where it says none or is broken.

    Args:
        block: As a TIFF file begins. XMP that says another thing is not asked, nor are text chunks of PNG.

    Source:
        EXIF 2.32, 4.6.2. One short; the first valid one of the first directory counts, as in Chromium.
    """
    order: dict[bytes, str] = {b"II*\0": "little", b"MM\0*": "big"}
    if (found := order.get(block[:4])) is None:
        return 1
    little = found == "little"

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], "little" if little else "big")

    start = number(4, 4)
    for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(block) - 11), 12):
        if (number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)) == (_ORIENTATION, _SHORT, 1):
            value = number(entry + 8, 2)
            if 1 <= value <= 8:
                return value
    return 1


def orientation_of(data: bytes, found: str, image: Image.Image) -> int:
    """The orientation that browsers apply, 1-8.

    TIFF, AVIF and HEIC are turned by what is proper to them, TIFF and HEIC by their decoders; Chromium turns no WebP.
    """
    if found == "PNG":
        return tiff_orientation(next((body for kind, body in early_chunks(data) if kind == b"eXIf"), b""))
    return exif_orientation(image) if found == "AVIF" else 1  # where Pillow puts what irot and imir say


def exif_orientation(image: Image.Image) -> int:
    """What the EXIF block that Pillow found says, 1-8."""
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return 1
    return tiff_orientation(block[6:] if block[:5] == b"Exif\0" else block)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored picture lie)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
