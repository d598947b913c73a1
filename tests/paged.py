"""Files of several pages that tests make."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

__all__ = ["links", "pages", "planted", "retagged"]


def pages(pictures: Sequence[NDArray[np.uint8]], **options: Any) -> bytes:
    """A TIFF of these pages."""
    images = [Image.fromarray(each) for each in pictures]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", save_all=True, append_images=images[1:], **options)
    return stream.getvalue()


def retagged(pictures: Sequence[NDArray[np.uint8]], page: int, tags: dict[int, Any], *, between: bytes = b"") -> bytes:
    """A TIFF one of whose pages, by its number from 1, has further tags; `between` stands behind each page."""
    stream = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(stream, new=True) as out:
        for number, each in enumerate(pictures, 1):
            info = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items() if number == page else ():
                info[tag] = value
                info.tagtype[tag] = 2 if isinstance(value, str) else 7 if isinstance(value, bytes) else 4
            one = io.BytesIO()
            Image.fromarray(each).save(one, "TIFF", tiffinfo=info)
            out.write(one.getvalue() + between)
            out.newFrame()
    return stream.getvalue()


def planted(pictures: Sequence[NDArray[np.uint8]], marker: bytes) -> bytes:
    """A TIFF with a marker wherever bytes find room: in tags of text and of bytes, and behind each page."""
    text = marker.decode()
    return retagged(
        pictures, len(pictures), {270: text, 305: text, 315: text, 700: marker, 34377: marker, 65000: marker},
        between=marker,
    )  # fmt: skip


def links(data: bytes) -> list[int]:
    """Where each directory of a little-endian TIFF says which one follows it; first where the header says it."""
    found = [4]
    while at := struct.unpack_from("<I", data, found[-1])[0]:
        found.append(at + 2 + 12 * struct.unpack_from("<H", data, at)[0])
    return found
