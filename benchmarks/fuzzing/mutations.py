"""Mutations that know where a format keeps lengths, sizes, counts and kinds, and what may stand twice or be missing.

Each format says two things of a file: fields, which are whole numbers, and pieces, which may be left out, doubled or
swapped. One mutator works on all of them. After it, checksums are put right most of the time, as a file whose checksum
is wrong is refused before anything else is looked at.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Structure", "mutated", "structure_of"]


class Field(NamedTuple):
    """A whole number in a file: where, how many bytes, and whether the least significant comes first."""

    at: int
    size: int
    little: bool


class Structure(NamedTuple):
    """What a file is made of: fields, and (start, end) of pieces."""

    fields: list[Field]
    pieces: list[tuple[int, int]]


def mutated(seed: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """One to four mutations of a file of a format."""
    data = bytearray(seed)
    for _ in range(int(rng.integers(1, 5))):
        found = structure_of(bytes(data), kind)
        way = rng.random()
        if way < 0.5 and found.fields:
            _set_field(data, found.fields, rng)
        elif way < 0.7 and len(found.pieces) > 1:
            data = _move_pieces(data, found.pieces, rng)
        elif data:
            data = _scribble(data, rng)
    if kind == "PNG" and rng.random() < 0.9:
        return _with_checksums(bytes(data))
    return bytes(data)


def structure_of(data: bytes, kind: str) -> Structure:
    """Fields and pieces of a file, as far as it is sound."""
    try:
        return _STRUCTURES[kind](data)
    except (IndexError, struct.error):
        return Structure([], [])


def _set_field(data: bytearray, fields: Sequence[Field], rng: np.random.Generator) -> None:
    at, size, little = fields[int(rng.integers(len(fields)))]
    order = "little" if little else "big"
    now = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
    most = (1 << 8 * size) - 1
    values = [
        0, 1, 2, 3, 4, 7, 8, 16, now + 1, now - 1, now * 2, now // 2, now ^ (1 << int(rng.integers(8 * size))), most,
        most >> 1, most - 1, 1 << (8 * size - 1), int(rng.integers(256)), now + 4096, 801, 16384, 65500,
    ]  # fmt: skip
    data[at : at + size] = (values[int(rng.integers(len(values)))] & most).to_bytes(size, order)  # type: ignore[arg-type]


def _move_pieces(data: bytearray, pieces: Sequence[tuple[int, int]], rng: np.random.Generator) -> bytearray:
    (a, b), (c, d) = (pieces[int(rng.integers(len(pieces)))] for _ in range(2))
    piece = data[a:b]
    way = int(rng.integers(4))
    if way == 0:
        return data[:a] + data[b:]
    if way == 1:
        return data[:c] + piece + data[c:]
    if way == 2 and b <= c:
        return data[:a] + data[c:d] + data[b:c] + piece + data[d:]
    return data[:b] + piece * int(rng.integers(1, 40)) + data[b:]


def _scribble(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Change what stands anywhere, more often near the beginning."""
    near = min(len(data), 400) if rng.random() < 0.6 else len(data)
    at = int(rng.integers(near))
    way = int(rng.integers(6))
    if way == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif way == 1:
        data[at] = int(rng.integers(256))
    elif way == 2:
        data[at : at + 4] = rng.bytes(4)
    elif way == 3:
        return data[: int(rng.integers(len(data)))]
    elif way == 4:
        return data[:at] + rng.bytes(int(rng.integers(1, 64))) + data[at:]
    else:
        return data[:at] + data[at + int(rng.integers(1, 64)) :]
    return data


def _jpeg(data: bytes) -> Structure:
    fields, pieces, at = [], [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        fields += [Field(at + 1, 1, False), Field(at + 2, 2, False)]
        if 0xC0 <= marker < 0xD0 and marker not in (0xC4, 0xC8, 0xCC):
            sizes = [Field(at + 4, 1, False), Field(at + 5, 2, False), Field(at + 7, 2, False), Field(at + 9, 1, False)]
            fields += sizes * 3 + [Field(each, 1, False) for each in range(at + 10, min(end, at + 30))]
        elif marker in (0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xE2, 0xEE):
            fields += [Field(each, 1, False) for each in range(at + 4, min(end, at + 24))]
        if marker == 0xDA:
            while end + 1 < len(data) and (data[end] != 0xFF or data[end + 1] in (0, *range(0xD0, 0xD8))):
                end += 1
        pieces.append((at, end))
        at = end
    return Structure(fields, pieces)


def _png(data: bytes) -> Structure:
    fields, pieces, at = [], [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        fields.append(Field(at, 4, False))
        body = range(at + 8, min(at + 8 + length, len(data) - 4, at + 40))
        if data[at + 4 : at + 8] == b"IHDR":
            sizes = [Field(at + 8, 4, False), Field(at + 12, 4, False)]
            fields += (sizes + [Field(at + each, 1, False) for each in range(16, 21)]) * 3
        elif data[at + 4 : at + 8] != b"IDAT":
            fields += [Field(each, 1, False) for each in body]
        pieces.append((at, at + 12 + length))
        at += 12 + length
    return Structure(fields, pieces)


def _with_checksums(data: bytes) -> bytes:
    """The chunks with checksums that fit."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join([*parts, data[at:]])


def _riff(data: bytes) -> Structure:
    fields, pieces, at = [Field(4, 4, True)], [], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        fields += [Field(at + 4, 4, True), Field(at + 3, 1, True)]
        fields += [Field(each, 1, True) for each in range(at + 8, min(at + 20, len(data)))]
        if data[at : at + 4] == b"VP8X":
            fields += [Field(at + 12, 3, True), Field(at + 15, 3, True)] * 4
        elif data[at : at + 4] == b"VP8 ":
            fields += [Field(at + 14, 2, True), Field(at + 16, 2, True)] * 4
        pieces.append((at, at + 8 + length + length % 2))
        at += 8 + length + length % 2
    return Structure(fields, pieces)


_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"iinf": 6, b"iref": 4}


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and kind of each box, those inside others after them (ISO/IEC 14496-12, 4.2)."""
    at = begin
    while at + 8 <= end:
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        stop = at + length if 8 <= length <= end - at else end
        yield at, stop, kind
        if kind in _CONTAINERS:
            yield from _boxes(data, at + 8 + _CONTAINERS[kind], stop)
        at = stop


def _heif(data: bytes) -> Structure:
    fields, pieces = [], []
    for start, end, kind in _boxes(data, 0, len(data)):
        fields.append(Field(start, 4, False))
        pieces.append((start, end))
        if kind == b"mdat":
            continue
        if kind == b"ispe":
            fields += [Field(start + 12, 4, False), Field(start + 16, 4, False)] * 8
        fields += [Field(each, 1, False) for each in range(start + 8, min(end, start + 40))]
    return Structure(fields, pieces)


def _tiff(data: bytes) -> Structure:
    little = data[:2] == b"II"
    order = "little" if little else "big"
    at = int.from_bytes(data[4:8], order)  # type: ignore[arg-type]
    count = int.from_bytes(data[at : at + 2], order)  # type: ignore[arg-type]
    fields, pieces = [Field(4, 4, little), Field(at, 2, little)], []
    for entry in range(at + 2, min(at + 2 + 12 * min(count, 60), len(data) - 12), 12):
        fields += [Field(entry, 2, little), Field(entry + 2, 2, little), Field(entry + 4, 4, little)]
        fields += [Field(entry + 8, 4, little), Field(entry + 8, 2, little)] * 2
        pieces.append((entry, entry + 12))
    fields.append(Field(at + 2 + 12 * count, 4, little))
    return Structure([field for field in fields if field.at + field.size <= len(data)], pieces)


def _bmp(_: bytes) -> Structure:
    wide = [Field(at, 4, True) for at in (2, 10, 14, 18, 22, 30, 34, 46, 50)]
    return Structure([*wide, Field(18, 4, True), Field(22, 4, True), Field(26, 2, True), Field(28, 2, True)], [])


def _gif(data: bytes) -> Structure:
    fields = [Field(6, 2, True), Field(8, 2, True), Field(10, 1, True)]
    pieces = []
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] in (0x21, 0x2C):
        start = at
        if data[at] == 0x2C:
            fields += [Field(at + each, 2, True) for each in (1, 3, 5, 7)] * 3 + [Field(at + 9, 1, True)]
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
            fields.append(Field(at - 1, 1, True))
        else:
            fields += [Field(at + each, 1, True) for each in range(1, 8)]
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
        pieces.append((start, at))
    return Structure(fields, pieces)


_STRUCTURES: dict[str, Callable[[bytes], Structure]] = {
    "JPEG": _jpeg, "PNG": _png, "WEBP": _riff, "AVIF": _heif, "HEIF": _heif, "TIFF": _tiff, "BMP": _bmp, "GIF": _gif,
}  # fmt: skip
