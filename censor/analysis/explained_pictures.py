"""Pictures as they are explained, and what may be shown of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from censor.analysis.thumbnails import censored_thumbnail
from censor.gather import BatchItem
from censor.pipeline import Censor
from detect.detections import RGBImage
from detect.pictures.rgb import on_white
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, decode
from detect.runtime.letterbox import shrink

__all__ = ["STANDARD", "Explanations", "Limits", "jpeg", "png", "read_small", "shown_pixels"]

SIDE = 448
"""Longest side of pictures as they are explained, in pixels: networks see them smaller."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanations:
    """What became of a run.

    Attributes:
        explained: How many pictures the page is about.
        failed: The others, and why.
    """

    explained: int
    failed: tuple[tuple[Path, Exception], ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is read of a picture at most.

    Attributes:
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
    """

    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS


STANDARD = Limits()
"""Those that hold where none are named."""


def read_small(item: BatchItem, limits: Limits) -> RGBImage:
    """A picture as it is explained.

    Raises:
        DetectError: It cannot be decoded, or is over a cap.
        CensorError: It could not even be found.
    """
    if item.error is not None:
        raise item.error
    source = item.beneath or item.source
    pixels = on_white(decode(source, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels))
    factor = min(1.0, SIDE / max(pixels.shape[:2]))
    rows, columns = (max(1, round(length * factor)) for length in pixels.shape[:2])
    return shrink(pixels, rows=rows, columns=columns)


def shown_pixels(item: BatchItem, small: RGBImage, censor: Censor | None) -> tuple[RGBImage, str | None]:
    """What may be shown of a picture, in the size in which it is explained; and why that is nothing, if it is."""
    if censor is None:
        return small, None
    thumbnail = censored_thumbnail(item.beneath or item.source, censor, side=SIDE)
    if thumbnail.pixels.shape != small.shape:  # gray in a shape of its own
        return np.full_like(small, 128), thumbnail.refused or "it changed meanwhile"
    return thumbnail.pixels, thumbnail.refused


def png(pixels: RGBImage) -> bytes:
    """Encode a picture without loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def jpeg(pixels: RGBImage) -> bytes:
    """Encode a picture for a page."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return stream.getvalue()
