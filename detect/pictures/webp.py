"""Whether a WebP's chunks agree with each other on size and transparency; libwebp checks the rest.

Source:
    RFC 9649: 2.5 to 2.7 (containers), 3.4 (lossless header); RFC 6386, 9.1 (lossy header). What Chromium 156 shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged, several

__all__ = ["ANIMATED", "TRANSPARENT", "Chunk", "check_chunks", "chunks_of", "claiming_transparency", "number", "opaque"]

ANIMATED, TRANSPARENT = 2, 16  # flags of VP8X
_MOST_CHUNKS = 1_000
_OPAQUE = (255, 255)

Chunk = tuple[bytes, int, int]
"""Its kind, where its body begins, and where that has ended."""


def check_chunks(data: bytes, name: str, max_pixels: int) -> None:
    """Refuse a file whose canvas, frame, bitstream and flags say different things.

    Raises:
        DamagedImageError: Sizes or transparency that differ, two pictures, none, or a header that is broken.
        LimitError: A bitstream of more pixels than allowed, or more chunks than a still has.
        AnimatedImageError: Several frames.
        UnsupportedImageError: A frame that fills a part of its canvas alone.
    """
    every, pictures = _pictures(data, name)
    frames = sum(kind == b"ANMF" for kind, _, _ in every)
    if frames > 1:
        raise several(name, "WEBP")
    if len(pictures) != 1:
        raise damaged(name, f"{len(pictures)} pictures in one")
    size = _size(data, pictures[0], name)
    if size[0] * size[1] > max_pixels:
        raise LimitError(f"{name}: {size[0]} x {size[1]} coded pixels are over the cap of {max_pixels:,}")
    extended = next((start for kind, start, _ in every[:1] if kind == b"VP8X"), None)
    if extended is None:
        return
    flags, canvas = data[extended], (number(data, extended + 4, 3) + 1, number(data, extended + 7, 3) + 1)
    if frames and size != canvas:
        raise UnsupportedImageError(
            f"{name}: a frame of {size[0]} x {size[1]} on a canvas of {canvas[0]} x {canvas[1]}"
        )
    if size != canvas:
        raise damaged(name, f"{size[0]} x {size[1]} coded pixels where {canvas[0]} x {canvas[1]} are announced")
    separate = any(kind == b"ALPH" for kind, _, _ in every)
    if not flags & TRANSPARENT and (separate or _has_alpha_bit(data, pictures[0])):
        raise damaged(name, "transparency that its header denies")


def claiming_transparency(data: bytes) -> bytes:
    """A lossless picture that says it has no transparency, made to say it has: decoders then give what is there.

    Browsers mix what they show of such a picture with the page, and Pillow leaves it out: see `opaque`.
    """
    pictures = _pictures(data, "")[1]
    if _claims(data) or pictures[0][0] != b"VP8L":
        return data
    made = bytearray(data)
    made[pictures[0][1] + 4] |= 0x10
    if data[12:16] == b"VP8X":
        made[20] |= TRANSPARENT
    return bytes(made)


def opaque(image: Image.Image, data: bytes, name: str) -> Image.Image:
    """The loaded picture, without the transparency that it says it has not.

    Raises:
        DamagedImageError: It has some.
    """
    if _claims(data) or image.mode != "RGBA":
        return image
    if image.getchannel("A").getextrema() != _OPAQUE:
        raise damaged(name, "transparency that its header denies")
    return image.convert("RGB")


def _claims(data: bytes) -> bool:
    """Whether a file's first header says that it has transparency."""
    if data[12:16] == b"VP8X":
        return bool(data[20] & TRANSPARENT)
    return data[12:16] == b"VP8L" and bool(data[24] & 0x10)


def _pictures(data: bytes, name: str) -> tuple[list[Chunk], list[Chunk]]:
    """All chunks, with those in frames behind, and those of them that are pictures."""
    top = chunks_of(data, 12, min(len(data), 8 + number(data, 4, 4)), name)
    frames = [chunk for chunk in top if chunk[0] == b"ANMF"]
    every = top + [chunk for _, start, end in frames for chunk in chunks_of(data, start + 16, end, name)]
    return every, [chunk for chunk in every if chunk[0] in (b"VP8 ", b"VP8L")]


def chunks_of(data: bytes, start: int, end: int, name: str, *, most: int = _MOST_CHUNKS) -> list[Chunk]:
    """The chunks of a stretch of a file.

    Raises:
        LimitError: More than `most`.
    """
    found: list[Chunk] = []
    for chunk in _every(data, start, end):
        if len(found) >= most:
            raise LimitError(f"{name}: a WebP of more than {most:,} chunks")
        found.append(chunk)
    return found


def _every(data: bytes, at: int, end: int) -> Iterator[Chunk]:
    while at + 8 <= end:
        length = number(data, at + 4, 4)
        yield data[at : at + 4], at + 8, min(at + 8 + length, end)
        at += 8 + length + length % 2


def number(data: bytes, at: int, size: int) -> int:
    """So many bytes at a place as a number."""
    return int.from_bytes(data[at : at + size], "little")


def _size(data: bytes, chunk: Chunk, name: str) -> tuple[int, int]:
    kind, start, end = chunk
    if kind == b"VP8L" and end - start >= 5 and data[start] == 0x2F:
        bits = number(data, start + 1, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and end - start >= 10 and data[start + 3 : start + 6] == b"\x9d\x01\x2a":
        return number(data, start + 6, 2) & 0x3FFF, number(data, start + 8, 2) & 0x3FFF
    raise damaged(name, "a WebP bitstream without header")


def _has_alpha_bit(data: bytes, chunk: Chunk) -> bool:
    return chunk[0] == b"VP8L" and bool(data[chunk[1] + 4] & 0x10)
