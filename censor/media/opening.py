"""Which kind of medium a source is."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from censor.media.animation import FORMATS, open_animation
from censor.media.film_kinds import FILMS, film_in
from censor.media.medium import Medium, Moving
from censor.media.pages import PAGED
from censor.media.still import Still
from detect.errors import AnimatedImageError, ReadError
from detect.folders import open_file
from detect.pictures.formats import SNIFF_BYTES, sniff
from detect.pictures.source import read_source
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Source

__all__ = [
    "Encoded",
    "EncodedFilm",
    "announced",
    "open_medium",
    "open_moving",
    "read_encoded",
    "still_or_moving",
]

_S = TypeVar("_S")
_M = TypeVar("_M")
_P = TypeVar("_P")


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


def announced(source: Source) -> str | None:
    """The name of the format that a source's first bytes announce, be it of a film or of a picture; None for neither.

    Args:
        source: A path, encoded bytes or a binary file object, which stays where it was.

    Raises:
        ReadError: It is missing or may not be read.
    """
    start = _start(source)
    film = film_in(start)
    return sniff(start) if film is None else film.name


def still_or_moving(
    format: str | None,  # noqa: A002  # Pillow's own word
    *,
    still: Callable[[], _S],
    moving: Callable[[], _M],
    paged: Callable[[], _P] | None = None,
) -> _S | _M | _P:
    """Do what is done with a still; or with what moves, where it is a film or turns out to have several frames.

    Args:
        format: As `announced` says it.
        still: Done with all but films; where it raises `AnimatedImageError`, `moving` is done in its place, unless
            several pictures are a reason to refuse the format.
        moving: Done with what moves.
        paged: Done with a TIFF of several pages; by default they are a reason to refuse it.
    """
    if format not in FILMS:
        try:
            return still()
        except AnimatedImageError:
            if format == PAGED and paged is not None:
                return paged()
            if format not in FORMATS:
                raise
    return moving()


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


class Encoded(io.BytesIO):
    """The bytes of a medium, read once, with what errors call them."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def again(self) -> Encoded:
        """The same, to be read from its beginning."""
        self.seek(0)
        return self

    @cached_property
    def sha256(self) -> str:
        """In hexadecimal."""
        return hashlib.sha256(self.getbuffer()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class EncodedFilm(os.PathLike[str]):
    """A film's file, which is not read into memory.

    Attributes:
        name: Its path.
        sha256: Of its bytes, in hexadecimal.
    """

    name: str
    sha256: str

    def __fspath__(self) -> str:
        return self.name


def read_encoded(source: Source, *, max_bytes: int = MAX_BYTES) -> Encoded | EncodedFilm:
    """Read a source, for what is bound to its bytes: they are hashed and decoded, and nothing comes between.

    Args:
        source: A path, an encoded medium or a binary file object.
        max_bytes: Cap on what is read of it. The file of a film is hashed and left where it is.

    Raises:
        ReadError: It is missing or may not be read.
        LimitError: It has more bytes.
        DamagedImageError: It has none.
        TypeError: It is a Pillow image or an array, which have no bytes to be told by.
    """
    if isinstance(source, Image.Image | np.ndarray):
        raise TypeError(f"a plan is of a path, bytes or a binary file object, not of a {type(source).__name__}")
    if not isinstance(source, str | os.PathLike) or film_in(_start(source)) is None:
        return Encoded(*read_source(source, max_bytes))
    try:
        with open_file(source) as stream:
            return EncodedFilm(name=os.fspath(source), sha256=hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise ReadError(f"{os.fspath(source)}: cannot be read: {error.strerror or error}") from error


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
