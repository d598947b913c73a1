"""A picture's upright size from its header: what `decode` would give, and nearly all that it refuses, undecoded."""

from __future__ import annotations

import os
from dataclasses import dataclass

from PIL import ExifTags, Image

from detect.pictures.formats import SNIFF_BYTES, sniff, unsupported
from detect.pictures.jpeg_open import open_jpeg
from detect.pictures.limits import open_still, tiff_tags
from detect.pictures.orientation import exif_orientation, orientation_of
from detect.pictures.png import seen
from detect.pictures.samples import check_pixel_type
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, DecoderErrors, read_source

__all__ = ["Header", "read_header"]


@dataclass(frozen=True)
class Header:
    """A picture's size.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        orientation: EXIF orientation, 1 to 8, that is applied to get there; 1 where the file names none. HEIC is turned
            by properties of its own, which its decoder applies and does not tell of: 1.
    """

    width: int
    height: int
    orientation: int

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height before the orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read a picture's upright size without decoding it.

    What `decode` refuses is refused for the same reason, but for damage to the pixels.

    Raises:
        ReadError: The file is missing or may not be read.
        ImageError: It is not one still picture of a kind that is taken, its header is damaged, or it is over a cap.
    """
    data, name = read_source(path, MAX_BYTES)
    with DecoderErrors(name):
        found = sniff(data[:SNIFF_BYTES])
        if found is None:
            raise unsupported(name, data[:SNIFF_BYTES])
        if found == "JPEG":
            image = open_jpeg(data, name, MAX_PIXELS).header
            return _turned(image, exif_orientation(image))
        if found == "PNG":
            data = seen(data, name)
        image = open_still(data, found, name, MAX_PIXELS)
        check_pixel_type(image, name)
        if (tags := tiff_tags(image)) is None:
            return _turned(image, orientation_of(data, found, image))
        orientation = int(tags.get(ExifTags.Base.Orientation, 1))  # Pillow gives the upright size
        return Header(*image.size, orientation if orientation in range(1, 9) else 1)


def _turned(image: Image.Image, orientation: int) -> Header:
    width, height = image.size
    return Header(width, height, orientation) if orientation < 5 else Header(height, width, orientation)
