"""HEIF and AVIF files taken apart into items and put together again, so that tests can change anything in them."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field

from detect.pictures.bmff import items, top_boxes


def box(kind: bytes, *parts: bytes, wide: bool = False) -> bytes:
    """A box; `wide` writes its length in 64 bits."""
    body = b"".join(parts)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def clap(*values: int) -> bytes:
    return box(b"clap", struct.pack(">IIIIiIiI", *values))


@dataclass
class Part:
    """An item: its properties are whole boxes, each with whether it must be understood."""

    kind: bytes
    body: bytes
    properties: list[tuple[bytes, bool]] = field(default_factory=list)
    inline: bool = False
    pieces: int = 1

    def put(self, new: bytes, *, essential: bool = False) -> None:
        """Replace the property of the same kind, or add one."""
        kept = [(old, mark) for old, mark in self.properties if old[4:8] != new[4:8]]
        self.properties = [*kept, (new, essential)]

    def find(self, kind: bytes) -> bytes:
        return next(old for old, _ in self.properties if old[4:8] == kind)


@dataclass
class File:
    """All of a file; `build` writes it."""

    start: bytes
    parts: dict[int, Part]
    references: list[tuple[bytes, int, list[int]]]
    primary: int = 1
    wide_meta: bool = False
    more_meta: bytes = b""
    behind: bytes = b""

    def build(self) -> bytes:
        offset = 0
        for _ in range(2):  # the second time it is known where the data will lie
            meta = self._meta(offset)
            offset = len(self.start) + len(meta) + 8
        return (
            self.start
            + meta
            + box(b"mdat", *(part.body for part in self.parts.values() if not part.inline))
            + self.behind
        )

    def _meta(self, offset: int) -> bytes:
        entries, places, associations = b"", b"", b""
        properties: list[bytes] = []
        inline = b"".join(part.body for part in self.parts.values() if part.inline)
        at = {True: 0, False: offset}
        for number, part in self.parts.items():
            tile = any(kind == b"dimg" and number in to for kind, _, to in self.references)
            entries += full(b"infe", struct.pack(">HH4sx", number, 0, part.kind), version=2, flags=int(tile))  # hidden
            places += struct.pack(">HHHH", number, int(part.inline), 0, part.pieces)
            cuts = [len(part.body) * piece // part.pieces for piece in range(part.pieces + 1)]
            for start, end in itertools.pairwise(cuts):
                places += struct.pack(">II", at[part.inline] + start, end - start)
            at[part.inline] += len(part.body)
            marks = b""
            for body, essential in part.properties:
                if body not in properties:
                    properties.append(body)
                marks += bytes([properties.index(body) + 1 | essential << 7])
            associations += struct.pack(">HB", number, len(part.properties)) + marks
        count = len(self.parts)
        return box(
            b"meta",
            bytes(4),
            full(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
            full(b"pitm", struct.pack(">H", self.primary)),
            full(b"iloc", struct.pack(">HH", 0x4400, count), places, version=1),
            full(b"iinf", struct.pack(">H", count), entries),
            full(b"iref", *(self._reference(*reference) for reference in self.references)),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", struct.pack(">I", count), associations)),
            box(b"idat", inline) if inline else b"",
            self.more_meta,
            wide=self.wide_meta,
        )

    def _reference(self, kind: bytes, start: int, to: list[int]) -> bytes:
        return box(kind, struct.pack(f">HH{len(to)}H", start, len(to), *to))


def read(data: bytes) -> File:
    """Take a file of one extent an item apart."""
    top = {found.kind: found for found in top_boxes(data)}
    every = items(data, top[b"meta"])
    parts = {}
    for number, item in every.by_id.items():
        ((start, end),) = item.extents
        properties = [(data[found.start - 8 : found.end], mark) for found, mark in item.properties]
        parts[number] = Part(item.kind, data[start:end], properties)
    return File(data[: top[b"ftyp"].end], parts, every.references, every.primary)


def grid_of(tile: File, *, rows: int, columns: int, width: int, height: int, inline: bool = True) -> File:
    """A grid of one tile again and again."""
    part = tile.parts[tile.primary]
    body = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    parts = {1: Part(b"grid", body, [(ispe(width, height), False)], inline=inline)}
    for number in range(rows * columns):
        parts[2 + number] = Part(part.kind, part.body, list(part.properties))
    return File(tile.start, parts, [(b"dimg", 1, [*range(2, 2 + rows * columns)])])
