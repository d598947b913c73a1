"""Whether a GIF's first frame fills its screen: viewers fill what it leaves in different ways.

Source:
    GIF89a specification, 18 to 23; what Chromium 156 shows.
"""

from __future__ import annotations

from detect.errors import UnsupportedImageError
from detect.pictures.formats import damaged

__all__ = ["check_frame"]

_EXTENSION, _CONTROL, _IMAGE = 0x21, 0xF9, 0x2C


def check_frame(data: bytes, name: str) -> None:
    """Refuse a file whose first frame is not where its screen is; one with transparency may be smaller.

    Raises:
        DamagedImageError: No frame, or something else before it.
        UnsupportedImageError: A frame that goes beyond the screen, or leaves a part of it to the viewer.
    """
    at = 13 + _palette(data, 10)
    transparent = False
    while at + 10 <= len(data) and data[at] == _EXTENSION:
        if data[at + 1] == _CONTROL:
            transparent = bool(data[at + 3] & 1)
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if at + 10 > len(data) or data[at] != _IMAGE:
        raise damaged(name, "a GIF without frame")
    screen = _number(data, 6), _number(data, 8)
    left, top, width, height = (_number(data, at + 1 + 2 * field) for field in range(4))
    fits = left + width <= screen[0] and top + height <= screen[1]
    if not fits or ((width, height) != screen and not transparent):
        where = f"a frame of {width} x {height} at {left}, {top} on a screen of {screen[0]} x {screen[1]}"
        raise UnsupportedImageError(f"{name}: {where}, which viewers show differently; save it again")


def _palette(data: bytes, at: int) -> int:
    """Bytes of the palette that the flags at a place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
