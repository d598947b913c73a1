"""An animated WebP, taken apart: each frame becomes a WebP of its own, with the profile that the file has.

Source:
    RFC 9649, 2.7.1 (ANIM, ANMF).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from detect.errors import UnsupportedImageError
from detect.pictures.animation.patches import Disposal, Patch, Patches
from detect.pictures.formats import damaged
from detect.pictures.webp import ANIMATED, TRANSPARENT, Chunk, chunks_of, number

__all__ = ["moves", "take_apart"]

_PROFILED = 32  # a flag of VP8X
_MOST_CHUNKS = 100_000


def moves(data: bytes) -> bool:
    """Whether a WebP's header says that it is an animation."""
    return data[12:16] == b"VP8X" and len(data) >= 30 and bool(data[20] & ANIMATED)


def take_apart(data: bytes, name: str) -> Patches:
    """Take an animated WebP apart.

    Raises:
        DamagedImageError: It is shorter than it says, or has no frame; frames raise it when they are asked for.
        UnsupportedImageError: A picture beside the animation, of which viewers make different things.
        LimitError: More chunks than any animation has.
    """
    length = 8 + number(data, 4, 4)
    if length > len(data):
        raise damaged(name, f"{len(data):,} bytes where {length:,} are announced")
    chunks = chunks_of(data, 12, length, name, most=_MOST_CHUNKS)
    controls = [start for kind, start, _ in chunks if kind == b"ANIM"]
    frames = [chunk for chunk in chunks if chunk[0] == b"ANMF"]
    if len(controls) != 1 or not frames:
        raise damaged(name, "an animation without frames, or without how often to play them")
    if any(kind in (b"VP8 ", b"VP8L", b"ALPH") for kind, _, _ in chunks):
        raise UnsupportedImageError(f"{name}: a picture beside an animation, in one WebP; viewers show either")
    return Patches(
        width=number(data, 24, 3) + 1,
        height=number(data, 27, 3) + 1,
        plays=number(data, controls[0] + 4, 2),
        each=_patches(data, chunks, frames, name),
    )


def _patches(data: bytes, chunks: Sequence[Chunk], frames: Sequence[Chunk], name: str) -> Iterator[Patch]:
    canvas = number(data, 24, 3) + 1, number(data, 27, 3) + 1
    profile = next((data[start:end] for kind, start, end in chunks if kind == b"ICCP"), None)
    for _, start, end in frames:
        left, top = 2 * number(data, start, 3), 2 * number(data, start + 3, 3)
        width, height = number(data, start + 6, 3) + 1, number(data, start + 9, 3) + 1
        if left + width > canvas[0] or top + height > canvas[1] or end - start < 16:
            raise damaged(name, f"a frame of {width} x {height} at {left}, {top} on {canvas[0]} x {canvas[1]} pixels")
        flags = data[start + 15]
        pictures = [
            (kind, data[first:last])
            for kind, first, last in chunks_of(data, start + 16, end, name)
            if kind in (b"ALPH", b"VP8 ", b"VP8L")
        ]
        says = (TRANSPARENT if _transparent(pictures) else 0) | (_PROFILED if profile is not None else 0)
        header = bytes([says, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        parts = [(b"VP8X", header), *([(b"ICCP", profile)] if profile is not None else []), *pictures]
        body = b"WEBP" + b"".join(_chunk(kind, each) for kind, each in parts)
        yield Patch(
            still=b"RIFF" + len(body).to_bytes(4, "little") + body,
            left=left,
            top=top,
            width=width,
            height=height,
            seconds=Fraction(number(data, start + 12, 3), 1000),
            blend=not flags & 2,
            disposal=Disposal.CLEAR if flags & 1 else Disposal.KEEP,
        )


def _transparent(pictures: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a frame says that it has transparency: there is no flag of its own for that."""
    return any(kind == b"ALPH" or (kind == b"VP8L" and len(body) > 4 and body[4] & 0x10) for kind, body in pictures)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join([kind, len(body).to_bytes(4, "little"), body, bytes(len(body) % 2)])
