"""What the samples of a decoded picture stand for: any of Pillow's modes to RGB or RGBA.

Source:
    TIFF 6.0, sections 8 (planes, 16 bits), 18 (ExtraSamples) and 19 (SampleFormat).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.color import of_grey_or_ink
from detect.pictures.limits import tiff_tags

__all__ = ["check_pixel_type", "extra_alpha", "to_pixels"]

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _EXTRA, _FORMAT = 258, 259, 262, 284, 338, 339


def to_pixels(image: Image.Image, name: str) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """Any mode that Pillow decodes to RGB or RGBA, and what else viewers may show of it."""
    if image.mode.startswith("I;16"):
        return _from_16_bit(image), []
    check_pixel_type(image, name)
    if image.has_transparency_data:
        return _converted(image, "RGBA"), []
    plain = _converted(image, "RGB")
    icc = image.info.get("icc_profile")
    if not isinstance(icc, bytes):
        return plain, []
    shown = of_grey_or_ink(image, icc, name) if image.mode in ("L", "CMYK") else []
    return (shown[0], [*shown[1:], plain]) if shown else (plain, [])


def _converted(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """In strips: of a whole picture Pillow makes two copies, and then two of its bytes."""
    width, height = image.size
    shown = np.empty((height, width, len(mode)), np.uint8)
    rows = max(1, 2**20 // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        shown[top : top + rows] = np.asarray(strip if strip.mode == mode else strip.convert(mode))
    return shown


def check_pixel_type(image: Image.Image, name: str) -> None:
    """Refuse pixels that no two viewers show alike, and those of a TIFF that Pillow reads otherwise than they are."""
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise UnsupportedImageError(f"{name}: pixel type {image.mode!r} has no agreed way of being shown; convert it")
    if (tags := tiff_tags(image)) is not None:
        _check(tags, name)


def extra_alpha(data: bytes, image: Image.Image, name: str) -> NDArray[np.uint8] | None:
    """What a TIFF shows besides, once its samples are known to be read rightly. To be asked before loading."""
    tags = tiff_tags(image) or {}
    _check(tags, name)
    return _with_alpha(data, tags)


def _from_16_bit(image: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey to RGB, or RGBA where one value is declared transparent (PNG's tRNS)."""
    values = np.asarray(image).astype(np.uint32)
    tags = tiff_tags(image) or {}
    most = 4095 if tags.get(_BITS) in (12, (12,)) else 65535
    grey = ((values * 255 + most // 2) // most).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:
        grey = 255 - grey  # Pillow undoes this for 8 bits, not for 16
    planes = [grey, grey, grey]
    if isinstance(key := image.info.get("transparency"), int):
        planes.append(np.where(values == key, 0, 255).astype(np.uint8))
    return np.stack(planes, axis=2)


def _check(tags: Mapping[int, Any], name: str) -> None:
    """Refuse what Pillow reads otherwise than it is.

    Raises:
        UnsupportedImageError: Planes of 16 bits without compression, which come out scrambled, or numbers with a sign.
    """
    if tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1 and max(_all(tags, _BITS)) > 8:
        raise UnsupportedImageError(f"{name}: a TIFF of separate planes of 16 bits; save it with interleaved ones")
    if tags.get(_PLANES) == 2 and tags.get(_PHOTOMETRIC) == 2 and _all(tags, _EXTRA)[0] == 0:
        raise UnsupportedImageError(f"{name}: a TIFF with a plane of which nothing is said; save it without")
    if not set(_all(tags, _FORMAT)) <= {1, 4} and max(_all(tags, _BITS)) < 16:
        raise UnsupportedImageError(f"{name}: a TIFF whose samples are no whole numbers from zero on; convert it")


def _with_alpha(data: bytes, tags: Mapping[int, Any]) -> NDArray[np.uint8] | None:
    """A picture with a fourth sample of which nothing is said, as those show it who take it for alpha.

    Returns:
        uint8 (H, W, 4), or None if it has no such sample. Pillow leaves it out.
    """
    if tags.get(_PHOTOMETRIC) != 2 or _EXTRA not in tags or _all(tags, _EXTRA)[0] != 0:
        return None
    from PIL import TiffImagePlugin

    image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    image.info.pop("xmp", None)
    image.tag_v2[_EXTRA] = (2, *_all(tags, _EXTRA)[1:])
    image._setup()  # noqa: SLF001  # reads the tags anew
    image.load()
    return np.asarray(image.convert("RGBA"))


def _all(tags: Mapping[int, Any], tag: int) -> tuple[int, ...]:
    value = tags.get(tag, 1)
    return tuple(value) if isinstance(value, tuple) else (value,)
