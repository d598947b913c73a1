"""Anything that is one still picture to upright pixels: the one decode path.

A picture is taken by its content, never by its extension. Whatever it was (palette, grey, CMYK, 16 bit), what comes
out is upright 8-bit RGB or RGBA. OpenCV is not used here: it rotates JPEG but not WebP, AVIF or PNG, and returns a
half grey picture for a truncated upload where this module raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.errors import LimitError
from detect.pictures.alpha import straight
from detect.pictures.blocks import BlockGrid, blocks_of
from detect.pictures.color import Declared, is_plain, settle
from detect.pictures.declared import colors_of, info_colors
from detect.pictures.formats import SNIFF_BYTES, SUFFIXES, sniff, unsupported
from detect.pictures.jpeg import Saving, saving_of
from detect.pictures.jpeg_open import OpenedJpeg, decode_strictly, open_jpeg
from detect.pictures.limits import check_size, check_still, open_still
from detect.pictures.orientation import exif_orientation, orientation_of, upright
from detect.pictures.png import check_pixels, seen
from detect.pictures.samples import extra_alpha, to_pixels
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, DecoderErrors, Source, read_source, read_unloaded
from detect.pictures.tiff import QuietLibtiff
from detect.pictures.webp import opaque

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Picture", "Reading", "Source", "decode", "decode_bytes", "finish"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What some other viewer shows, for judging only: it is never written.

    Attributes:
        pixels: uint8, (H, W, 3) RGB or (H, W, 4) RGBA, colours beneath full transparency included.
        orientation: The EXIF orientation that this viewer applies to what `Picture.pixels` shows.
    """

    pixels: NDArray[np.uint8]
    orientation: int = 1


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture, and what is needed to write it back the way it came.

    Attributes:
        pixels: uint8, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha. Fully transparent pixels are black: whatever
            colour hid beneath them is gone.
        format: Pillow's name of the format it came in ("JPEG", "HEIF" …), None if it came as pixels.
        icc: A colour profile made from what it says of its colours, if the numbers are kept; None for sRGB. See
            `detect.pictures.color`.
        name: What errors call it.
        beneath: The colours as they came, uint8 (H, W, 3), where something hid beneath full transparency. For
            judging only: they are never written.
        readings: What other viewers show, where viewers differ: what is found in any of them counts and is hidden.
        saving: How it was saved, if it was a JPEG.
        blocks: Where its blocks lie, if it was a JPEG or a lossy WebP.
        reduced: Rows and columns of the whole picture, and the factor by which the decoder shrank it, rounding up: such
            pixels are for judging only. None if every pixel is there.
    """

    pixels: NDArray[np.uint8]
    format: str | None = None
    icc: bytes | None = None
    name: str = "picture"
    beneath: NDArray[np.uint8] | None = None
    readings: tuple[Reading, ...] = ()
    saving: Saving | None = None
    blocks: BlockGrid | None = None
    reduced: tuple[int, int, int] | None = None

    @property
    def whole(self) -> NDArray[np.uint8]:
        """The pixels, where all of them are there.

        Raises:
            ValueError: The picture was reduced in decoding.
        """
        if self.reduced is not None:
            raise ValueError(f"{self.name}: was reduced in decoding, for judging only")
        return self.pixels

    @property
    def height(self) -> int:
        """Rows of the whole picture."""
        return self.reduced[0] if self.reduced else int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the whole picture."""
        return self.reduced[1] if self.reduced else int(self.pixels.shape[1])


def decode(
    source: Source,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    spare: Callable[[int, int], int] | None = None,
) -> Picture:
    """Turn anything that is one still picture into upright pixels.

    Args:
        source: See `Source`. A string is a path. Paths, bytes, file objects and Pillow images that are not loaded yet
            give the same pixels for the same content.
        max_bytes: More bytes than this are refused before they are all read.
        max_pixels: More pixels than this are refused before any is decoded.
        spare: Asked with rows and columns, says by how much the picture may be shrunk: 1, 2, 4 or 8. A JPEG is then
            decoded at that size, in half the time or less; all of its data are still read and checked. Other formats
            have no such shortcut and come whole.

    Raises:
        ReadError: The file is missing or may not be read.
        UnsupportedImageError: Not a picture of a kind that is taken: one of `detect.pictures.formats.FORMATS`.
        AnimatedImageError: More than one frame or page.
        DamagedImageError: Cut short or broken.
        LimitError: Over a cap.
        ValueError: An array of the wrong type or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "picture")
        data = read_unloaded(source, max_bytes, name)
        with DecoderErrors(name):
            if data is None:
                return _from_pillow(source, name, max_pixels)
            return _from_bytes(data, name, max_pixels, spare)
    data, name = read_source(source, max_bytes)
    with DecoderErrors(name):
        return _from_bytes(data, name, max_pixels, spare)


def decode_bytes(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The same of bytes that errors call by a name, without a copy of them.

    Args:
        data: An encoded picture.
        name: What errors call it.
        max_pixels: As for `decode`.

    Raises:
        ImageError: As for `decode`.
    """
    with DecoderErrors(name):
        return _from_bytes(data, name, max_pixels, None)


def _from_bytes(data: bytes, name: str, max_pixels: int, spare: Callable[[int, int], int] | None) -> Picture:
    found = sniff(data[:SNIFF_BYTES])
    if found is None:
        raise unsupported(name, data[:SNIFF_BYTES])
    if found == "JPEG":
        return _from_jpeg(data, open_jpeg(data, name, max_pixels), name, spare)
    if found == "PNG":
        data = seen(data, name)
    image = open_still(data, found, name, max_pixels)
    declared = colors_of(data, found, image, name)
    image.info.pop("xmp", None)  # or Pillow would turn a TIFF by it
    with QuietLibtiff() if found == "TIFF" else nullcontext():
        extra = extra_alpha(data, image, name) if found == "TIFF" else None
        image.load()
    if found == "PNG":
        check_pixels(image, data)
    pixels, others = to_pixels(opaque(image, data, name) if found == "WEBP" else image, name)
    others += [] if extra is None else [extra]
    if image.info["multiplied"] and pixels.shape[2] == 4:
        others.append(pixels[..., :3].copy())  # which is what a black page shows, even of colours above their alpha
        pixels = straight(pixels)
    if image.mode == "CMYK":
        declared = []  # what is not for ink has been dropped
    orientation = orientation_of(data, found, image)
    picture = _as_saved(finish(pixels, orientation, declared, found, name, others), image, orientation, data)
    if found == "WEBP" and (turned := exif_orientation(image)) != 1:
        picture = _turned_too(picture, turned)
    return picture


def _from_jpeg(data: bytes, jpeg: OpenedJpeg, name: str, spare: Callable[[int, int], int] | None) -> Picture:
    image, icc = jpeg.header, jpeg.parts.icc
    declared: list[Declared] = [icc] if icc and image.mode != "CMYK" else []
    others: list[NDArray[np.uint8]] = []
    if image.mode == "RGB":
        if spare is not None and is_plain(declared):
            return _reduced_jpeg(jpeg, name, spare, declared)
        pixels = decode_strictly(jpeg, name)
    else:
        pixels, others = to_pixels(_strict_jpeg(jpeg, name), name)
    orientation = exif_orientation(image)
    return _as_saved(finish(pixels, orientation, declared, "JPEG", name, others), image, orientation, data)


def _from_pillow(image: Image.Image, name: str, max_pixels: int) -> Picture:
    check_size(image, name, max_pixels)
    check_still(image, name, max_pixels)
    image.load()
    pixels, others = to_pixels(image, name)
    kind = "JPEG" if image.format == "MPO" else image.format if image.format in SUFFIXES.values() else None
    orientation = 1 if kind in ("WEBP", "HEIF", "TIFF") else exif_orientation(image)
    return _as_saved(finish(pixels, orientation, info_colors(image), kind, name, others), image, orientation)


def _turned_too(picture: Picture, orientation: int) -> Picture:
    """A WebP that is also judged as its EXIF block turns it: Chromium leaves it as it is, others turn it."""
    shown = [picture.pixels, *(each.pixels for each in picture.readings)]
    turned = tuple(Reading(upright(each, orientation), orientation) for each in shown)
    return replace(picture, readings=(*picture.readings, *turned))


def _as_saved(picture: Picture, image: Image.Image, orientation: int, data: bytes = b"") -> Picture:
    """The picture, with how it was saved if it was a JPEG, and its blocks."""
    saving = saving_of(image, turned=orientation >= 5) if picture.format == "JPEG" else None
    return replace(picture, saving=saving, blocks=blocks_of(image, orientation=orientation, data=data))


def _from_array(array: NDArray[np.uint8], max_pixels: int) -> Picture:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(
            f"pixels must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), not {array.dtype} {array.shape}; "
            "scale floats and 16-bit values to 0..255 first"
        )
    if array.size == 0:
        raise ValueError(f"pixels must not be empty: {array.shape}")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise LimitError(f"picture: {array.shape[1]} x {array.shape[0]} pixels are over the cap of {max_pixels:,}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    return finish(array, 1, [], None, "picture")


def finish(
    pixels: NDArray[np.uint8],
    orientation: int,
    declared: Sequence[Declared],
    kind: str | None,
    name: str,
    others: Sequence[NDArray[np.uint8]] = (),
) -> Picture:
    """Decoded pixels as a picture: upright, in settled colours, with nothing beneath full transparency.

    Args:
        pixels: uint8, (H, W, 3) RGB or (H, W, 4) RGBA, as they are stored.
        orientation: The EXIF orientation that viewers apply, 1-8.
        declared: What the file says of its colours.
        kind: Pillow's name of its format, None for none.
        name: What errors call it.
        others: What else viewers show, as it is stored.
    """
    shown = settle(upright(pixels, orientation), declared, name)
    readings = tuple(Reading(each) for each in (*shown.others, *(upright(each, orientation) for each in others)))
    picture = Picture(shown.pixels, kind, shown.icc, name, readings=readings)
    if shown.pixels.shape[2] == 3:
        return picture
    blanked = np.ascontiguousarray(shown.pixels).view("<u4")[..., 0]  # alpha is the highest byte
    strips = [blanked[top : top + 256] for top in range(0, len(blanked), 256)]
    if not any(((strip > 0) & (strip < 2**24)).any() for strip in strips):
        return picture
    blanked = np.where(blanked < 2**24, np.uint32(0), blanked).view(np.uint8).reshape(shown.pixels.shape)
    return replace(picture, pixels=blanked, beneath=np.ascontiguousarray(shown.pixels[..., :3]))


def _reduced_jpeg(
    jpeg: OpenedJpeg, name: str, spare: Callable[[int, int], int], declared: Sequence[Declared]
) -> Picture:
    """A JPEG in plain colours, decoded only as far as its judge will look."""
    width, height = jpeg.header.size
    orientation = exif_orientation(jpeg.header)
    size = (width, height) if orientation >= 5 else (height, width)
    factor = spare(*size)
    pixels = decode_strictly(jpeg, name, factor=factor)
    picture = finish(pixels, orientation, declared, "JPEG", name)
    return picture if pixels.shape[:2] == (height, width) else replace(picture, reduced=(*size, factor))


def _strict_jpeg(jpeg: OpenedJpeg, name: str) -> Image.Image:
    """A grey or CMYK JPEG, decoded strictly, as Pillow would give it: CMYK is stored inverted, as Adobe does."""
    pixels = decode_strictly(jpeg, name)
    image = (
        Image.fromarray(pixels[..., 0])
        if jpeg.header.mode == "L"
        else Image.fromarray(np.invert(pixels, out=pixels), "CMYK")
    )
    image.info = dict(jpeg.header.info)
    return image
