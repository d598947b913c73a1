"""Which kind of medium a source is."""

from __future__ import annotations

import io
import os
from typing import Any

from censor.media.animation import open_animation
from censor.media.film_kinds import film_in
from censor.media.medium import Medium, Moving
from censor.media.still import Still
from detect.errors import ReadError
from detect.folders import open_file
from detect.pictures.formats import SNIFF_BYTES
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Source

__all__ = ["open_medium", "open_moving"]


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


def open_moving(
    source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, codec: str | None = None
) -> Moving:
    """The film or the animation that a source holds.

    Args:
        source: A path, an encoded film or animation, or a binary file object that can be sought in.
        max_bytes: Cap on an animation's file; that on a film's is `MAX_FILM_BYTES`.
        max_pixels: Cap on a frame's width times height.
        codec: What a film is written in; by default its own.

    Raises:
        ReadError: It is missing or may not be read.
        UnsupportedImageError: It is neither.
        DamagedImageError, ExtraError, LimitError, TypeError, ValueError: As for `open_film` and `open_animation`.
    """
    if film_in(_start(source)) is None:
        return open_animation(source, max_bytes=max_bytes, max_pixels=max_pixels)
    from censor.media.film import open_film  # few inputs are films

    return open_film(source, max_pixels=max_pixels, codec=codec)


def _start(source: Source) -> bytes:
    """The first bytes of a source, which stays where it was; none of one that cannot be sought in."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[:SNIFF_BYTES])
    if isinstance(source, str | os.PathLike):
        try:
            with open_file(source) as stream:
                return stream.read(SNIFF_BYTES)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ReadError(f"{os.fspath(source)}: cannot be read: {reason}") from error
    stream_like: Any = source
    if not hasattr(source, "seek") or not hasattr(source, "read"):
        return b""
    try:
        before = stream_like.tell()
        start = stream_like.read(SNIFF_BYTES)
        stream_like.seek(before)
    except (OSError, io.UnsupportedOperation):
        return b""
    return bytes(start)
