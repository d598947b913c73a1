"""What annotations need to know of a picture: its upright size from the header alone, and now and then its pixels."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from detect.detections import RGBImage
from detect.errors import AnnotationsError

__all__ = ["SUFFIXES", "Header", "list_pictures", "read_header", "read_rgb"]

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings, in lower case, by which pictures are found in a folder; what a file is, its content says."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_QUARTER_TURNS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """A picture's size.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        orientation: EXIF orientation, 1 to 8, that was applied to get there; 1 where the file names none.
    """

    width: int
    height: int
    orientation: int

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height before the orientation is applied."""
        turned = self.orientation in _QUARTER_TURNS
        return (self.height, self.width) if turned else (self.width, self.height)


def read_header(path: Path) -> Header:
    """Read a picture's upright size without decoding it, however large it is.

    Raises:
        AnnotationsError: The file cannot be read, is no picture, or has more pixels than Pillow will decode.
    """
    with _opened(path) as (file, image):
        width, height = image.size
        orientation = _orientation(file, image)
        # Of a TIFF, Pillow gives the upright size at once.
        if orientation in _QUARTER_TURNS and image.format != "TIFF":
            width, height = height, width
        return Header(width, height, orientation)


def read_rgb(path: Path) -> RGBImage:
    """Decode a picture, upright, as RGB; what is transparent lies on white, and of several frames the first counts.

    Raises:
        AnnotationsError: As `read_header`, or the file is damaged, ends too early, or has pixels of no known range.
    """
    with _opened(path) as (_, image):
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):  # Pillow would cut grey of 16 bits off at 255 instead of scaling it
            upright = Image.fromarray((np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8))
        if upright.mode in ("I", "F"):
            raise AnnotationsError(f"{path}: has pixels of mode {upright.mode}; expected 8 or 16 bits a channel")
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return np.array(upright.convert("RGB"))


def list_pictures(folder: Path) -> list[Path]:
    """Every picture in a folder and below, by its ending, sorted by its path within the folder.

    Raises:
        AnnotationsError: There is no such folder, or it holds no picture.
    """
    if not folder.is_dir():
        raise AnnotationsError(f"{folder}: is no folder; expected one with pictures")
    found = sorted(
        (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not found:
        raise AnnotationsError(f"{folder}: holds no picture; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """Open a picture and turn whatever Pillow raises about its content into one error."""
    try:
        # Pillow's warnings are about sizes and odd metadata; the size that it will not decode is an error of its own.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as image:
                yield file, image
    except OSError as error:
        reason = "is no picture that can be read" if isinstance(error, UnidentifiedImageError) else None
        raise AnnotationsError(f"{path}: {reason or f'cannot be read: {error.strerror or error}'}") from error
    except Image.DecompressionBombError as error:
        raise AnnotationsError(f"{path}: has more pixels than can be decoded: {error}") from error
    except (ValueError, SyntaxError, struct.error, EOFError, OverflowError, IndexError, KeyError, TypeError) as error:
        raise AnnotationsError(f"{path}: is damaged: {error}") from error


def _orientation(file: BinaryIO, image: Image.Image) -> int:
    if image.format == "PNG":
        # Pillow's own getexif() would decode the whole PNG to reach what may follow the pixels.
        if "exif" not in image.info and (late := _late_png_exif(file)) is not None:
            image.info["exif"] = late
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    else:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _late_png_exif(file: BinaryIO) -> bytes | None:
    """The eXIf chunk that the PNG specification allows behind the pixels; chunks are stepped over, not read."""
    file.seek(len(_PNG_SIGNATURE))
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"eXIf":
            return file.read(length)
        file.seek(length + 4, 1)  # the four are the checksum
    return None
