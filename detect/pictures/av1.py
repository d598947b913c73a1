"""The colours that an AV1 stream itself announces, where the file around it says nothing.

Source:
    AV1 Bitstream & Decoding Process Specification, 5.3 (OBUs), 5.5 (sequence header).
"""

from __future__ import annotations

__all__ = ["points_of_stream"]

_SEQUENCE_HEADER = 1


class _Bits:
    """Reads numbers of any width; zeros beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, width: int) -> int:
        self._left -= width
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << width) - 1)


def points_of_stream(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (H.273, tables 2 and 3) of the first sequence header; None if there is none.

    Args:
        data: OBUs with their sizes, as an AVIF's items are.
    """
    at = 0
    while at + 2 <= len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        size, shift = 0, 0
        while sized and at < len(data):  # leb128
            size |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                break
        if not sized:
            size = len(data) - at
        if kind == _SEQUENCE_HEADER:
            return _sequence(_Bits(data[at : at + min(size, 256)]))
        at += size
    return None


def _sequence(bits: _Bits) -> tuple[int, int]:
    profile = bits.read(3)
    bits.read(1)
    reduced = bits.read(1)
    if reduced:
        bits.read(5)
    else:
        _operating_points(bits)
    wide, high = bits.read(4) + 1, bits.read(4) + 1
    bits.read(wide)
    bits.read(high)
    if not reduced and bits.read(1):  # frame_id_numbers_present_flag
        bits.read(7)
    bits.read(3)
    if not reduced:
        _tools(bits)
    bits.read(3)
    if bits.read(1) and profile == 2:  # high_bitdepth
        bits.read(1)
    if profile != 1:
        bits.read(1)  # mono_chrome
    if not bits.read(1):
        return 2, 2
    return bits.read(8), bits.read(8)


def _operating_points(bits: _Bits) -> None:
    delay = 0
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)
        if bits.read(1):
            zeros = 0
            while zeros < 32 and not bits.read(1):
                zeros += 1
            bits.read(zeros)
        if bits.read(1):  # decoder_model_info_present_flag
            delay = bits.read(5) + 1
            bits.read(42)
    display = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay and bits.read(1):
            bits.read(2 * delay + 1)
        if display and bits.read(1):
            bits.read(4)


def _tools(bits: _Bits) -> None:
    bits.read(4)
    order_hint = bits.read(1)
    if order_hint:
        bits.read(2)
    screen = 2 if bits.read(1) else bits.read(1)
    if screen and not bits.read(1):
        bits.read(1)
    if order_hint:
        bits.read(3)
