"""More in the meta box of an AVIF or HEIC than its encoder put there (ISO/IEC 14496-12, 8.11)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["box", "within_meta"]


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the boxes that follow one another."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, at + size
        at += size


@dataclass
class _Locations:
    """The box that says where items lie, version 0 or 1: of each its id, how it counts, and its offsets and lengths."""

    version: int
    items: list[tuple[int, int, list[tuple[int, int]]]]

    @classmethod
    def read(cls, body: bytes) -> _Locations:
        stream = io.BytesIO(body)

        def number(size: int) -> int:
            return int.from_bytes(stream.read(size), "big")

        version = number(4) >> 24
        assert version < 2
        sizes = number(2)
        offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
        assert index_size == 0
        items = []
        for _ in range(number(2)):
            item, method = number(2), number(2) if version else 0
            number(2)
            base = number(base_size)
            extents = [(base + number(offset_size), number(length_size)) for _ in range(number(2))]
            items.append((item, method, extents))
        return cls(version, items)

    def written(self, shift: int) -> bytes:
        """The body again, with what lies in the file so many bytes further back."""
        body = bytes([self.version, 0, 0, 0, 0x44, 0]) + len(self.items).to_bytes(2, "big")
        for item, method, extents in self.items:
            body += item.to_bytes(2, "big") + (method.to_bytes(2, "big") if self.version else b"") + bytes(2)
            body += len(extents).to_bytes(2, "big")
            for offset, length in extents:
                body += (offset if method else offset + shift).to_bytes(4, "big") + length.to_bytes(4, "big")
        return body


def within_meta(data: bytes, extra: bytes = b"", *, item: bytes | None = None) -> bytes:
    """A file with a box more at the end of its meta box, and an item more, which nothing refers to, at its own end."""
    (start, end) = next((start, end) for kind, start, end in _boxes(data) if kind == b"meta")
    inner = {
        kind: data[start + 12 + first + 8 : start + 12 + last] for kind, first, last in _boxes(data[start + 12 : end])
    }
    assert len(inner) == len(list(_boxes(data[start + 12 : end])))
    locations = _Locations.read(inner[b"iloc"])
    if item is not None:
        entry = box(b"infe", b"\2\0\0\0\0\x63\0\0mimehidden\0text/plain\0")
        count = int.from_bytes(inner[b"iinf"][4:6], "big")
        inner[b"iinf"] = inner[b"iinf"][:4] + (count + 1).to_bytes(2, "big") + inner[b"iinf"][6:] + entry
        locations.items.append((0x63, 0, [(len(data) + 8, len(item))]))

    def meta(shift: int) -> bytes:
        inner[b"iloc"] = locations.written(shift)
        return box(b"meta", data[start + 8 : start + 12] + b"".join(box(*each) for each in inner.items()) + extra)

    shift = len(meta(0)) - (end - start)
    return data[:start] + meta(shift) + data[end:] + (box(b"mdat", item) if item is not None else b"")
