"""The boxes of a HEIF or AVIF file: which items there are, where their data lie, and what is said of them.

Read strictly and in bounded time. Readers that forgive would each see something else in a file that is wrong here.

Source:
    ISO/IEC 14496-12 (boxes), 8.11 (items); ISO/IEC 23008-12, 9.3 (item properties).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Box", "Item", "Items", "Reader", "boxes", "items", "top_boxes"]

_MOST_BOXES = 20_000
_MOST_ITEMS = 4_096
_MOST_EXTENTS = 65_536


class Box(NamedTuple):
    """Kind and place of a box's body; `end` is behind its last byte."""

    kind: bytes
    start: int
    end: int


@dataclass
class Item:
    """An item of a file.

    Attributes:
        kind: Its four-character type, such as b"av01".
        properties: What is said of it, in order: the box, and whether it must be understood.
        extents: Start and end of its parts in the file.
    """

    kind: bytes
    properties: list[tuple[Box, bool]] = field(default_factory=list)
    extents: list[tuple[int, int]] = field(default_factory=list)

    def find(self, kind: bytes) -> list[Box]:
        """Its properties of a kind."""
        return [box for box, _ in self.properties if box.kind == kind]


class Items(NamedTuple):
    """All items of a file.

    Attributes:
        primary: The number of the one that is shown.
        by_id: The items by number.
        references: Kind, from and to, in the file's order.
    """

    primary: int
    by_id: dict[int, Item]
    references: list[tuple[bytes, int, list[int]]]

    def referred(self, kind: bytes, item: int) -> list[list[int]]:
        """Lists of what an item refers to."""
        return [to for found, start, to in self.references if (found, start) == (kind, item)]

    def referring(self, kind: bytes, item: int) -> list[int]:
        """Items that refer to one."""
        return [start for found, start, to in self.references if found == kind and item in to]


class Reader:
    """Numbers from a box, one behind the other."""

    def __init__(self, data: bytes, box: Box) -> None:
        self._data, self.at, self._end = data, box.start, box.end

    def number(self, size: int) -> int:
        """The next one, unsigned."""
        if self.at + size > self._end:
            raise ValueError("a box that ends early")
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")

    def version(self) -> tuple[int, int]:
        """Version and flags of a full box."""
        return self.number(1), self.number(3)


def boxes(data: bytes, start: int, end: int) -> list[Box]:
    """The boxes that fill a stretch of a file.

    Raises:
        ValueError: A box that reaches beyond the stretch, more boxes than any still has, or bytes left over.
    """
    found: list[Box] = []
    while start < end:
        box = _box(data, start, end)
        if len(found) >= _MOST_BOXES:
            raise ValueError(f"more than {_MOST_BOXES:,} boxes")
        found.append(box)
        start = box.end
    return found


def top_boxes(data: bytes) -> list[Box]:
    """The boxes that a file is made of, up to the first that is none or is cut short: readers look no further."""
    found: list[Box] = []
    start = 0
    while start < len(data) and len(found) < _MOST_BOXES:
        try:
            found.append(_box(data, start, len(data), last=True))
        except ValueError:
            break
        start = found[-1].end
    return found


def _box(data: bytes, start: int, end: int, *, last: bool = False) -> Box:
    """Size and type (4.2.2); a size of 0, to the end of the file, is for the file's last box alone."""
    header, size = 8, int.from_bytes(data[start : start + 4], "big")
    if size == 1:
        header, size = 16, int.from_bytes(data[start + 8 : start + 16], "big")
    elif size == 0 and last:
        size = end - start
    if size < header or start + size > end:
        raise ValueError("a box of a length that does not fit")
    return Box(data[start + 4 : start + 8], start + header, start + size)


def items(data: bytes, meta: Box) -> Items:
    """Read the metadata box of a file.

    Raises:
        ValueError: Anything that is missing, given twice, out of bounds, or of an unknown version.
    """
    inner = boxes(data, meta.start + 4, meta.end)
    parts = {box.kind: box for box in inner}
    for kind in (b"hdlr", b"pitm", b"iinf", b"iloc", b"iprp"):
        if sum(box.kind == kind for box in inner) != 1:
            raise ValueError(f"not one {kind.decode()} box")
    if sum(box.kind in (b"iref", b"idat") for box in inner) != len({b"iref", b"idat"} & parts.keys()):
        raise ValueError("two iref or idat boxes")
    if data[parts[b"hdlr"].start + 8 : parts[b"hdlr"].start + 12] != b"pict":
        raise ValueError("a handler for something else than pictures")
    reader = Reader(data, parts[b"pitm"])
    primary = reader.number(2 if reader.version()[0] == 0 else 4)
    by_id = _information(data, parts[b"iinf"])
    _locate(data, parts[b"iloc"], parts.get(b"idat"), by_id)
    _describe(data, parts[b"iprp"], by_id)
    if primary not in by_id:
        raise ValueError("no primary item")
    return Items(primary, by_id, _references(data, parts.get(b"iref")))


def _information(data: bytes, box: Box) -> dict[int, Item]:
    """8.11.6."""
    reader = Reader(data, box)
    count = reader.number(2 if reader.version()[0] == 0 else 4)
    if count > _MOST_ITEMS:
        raise ValueError(f"more than {_MOST_ITEMS:,} items")
    found: dict[int, Item] = {}
    for entry in boxes(data, reader.at, box.end):
        inner = Reader(data, entry)
        version, _ = inner.version()
        if entry.kind != b"infe" or version not in (2, 3):
            raise ValueError("an item of an unknown form")
        number = inner.number(2 if version == 2 else 4)
        if number in found:
            raise ValueError("two items of one number")
        inner.number(2)  # item_protection_index
        found[number] = Item(inner.number(4).to_bytes(4, "big"))
    if len(found) != count:
        raise ValueError("another number of items than announced")
    return found


def _locate(data: bytes, box: Box, inline: Box | None, by_id: dict[int, Item]) -> None:
    """8.11.3."""
    reader = Reader(data, box)
    version, _ = reader.version()
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    if version > 2 or not {offset_size, length_size, base_size} <= {0, 4, 8}:
        raise ValueError("item locations of an unknown form")
    seen: set[int] = set()
    total = 0
    for _ in range(reader.number(4 if version == 2 else 2)):
        number = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data_reference_index; other files are for items that nobody looks at
        base, count = reader.number(base_size), reader.number(2)
        total += count
        if number in seen or total > _MOST_EXTENTS:
            raise ValueError("an item in two places, or in too many pieces")
        seen.add(number)
        for _ in range(count):
            reader.number(index_size if version else 0)
            start = base + reader.number(offset_size)
            length = reader.number(length_size)
            if number in by_id:
                by_id[number].extents.append(_extent(start, length, method, inline, len(data)))


def _extent(start: int, length: int, method: int, inline: Box | None, end: int) -> tuple[int, int]:
    """Place in the file; (-1, -1) for what cannot be there, so that the items that nobody looks at may be wrong."""
    if method == 1 and inline is not None:
        start, end = start + inline.start, inline.end
    elif method != 0:
        return -1, -1
    return (start, start + length) if length > 0 and start + length <= end else (-1, -1)


def _describe(data: bytes, box: Box, by_id: dict[int, Item]) -> None:
    """ISO/IEC 23008-12, 9.3: properties, and which items have them."""
    inner = boxes(data, box.start, box.end)
    if [found.kind for found in inner[:1]] != [b"ipco"] or any(found.kind != b"ipma" for found in inner[1:]):
        raise ValueError("item properties of an unknown form")
    properties = boxes(data, inner[0].start, inner[0].end)
    seen: set[int] = set()
    for association in inner[1:]:
        for number, index, essential in _associations(data, association, seen):
            if not 0 < index <= len(properties):
                raise ValueError("a property that is not there")
            if number in by_id:
                by_id[number].properties.append((properties[index - 1], essential))


def _associations(data: bytes, box: Box, seen: set[int]) -> Iterator[tuple[int, int, bool]]:
    reader = Reader(data, box)
    version, flags = reader.version()
    for _ in range(reader.number(4)):
        number = reader.number(2 if version == 0 else 4)
        if number in seen:
            raise ValueError("an item described twice")
        seen.add(number)
        for _ in range(reader.number(1)):
            value = reader.number(2 if flags & 1 else 1)
            mark = 15 if flags & 1 else 7
            if index := value & ((1 << mark) - 1):  # 0: no property
                yield number, index, bool(value >> mark)


def _references(data: bytes, box: Box | None) -> list[tuple[bytes, int, list[int]]]:
    """8.11.12."""
    if box is None:
        return []
    size = 2 if data[box.start] == 0 else 4
    found = []
    for entry in boxes(data, box.start + 4, box.end):
        reader = Reader(data, entry)
        start, count = reader.number(size), reader.number(2)
        if reader.at + count * size > entry.end:
            raise ValueError("a box that ends early")
        found.append((entry.kind, start, [reader.number(size) for _ in range(count)]))
    return found
