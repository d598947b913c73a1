"""A GIF, taken apart: each frame becomes a GIF of its own, with the palette that it goes by.

Source:
    GIF89a specification, 18 to 26; the application extension NETSCAPE2.0; what Chromium does with values that the
    specification leaves open.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from detect.errors import UnsupportedImageError
from detect.pictures.animation.patches import Disposal, Patch, Patches
from detect.pictures.formats import damaged
from detect.pictures.gif import CONTROL, EXTENSION, IMAGE, TRAILER, behind, number, palette_size

__all__ = ["moves", "take_apart"]

_APPLICATION = 0xFF
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_DISPOSALS = (Disposal.KEEP, Disposal.KEEP, Disposal.CLEAR, Disposal.RESTORE, Disposal.RESTORE)
"""By number; browsers take 4, which is undefined, for 3."""


def moves(data: bytes) -> bool:
    """Whether a GIF has more than one frame."""
    return sum(1 for (kind, *_), _ in zip(_images(data), range(2), strict=False) if kind == IMAGE) > 1


def take_apart(data: bytes, name: str) -> Patches:
    """Take a GIF apart.

    Raises:
        DamagedImageError: No frame, something else than blocks, or an end without a trailer; frames raise it when they
            are asked for.
        UnsupportedImageError: A frame that goes beyond the screen, or leaves a part of the first to the viewer.
    """
    if len(data) < 13:
        raise damaged(name, "a GIF without header")
    plays = 1
    for kind, start, end in _blocks(data):
        if kind == _APPLICATION and data[start + 3 : start + 14] in _LOOPING and end - start >= 19:
            repeats = number(data, start + 16) if data[start + 14 : start + 16] == b"\x03\x01" else None
            plays = plays if repeats is None else repeats and repeats + 1
    return Patches(width=number(data, 6), height=number(data, 8), plays=plays, each=_patches(data, name))


def _patches(data: bytes, name: str) -> Iterator[Patch]:
    begin = 13 + palette_size(data, 10)
    screen = number(data, 6), number(data, 8)
    control, first, at = b"", True, begin
    for kind, start, end in _blocks(data):
        at = end
        if kind == CONTROL:
            control = data[start:end]
            if len(control) != 8:
                raise damaged(name, f"a control block of {len(control)} bytes")
        if kind != IMAGE:
            continue
        left, top, width, height = (number(data, start + 1 + 2 * field) for field in range(4))
        transparent = bool(control and control[3] & 1)
        fits = left + width <= screen[0] and top + height <= screen[1]
        if not fits or (first and (width, height) != screen and not transparent):
            where = f"a frame of {width} x {height} at {left}, {top} on a screen of {screen[0]} x {screen[1]}"
            raise UnsupportedImageError(f"{name}: {where}, which viewers show differently; save it again")
        disposal = control[3] >> 2 & 7 if control else 0
        if disposal >= len(_DISPOSALS):
            raise UnsupportedImageError(f"{name}: a frame that is disposed of in a way without a meaning, {disposal}")
        size = data[start + 5 : start + 9]
        image = b"".join([data[start : start + 1], bytes(4), data[start + 5 : end]])
        yield Patch(
            still=b"".join([data[:6], size, data[10:begin], control, image, bytes([TRAILER])]),
            left=left,
            top=top,
            width=width,
            height=height,
            seconds=Fraction(number(control, 4), 100) if control else Fraction(0),
            blend=True,
            disposal=_DISPOSALS[disposal],
        )
        control, first = b"", False
    if first:
        raise damaged(name, "a GIF without frame")
    if at >= len(data) or data[at] != TRAILER:
        raise damaged(name, "a GIF without end")


def _images(data: bytes) -> Iterator[tuple[int, int, int]]:
    return (block for block in _blocks(data) if block[0] == IMAGE)


def _blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """What each block is, where it begins and where it has ended: an extension's label, or `IMAGE`."""
    at = 13 + palette_size(data, 10) if len(data) >= 13 else len(data)
    while at + 10 <= len(data) and data[at] in (EXTENSION, IMAGE):
        if data[at] == EXTENSION:
            kind, end = data[at + 1], behind(data, at + 2)
        else:
            kind, end = IMAGE, behind(data, at + 11 + palette_size(data, at + 9))
        yield kind, at, end
        at = end
