"""The sequence header of AV1, bit by bit: AV1 specification, 5.5."""

from __future__ import annotations

import pytest

from detect.pictures.av1 import points


def obu(bits: str) -> bytes:
    bare = bits.replace(" ", "")
    padded = bare + "0" * (-len(bare) % 8)
    body = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return b"\x12\x00" + bytes([0x0A, len(body)]) + body  # a temporal delimiter comes first


SIZE = " 0111 0111 00000000 00000000 "
COLORS = " 1 00001001 00010000 00001001"  # described: BT.2020, PQ, BT.2020
REDUCED = "000 1 1 00000" + SIZE + "000 000 1 0"
WHOLE = "000 1 0 0 0 00000 000000000000 00000" + SIZE + "0 000 0000 0 1 1 000 1 0"
LADEN = (  # timing, a decoder model, a delay for showing, two points with a tier, frame ids, an order hint
    f"000 0 0 1 {'0' * 64} 1 010 1 00010 {'0' * 32} 00000 00000 1 00001"
    + f" {'0' * 12} 01000 0 1 {'0' * 7} 1 0000" * 2 + SIZE + "1 0000000 000 0000 1 00 0 1 0 0 000 000 1 0"
)  # fmt: skip


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (REDUCED + COLORS, (9, 16)),
        (REDUCED + "0", (2, 2)),
        (WHOLE + COLORS, (9, 16)),
        (LADEN + COLORS, (9, 16)),
        ("010 1 1 00000" + SIZE + "000 000 1 1 0" + COLORS, (9, 16)),  # profile 2 has a bit more for its depth
        ("001 1 1 00000" + SIZE + "000 000 0" + COLORS, (9, 16)),  # and profile 1 none for grey
    ],
)
def test_colors_of_a_sequence_header(bits: str, expected: tuple[int, int]) -> None:
    assert points(memoryview(obu(bits))) == expected


def test_streams_without_one() -> None:
    assert points(memoryview(b"")) is None
    assert points(memoryview(b"\x12\x00")) is None
    with pytest.raises(ValueError, match="cut short"):
        points(memoryview(b"\x32\x7fx"))
    with pytest.raises(EOFError, match="ends early"):
        points(memoryview(obu("000 1 1 00000 0111")))
    assert points(memoryview(b"\x08" + obu(REDUCED + COLORS)[4:])) == (9, 16)  # without a size: up to the end
