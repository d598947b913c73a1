"""Which kind of medium a source is."""

from __future__ import annotations

from censor.media.medium import Medium
from censor.media.still import Still
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Source

__all__ = ["open_medium"]


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
