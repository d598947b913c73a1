"""What a HEIF or AVIF file says of the colours of its primary picture.

Source:
    ISO/IEC 23008-12 (HEIF), 6.5.5 and 9.3; ISO/IEC 14496-12, 8.11 and 12.1.5 (`colr`).
"""

from __future__ import annotations

from collections.abc import Iterator

from detect.pictures.av1 import points_of_stream
from detect.pictures.cicp import Cicp
from detect.pictures.color import Declared

__all__ = ["colors_of_heif"]

_Box = tuple[bytes, int, int]
"""Kind, and where the body starts and ends."""


def colors_of_heif(data: bytes, *, avif: bool) -> list[Declared]:
    """Profiles of the primary item before its code points, as browsers take them; empty where it has neither.

    A box that is broken says nothing here: the decoder is the one to refuse it.
    """
    meta = next((box for box in _boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if meta is None:
        return []
    inner = {kind: (start, end) for kind, start, end in _boxes(data, meta[1] + 4, meta[2])}
    if b"iprp" not in inner:
        return []
    parts = list(_boxes(data, *inner[b"iprp"]))
    properties = [box for kind, start, end in parts if kind == b"ipco" for box in _boxes(data, start, end)]
    wanted = [
        properties[index - 1]
        for kind, start, end in parts
        if kind == b"ipma"
        for index in _associated(data[start:end], _primary(data, inner.get(b"pitm")))
        if 0 < index <= len(properties)
    ]
    profiles: list[Declared] = []
    points: list[Declared] = []
    wanted = [box for box in wanted if box[0] == b"colr"] or [box for box in properties if box[0] == b"colr"]
    for _, start, end in wanted:
        body = data[start:end]
        if body[:4] in (b"prof", b"rICC"):
            profiles.append(body[4:])
        elif body[:4] in (b"nclx", b"nclc") and len(body) >= 10:
            points.append(Cicp(_number(body, 4, 2), _number(body, 6, 2), video=True))
    if avif and not profiles and not points and (found := points_of_stream(_first_item(data, meta, inner))) is not None:
        points.append(Cicp(*found, video=True))
    return [*profiles, *points]


def _first_item(data: bytes, meta: _Box, inner: dict[bytes, tuple[int, int]]) -> bytes:
    """The bytes of the primary item, or of the first that there is where that is made up of others: its first extent.

    Source:
        ISO/IEC 14496-12, 8.11.3 (`iloc`).
    """
    if b"iloc" not in inner:
        return b""
    body = data[slice(*inner[b"iloc"])]
    version, offset_size, length_size, base_size = body[0], body[4] >> 4, body[4] & 15, body[5] >> 4
    index_size = body[5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    at, items = 6 + wide, {}
    for _ in range(_number(body, 6, wide)):
        if at >= len(body):
            break
        item = _number(body, at, wide)
        method = _number(body, at + wide, 2) & 15 if version else 0
        at += wide + (2 if version else 0) + 2
        base, extents = _number(body, at, base_size), _number(body, at + base_size, 2)
        at += base_size + 2
        offset = _number(body, at + index_size, offset_size)
        length = _number(body, at + index_size + offset_size, length_size)
        at += extents * (index_size + offset_size + length_size)
        start = base + offset + (inner.get(b"idat", meta[1:])[0] if method == 1 else 0)
        items[item] = data[start : start + length] if length else data[start:]
    primary = _primary(data, inner.get(b"pitm"))
    found = [items[primary]] if primary in items else []
    return next((each for each in [*found, *items.values()] if points_of_stream(each) is not None), b"")


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        length, body = _number(data, start, 4), start + 8
        if length == 1:
            length, body = _number(data, start + 8, 8), start + 16
        stop = end if length == 0 else start + length
        if stop > end or stop < body:
            return
        yield data[start + 4 : start + 8], body, stop
        start = stop


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _primary(data: bytes, box: tuple[int, int] | None) -> int | None:
    if box is None:
        return None
    return _number(data, box[0] + 4, 4 if data[box[0]] else 2)


def _associated(body: bytes, wanted: int | None) -> list[int]:
    """Indices of the properties of an item, from 1 on, out of an ItemPropertyAssociationBox."""
    id_size, index_size = (4 if body[:1] != b"\0" else 2), (2 if _number(body, 1, 3) & 1 else 1)
    mask = 2 ** (8 * index_size - 1) - 1  # of its highest bit, which says that the property is essential
    at, found = 8, []
    for _ in range(_number(body, 4, 4)):
        if at >= len(body):
            break
        item, count = _number(body, at, id_size), _number(body, at + id_size, 1)
        at += id_size + 1
        if item == wanted:
            found += [_number(body, at + each * index_size, index_size) & mask for each in range(count)]
        at += count * index_size
    return found
