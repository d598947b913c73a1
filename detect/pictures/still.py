"""Anything that is one still picture to upright pixels: the one decode path.

A picture is taken by its content, never by its extension. Whatever it was (palette, grey, CMYK, 16 bit), what comes
out is upright 8-bit RGB or RGBA. OpenCV is not used here: it rotates JPEG but not WebP, AVIF or PNG, and returns a
half grey picture for a truncated upload where this module raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from detect.errors import ImageError, LimitError, ReadError, UnsupportedImageError
from detect.pictures.blocks import BlockGrid, blocks_of
from detect.pictures.color import settle, to_srgb
from detect.pictures.formats import HEAD, damaged, empty, sniff, unsupported
from detect.pictures.jpeg import Saving, saving_of
from detect.pictures.jpeg_open import OpenedJpeg, decode_strictly, open_jpeg
from detect.pictures.limits import check_size, check_still, open_still, tiff_tags
from detect.pictures.png import check_pixels, seen
from detect.pictures.tiff import QuietLibtiff
from detect.pictures.webp import opaque

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Picture", "Source", "check_pixel_type", "decode"]

MAX_BYTES = 64 * 2**20
"""Default cap on the size of an encoded picture, in bytes."""

MAX_PIXELS = 100_000_000
"""Default cap on width times height, read from the header before anything is decoded."""

Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[np.uint8]
)
"""A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels (H, W), (H, W, 3) or (H, W, 4)."""

_ORIENTATION = 0x0112  # EXIF 2.32, table 4
_PHOTOMETRIC = 262  # TIFF 6.0: 0 means that zero is white


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture, and what is needed to write it back the way it came.

    Attributes:
        pixels: uint8, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha. Fully transparent pixels are black: whatever
            colour hid beneath them is gone.
        format: Pillow's name of the format it came in ("JPEG", "HEIF" …), None if it came as pixels.
        icc: Its colour profile, if that is worth keeping: see `detect.pictures.color`.
        name: What errors call it.
        beneath: The colours as they came, uint8 (H, W, 3), where something hid beneath full transparency. For
            judging only: they are never written.
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
        UnsupportedImageError: Not a picture of a supported kind (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP, GIF).
        AnimatedImageError: More than one frame or page.
        DamagedImageError: Cut short or broken.
        LimitError: Over a cap.
        ValueError: An array of the wrong type or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "picture")
        data = _unread(source, max_bytes, name)
        with _Translate(name):
            if data is None:
                return _from_pillow(source, name, max_pixels)
            return _from_bytes(data, name, max_pixels, spare)
    data, name = _read(source, max_bytes)
    with _Translate(name):
        return _from_bytes(data, name, max_pixels, spare)


class _Translate:
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


def _read(source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes], cap: int) -> tuple[bytes, str]:
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "bytes"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            with Path(source).open("rb") as stream:
                data = _drain(stream, cap, name, expected=os.fstat(stream.fileno()).st_size)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
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
            parts.append(part)
            size += len(part)
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return b"".join(parts)


def _unread(image: Image.Image, cap: int, name: str) -> bytes | None:
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


def _from_bytes(data: bytes, name: str, max_pixels: int, spare: Callable[[int, int], int] | None) -> Picture:
    found = sniff(data[:HEAD])
    if found is None:
        raise unsupported(name, data[:HEAD])
    if found == "JPEG":
        jpeg = open_jpeg(data, name, max_pixels)
        image, icc = jpeg.header, jpeg.parts.icc
        if image.mode == "RGB":
            if spare is not None:
                return _reduced_jpeg(jpeg, name, spare)
            pixels = decode_strictly(jpeg, name)
        else:
            pixels, icc = _to_pixels(_strict_jpeg(jpeg, name), name)
    else:
        if found == "PNG":
            data = seen(data, name)
        image = open_still(data, found, name, max_pixels)
        with QuietLibtiff() if found == "TIFF" else nullcontext():
            image.load()
        if found == "PNG":
            check_pixels(image, data)
        pixels, icc = _to_pixels(opaque(image, data, name) if found == "WEBP" else image, name)
    orientation = _orientation(image)
    return _as_saved(_finish(pixels, orientation, icc, found, name), image, orientation, data)


def _from_pillow(image: Image.Image, name: str, max_pixels: int) -> Picture:
    check_size(image, name, max_pixels)
    check_still(image, name, max_pixels)
    image.load()
    pixels, icc = _to_pixels(image, name)
    known = {"JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF"}
    kind = "JPEG" if image.format == "MPO" else image.format if image.format in known else None
    orientation = _orientation(image)
    return _as_saved(_finish(pixels, orientation, icc, kind, name), image, orientation)


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
    return _finish(array, 1, None, None, "picture")


def _finish(pixels: NDArray[np.uint8], orientation: int, icc: object, kind: str | None, name: str) -> Picture:
    upright, profile = settle(_upright(pixels, orientation), icc)
    if upright.shape[2] == 3:
        return Picture(upright, kind, profile, name)
    hidden = upright[..., 3] == 0
    if not upright[hidden].any():
        return Picture(upright, kind, profile, name)
    blanked = upright.copy()
    blanked[hidden] = 0
    return Picture(blanked, kind, profile, name, beneath=np.ascontiguousarray(upright[..., :3]))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1-8; 1 where there is none or the EXIF block is broken, which is how viewers show it.

    To be asked after loading: TIFF and HEIF are turned by their decoders, which then say 1.
    """
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # the parser raises half a dozen types, and none concerns the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored picture lie)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _reduced_jpeg(jpeg: OpenedJpeg, name: str, spare: Callable[[int, int], int]) -> Picture:
    """A JPEG in colour, decoded only as far as its judge will look."""
    width, height = jpeg.header.size
    orientation = _orientation(jpeg.header)
    upright = (width, height) if orientation >= 5 else (height, width)
    factor = spare(*upright)
    pixels = decode_strictly(jpeg, name, factor=factor)
    picture = _finish(pixels, orientation, jpeg.parts.icc, "JPEG", name)
    return picture if pixels.shape[:2] == (height, width) else replace(picture, reduced=(*upright, factor))


def _strict_jpeg(jpeg: OpenedJpeg, name: str) -> Image.Image:
    """A grey or CMYK JPEG, decoded strictly, as Pillow would give it: CMYK is stored inverted, as Adobe does."""
    pixels = decode_strictly(jpeg, name)
    image = Image.fromarray(pixels[..., 0]) if jpeg.header.mode == "L" else Image.fromarray(255 - pixels, "CMYK")
    image.info = dict(jpeg.header.info)
    return image


def check_pixel_type(image: Image.Image, name: str) -> None:
    """Refuse pixels that no two viewers show alike."""
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise UnsupportedImageError(f"{name}: pixel type {image.mode!r} has no agreed way of being shown; convert it")


def _to_pixels(image: Image.Image, name: str) -> tuple[NDArray[np.uint8], bytes | None]:
    """Any mode that Pillow decodes to RGB or RGBA, and the profile that those pixels are in."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        return _from_16_bit(image), None
    check_pixel_type(image, name)
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA")), icc if image.mode in ("RGB", "RGBA", "P", "PA") else None
    if image.mode in ("CMYK", "L") and icc:
        shown = to_srgb(image, icc)
        return np.asarray(image.convert("RGB") if shown is None else shown), None
    return np.asarray(image.convert("RGB")), icc


def _from_16_bit(image: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey to RGB, or RGBA where one value is declared transparent (PNG's tRNS)."""
    values = np.asarray(image).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)
    if (tiff_tags(image) or {}).get(_PHOTOMETRIC) == 0:
        grey = 255 - grey  # Pillow undoes this for 8 bits, not for 16
    planes = [grey, grey, grey]
    if isinstance(key := image.info.get("transparency"), int):
        planes.append(np.where(values == key, 0, 255).astype(np.uint8))
    return np.stack(planes, axis=2)
