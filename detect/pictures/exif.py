"""Which side of a picture is up, by the one place that browsers look in for it."""

from __future__ import annotations

__all__ = ["of_tiff"]

_ORIENTATION, _SHORT = 0x0112, 3  # EXIF 2.32, table 4; TIFF 6.0, section 2


def of_tiff(block: bytes) -> int:
    """The orientation, 1-8, that an EXIF block says; 1 where it says none or is broken.

    Args:
        block: As a TIFF file begins. XMP that says another thing is not asked, nor are text chunks of PNG.

    Source:
        EXIF 2.32, 4.6.2. One short; the first valid one of the first directory counts, as in Chromium.
    """
    order: dict[bytes, str] = {b"II*\0": "little", b"MM\0*": "big"}
    if (found := order.get(block[:4])) is None:
        return 1
    little = found == "little"

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], "little" if little else "big")

    start = number(4, 4)
    for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(block) - 11), 12):
        if (number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)) == (_ORIENTATION, _SHORT, 1):
            value = number(entry + 8, 2)
            if 1 <= value <= 8:
                return value
    return 1
