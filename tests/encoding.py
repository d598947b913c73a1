"""What the tests of decoding share."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from detect.pictures.formats import SUFFIXES

Encode = Callable[..., bytes]
FORMATS = list(dict.fromkeys(SUFFIXES.values()))


def grey_ramp() -> NDArray[np.uint8]:
    return np.tile(np.arange(0, 240, 4, dtype=np.uint8), (50, 1))


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def oriented(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF orientation, 1-8."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(*chunks: bytes | tuple[bytes, bytes]) -> bytes:
    """A PNG of chunks, made already or given as kind and body."""
    made = [chunk if isinstance(chunk, bytes) else png_chunk(*chunk) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)
