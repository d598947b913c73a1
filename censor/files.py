"""Pixels to files: encoded from pixels and colour profile alone, written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from censor.errors import OutputExistsError, WriteError
from censor.images import Picture

__all__ = ["QUALITY", "SUFFIXES", "encode", "format_of", "sync_folder", "write_atomic"]

QUALITY = 95
"""Default quality of the lossy formats, 1-100."""

_ICC_PART = 65_535 - 2 - 14  # what a segment holds besides its length, and the profile's name, number and count

SUFFIXES: dict[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
}
"""File suffix to format; the first suffix of a format is the one given to new files."""


def format_of(path: str | os.PathLike[str]) -> str | None:
    """The format that a path's suffix asks for, None if it asks for none that we write."""
    return SUFFIXES.get(Path(path).suffix.lower())


def encode(picture: Picture, *, format: str, quality: int = QUALITY) -> bytes:  # noqa: A002  # Pillow's own word
    """Encode pixels and colour profile, and nothing else the source file may have held.

    Args:
        picture: What to encode. Where the format has no transparency, it is laid on white.
        format: One of the values of `SUFFIXES`.
        quality: 1-100, for JPEG, WebP, AVIF and HEIC; the other formats are lossless (GIF keeps 256 colours).

    Raises:
        WriteError: The encoder refuses, as WebP does beyond 16,383 pixels a side.
        ValueError: An unknown format, or a quality out of range.
    """
    if format not in SUFFIXES.values():
        raise ValueError(f"format must be one of {', '.join(sorted(set(SUFFIXES.values())))}, not {format!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality lies in 1..100, not {quality}")
    pixels = picture.pixels
    if format in ("JPEG", "BMP") and pixels.shape[2] == 4:
        pixels = over(pixels, 255)
    options: dict[str, Any] = {}
    if picture.icc is not None and format not in ("BMP", "GIF"):
        options["icc_profile"] = picture.icc
    if format in ("WEBP", "AVIF", "HEIF"):
        options["quality"] = quality
    if format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    stream = io.BytesIO()
    try:
        if format == "JPEG":
            return _encode_jpeg(pixels, picture.icc, quality)
        image = Image.fromarray(pixels)
        if format == "HEIF":
            _save_heif(image, stream, options)
        else:
            image.save(stream, format, **options)
    except Exception as error:
        raise WriteError(f"{picture.name}: cannot be encoded as {format}: {error}") from error
    return stream.getvalue()


def _encode_jpeg(pixels: NDArray[np.uint8], icc: bytes | None, quality: int) -> bytes:
    """JPEG with halved chroma, as cameras write it; straight from the array, where Pillow would first copy it.

    Source:
        The profile goes into APP2 segments behind the JFIF header: ICC.1:2022, annex B.4.
    """
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420")
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


def over(pixels: NDArray[np.uint8], background: int) -> NDArray[np.uint8]:
    """RGBA laid on a grey of 0..255: what a viewer shows. Returns RGB, uint8."""
    shown = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), 256):  # in strips: the products take twice the memory of the pixels
        strip = pixels[top : top + 256]
        alpha = strip[..., 3:].astype(np.uint16)
        shown[top : top + 256] = (strip[..., :3] * alpha + np.uint16(background) * (255 - alpha) + 127) // 255
    return shown


def _save_heif(image: Image.Image, stream: io.BytesIO, options: dict[str, Any]) -> None:
    import pillow_heif

    pillow_heif.from_pillow(image).save(stream, **options)


def write_atomic(
    path: str | os.PathLike[str], data: bytes | BinaryIO, *, overwrite: bool = False, durable: bool = False
) -> None:
    """Write a file so that at no moment a part of it stands under its name.

    The bytes go to a file without a name, which then takes the name in one step: a process that is killed half way
    leaves nothing. Where the system has no such files, or one is to be replaced, they go to a temporary file in the
    same folder. Without `overwrite` the step itself fails if the name is taken, so that two writers never take each
    other's output for their own.

    Args:
        path: The file to write.
        data: Its content, or a file that holds it.
        overwrite: Replace the file if it is there.
        durable: Return only when the file would survive a loss of power. What is replaced is always synchronised before
            it is lost, its successor's name only if this is set.

    Raises:
        OutputExistsError: The file is there and `overwrite` is false.
        WriteError: The folder is missing or may not be written, the disk is full …; nothing is left behind.
    """
    target = Path(path)
    try:
        if overwrite or not _write_unnamed(target, data, durable=durable):
            _write_beside(target, data, overwrite=overwrite, durable=durable)
        if durable:
            sync_folder(target.parent)
    except FileExistsError as error:
        raise OutputExistsError(f"{target}: exists already, and is not overwritten unless told to") from error
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder would survive a loss of power.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_unnamed(target: Path, data: bytes | BinaryIO, *, durable: bool) -> bool:
    """Fill a file that has no name, then give it one. False, and nothing done, where that is not possible.

    Source:
        open(2), O_TMPFILE, and its example of linking through /proc, which needs no privilege.
    """
    if (unnamed := getattr(os, "O_TMPFILE", None)) is None:
        return False
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        try:
            descriptor = os.open(target.parent, unnamed | os.O_WRONLY, 0o666)
        except OSError:
            return False  # a file system without them; or a reason that the other way will report
        with os.fdopen(descriptor, "wb") as stream:
            _fill(stream, data, synchronised=durable)
            try:
                # Naming the folder's descriptor makes this linkat(2), which follows the link in /proc.
                os.link(f"/proc/self/fd/{stream.fileno()}", target.name, dst_dir_fd=folder)
            except FileExistsError:
                raise
            except OSError:
                return False
    finally:
        os.close(folder)
    return True


def _write_beside(target: Path, data: bytes | BinaryIO, *, overwrite: bool, durable: bool) -> None:
    if target.exists() and not target.is_file():
        raise OSError("not a regular file")
    temporary = target.with_name(f".censor-{secrets.token_hex(8)}.tmp")
    mode = target.stat().st_mode & 0o777 if overwrite and target.exists() else 0o666
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        with os.fdopen(descriptor, "wb") as stream:
            # What is replaced must not be lost to a crash that the new bytes did not survive.
            _fill(stream, data, synchronised=overwrite or durable)
        if overwrite:
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        else:
            _take_name(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _fill(stream: BinaryIO, data: bytes | BinaryIO, *, synchronised: bool) -> None:
    if isinstance(data, bytes):
        stream.write(data)
    else:
        data.seek(0)  # this may be the second way that is tried
        shutil.copyfileobj(data, stream, 1 << 20)
    stream.flush()
    if synchronised:
        os.fsync(stream.fileno())


def _take_name(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then fill it
        target.touch(exist_ok=False)
        try:
            temporary.replace(target)
        except OSError:
            target.unlink()
            raise
