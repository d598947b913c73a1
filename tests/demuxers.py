"""What films hold, read by nothing of FFmpeg's: another opinion on times, bytes and what is said of the picture.

Source:
    ISO/IEC 14496-12, 8.3 to 8.7 and 12.1; RFC 9559, 5 and 10; RFC 8794, 4 to 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, islice

__all__ = ["Track", "boxed", "elements", "matroska"]

_HOLD_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}
_SEGMENT, _TRACKS, _TRACK, _VIDEO, _COLOR, _PROJECTION = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0, 0x7670
_INFO, _SCALE, _CLUSTER, _CLUSTER_TIME = 0x1549A966, 0x2AD7B1, 0x1F43B675, 0xE7
_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xA0, 0xA1, 0xA3
_HOLD_ELEMENTS = {_SEGMENT, _TRACKS, _TRACK, _VIDEO, _COLOR, _PROJECTION, _INFO, _CLUSTER, _GROUP}
_NUMBER, _TYPE, _DELAY, _LANGUAGE = 0xD7, 0x83, 0x56AA, 0x22B59C
_KINDS = {1: "vide", 2: "soun", 17: "text"}
_SHAPES = {0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2}
_COLORS = {0x55B1, 0x55B9, 0x55BA, 0x55BB, 0x55B7, 0x55B8}


@dataclass(frozen=True, kw_only=True)
class Track:
    """One stream.

    Attributes:
        kind: "vide", "soun", or what else its file calls it.
        language: As its file has it.
        shown: When each sample is shown, in seconds; in the order in which they lie there.
        samples: The bytes of each.
        said: What is said of how it is shown: raw bodies by name.
    """

    kind: str
    language: str
    shown: tuple[Fraction, ...]
    samples: tuple[bytes, ...]
    said: dict[str, bytes]


def boxed(data: bytes) -> list[Track]:
    """The tracks of an MP4 or a QuickTime film."""
    boxes = list(_boxes(data, 0, len(data), ()))
    movie = next(body for path, body in boxes if path[-1] == b"mvhd")
    scale = _number(movie, 20 if movie[0] else 12)
    starts = [row for row, (path, _) in enumerate(boxes) if path[-1] == b"trak"]
    ends = [*starts[1:], len(boxes)]
    return [
        _track(data, {path[-1]: body for path, body in reversed(boxes[start:end])}, scale)  # the first of each kind
        for start, end in zip(starts, ends, strict=True)
    ]


def matroska(data: bytes) -> list[Track]:
    """The tracks of a Matroska or a WebM film."""
    scale, time = 1_000_000, 0
    tracks: list[dict[int, bytes]] = []
    found: dict[int, list[tuple[Fraction, bytes]]] = {}
    for kind, body in elements(data):
        if kind == _SCALE:
            scale = int.from_bytes(body)
        elif kind == _TRACK:
            tracks.append({})
        elif kind == _CLUSTER_TIME:
            time = int.from_bytes(body)
        elif kind in (_BLOCK, _SIMPLE_BLOCK):
            track, width = _variable(body, 0)
            assert not body[width + 2] & 6, "laced frames are not read here"
            ticks = time + int.from_bytes(body[width : width + 2], signed=True)
            found.setdefault(track, []).append((Fraction(ticks * scale, 10**9), body[width + 3 :]))
        elif tracks and kind not in _HOLD_ELEMENTS:
            tracks[-1].setdefault(kind, body)
    return [_matroska_track(each, found.get(int.from_bytes(each[_NUMBER]), [])) for each in tracks]


def elements(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Number and body of each EBML element, those that hold others first and without a body."""
    end = len(data) if end is None else end
    while start < end:
        width = 9 - data[start].bit_length()
        kind = int.from_bytes(data[start : start + width])
        length, start = _variable(data, start + width)
        assert start + length <= end, f"element {kind:x} beyond its parent's end"
        yield kind, b"" if kind in _HOLD_ELEMENTS else data[start : start + length]
        if kind in _HOLD_ELEMENTS:
            yield from elements(data, start, start + length)
        start += length


def _boxes(data: bytes, start: int, end: int, parents: tuple[bytes, ...]) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    while start + 8 <= end:
        length, kind, header = _number(data, start), data[start + 4 : start + 8], 8
        if length == 1:
            length, header = int.from_bytes(data[start + 8 : start + 16]), 16
        length = length or end - start
        assert header <= length <= end - start, f"box {kind!r} beyond its parent's end"
        path = (*parents, kind)
        yield path, data[start + header : start + length]
        if kind in _HOLD_BOXES:
            yield from _boxes(data, start + header, start + length, path)
        start += length


def _track(data: bytes, boxes: dict[bytes, bytes], movie_scale: int) -> Track:
    media, header = boxes[b"mdhd"], boxes[b"tkhd"]
    scale = _number(media, 20 if media[0] else 12)
    code = int.from_bytes(media[32:34] if media[0] else media[20:22])
    kind = boxes[b"hdlr"][8:12].decode()
    said = {"matrix": header[52:88] if header[0] else header[40:76]}
    if kind == "vide":
        entry = boxes[b"stsd"][8:]
        inner = _boxes(entry, 8 + 78, _number(entry, 0), ())
        said |= {path[-1].decode(): body for path, body in inner if path[-1] in (b"colr", b"pasp")}
        if said.get("pasp", b"")[:4] == said.get("pasp", b"")[4:]:
            said.pop("pasp", None)  # square, which they are where nothing is said
    samples = _samples(data, boxes)
    steps = islice(_runs(boxes[b"stts"]), len(samples))
    decoded = list(accumulate(steps, initial=0))[: len(samples)]
    offsets = list(_runs(boxes[b"ctts"], signed=True)) if b"ctts" in boxes else [0] * len(samples)
    assert len(decoded) == len(offsets) == len(samples)
    delay, first = _edited(boxes.get(b"elst"), movie_scale)
    shown = tuple(delay + Fraction(when + offset - first, scale) for when, offset in zip(decoded, offsets, strict=True))
    language = "".join(chr(0x60 + (code >> shift & 31)) for shift in (10, 5, 0))
    return Track(kind=kind, language=language, shown=shown, samples=samples, said=said)


def _samples(data: bytes, boxes: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """Bytes of each, by the tables of sizes, of chunks, and of how many each chunk holds."""
    sizes, runs = boxes[b"stsz"], boxes[b"stsc"]
    count, same = _number(sizes, 8), _number(sizes, 4)
    lengths = [same or _number(sizes, 12 + 4 * row) for row in range(count)]
    wide = b"co64" in boxes
    table, width = boxes[b"co64" if wide else b"stco"], 8 if wide else 4
    chunks = [int.from_bytes(table[8 + width * row : 8 + width * (row + 1)]) for row in range(_number(table, 4))]
    firsts = [(_number(runs, 8 + 12 * row), _number(runs, 12 + 12 * row)) for row in range(_number(runs, 4))]
    found, row = [], 0
    for number, start in enumerate(chunks, 1):
        held = [many for first, many in firsts if first <= number][-1]
        at = start
        for length in lengths[row : row + held]:
            found.append(data[at : at + length])
            at += length
        row += held
    assert len(found) == count
    return tuple(found)


def _runs(table: bytes, *, signed: bool = False) -> Iterator[int]:
    """A table of how many samples share which value, one after the other."""
    for row in range(_number(table, 4)):
        at = 8 + 8 * row
        yield from [int.from_bytes(table[at + 4 : at + 8], signed=signed)] * _number(table, at)


def _edited(edits: bytes | None, movie_scale: int) -> tuple[Fraction, int]:
    """Seconds before the first sample is shown, and the time of the media that is shown then."""
    delay = Fraction(0)
    width = 8 if edits and edits[0] else 4
    for row in range(_number(edits, 4) if edits else 0):
        at = 8 + row * (2 * width + 4)
        length, first = (edits or b"")[at : at + width], (edits or b"")[at + width : at + 2 * width]
        if (start := int.from_bytes(first, signed=True)) >= 0:
            return delay, start
        delay += Fraction(int.from_bytes(length), movie_scale)
    return delay, 0


def _matroska_track(said: dict[int, bytes], blocks: list[tuple[Fraction, bytes]]) -> Track:
    delay = Fraction(int.from_bytes(said.get(_DELAY, b"")), 10**9)
    return Track(
        kind=_KINDS[int.from_bytes(said[_TYPE])],
        language=said.get(_LANGUAGE, b"eng").decode(),
        shown=tuple(when - delay for when, _ in blocks),
        samples=tuple(body for _, body in blocks),
        said={f"{kind:x}": body for kind, body in said.items() if kind in _SHAPES | _COLORS or kind >> 4 == 0x767},
    )


def _variable(data: bytes, start: int) -> tuple[int, int]:
    """A number of variable length, and where it has ended."""
    width = 9 - data[start].bit_length()
    return int.from_bytes(data[start : start + width]) & ((1 << 7 * width) - 1), start + width


def _number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 4])
