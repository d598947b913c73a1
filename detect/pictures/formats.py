"""Which picture formats there are, and how a file's first bytes and its suffix say which one it is in."""

from __future__ import annotations

import os
from pathlib import Path

from detect.errors import DamagedImageError, UnsupportedImageError

__all__ = ["HEAD", "HEIF_SEQUENCES", "SUFFIXES", "brands", "empty", "format_of", "sniff", "unsupported"]

HEAD = 256
"""How many of a file's first bytes `sniff` wants to see."""

HEIF_SEQUENCES = frozenset({b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"})
"""Brands of HEIF files that hold several pictures."""

_HEIF_BRANDS = HEIF_SEQUENCES | {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

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


def sniff(head: bytes) -> str | None:
    """Pillow's name of the format that a file's first `HEAD` bytes announce, None for anything unsupported."""
    begins = {
        "JPEG": head[:3] == b"\xff\xd8\xff",
        "PNG": head[:8] == b"\x89PNG\r\n\x1a\n",
        "WEBP": head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        "AVIF": bool(brands(head) & _AVIF_BRANDS),
        "HEIF": bool(brands(head) & _HEIF_BRANDS),
        "TIFF": head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "BMP": head[:2] == b"BM",
        "GIF": head[:6] in (b"GIF87a", b"GIF89a"),
    }
    return next((name for name, found in begins.items() if found), None)


def brands(head: bytes) -> set[bytes]:
    """The brands in a file type box: one at byte 8, the others from 16 on (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}


def unsupported(name: str) -> UnsupportedImageError:
    """The error for a file that `sniff` does not know."""
    return UnsupportedImageError(f"{name}: not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)")


def empty(name: str) -> DamagedImageError:
    """The error for a file without content."""
    return DamagedImageError(f"{name}: the file is empty")
