"""Where the blocks of a lossy picture lie.

A JPEG's pixels are functions of a few whole numbers a block (ITU-T T.81, A.3.1 to A.3.4). Half of a block's pixels
often tell all of its numbers, and so the other half: what hides part of a block must hide all of it. So must it of a
lossy WebP's macroblock (RFC 6386, 2): many are nothing but their neighbours' edges, continued.

HEIF and AVIF have no grid here. Their blocks (up to 32 and 64 pixels wide) are predicted from each other and filtered
across their edges; in AVIF continuing a half block's rows tells hardly more of the other half than in a picture that
was never lossy, HEIC was not measured. That nothing else tells more is not proven: a larger `expand` keeps the edge
away from what must not be seen.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

__all__ = ["BlockGrid", "blocks_of"]

_BLOCK = 8  # T.81, A.1.2
_MACROBLOCK = 16  # RFC 6386, 2
_FLIPPED_ACROSS, _FLIPPED_DOWN, _TURNED = (2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8)  # EXIF 2.32, 4.6.4


class BlockGrid(NamedTuple):
    """Blocks that tile an upright picture; those at its edges may reach beyond it.

    Attributes:
        width: A block's columns.
        height: A block's rows.
        x: A column where a block begins, in 0..width - 1: not 0 where a picture was flipped and is no multiple wide.
        y: A row where one begins.
    """

    width: int
    height: int
    x: int = 0
    y: int = 0

    def outwards(self, x0: int, y0: int, x1: int, y1: int) -> tuple[int, int, int, int]:
        """A window's edges, moved outwards to whole blocks; columns and rows as for a box."""
        return (
            x0 - (x0 - self.x) % self.width,
            y0 - (y0 - self.y) % self.height,
            x1 + (self.x - x1) % self.width,
            y1 + (self.y - y1) % self.height,
        )


def blocks_of(image: Image.Image, *, orientation: int, data: bytes = b"") -> BlockGrid | None:
    """The blocks of a picture, by what its header says.

    Of a JPEG these are its MCUs, which hold whole blocks of every component.

    Args:
        image: As Pillow opened it; need not be loaded.
        orientation: EXIF's, 1-8, that the upright picture undoes.
        data: The file, which says whether a WebP lost anything; without it one is taken to have.

    Returns:
        None for a format without blocks.
    """
    if image.format in ("JPEG", "MPO"):
        factors = [layer[1:3] for layer in getattr(image, "layer", [])]
        if not factors:
            return None
        across, down = (max(each) for each in zip(*factors, strict=True)) if len(factors) > 1 else (1, 1)
        width, height = across * _BLOCK, down * _BLOCK
    elif image.format == "WEBP" and not _is_lossless(data):
        width = height = _MACROBLOCK
    else:
        return None
    columns, rows = image.size
    if orientation in _TURNED:
        width, height, columns, rows = height, width, rows, columns
    return BlockGrid(
        width,
        height,
        columns % width if orientation in _FLIPPED_ACROSS else 0,
        rows % height if orientation in _FLIPPED_DOWN else 0,
    )


def _is_lossless(webp: bytes) -> bool:
    """Whether the first bitstream of a WebP is a lossless one (RFC 9649, 2.3 to 2.7: chunks behind a header of 12)."""
    at = 12
    while at + 8 <= len(webp):
        kind, size = webp[at : at + 4], int.from_bytes(webp[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        at += 8 + size + size % 2
    return False
