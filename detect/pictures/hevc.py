"""How large the pictures are that an HEVC bitstream holds, by its own parameter sets: nothing is decoded.

Source:
    Rec. ITU-T H.265, 7.3; ISO/IEC 14496-15, 8.3 (the configuration record).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from detect.pictures.bits import Bits

__all__ = ["Pictures", "Unit", "of_item", "of_samples", "require_little_cropped"]

_SPS = 33
_CODED = 32  # kinds below are of pictures
_ACCESS_POINTS = range(16, 24)  # IRAP: 7.4.2.2, table 7-1
_STARTS = (b"\0\0\1", b"\0\0\2")  # 7.4.2: no unit has them
_MOST_UNITS = 10_000
_OVERHANG = 64  # pixels on a side: the largest block
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


class Unit(NamedTuple):
    """A unit of a sample.

    Attributes:
        layer: Of which view, resolution or auxiliary picture it is; 0 is what all decoders show.
        coded: Columns and rows, if it is a sequence parameter set.
        cropped: The same within its conformance window.
        begins: Whether a picture begins with it.
        access_point: Whether that picture needs no other.
    """

    layer: int
    coded: tuple[int, int] | None
    cropped: tuple[int, int] | None
    begins: bool
    access_point: bool


def of_samples(configuration: memoryview, samples: Sequence[memoryview]) -> Iterator[list[Unit]]:
    """The units of each sample of a track; those of its configuration record (`hvcC`) count to the first.

    Raises:
        EOFError: A record or a unit that ends early.
        ValueError: More units than any sample has, or a broken one.
    """
    length_bytes = _length_bytes(configuration)
    before = list(_checked(_configured(configuration)))
    for sample in samples:
        yield [*before, *_checked(_units(sample, length_bytes))]
        before = []


def of_item(configuration: memoryview, data: memoryview) -> Pictures:
    """Read a configuration record (`hvcC`) and the units of an item that goes by it.

    Raises:
        EOFError: A record or a unit that ends early.
        ValueError: More units than a still has, or a broken one.
    """
    length_bytes = _length_bytes(configuration)
    found = [
        unit
        for unit in _checked(chain(_configured(configuration), _units(data, length_bytes)))
        if not unit.layer  # others are of another view or resolution, which decoders pass over
    ]
    return Pictures(
        [unit.coded for unit in found if unit.coded is not None],
        [unit.cropped for unit in found if unit.cropped is not None],
        sum(unit.begins for unit in found),
    )


def require_little_cropped(coded: tuple[int, int], cropped: tuple[int, int]) -> None:
    """Check that no more is coded than is shown and what fills its last blocks.

    Raises:
        ValueError: More is.
    """
    if not all(0 < less <= more < less + _OVERHANG for more, less in zip(coded, cropped, strict=True)):
        raise ValueError(f"{coded[0]} x {coded[1]} coded pixels of which {cropped[0]} x {cropped[1]} are shown")


def _length_bytes(configuration: memoryview) -> int:
    if len(configuration) < 23:
        raise EOFError("an HEVC configuration ends early")
    if configuration[0] != 1:
        raise ValueError("an HEVC configuration of an unknown version")
    return (configuration[21] & 3) + 1


def _checked(units: Iterable[memoryview]) -> Iterator[Unit]:
    for number, unit in enumerate(units):
        if number >= _MOST_UNITS:
            raise ValueError(f"more than {_MOST_UNITS:,} units in an HEVC picture")
        kind = unit[0] >> 1 & 63 if unit else 0
        if len(unit) < (3 if kind < _CODED else 2):  # the end of a sequence has nothing but its header
            raise EOFError("an HEVC unit ends early")
        body = bytes(unit)
        if any(mark in body for mark in _STARTS):  # where some readers take another unit to begin
            raise ValueError("an HEVC unit within a unit")
        layer = (unit[0] & 1) << 5 | unit[1] >> 3
        coded, cropped = _sizes(unit) if kind == _SPS and not layer else (None, None)
        begins = kind < _CODED and bool(unit[2] >> 7)  # first_slice_segment_in_pic_flag
        yield Unit(layer, coded, cropped, begins, kind in _ACCESS_POINTS)


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
