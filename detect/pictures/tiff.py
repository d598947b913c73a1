"""Whether a TIFF is one picture that Pillow and libtiff read whole, by its tags: before either sees it.

Both fill in what strips lack, or print what they think of it. So the directory is read here first.

Source:
    TIFF 6.0; BigTIFF and the tags of later compressions as libtiff has them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged, several

__all__ = ["QuietLibtiff", "check_directory", "check_tags", "first_value", "read_directory", "unknown_samples"]

_NEW_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_COLOR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 320, 322, 323, 324, 325
_SUB_DIRECTORIES, _SAMPLE_FORMAT, _DNG_VERSION = 330, 339, 50706

_TAKEN = {1, 5, 8, 32773, 32946, 34925, 50000}
"""Uncompressed, LZW, Deflate, PackBits, Deflate's older number, LZMA and Zstandard."""

_REFUSED = {
    32766: "NeXT", 32809: "ThunderScan", 32908: "PixarFilm", 32909: "PixarLog", 32947: "DCS", 34661: "JBIG",
    34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 33003: "JPEG 2000", 33005: "JPEG 2000", 34887: "LERC",
    34892: "lossy JPEG", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip

_TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Of entries that hold unsigned whole numbers: BYTE, SHORT, LONG, IFD, LONG8, IFD8."""

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Of one value of each type."""

_FORMATS = {1: "whole", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}

_SMALL = 4_000_000
"""Pixels that tiles may always have more than the picture."""

_MOST_SAMPLES = 2**16 - 1
"""That a pixel may have: SamplesPerPixel is a SHORT."""

_NONE = np.zeros(0, np.uint64)

Tags = Mapping[int, Any]


def check_tags(tags: Tags, name: str, max_pixels: int) -> None:
    """Refuse a page by what it says of itself.

    Args:
        tags: By number; values are numbers or sequences of them.
        name: What errors call the file.
        max_pixels: The cap.

    Raises:
        UnsupportedImageError: A preview of something else, or a compression whose damage cannot be told or that is not
            to be had.
        LimitError: Tiles of more pixels than the cap, or than the picture needs.
    """
    # NewSubfileType bit 0, SubIFDs, DNGVersion (TIFF 6.0, TIFF/EP): the first page is a preview of the real one.
    if first_value(tags, _NEW_SUBFILE, 0) & 1 or _SUB_DIRECTORIES in tags or _DNG_VERSION in tags:
        raise UnsupportedImageError(f"{name}: a camera's raw file or a multi-resolution TIFF; develop it first")
    compression = first_value(tags, _COMPRESSION, 1)
    # libtiff repairs damaged fax and JPEG data by guessing, and says so on standard error only.
    if compression in (2, 3, 4, 6, 7):
        raise UnsupportedImageError(f"{name}: a TIFF with fax or JPEG compression, whose damage could not be told")
    if compression not in _TAKEN:
        kind = _REFUSED.get(compression, f"unknown ({compression})")
        raise UnsupportedImageError(f"{name}: a TIFF with {kind} compression, which is not taken; save it with another")
    width, height = first_value(tags, _WIDTH, 0), first_value(tags, _HEIGHT, 0)
    across, down = first_value(tags, _TILE_WIDTH, 1), first_value(tags, _TILE_HEIGHT, 1)
    if across * down > max_pixels:
        raise LimitError(f"{name}: a TIFF with tiles of more than {max_pixels:,} pixels")
    if across * down > 1 and _tiles(width, across) * _tiles(height, down) * across * down > 2 * max(
        width * height, _SMALL
    ):
        raise LimitError(f"{name}: a TIFF of {width} x {height} pixels in tiles of {across} x {down}")


def check_directory(data: bytes, name: str, max_pixels: int) -> None:
    """Read the first directory of a file, and refuse what cannot be decoded whole.

    Raises:
        DamagedImageError: Strips or tiles that are missing, lie outside the file or are too short; a directory that
            is broken or says a thing twice.
        AnimatedImageError: Several pages.
        UnsupportedImageError: As `check_tags`; a big-endian BigTIFF, YCbCr, a palette of 8 bits.
        LimitError: As `check_tags`.
    """
    if data[:4] == b"MM\0+":
        raise UnsupportedImageError(f"{name}: a big-endian BigTIFF; save it as another TIFF")
    try:
        tags, following = read_directory(data)
    except (ValueError, IndexError) as error:
        raise damaged(name, str(error)) from error
    check_tags(tags, name, max_pixels)
    if following:
        raise several(name, "TIFF")
    if first_value(tags, _PHOTOMETRIC, 0) == 6:  # libtiff, ImageMagick and libvips show three different pictures of one
        raise UnsupportedImageError(f"{name}: a TIFF in YCbCr, which viewers read differently; save it in RGB")
    if first_value(tags, _PHOTOMETRIC, 0) == 3 and _COLOR_MAP in tags and 0 < max(tags[_COLOR_MAP], default=0) < 256:
        raise UnsupportedImageError(f"{name}: a TIFF whose palette has 8 bits instead of 16; convert it")
    try:
        _check_strips(tags, len(data))
    except (ValueError, KeyError) as error:
        raise damaged(name, str(error)) from error


def unknown_samples(data: bytes, name: str) -> UnsupportedImageError:
    """The error for a file whose samples Pillow does not know."""
    tags, _ = read_directory(data)
    bits = " ".join(str(value) for value in tags.get(_BITS, [1])[:8])
    kind = _FORMATS.get(first_value(tags, _SAMPLE_FORMAT, 1), "undefined")
    meaning = f"photometric interpretation {first_value(tags, _PHOTOMETRIC, 0)}"
    return UnsupportedImageError(f"{name}: a TIFF of {kind} samples of {bits} bits, {meaning}; convert it to 8 bits")


class QuietLibtiff:
    """Keeps libtiff from writing to standard error what Pillow raises as well.

    libtiff has one handler for a process: it is put back when no thread needs it away any more. Where libtiff cannot be
    reached, it goes on writing.
    """

    _lock = threading.Lock()
    _inside = 0
    _handlers: tuple[int | None, ...] = ()

    def __enter__(self) -> None:
        with self._lock:
            if QuietLibtiff._inside == 0:
                QuietLibtiff._handlers = _set_handlers((None, None))
            QuietLibtiff._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            QuietLibtiff._inside -= 1
            if QuietLibtiff._inside == 0:
                _set_handlers(QuietLibtiff._handlers)


def _set_handlers(handlers: Sequence[int | None]) -> tuple[int | None, ...]:
    """Set what libtiff calls on errors and warnings; returns what it called until now."""
    import ctypes  # few pictures need it

    from PIL import _imaging

    earlier = []
    try:
        library = ctypes.CDLL(_imaging.__file__)  # and the libraries that it is linked to
        for name, handler in zip(("TIFFSetErrorHandler", "TIFFSetWarningHandler"), handlers, strict=False):
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
            earlier.append(function(handler))
    except (AttributeError, OSError):
        return ()
    return tuple(earlier)


def first_value(tags: Tags, number: int, otherwise: int) -> int:
    """The first value of a tag, or what stands for it where it is missing or empty."""
    value = tags.get(number, otherwise)
    return int(value) if isinstance(value, int | float | np.integer) else int(value[0]) if len(value) else otherwise


def _tiles(whole: int, part: int) -> int:
    return -(-whole // part) if part else 0


def read_directory(data: bytes, at: int | None = None) -> tuple[dict[int, NDArray[np.unsignedinteger]], int]:
    """The whole numbers of a directory, by tag, and where the next directory lies; 0 if there is none.

    Who reads all values of a directory, as Pillow does, holds no more than a few times the file: tags that share what
    lies in it are refused, if they do so on a large scale.

    Args:
        data: A TIFF.
        at: Where the directory lies; by default where the file says that the first does.

    Raises:
        ValueError: It is broken, says a thing twice, or has more values than the file has room for.
    """
    order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] == b"+\0"
    count_size, entry_size, value_size = (8, 20, 8) if big else (2, 12, 4)

    def number(start: int, size: int) -> int:
        if start + size > len(data):
            raise ValueError("a directory beyond the end")
        return int.from_bytes(data[start : start + size], order)  # type: ignore[arg-type]  # one of two words

    start = (number(8, 8) if big else number(4, 4)) if at is None else at
    count = number(start, count_size)
    start += count_size
    end = start + count * entry_size
    following, room = number(end, value_size), 2 * len(data)
    tags: dict[int, NDArray[np.unsignedinteger]] = {}
    for entry in range(start, end, entry_size):
        tag, kind, length = number(entry, 2), number(entry + 2, 2), number(entry + 4, value_size)
        if tag in tags:
            raise ValueError(f"tag {tag} twice")
        room -= min(_BYTES.get(kind, 0) * length, len(data))
        if room < 0:
            raise ValueError("tags of more values than the file has room for")
        form = _TYPES.get(kind)
        size = int(form[1]) * length if form else 0
        offset = entry + 4 + value_size
        if form and size > value_size:
            offset = number(offset, value_size)
        if offset + size > len(data):
            raise ValueError(f"tag {tag} lies beyond the end")
        kept = bool(form) and length > 0
        tags[tag] = np.frombuffer(data, f"{'<' if order == 'little' else '>'}{form}", length, offset) if kept else _NONE
    return tags, following


def _check_strips(tags: Mapping[int, NDArray[np.unsignedinteger]], end: int) -> None:
    """Whether there are as many strips or tiles as the picture has, each in the file and long enough."""
    width, height = first_value(tags, _WIDTH, 0), first_value(tags, _HEIGHT, 0)
    samples = first_value(tags, _SAMPLES, 1)
    if samples > _MOST_SAMPLES:
        raise ValueError(f"{samples} samples a pixel")
    bits = [int(value) for value in tags.get(_BITS, (1,))[: max(samples, 2)]]
    bits = bits * samples if len(bits) == 1 else bits[:samples]
    separate = first_value(tags, _PLANAR, 1) == 2
    if _TILE_OFFSETS in tags:
        offsets, counts = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES)
        across, down = first_value(tags, _TILE_WIDTH, 0), first_value(tags, _TILE_HEIGHT, 0)
        number = _tiles(width, across) * _tiles(height, down)
    else:
        offsets, counts = tags.get(_STRIP_OFFSETS, _NONE), tags.get(_STRIP_BYTES)
        across, down = width, min(first_value(tags, _ROWS, height), height)
        number = _tiles(height, down)
    wanted = number * (samples if separate else 1)
    if not wanted or len(offsets) < wanted or (counts is not None and len(counts) < wanted):
        raise ValueError(f"{len(offsets)} strips or tiles where {wanted} are needed")
    line = -(-across * (max(bits, default=1) if separate else sum(bits)) // 8)
    needed = np.full(wanted, line * down, np.uint64)
    if _TILE_OFFSETS not in tags and height % down:
        needed[number - 1 :: number] = line * (height % down)
    if first_value(tags, _COMPRESSION, 1) != 1:
        needed[:] = 1
    offsets, given = (each[:wanted].astype(np.uint64) for each in (offsets, needed if counts is None else counts))
    if (given < needed).any() or (offsets > end).any() or (np.minimum(given, end) + offsets > end).any():
        raise ValueError("a strip or tile that is too short or lies beyond the end")
