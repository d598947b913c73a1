"""Whether a GIF's first frame fills its screen: viewers fill what it leaves in different ways.

Source:
    GIF89a specification, 18 to 23; what Chromium 156 shows.
"""

from __future__ import annotations

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged, several

__all__ = ["CONTROL", "EXTENSION", "IMAGE", "TRAILER", "behind", "number", "palette_size", "single_frame"]

EXTENSION, CONTROL, IMAGE, TRAILER = 0x21, 0xF9, 0x2C, 0x3B
_MOST_CONTROL = 1_000


def single_frame(data: bytes, name: str) -> bytes:
    """Check a file's first frame, and make a file of it alone: Pillow joins comments in quadratic time.

    A frame that is not where its screen is, is refused; one with transparency may be smaller.

    Raises:
        DamagedImageError: No frame, or something else before it.
        AnimatedImageError: A second frame.
        UnsupportedImageError: A frame that goes beyond the screen, or leaves a part of it to the viewer.
        LimitError: More control blocks before the frame than any encoder writes.
    """
    at = begin = 13 + palette_size(data, 10)
    controls = []
    while at + 10 <= len(data) and data[at] == EXTENSION:
        end = behind(data, at + 2)
        if data[at + 1] == CONTROL:
            controls.append(data[at:end])
        at = end
    if at + 10 > len(data) or data[at] != IMAGE:
        raise damaged(name, "a GIF without frame")
    if sum(map(len, controls)) > _MOST_CONTROL:
        raise LimitError(f"{name}: more than {_MOST_CONTROL:,} bytes of control blocks before one frame")
    screen = number(data, 6), number(data, 8)
    left, top, width, height = (number(data, at + 1 + 2 * field) for field in range(4))
    fits = left + width <= screen[0] and top + height <= screen[1]
    transparent = bool(controls and controls[-1][3] & 1)
    if not fits or ((width, height) != screen and not transparent):
        where = f"a frame of {width} x {height} at {left}, {top} on a screen of {screen[0]} x {screen[1]}"
        raise UnsupportedImageError(f"{name}: {where}, which viewers show differently; save it again")
    end = behind(data, at + 11 + palette_size(data, at + 9))
    _check_end(data, end, name)
    return b"".join([data[:begin], *controls, data[at:end], bytes([TRAILER])])


def behind(data: bytes, at: int) -> int:
    """Where a chain of blocks has ended that begins at a place."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _check_end(data: bytes, at: int, name: str) -> None:
    while at < len(data) and data[at] != TRAILER:
        if data[at] == IMAGE:
            raise several(name, "GIF")
        at = behind(data, at + 2) if data[at] == EXTENSION else at + 1


def palette_size(data: bytes, at: int) -> int:
    """Bytes of the palette that the flags at a place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def number(data: bytes, at: int) -> int:
    """The two bytes at a place as a number."""
    return int.from_bytes(data[at : at + 2], "little")
