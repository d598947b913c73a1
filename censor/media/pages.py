"""A TIFF of several pages as a medium of so many parts: nothing goes from one page to another."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from censor.errors import WriteError
from censor.media.encoding import encode
from censor.media.medium import Part, SpareFactor, Where
from detect.errors import UnsupportedImageError
from detect.pictures.formats import SNIFF_BYTES, sniff
from detect.pictures.source import read_source
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Source
from detect.pictures.tiff_pages import decode_pages, pages_in

__all__ = ["PAGED", "Pages", "open_pages"]

PAGED = "TIFF"
"""The format whose pictures may be pages."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pages:
    """Pages, of whatever sizes. See `Medium` for what its methods take and raise.

    Attributes:
        data: The encoded file.
        name: What errors call it.
        max_pixels: Cap on a page's width times height.
    """

    data: bytes
    name: str
    max_pixels: int

    def parts(self, *, spare: SpareFactor | None = None) -> Iterator[Part]:  # noqa: ARG002  # it decodes no less
        """Its pages, each with its number."""
        for number, picture in enumerate(decode_pages(self.data, self.name, max_pixels=self.max_pixels), 1):
            yield Part(picture, Where(page=number))

    @property
    def promised(self) -> int:
        """How many pages there are; nothing is decoded. Raises as `parts` does."""
        return len(pages_in(self.data, self.name))

    def require_output(self, format: str | None) -> None:  # noqa: A002  # Pillow's own word
        """Check, before all the work, that it can be written."""
        if format not in (None, PAGED):
            raise WriteError(f"{self.name}: {format} holds no pages; {PAGED} does")

    def write(self, parts: Iterable[Part], out: BinaryIO, *, format: str = PAGED, quality: int | None = None) -> None:  # noqa: A002
        """Encode the pages anew, each as a still is, into one file."""
        self.require_output(format)
        from PIL import TiffImagePlugin  # few inputs have pages

        expected, count = self.promised, 0
        try:
            with TiffImagePlugin.AppendingTiffWriter(out, new=True) as joined:
                for count, part in enumerate(parts, 1):  # noqa: B007  # asked for after the loop
                    joined.write(encode(part.picture, format=format, quality=quality))
                    joined.newFrame()
        except (OSError, RuntimeError, struct.error) as error:  # more than 4 GiB, for one
            raise WriteError(f"{self.name}: cannot be encoded as {format}: {error}") from error
        if count != expected:
            raise WriteError(f"{self.name}: {expected} pages are written as so many, not {count}")


def open_pages(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Pages:
    """Read a source that is a TIFF, of one page or several.

    Args:
        source: A path, an encoded TIFF or a binary file object.
        max_bytes: Cap on what is read of it.
        max_pixels: Cap on a page's width times height.

    Raises:
        ReadError: It is missing or may not be read.
        LimitError: It has more bytes.
        UnsupportedImageError: It is no TIFF.
        TypeError: `source` is a Pillow image or an array.
    """
    if isinstance(source, Image.Image | np.ndarray):
        raise TypeError(f"pages must be a path, bytes or a binary file object, not {type(source).__name__}")
    data, name = read_source(source, max_bytes)
    if sniff(data[:SNIFF_BYTES]) != PAGED:
        raise UnsupportedImageError(f"{name}: not a TIFF, whose pictures are pages")
    return Pages(data=data, name=name, max_pixels=max_pixels)
