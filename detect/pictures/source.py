"""Where a picture comes from: a path, bytes, a stream or an open Pillow image, to its encoded bytes, within a cap."""

from __future__ import annotations

import os
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from detect.errors import ImageError, LimitError, ReadError
from detect.folders import open_file
from detect.pictures.formats import HEAD, damaged, empty, sniff

__all__ = ["MAX_BYTES", "MAX_PIXELS", "DecoderErrors", "Source", "read_source", "read_unloaded"]

MAX_BYTES = 64 * 2**20
"""Default cap on the size of an encoded picture, in bytes."""

MAX_PIXELS = 100_000_000
"""Default cap on width times height, read from the header before anything is decoded."""

Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[np.uint8]
)
"""A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels (H, W), (H, W, 3) or (H, W, 4)."""


class DecoderErrors:
    """Turns whatever a decoder raises into our errors. Decoders raise many things; none may pass for success."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise ImageError(
                f"{self._name}: PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set in this process, so a damaged picture could "
                "not be told from a whole one; unset it"
            )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ImageError):
            reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
            raise damaged(self._name, reason) from error


def read_source(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes], cap: int
) -> tuple[bytes, str]:
    """All bytes of an encoded picture, at most `cap` of them, and what errors call it.

    Raises:
        ReadError: The file is missing or may not be read.
        LimitError: It has more bytes.
        DamagedImageError: It has none.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "bytes"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            with open_file(source) as stream:
                data = _drain(stream, cap, name, expected=os.fstat(stream.fileno()).st_size)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    elif not hasattr(source, "read"):
        expected = "a path, bytes, a binary file object, a Pillow image or uint8 pixels"
        raise TypeError(f"a picture must be {expected}, not {type(source).__name__}")
    else:
        name = str(getattr(source, "name", "stream"))
        data = _drain(source, cap, name)
    if len(data) > cap:
        raise LimitError(f"{name}: more than {cap:,} bytes, the cap on a picture's size")
    if not data:
        raise empty(name)
    return data, name


def _drain(stream: IO[bytes], cap: int, name: str, *, expected: int | None = None) -> bytes:
    """All that a stream has, or one byte more than the cap; raw streams may give less than they are asked for.

    Room is made for as much as is asked for: asking for the cap at once took longer than reading a photograph.
    """
    parts, size, step = [], 0, cap + 1 if expected is None else max(expected, 2**16) + 1
    try:
        while size <= cap and (part := stream.read(min(step, cap + 1 - size))):
            if isinstance(part, str):
                raise TypeError(f"{name}: a picture's file object must be binary: open it with mode 'rb'")
            parts.append(part)
            size += len(part)
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return b"".join(parts)


def read_unloaded(image: Image.Image, cap: int, name: str) -> bytes | None:
    """The file behind a Pillow image whose pixels nobody has loaded yet, None where there is none any more."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.fp is None:
        return None
    position = image.fp.tell()
    image.fp.seek(0)
    data = _drain(image.fp, cap, name)
    image.fp.seek(position)
    if len(data) > cap:
        raise LimitError(f"{name}: more than {cap:,} bytes, the cap on a picture's size")
    return data if sniff(data[:HEAD]) else None
