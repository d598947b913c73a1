"""Metadata that players read of HEVC, and no encoder here writes: Dolby Vision's and HDR10+'s.

Source:
    ETSI GS CCM 001, 5.3 and annex A; SMPTE ST 2094-40; Rec. ITU-T H.265, 7.3.1 and D.2.6.
"""

from __future__ import annotations

import io
from typing import Any

import av

__all__ = ["dolby_vision", "hdr10_plus", "with_units"]


class _Bits:
    def __init__(self) -> None:
        self._text = ""

    def put(self, *numbers: tuple[int, int]) -> _Bits:
        """Numbers, each with how many bits it has."""
        self._text += "".join(format(value, f"0{width}b") for value, width in numbers)
        return self

    def exp(self, *numbers: int) -> _Bits:
        """Numbers in Exp-Golomb code."""
        for each in numbers:
            text = format(each + 1, "b")
            self._text += "0" * (len(text) - 1) + text
        return self

    def bytes(self) -> bytes:
        text = self._text + "0" * (-len(self._text) % 8)
        return int(text, 2).to_bytes(len(text) // 8)


def dolby_vision(*, profile: int = 1) -> bytes:
    """A unit that maps each component to itself; of profile 0 the base is in colours of its own."""
    bits = _Bits().put((2, 6), (18, 11), (profile, 4), (0, 4), (1, 1), (0, 1), (0, 2)).exp(23)
    bits.put((1, 2), (1 - profile, 1)).exp(2, 2, 4).put((0, 1), (0, 3), (0, 1), (1, 1), (0, 1), (0, 1)).exp(0, 0, 0)
    for _ in range(3):
        bits.exp(0).put((0, 10), (1023, 10))
    bits.exp(0, 0)
    for _ in range(3):
        bits.exp(0, 0).put((0, 1)).exp(0).put((0, 23)).exp(1).put((0, 23))
    payload = bits.bytes()
    return _unit(62, b"\x19" + payload + _crc(payload).to_bytes(4) + b"\x80")


def hdr10_plus() -> bytes:
    """A unit that says how bright one scene is."""
    bits = _Bits().put((0xB5, 8), (0x3C, 16), (1, 16), (4, 8), (0, 8), (1, 2), (400, 27), (0, 1))
    bits.put((10_000, 17), (10_000, 17), (10_000, 17), (900, 17), (0, 4), (5, 10), (0, 1), (0, 1), (0, 1))
    payload = bits.bytes()
    return _unit(39, bytes([4, len(payload)]) + payload + b"\x80")


def with_units(film: bytes, *, before: bytes = b"", behind: bytes = b"") -> bytes:
    """A transport stream of HEVC, with a unit before or behind those of each of its pictures."""
    stream = io.BytesIO()
    with av.open(io.BytesIO(film), "r") as read, av.open(stream, "w", format="mpegts") as out:
        (video,) = read.streams.video
        copy: Any = out.add_stream_from_template(video, opaque=True)
        for packet in read.demux(video):
            if packet.size:
                changed: Any = av.Packet(before + bytes(packet) + behind)
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.is_keyframe, changed.stream = packet.is_keyframe, copy
                out.mux(changed)
    return stream.getvalue()


def _unit(kind: int, payload: bytes) -> bytes:
    escaped = bytearray()
    for each in payload:
        if escaped[-2:] == b"\0\0" and each <= 3:
            escaped.append(3)
        escaped.append(each)
    return b"\0\0\0\1" + bytes([kind << 1, 1]) + bytes(escaped)


def _crc(data: bytes) -> int:
    """CRC-32 of MPEG-2."""
    register = 0xFFFFFFFF
    for each in data:
        register ^= each << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    return register
