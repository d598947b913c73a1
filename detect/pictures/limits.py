"""Whether a file of a known format holds one still picture that can be decoded whole."""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import Image, ImageFile

from detect.errors import AnimatedImageError, DamagedImageError, LimitError, UnsupportedImageError
from detect.pictures.formats import HEIF_SEQUENCES, brands

__all__ = ["check_png_rows", "check_size", "check_still", "open_still", "plugin", "tiff_tags"]

_SEVERAL = "several frames or pages; only still pictures are taken"

_PLUGINS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
}
"""Format: Pillow's module and class, imported when a file wants it. Pillow's forty other plug-ins are never asked."""


def open_still(data: bytes, found: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of a file that `sniff` found to be of a format, and refuse what is not one still picture.

    Raises:
        LimitError: More pixels than allowed.
        AnimatedImageError: Several pictures.
        UnsupportedImageError: A kind whose picture, or whose damage, cannot be told.
        Exception: Whatever Pillow raises for a broken header.
    """
    if found == "PNG":
        kinds = [kind for kind, _, _ in _png_chunks(data)]
        if b"fdAT" in kinds or kinds.count(b"fcTL") > 1:
            raise AnimatedImageError(f"{name}: {_SEVERAL}")
    elif found == "HEIF" and brands(data) & HEIF_SEQUENCES:
        raise AnimatedImageError(f"{name}: {_SEVERAL}")
    elif found == "AVIF" and b"clap" in _meta_box(data):
        # Pillow shows the whole coded picture; viewers show the clean aperture, and what was cropped would come back.
        raise UnsupportedImageError(f"{name}: an AVIF cropped by a clean aperture; export it again")
    image = plugin(found)(io.BytesIO(data))
    check_size(image, name, max_pixels)
    check_still(image, name, max_pixels)
    return image


def plugin(found: str) -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    """What opens files of a format; to have imported it is what Pillow needs to save such files.

    Called directly: `Image.open` would warn or raise at a pixel count of its own, and HEIF is known to it only after a
    plug-in has been installed into the host's Pillow, which is not ours to do.
    """
    if found == "HEIF":
        import pillow_heif  # 50 ms, and few pictures need it

        heif: Callable[[io.BytesIO], ImageFile.ImageFile] = pillow_heif.HeifImageFile
        return heif
    module, name = _PLUGINS[found]
    opener: Callable[[io.BytesIO], ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return opener


def _meta_box(data: bytes) -> bytes:
    """The metadata box of a HEIF or AVIF file (ISO/IEC 14496-12, 8.11.1); empty if there is none."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"meta":
            return data[at : at + length] if length else data[at:]
        if length < 8:  # to the end of the file, or 64 bits long: no metadata box comes behind those
            break
        at += length
    return b""


def check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse a picture by the size that its header announces."""
    width, height = image.size
    if width < 1 or height < 1:
        raise DamagedImageError(f"{name}: {width} x {height} pixels is no picture")
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")


def check_still(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse what holds more than one picture that a viewer could show; works on any Pillow image."""
    if "mp" in image.info:
        _check_multi_picture(image, name)
    if (tags := tiff_tags(image)) is not None:
        _check_tiff(tags, name, max_pixels)
    if image.format != "MPO" and (getattr(image, "is_animated", False) or image.info.get("default_image")):
        raise AnimatedImageError(f"{name}: {_SEVERAL}")


def tiff_tags(image: Image.Image) -> Mapping[int, Any] | None:
    """The tags of the page, by number (TIFF 6.0); None if the picture was not opened by Pillow's TIFF plug-in."""
    return getattr(image, "tag_v2", None)


def _check_tiff(tags: Mapping[int, Any], name: str, max_pixels: int) -> None:
    # NewSubfileType bit 0, SubIFDs, DNGVersion (TIFF 6.0, TIFF/EP): the first page is a preview of the real one.
    if int(tags.get(254, 0)) & 1 or 330 in tags or 50706 in tags:
        raise UnsupportedImageError(f"{name}: a camera's raw file or a multi-resolution TIFF; develop it first")
    # libtiff repairs damaged fax and JPEG data by guessing, and says so on standard error only.
    if tags.get(259) in (2, 3, 4, 6, 7):
        raise UnsupportedImageError(f"{name}: a TIFF with fax or JPEG compression, whose damage could not be told")
    if int(tags.get(322, 1)) * int(tags.get(323, 1)) > max_pixels:
        raise LimitError(f"{name}: a TIFF with tiles of more than {max_pixels:,} pixels")


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
                f"{name}: a multi-picture file (panorama, stereo or angles); only stills are taken"
            )


def check_png_rows(image: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse a PNG whose compressed rows end early though file and stream are sound: Pillow leaves the rest zero.

    Rows are counted only where the bottom one is zero, or Adam7 could have left gaps elsewhere (PNG 3rd ed., 8.1).

    Raises:
        OSError: Fewer bytes than the header announces.
    """
    width, height = image.size
    interlaced = bool(image.info.get("interlace"))
    if not interlaced and image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is not None:
        return
    bits = data[24] * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]  # IHDR: bit depth, colour type
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    expected = 0
    for x, y, step_x, step_y in passes if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        expected += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    found, inflate = 0, zlib.decompressobj()
    for kind, start, end in _png_chunks(data):
        rest = data[start:end] if kind == b"IDAT" else b""
        while rest and found < expected:
            found += len(inflate.decompress(rest, 1 << 20))
            rest = inflate.unconsumed_tail
    if found + len(inflate.flush()) < expected:
        raise OSError(f"{found} of {expected} bytes of pixels")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the body of each chunk."""
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, at + 8 + length
        at += 12 + length
