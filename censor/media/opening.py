"""Which kind of medium a source is."""

from __future__ import annotations

import hashlib
import io
from functools import cached_property

import numpy as np
from PIL import Image

from censor.media.medium import Medium
from censor.media.still import Still
from detect.pictures.source import read_source
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Source

__all__ = ["Encoded", "open_medium", "read_encoded"]


def open_medium(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Medium:
    """The medium that a source holds. Nothing is read before its parts are asked for.

    There is one kind as yet. Others are told apart here by a source's first bytes, in so many words; a still takes what
    is left, and says what is wrong with it.

    Args:
        source: A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels.
        max_bytes: Cap on what is read of it.
        max_pixels: Cap on width times height of a part.
    """
    return Still(source=source, max_bytes=max_bytes, max_pixels=max_pixels)


class Encoded(io.BytesIO):
    """The bytes of a medium, read once, with what errors call them."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    @cached_property
    def sha256(self) -> str:
        """In hexadecimal."""
        return hashlib.sha256(self.getbuffer()).hexdigest()


def read_encoded(source: Source, *, max_bytes: int = MAX_BYTES) -> Encoded:
    """Read a source, for what is bound to its bytes: they are hashed and decoded, and nothing comes between.

    Args:
        source: A path, an encoded medium or a binary file object.
        max_bytes: Cap on what is read of it.

    Raises:
        ReadError: It is missing or may not be read.
        LimitError: It has more bytes.
        DamagedImageError: It has none.
        TypeError: It is a Pillow image or an array, which have no bytes to be told by.
    """
    if isinstance(source, Image.Image | np.ndarray):
        raise TypeError(f"a plan is of a path, bytes or a binary file object, not of a {type(source).__name__}")
    return Encoded(*read_source(source, max_bytes))
