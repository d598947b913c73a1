"""Whether a file of a known format holds one still picture that can be decoded whole."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageFile

from detect.errors import AnimatedImageError, DamagedImageError, LimitError, UnsupportedImageError
from detect.pictures import tiff
from detect.pictures.bmp import check_bitmap
from detect.pictures.formats import FORMATS, HEIF_SEQUENCES, brands, several
from detect.pictures.gif import single_frame
from detect.pictures.png import without_profile
from detect.pictures.webp import check_chunks, claiming_transparency

__all__ = ["MAX_SIDE", "check_size", "check_still", "open_still", "plugin", "tiff_tags"]

MAX_SIDE = 100_000
"""Pixels: a longer strip is looked at in so many parts, and Pillow has so many rows of it, that it takes a core for
minutes. Browsers show none."""

_UNSUPPORTED = "Unsupported BMP"  # how Pillow's errors begin


def open_still(data: bytes, found: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of a file that `sniff` found to be of a format, and refuse what is not one still picture.

    Its `info` says by "multiplied" whether its colours will come multiplied by their transparency.

    Raises:
        LimitError: More pixels than allowed.
        AnimatedImageError: Several pictures.
        UnsupportedImageError: A kind whose picture, or whose damage, cannot be told.
        Exception: Whatever Pillow raises for a broken header.
    """
    icc = None
    if found == "PNG":
        data, icc = without_profile(data)
    else:
        _check_file(data, found, name, max_pixels)
    bare = None
    if found == "WEBP":
        data = claiming_transparency(data)
    elif found == "GIF":
        data = single_frame(data, name)
    elif found in ("AVIF", "HEIF"):
        from detect.pictures.heif import multiplied

        bare = multiplied(data)
        data = data if bare is None else bare
    try:
        image = plugin(found)(io.BytesIO(data))
    except (SyntaxError, OSError) as error:
        if found == "TIFF" and str(error) == "unknown pixel mode":
            raise tiff.unknown_samples(data, name) from error
        if found == "BMP" and str(error).startswith(_UNSUPPORTED):
            raise UnsupportedImageError(f"{name}: a BMP of unsupported{str(error)[len(_UNSUPPORTED) :]}") from error
        raise
    image.info["multiplied"] = bare is not None
    if icc is not None:
        image.info["icc_profile"] = icc
    check_size(image, name, max_pixels)
    check_still(image, name, max_pixels)
    return image


def _check_file(data: bytes, found: str, name: str, max_pixels: int) -> None:
    """What each format's own module finds in a file before Pillow has seen it."""
    if found == "HEIF" and brands(data) & HEIF_SEQUENCES:
        raise several(name, found)
    if found in ("AVIF", "HEIF"):
        from detect.pictures.heif import check_items  # five modules, and few pictures need them

        check_items(data, found, name, max_pixels)
    elif found == "TIFF":
        tiff.check_directory(data, name, max_pixels)
    elif found == "BMP":
        check_bitmap(data, name)
    elif found == "WEBP":
        check_chunks(data, name, max_pixels)


def plugin(found: str) -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    """What opens files of a format; to have imported it is what Pillow needs to save such files.

    It is imported when a file wants it, and Pillow's forty others never are.
    Called directly: `Image.open` would warn or raise at a pixel count of its own, and HEIF is known to it only after a
    plug-in has been installed into the host's Pillow, which is not ours to do.
    """
    if found == "HEIF":
        import pillow_heif  # 50 ms, and few pictures need it

        heif: Callable[[io.BytesIO], ImageFile.ImageFile] = pillow_heif.HeifImageFile
        return heif
    (named,) = (each.plugin for each in FORMATS if each.name == found)
    if named is None:
        raise ValueError(f"Pillow has no plug-in of its own for {found}")
    module, name = named
    opener: Callable[[io.BytesIO], ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return opener


def check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse a picture by the size that its header announces."""
    width, height = image.size
    if width < 1 or height < 1:
        raise DamagedImageError(f"{name}: {width} x {height} pixels is no picture")
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"{name}: {width} x {height} pixels are more on a side than {MAX_SIDE:,}")


def check_still(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse what holds more than one picture that a viewer could show; works on any Pillow image."""
    if "mp" in image.info:
        _check_multi_picture(image, name)
    if (tags := tiff_tags(image)) is not None:
        tiff.check_tags(tags, name, max_pixels)
    if image.format == "HEIF" and getattr(image, "is_animated", False):
        raise UnsupportedImageError(f"{name}: several pictures in one file, and no sequence; save each by itself")
    if image.format != "MPO" and (getattr(image, "is_animated", False) or image.info.get("default_image")):
        raise several(name, image.format or "")


def tiff_tags(image: Image.Image) -> Mapping[int, Any] | None:
    """The tags of the page, by number (TIFF 6.0); None if the picture was not opened by Pillow's TIFF plug-in."""
    return getattr(image, "tag_v2", None)


def _check_multi_picture(image: Image.Image, name: str) -> None:
    """A JPEG may carry further pictures behind the first (CIPA DC-007).

    Phones put previews and gain maps there, which no viewer shows as the picture and the output drops. Panoramas,
    stereo pairs and angles are pictures in their own right, and get refused like any second page.
    """
    from PIL import JpegImagePlugin

    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return
    try:
        entries = (JpegImagePlugin._getmp(image) or {}).get(0xB002, [])  # noqa: SLF001  # no public way to the types
    except Exception:  # noqa: BLE001  # a broken index leads nobody to another picture, whatever the parser raises
        return
    for entry in entries:
        if str(entry["Attribute"]["MPType"]).startswith("Multi-Frame"):
            raise AnimatedImageError(
                f"{name}: a multi-picture file (panorama, stereo or angles); save one of its pictures by itself"
            )
