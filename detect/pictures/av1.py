"""How large the frames are that an AV1 bitstream holds, by its own headers: nothing is decoded.

Source:
    AV1 Bitstream & Decoding Process Specification, 5.3 to 5.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from detect.pictures.bits import Bits

__all__ = ["Frame", "frames", "frames_of_samples", "matrix", "points"]

_SEQUENCE_HEADER, _TILE_LIST = 1, 8
_FRAMES = (3, 6)  # a header by itself, and one with its tiles
_MOST_UNITS = 10_000
_UNITS_A_SAMPLE = 64  # on average, of a long sequence
_HEADER = 256  # bytes: what comes before a frame's size is shorter
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
_SELECT = 2  # decided frame by frame


class Frame(NamedTuple):
    """What a header announces.

    Attributes:
        width: Columns, after superres has widened them; of a sequence header those of its largest frames.
        height: Rows.
        layer: Spatial layer; None for a sequence header.
        shown: Whether it is output.
        key: Whether it needs no other, and nothing behind it needs one before it, if it is shown as it comes.
        coded: Whether it is decoded anew, and not an earlier one that is shown now.
    """

    width: int
    height: int
    layer: int | None = None
    shown: bool = False
    key: bool = False
    coded: bool = True


@dataclass
class _Sequence:
    """What a sequence header says that a frame header needs to be read."""

    width: int = 0
    height: int = 0
    width_bits: int = 0
    height_bits: int = 0
    reduced: bool = False
    removal_times: tuple[int, ...] = ()  # idc of each operating point that has one
    removal_bits: int = 0
    presentation_bits: int = 0  # 0: no time of presentation in frame headers
    frame_id_bits: int = 0
    delta_id_bits: int = 0
    screen_content: int = _SELECT
    integer_mv: int = _SELECT
    order_hint: bool = False
    order_hint_bits: int = 0
    colors: tuple[int, int, int] = (2, 2, 2)  # primaries, transfer and matrix


def frames(data: memoryview) -> Iterator[Frame]:
    """The sequence headers and frames of a bitstream in the low-overhead format, in its order.

    A frame that takes its size from an earlier one is given as the sequence header's, which is as large as any.

    Raises:
        EOFError: A header that ends early.
        ValueError: Headers that make no sense, or more units than a still has.
    """
    sequence = None
    for kind, temporal, spatial, body in _counted_units(data):
        if kind == _SEQUENCE_HEADER:
            sequence = _sequence(Bits(body[:_HEADER]))
            yield Frame(sequence.width, sequence.height)
        elif kind in _FRAMES:
            yield _framed(body, sequence, temporal, spatial)


def frames_of_samples(configuration: memoryview, samples: Iterable[memoryview]) -> Iterator[list[Frame]]:
    """The frames of each sample of a track, and the sequence header as the first of those where it stands.

    Args:
        configuration: What stands in a configuration record behind its four fixed bytes.
        samples: The coded samples, in their order.

    Raises:
        EOFError: A header that ends early.
        ValueError: Headers that make no sense, more units than a sample has, or a sequence header that changes.

    Source:
        AV1 Codec ISO Media File Format Binding, 2.3.3 and 2.4: a track has one sequence header.
    """
    sequence, header, units = None, None, 0
    for number, data in enumerate(chain([configuration], samples)):
        found = []
        for kind, temporal, spatial, body in _counted_units(data):
            units += 1
            if units > _MOST_UNITS + _UNITS_A_SAMPLE * number:
                raise ValueError(f"more than {_UNITS_A_SAMPLE} units in an AV1 sample")
            if kind == _SEQUENCE_HEADER:
                if header is not None and body != header:
                    raise ValueError("an AV1 sequence header that changes from one sample to another")
                header, sequence = body, _sequence(Bits(body[:_HEADER]))
                found.append(Frame(sequence.width, sequence.height))
            elif kind in _FRAMES:
                found.append(_framed(body, sequence, temporal, spatial))
        if number:
            yield found
        elif any(frame.layer is not None for frame in found):
            raise ValueError("an AV1 frame in a configuration")


def _counted_units(data: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    for number, unit in enumerate(_units(data)):
        if number >= _MOST_UNITS:
            raise ValueError(f"more than {_MOST_UNITS:,} units in an AV1 picture")
        if unit[0] == _TILE_LIST:
            raise ValueError("an AV1 tile list")
        yield unit


def _framed(body: memoryview, sequence: _Sequence | None, temporal: int, spatial: int) -> Frame:
    if sequence is None:
        raise ValueError("an AV1 frame before its sequence header")
    return _frame(Bits(body[:_HEADER]), sequence, temporal, spatial)


def points(data: memoryview) -> tuple[int, int] | None:
    """Primaries and transfer (H.273, tables 2 and 3) by the first sequence header; None if there is none.

    Raises:
        EOFError: A header that ends early.
        ValueError: Headers that make no sense.
    """
    found = _first_colors(data)
    return None if found is None else found[:2]


def matrix(data: memoryview) -> int | None:
    """The matrix (H.273, table 4) by the first sequence header; None if there is none.

    Raises:
        EOFError: A header that ends early.
        ValueError: Headers that make no sense.
    """
    found = _first_colors(data)
    return None if found is None else found[2]


def _first_colors(data: memoryview) -> tuple[int, int, int] | None:
    for kind, _, _, body in _units(data):
        if kind == _SEQUENCE_HEADER:
            return _sequence(Bits(body[:_HEADER])).colors
    return None


def _units(data: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    """Type, temporal and spatial layer, and payload of each open bitstream unit (5.3)."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 1
        temporal = spatial = 0
        if header & 4:
            if at >= len(data):
                raise EOFError("an AV1 unit ends early")
            temporal, spatial = data[at] >> 5, data[at] >> 3 & 3
            at += 1
        length = len(data) - at
        if header & 2:
            length, at = _leb128(data, at)
        if header & 0x80 or at + length > len(data):
            raise ValueError("an AV1 unit that is broken or cut short")
        yield header >> 3 & 15, temporal, spatial, data[at : at + length]
        at += length


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for number in range(8):
        if at >= len(data):
            raise EOFError("an AV1 unit ends early")
        value |= (data[at] & 0x7F) << (7 * number)
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise ValueError("an AV1 unit of endless length")


def _sequence(bits: Bits) -> _Sequence:
    """5.5.1, as far as frame headers need it."""
    found = _Sequence()
    profile = bits.read(3)
    bits.read(1)  # still_picture
    found.reduced = bits.flag()
    if found.reduced:
        bits.read(5)  # seq_level_idx
    else:
        _operating_points(bits, found)
    found.width_bits, found.height_bits = bits.read(4) + 1, bits.read(4) + 1
    found.width, found.height = bits.read(found.width_bits) + 1, bits.read(found.height_bits) + 1
    if found.reduced:
        bits.read(3)  # use_128x128_superblock …
        found.colors = _colors(bits, profile)
        return found
    if bits.flag():  # frame_id_numbers_present_flag
        found.delta_id_bits = bits.read(4) + 2
        found.frame_id_bits = bits.read(3) + 1 + found.delta_id_bits
    bits.read(3 + 4)  # use_128x128_superblock … enable_dual_filter
    found.order_hint = bits.flag()
    if found.order_hint:
        bits.read(2)  # enable_jnt_comp, enable_ref_frame_mvs
    found.screen_content = _SELECT if bits.flag() else bits.read(1)
    if found.screen_content:
        found.integer_mv = _SELECT if bits.flag() else bits.read(1)
    if found.order_hint:
        found.order_hint_bits = bits.read(3) + 1
    found.colors = _colors(bits, profile)
    return found


def _colors(bits: Bits, profile: int) -> tuple[int, int, int]:
    """5.5.2, and the tools before it."""
    bits.read(3)  # enable_superres, enable_cdef, enable_restoration
    if bits.flag() and profile == 2:  # high_bitdepth
        bits.read(1)
    if profile != 1:
        bits.read(1)  # mono_chrome
    return (bits.read(8), bits.read(8), bits.read(8)) if bits.flag() else (2, 2, 2)


def _operating_points(bits: Bits, found: _Sequence) -> None:
    equal_interval = decoder_model = False
    delay_bits = 0
    if bits.flag():  # timing_info_present_flag
        bits.read(32 + 32)
        equal_interval = bits.flag()
        if equal_interval:
            bits.exp_golomb()
        decoder_model = bits.flag()
        if decoder_model:
            delay_bits = bits.read(5) + 1
            bits.read(32)
            found.removal_bits = bits.read(5) + 1
            presentation_bits = bits.read(5) + 1
            found.presentation_bits = 0 if equal_interval else presentation_bits
    display_delay = bits.flag()
    points = []
    for _ in range(bits.read(5) + 1):
        idc = bits.read(12)
        if bits.read(5) > 7:  # seq_level_idx
            bits.read(1)
        if decoder_model and bits.flag():
            bits.read(2 * delay_bits + 1)
            points.append(idc)
        if display_delay and bits.flag():
            bits.read(4)
    found.removal_times = tuple(points)


def _frame(bits: Bits, sequence: _Sequence, temporal: int, spatial: int) -> Frame:
    """5.9.2 as far as the size."""
    size = (sequence.width, sequence.height)
    if sequence.reduced:
        return Frame(*size, layer=spatial, shown=True, key=True)
    if bits.flag():  # show_existing_frame
        return Frame(*size, layer=spatial, shown=True, coded=False)
    kind, shown = bits.read(2), bits.flag()
    if shown and sequence.presentation_bits:
        bits.read(sequence.presentation_bits)
    if not shown:
        bits.read(1)  # showable_frame
    resilient = kind == _SWITCH or (kind == _KEY and shown) or bits.flag()
    bits.read(1)  # disable_cdf_update
    screen_content = bits.read(1) if sequence.screen_content == _SELECT else sequence.screen_content
    if screen_content and sequence.integer_mv == _SELECT:
        bits.read(1)
    bits.read(sequence.frame_id_bits)
    override = kind == _SWITCH or bits.flag()
    bits.read(sequence.order_hint_bits)
    intra = kind in (_KEY, _INTRA_ONLY)
    if not intra and not resilient:
        bits.read(3)  # primary_ref_frame
    _skip_removal_times(bits, sequence, temporal, spatial)
    refreshed = 0xFF if kind == _SWITCH or (kind == _KEY and shown) else bits.read(8)
    if (not intra or refreshed != 0xFF) and resilient and sequence.order_hint:
        bits.read(8 * sequence.order_hint_bits)
    if not intra:
        _skip_references(bits, sequence)
    from_reference = override and not intra and not resilient and any(bits.flag() for _ in range(7))
    if override and not from_reference:
        size = (bits.read(sequence.width_bits) + 1, bits.read(sequence.height_bits) + 1)
    return Frame(*size, layer=spatial, shown=shown, key=kind == _KEY)


def _skip_removal_times(bits: Bits, sequence: _Sequence, temporal: int, spatial: int) -> None:
    if not sequence.removal_bits or not bits.flag():
        return
    for idc in sequence.removal_times:
        if idc == 0 or (idc >> temporal & 1 and idc >> (spatial + 8) & 1):
            bits.read(sequence.removal_bits)


def _skip_references(bits: Bits, sequence: _Sequence) -> None:
    short = sequence.order_hint and bits.flag()  # frame_refs_short_signaling
    if short:
        bits.read(3 + 3)
    for _ in range(7):
        if not short:
            bits.read(3)
        bits.read(sequence.delta_id_bits)
