"""Pixels to bytes: encoded from pixels and colour profile alone."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from censor.errors import WriteError
from detect.pictures.alpha import over
from detect.pictures.color import settled_srgb
from detect.pictures.formats import FORMATS, format_of
from detect.pictures.jpeg import Saving
from detect.pictures.limits import open_still, plugin
from detect.pictures.still import Picture

__all__ = ["QUALITY", "check_sides", "encode", "output_format"]

QUALITY = 95
"""Default quality of the lossy formats, 1-100, where there is no JPEG to go by."""

_LARGEST_SIDE = {"AVIF": 32_768, "BMP": 65_535, "GIF": 65_535, "HEIF": 32_768, "JPEG": 65_500, "WEBP": 16_383}
"""Pixels on a side: what GIF and WebP can say, and what libavif, Chromium (BMP), libheif and libjpeg open."""

_PADDING = 64
"""Pixels that HEVC may add on a side, to be cropped."""

_ICC_PART = 65_535 - 2 - 14  # what a segment holds besides its length, and the profile's name, number and count


def output_format(
    picture: Picture,
    *,
    target: str | os.PathLike[str] | None = None,
    format: str | None = None,  # noqa: A002  # Pillow's own word
) -> str:
    """The format of an output: the one asked for, else what the target's suffix says, else the source's, else PNG.

    Args:
        picture: What is to be encoded.
        target: Where it goes; None for nowhere with a name.
        format: What was asked for.
    """
    return format or (None if target is None else format_of(target)) or picture.format or "PNG"


def encode(picture: Picture, *, format: str, quality: int | None = None) -> bytes:  # noqa: A002  # Pillow's own word
    """Encode pixels and colour profile, and nothing else the source file held but how finely it was saved.

    Args:
        picture: What to encode. Where the format has no transparency, it is laid on white.
        format: Name of one of `FORMATS`.
        quality: 1-100, for JPEG, WebP, AVIF and HEIC; the other formats are lossless (GIF keeps 256 colours). By
            default a JPEG that stays one is saved as it was, if that can be told, and the rest at `QUALITY`.

    Raises:
        WriteError: More pixels on a side than the format can hold or its readers open, such as 32,768 in AVIF; or the
            encoder refuses, or wrote what cannot be opened.
        ValueError: An unknown format, a quality out of range, or a picture that was reduced in decoding.
    """
    kind = next((each for each in FORMATS if each.name == format), None)
    if kind is None:
        raise ValueError(f"format must be one of {', '.join(sorted(each.name for each in FORMATS))}, not {format!r}")
    saving = _saving(picture if format == "JPEG" else None, quality)
    pixels = picture.whole
    if not kind.has_profile and picture.icc is not None:
        pixels = settled_srgb(pixels, picture.icc)
    if not kind.has_alpha and pixels.shape[2] == 4:
        pixels = over(pixels, 255)
    check_sides(picture, format)
    options: dict[str, Any] = {}
    if picture.icc is not None and kind.has_profile:
        options["icc_profile"] = picture.icc
    if kind.is_lossy:
        options["quality"] = saving.quality
    if format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    stream = io.BytesIO()
    try:
        if format == "JPEG":
            return _encode_jpeg(pixels, picture.icc, saving)
        image = Image.fromarray(pixels)
        if format == "HEIF":
            _save_heif(image, stream, options)
        else:
            plugin(format)  # or Pillow would import all of its forty
            image.save(stream, format, **options)
        _check_opens(stream.getvalue(), format, image)
    except Exception as error:
        raise WriteError(f"{picture.name}: cannot be encoded as {format}: {error}") from error
    return stream.getvalue()


def check_sides(picture: Picture, kind: str) -> None:
    """Check that a format holds a picture of its size, and that readers open it.

    Args:
        picture: What is to be encoded.
        kind: Name of one of `FORMATS`.

    Raises:
        WriteError: It has more pixels on a side.
    """
    most = _LARGEST_SIDE.get(kind)
    if most is not None and max(picture.width, picture.height) > most:
        size = (
            f"{picture.width} x {picture.height} pixels are more than the {most:,} a side that it or its readers take"
        )
        raise WriteError(f"{picture.name}: cannot be encoded as {kind}: {size}")


def _check_opens(data: bytes, kind: str, image: Image.Image) -> None:
    """Refuse what an encoder wrote and a decoder does not open: nobody could look at it again."""
    opened = open_still(data, kind, "output", (image.width + _PADDING) * (image.height + _PADDING))
    if opened.size != image.size:
        raise ValueError(f"it opens as {opened.width} x {opened.height} pixels")


def _saving(source: Picture | None, quality: int | None) -> Saving:
    """As the source was saved, or with halved chrominance as cameras do; at `quality` if that is not None."""
    saving = (source and source.saving) or Saving(None, "420")
    if quality is None:
        quality = saving.quality or QUALITY
    if not 1 <= quality <= 100:
        raise ValueError(f"quality lies in 1..100, not {quality}")
    return saving._replace(quality=quality)


def _encode_jpeg(pixels: NDArray[np.uint8], icc: bytes | None, saving: Saving) -> bytes:
    """JPEG straight from the array, where Pillow would first copy it.

    Source:
        The profile goes into APP2 segments behind the JFIF header: ICC.1:2022, annex B.4.
    """
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=saving.quality, colorsubsampling=saving.subsampling
    )
    if icc is None:
        return data
    if data[:4] != b"\xff\xd8\xff\xe0":
        raise ValueError("the encoder wrote no JFIF header")
    start = 4 + int.from_bytes(data[4:6], "big")
    parts = [icc[at : at + _ICC_PART] for at in range(0, len(icc), _ICC_PART)]
    segments = []
    for number, part in enumerate(parts, 1):
        body = b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part
        segments.append(b"\xff\xe2" + (len(body) + 2).to_bytes(2, "big") + body)
    return data[:start] + b"".join(segments) + data[start:]


def _save_heif(image: Image.Image, stream: io.BytesIO, options: dict[str, Any]) -> None:
    import pillow_heif

    pillow_heif.from_pillow(image).save(stream, **options)
