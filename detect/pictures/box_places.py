"""Whether a file in boxes has its tables where every reader looks for them, and nowhere else.

FFmpeg looks into boxes that have nothing to do with samples, such as user data, and goes by the first table that it
finds.

Source:
    ISO/IEC 14496-12, table 1 (which box stands in which); FFmpeg's `mov_default_parse_table`.
"""

from __future__ import annotations

from collections.abc import Sequence

from detect.errors import UnsupportedImageError
from detect.pictures.bmff import Box, boxes

__all__ = ["STRUCTURE", "check_elsewhere", "check_places"]

_FILE = b""
_PLACES: dict[bytes, frozenset[bytes]] = {
    _FILE: frozenset({b"ftyp", b"meta", b"moov", b"mdat"}),
    b"meta": frozenset({b"hdlr", b"pitm", b"iinf", b"iloc", b"iprp", b"iref", b"idat", b"dinf"}),
    b"moov": frozenset({b"mvhd", b"trak"}),
    b"trak": frozenset({b"tkhd", b"tref", b"edts", b"mdia"}),
    b"moof": frozenset({b"mfhd", b"traf"}),
    b"traf": frozenset({b"tfhd", b"tfdt", b"trun"}),
    b"edts": frozenset({b"elst"}),
    b"mdia": frozenset({b"mdhd", b"hdlr", b"minf"}),
    b"minf": frozenset({b"vmhd", b"nmhd", b"dinf", b"stbl"}),
    b"dinf": frozenset({b"dref"}),
    b"stbl": frozenset({b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stz2", b"stco", b"co64"}),
}
"""By the box that they are in: those that are read, by us and by everybody."""

STRUCTURE = frozenset(
    b"moov hoov cmov trak edts elst mdia mdhd minf dinf dref stbl stsd stts ctts stss stsc stsz stz2 stco co64 moof "
    b"traf trun mvex covr".split()
)
"""Those by which some find samples, or covers to show, wherever they stand."""


def check_places(
    data: bytes, found: Sequence[Box], name: str, *, inside: bytes = _FILE, structure: frozenset[bytes] = STRUCTURE
) -> None:
    """Refuse what leads some readers to other tables than those that all readers go by.

    Args:
        data: The file, or as much of it as these boxes are of.
        found: Some of its boxes that stand side by side.
        name: What errors call it.
        inside: The kind of the box that they are in; by default they are those that the file is made of.
        structure: What is not to be read, or named, anywhere else.

    Raises:
        UnsupportedImageError: A box that is not read, and is or names one that some would read there.
        ValueError: A box that reaches beyond the one that it is in, or is followed by what is none.
    """
    for box in found:
        if box.kind not in _PLACES[inside]:
            check_elsewhere(data, box, name, structure=structure)
        elif box.kind in _PLACES:
            start = box.start + 4 * (box.kind == b"meta")  # which has a version
            check_places(data, _split(data, start, box.end), name, inside=box.kind, structure=structure)


def check_elsewhere(data: bytes, box: Box, name: str, *, structure: frozenset[bytes] = STRUCTURE) -> None:
    """Refuse a box that is not read, and is or names what some would read there.

    Args:
        data: As for `check_places`, like the rest.
        box: The box.
        name: What errors call it.
        structure: What is not to be named.

    Raises:
        UnsupportedImageError: It does.
    """
    body = data[box.start : box.end]
    if box.kind in structure or any(kind in body for kind in structure):
        where = box.kind.decode("latin-1")
        raise UnsupportedImageError(f"{name}: a {where!r} box with what only some readers look for there")


def _split(data: bytes, start: int, end: int) -> list[Box]:
    """The boxes of a stretch; QuickTime ends some with a number of nothing."""
    try:
        return boxes(data, start, end)
    except ValueError:
        if end - 4 < start or any(data[end - 4 : end]):
            raise
        return boxes(data, start, end - 4)
