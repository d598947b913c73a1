"""How large the pictures are that an HEVC bitstream holds, by its own parameter sets: nothing is decoded.

Source:
    Rec. ITU-T H.265, 7.3; ISO/IEC 14496-15, 8.3 (the configuration record).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from detect.pictures.bits import Bits

__all__ = ["Pictures", "of_item"]

_SPS = 33
_MOST_UNITS = 10_000
_HEADER = 1024  # bytes: what comes before the size in a parameter set is shorter


class Pictures(NamedTuple):
    """What an item holds.

    Attributes:
        coded: Columns and rows of each sequence parameter set.
        cropped: The same within its conformance window, which is what decoders give.
        begun: How many pictures begin.
    """

    coded: list[tuple[int, int]]
    cropped: list[tuple[int, int]]
    begun: int


def of_item(configuration: memoryview, data: memoryview) -> Pictures:
    """Read a configuration record (`hvcC`) and the units of an item that goes by it.

    Raises:
        EOFError: A record or a unit that ends early.
        ValueError: More units than a still has, or a broken one.
    """
    if len(configuration) < 23:
        raise EOFError("an HEVC configuration ends early")
    sizes, count = [], 0
    length_bytes = (configuration[21] & 3) + 1
    for number, unit in enumerate(
        unit for units in (_configured(configuration), _units(data, length_bytes)) for unit in units
    ):
        if number >= _MOST_UNITS:
            raise ValueError(f"more than {_MOST_UNITS:,} units in an HEVC picture")
        if len(unit) < 3:
            raise EOFError("an HEVC unit ends early")
        kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
        if layer:
            continue  # of another view or resolution, which decoders pass over
        if kind == _SPS:
            sizes.append(_sizes(unit))
        count += kind < 32 and unit[2] >> 7  # first_slice_segment_in_pic_flag
    return Pictures([coded for coded, _ in sizes], [cropped for _, cropped in sizes], count)


def _configured(record: memoryview) -> Iterator[memoryview]:
    at = 23
    for _ in range(record[22]):
        if at + 3 > len(record):
            raise EOFError("an HEVC configuration ends early")
        count = int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            end = at + 2 + int.from_bytes(record[at : at + 2], "big")
            if end > len(record):
                raise EOFError("an HEVC configuration ends early")
            yield record[at + 2 : end]
            at = end


def _units(data: memoryview, length_bytes: int) -> Iterator[memoryview]:
    at = 0
    while at < len(data):
        end = at + length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
        if end > len(data):
            raise EOFError("an HEVC unit is cut short")
        yield data[at + length_bytes : end]
        at = end


def _sizes(unit: memoryview) -> tuple[tuple[int, int], tuple[int, int]]:
    """Coded and cropped size, by a sequence parameter set (7.3.2.2)."""
    bits = Bits(bytes(unit[2:_HEADER]).replace(b"\0\0\3", b"\0\0"))  # 7.3.1.1, emulation_prevention_three_byte
    bits.read(4)
    layers = bits.read(3)  # sps_max_sub_layers_minus1
    bits.read(1)
    _skip_profile_tier_level(bits, layers)
    bits.exp_golomb()  # sps_seq_parameter_set_id
    chroma = bits.exp_golomb()
    separate = chroma == 3 and bits.flag()
    width, height = bits.exp_golomb(), bits.exp_golomb()
    left = right = top = bottom = 0
    if bits.flag():  # conformance_window_flag
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
    across = 2 if chroma in (1, 2) and not separate else 1
    down = 2 if chroma == 1 and not separate else 1
    return (width, height), (width - across * (left + right), height - down * (top + bottom))


def _skip_profile_tier_level(bits: Bits, layers: int) -> None:
    """7.3.3."""
    bits.read(88 + 8)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.read(2 * (8 - layers))
    for profile, level in present:
        bits.read(88 * profile + 8 * level)
