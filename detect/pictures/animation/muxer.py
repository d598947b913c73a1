"""An AVIF or HEIF sequence put together from coded samples.

Source:
    AV1 Image File Format, 3 and 6.3; ISO/IEC 14496-12, 8; ISO/IEC 14496-15, 8.3 (HEVC); ISO/IEC 23008-12, 7.2.3, 9.6.1
    (how often it is shown) and annex B (brands).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from detect.pictures.heif import ALPHA

__all__ = ["AV1", "HEVC", "WITHOUT_END", "Coding", "Stream", "sequence_of"]

WITHOUT_END = 2**64 - 1
"""The duration of a track that is shown again and again."""

_MOST = 2**32 - 1  # of an offset, a timescale and a duration

_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How the pictures of a sequence are coded, and what is called how for it.

    Attributes:
        format: Pillow's name of the format that such files are in.
        entry: The kind of samples, and of items.
        configuration: The box of what decoders have to know before.
        alphas: What transparency is called; the first where it is written.
        brands: Of a file, the first as its main one.
        turns: Whether viewers heed turns that a track says.
        bits: By the body of such a box, how many bits each channel has.
    """

    format: str
    entry: bytes
    configuration: bytes
    alphas: tuple[bytes, ...]
    brands: tuple[bytes, ...]
    turns: bool
    bits: Callable[[bytes], list[int]]


def _bits_of_av1(configuration: bytes) -> list[int]:
    """AV1-ISOBMFF, 2.3.3."""
    bits = 8 if not configuration[2] & 0x40 else 12 if configuration[2] & 0x20 else 10
    return [bits] * (1 if configuration[2] & 0x10 else 3)


def _bits_of_hevc(configuration: bytes) -> list[int]:
    """ISO/IEC 14496-15, 8.3.3.1."""
    luma, chroma = (8 + (configuration[at] & 7) for at in (17, 18))
    return [luma, chroma, chroma] if configuration[16] & 3 else [luma]


AV1 = Coding(
    format="AVIF",
    entry=b"av01",
    configuration=b"av1C",
    alphas=ALPHA[:1],
    brands=(b"avis", b"avif", b"msf1", b"iso8", b"mif1", b"miaf"),
    turns=True,
    bits=_bits_of_av1,
)
HEVC = Coding(
    format="HEIF",
    entry=b"hvc1",
    configuration=b"hvcC",
    alphas=ALPHA[1::-1],
    brands=(b"hevc", b"heic", b"msf1", b"iso8", b"mif1", b"miaf"),
    turns=False,
    bits=_bits_of_hevc,
)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What a track holds.

    Attributes:
        configuration: The body of the box that tells decoders what they have to know before.
        properties: Boxes of its sample entry besides, whole: colours and turns.
        samples: Its coded pictures, of which the first needs no other.
        keys: Numbers of the samples that need no other, from 0.
        coding: How they are coded.
    """

    configuration: bytes
    properties: bytes = b""
    samples: Sequence[bytes | memoryview]
    keys: Sequence[int]
    coding: Coding


def sequence_of(
    color: Stream,
    alpha: Stream | None = None,
    *,
    width: int,
    height: int,
    ticks: Sequence[int],
    timescale: int,
    plays: int,
) -> bytes:
    """Write a file of one track, or of one and its transparency; its still picture is the first of the sequence.

    Args:
        color: What is shown.
        alpha: Its transparency, in as many samples.
        width: Columns of each.
        height: Rows of each.
        ticks: How long each is shown.
        timescale: Ticks that a second has.
        plays: How many times all is shown; 0 for without end.

    Raises:
        ValueError: More bytes than 32-bit offsets reach, or longer than a track can say.
    """
    streams = [color] if alpha is None else [color, alpha]
    if not 0 < timescale <= _MOST or max(ticks) > _MOST or sum(ticks) >= WITHOUT_END // max(plays, 1):
        raise ValueError("times that a track cannot say")
    start = _box(b"ftyp", color.coding.brands[0], bytes(4), *color.coding.brands)
    sizes = [sum(len(each) for each in stream.samples) for stream in streams]
    ends = [0, *sizes]
    offset, meta, movie = 0, b"", b""
    for _ in range(2):  # the second time it is known where the samples will lie
        places = [offset, offset + ends[1]][: len(streams)]
        meta = _meta(streams, places, width, height)
        movie = _movie(streams, places, (width, height), ticks, timescale, plays)
        offset = len(start) + len(meta) + len(movie) + 8
    if offset + sum(sizes) > _MOST:
        raise ValueError("more bytes than the file's offsets reach")
    head = struct.pack(">I4s", 8 + sum(sizes), b"mdat")
    return b"".join([start, meta, movie, head, *(each for stream in streams for each in stream.samples)])


def _box(kind: bytes, *parts: bytes) -> bytes:
    return b"".join([struct.pack(">I4s", 8 + sum(map(len, parts)), kind), *parts])


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _handler(kind: bytes) -> bytes:
    return _full(b"hdlr", bytes(4), kind, bytes(13))


def _meta(streams: Sequence[Stream], places: Sequence[int], width: int, height: int) -> bytes:
    """The first sample of each track, as a still."""
    numbers = range(1, len(streams) + 1)
    entries = [
        _full(b"infe", struct.pack(">HH4sx", number, 0, streams[0].coding.entry), version=2) for number in numbers
    ]
    extents = zip(numbers, places, streams, strict=True)
    located = [struct.pack(">HHHII", number, 0, 1, at, len(stream.samples[0])) for number, at, stream in extents]
    properties = [_full(b"ispe", struct.pack(">II", width, height))]
    associated = b""
    for number, stream in zip(numbers, streams, strict=True):
        coding = stream.coding
        bits = coding.bits(stream.configuration)
        own = [_box(coding.configuration, stream.configuration), _full(b"pixi", bytes([len(bits), *bits]))]
        own += _split(stream.properties) if number == 1 else [_full(b"auxC", coding.alphas[0], b"\0")]
        marks = [len(properties) + at | (0x80 if each[4:8] in (coding.configuration, b"irot", b"imir") else 0)
                 for at, each in enumerate(own, 1)]  # fmt: skip
        associated += struct.pack(">HB", number, len(marks) + 1) + bytes([1, *marks])
        properties += own
    return _full(
        b"meta",
        _handler(b"pict"),
        _full(b"pitm", struct.pack(">H", 1)),
        _full(b"iloc", struct.pack(">HH", 0x4400, len(streams)), *located),
        _full(b"iinf", struct.pack(">H", len(streams)), *entries),
        *([_full(b"iref", _box(b"auxl", struct.pack(">HHH", 2, 1, 1)))] if len(streams) > 1 else []),
        _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(streams)), associated)),
    )


def _split(boxes: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(boxes):
        end = at + int.from_bytes(boxes[at : at + 4])
        found.append(boxes[at:end])
        at = end
    return found


def _movie(
    streams: Sequence[Stream],
    places: Sequence[int],
    size: tuple[int, int],
    ticks: Sequence[int],
    timescale: int,
    plays: int,
) -> bytes:
    whole = plays * sum(ticks) if plays else WITHOUT_END
    header = struct.pack(">QQIQIH10x", 0, 0, timescale, whole, 0x10000, 0x100)
    tracks = [
        _track(stream, number, place, size, ticks, timescale, plays)
        for number, (stream, place) in enumerate(zip(streams, places, strict=True), 1)
    ]
    return _box(
        b"moov",
        _full(b"mvhd", header, _UNITY, bytes(24), struct.pack(">I", len(streams) + 1), version=1),
        *tracks,
    )


def _track(
    stream: Stream,
    number: int,
    place: int,
    size: tuple[int, int],
    ticks: Sequence[int],
    timescale: int,
    plays: int,
) -> bytes:
    once = sum(ticks)
    whole = plays * once if plays else WITHOUT_END
    header = struct.pack(">QQI4xQ8xHHH2x", 0, 0, number, whole, 0, 0, 0) + _UNITY
    edit = struct.pack(">IQqI", 1, once, 0, 0x10000)
    media = struct.pack(">QQIQHH", 0, 0, timescale, once, 0x55C4, 0)  # language: undetermined
    return _box(
        b"trak",
        _full(b"tkhd", header, struct.pack(">II", size[0] << 16, size[1] << 16), version=1, flags=1),
        *([_box(b"tref", _box(b"auxl", struct.pack(">I", 1)))] if number > 1 else []),
        _box(b"edts", _full(b"elst", edit, version=1, flags=int(plays != 1))),
        _box(
            b"mdia",
            _full(b"mdhd", media, version=1),
            _handler(b"pict" if number == 1 else b"auxv"),
            _box(
                b"minf",
                _full(b"vmhd", bytes(8), flags=1),
                _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
                _samples(stream, number, place, size, ticks),
            ),
        ),
    )


def _samples(stream: Stream, number: int, place: int, size: tuple[int, int], ticks: Sequence[int]) -> bytes:
    count, coding = len(stream.samples), stream.coding
    runs = [(sum(1 for _ in group), each) for each, group in groupby(ticks)]
    entry = struct.pack(">6xH16xHHIII H32xHH", 1, *size, 0x480000, 0x480000, 0, 1, 24, 0xFFFF)
    own = [_box(coding.configuration, stream.configuration), stream.properties]
    own += [_full(b"ccst", struct.pack(">I", 0x7C000000))]
    own += [_full(b"auxi", coding.alphas[0], b"\0")] if number > 1 else []
    sizes = [len(each) for each in stream.samples]
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _box(coding.entry, entry, *own)),
        _full(b"stts", struct.pack(">I", len(runs)), *(struct.pack(">II", *each) for each in runs)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes)),
        _full(b"stco", struct.pack(">II", 1, place)),
        _full(b"stss", struct.pack(f">I{len(stream.keys)}I", len(stream.keys), *(each + 1 for each in stream.keys))),
    )
