"""Whether an MP4 or QuickTime film has its tables where every player looks for them.

What is judged is what FFmpeg finds. It looks into boxes that others pass over, and would find other pictures there.

Source:
    ISO/IEC 14496-12, 4.2 and table 1; FFmpeg's `mov_default_parse_table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from detect.errors import DamagedImageError, LimitError, UnsupportedImageError
from detect.pictures.bmff import Box, boxes
from detect.pictures.box_places import STRUCTURE, check_elsewhere, check_places

if TYPE_CHECKING:
    from censor.media.film_source import Window

__all__ = ["check_film_boxes"]

_TABLES = STRUCTURE - {b"covr", b"dinf", b"dref", b"moof", b"traf", b"trun", b"mvex"}
"""Covers are dropped and said, fragments lie where all players look for them, and the rest stands in metadata, too."""

_OF_TABLES = (b"moov", b"moof")

_UNREAD = frozenset({b"mdat", b"free", b"skip", b"wide", b"ftyp", b"uuid", b"sidx", b"ssix", b"styp"})
"""Of the boxes that a film is made of, those that no player looks into for tables, though old ones may lie there."""

_MOST = 256 * 2**20
"""Bytes of such a box: nine hours at sixty frames a second have tables of some forty million."""


def check_film_boxes(stream: BinaryIO | Window, size: int, name: str) -> None:
    """Refuse a film in which FFmpeg may find other tables than other players.

    Args:
        stream: Its file.
        size: How many bytes that has.
        name: What errors call it.

    Raises:
        DamagedImageError: Boxes that do not fit into each other.
        LimitError: Tables larger than any film's.
        UnsupportedImageError: Tables where only some players look for them.
    """
    at, movies = 0, 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(16)
        kind, length, header = head[4:8], int.from_bytes(head[:4]), 8
        if length == 1:
            length, header = int.from_bytes(head[8:16]), 16
        end = size if length == 0 else at + length
        movies += kind == b"moov"
        if movies > 1:
            raise UnsupportedImageError(f"{name}: a film with two tables of contents, of which players take either")
        if kind not in _UNREAD:
            if end - at > _MOST:
                raise LimitError(f"{name}: more than {_MOST:,} bytes of tables")
            stream.seek(at)
            _check_box(stream.read(end - at), kind, header, name)
        at = end


def _check_box(data: bytes, kind: bytes, header: int, name: str) -> None:
    try:
        if kind in _OF_TABLES:
            check_places(data, boxes(data, header, len(data)), name, inside=kind, structure=_TABLES)
        else:
            check_elsewhere(data, Box(kind, header, len(data)), name, structure=_TABLES)
    except ValueError as error:
        raise DamagedImageError(f"{name}: the film is damaged or cut short ({error})") from error
