"""Bitmaps: what Chromium shows of each kind, or an error that says why not."""

from __future__ import annotations

import struct

import pytest

from detect.errors import DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures import bmp
from detect.pictures.still import decode

RED = [200, 20, 10]
PALETTE = bytes([0, 0, 255, 0, 255, 0, 0, 0, 0, 255, 0, 0, 9, 9, 9, 0])  # red, blue, green, grey
HALF_CLEAR = b"".join(bytes([10, 20, 200, 0 if number % 2 else 255]) for number in range(16))
V5 = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def bitmap(
    bits: int, data: bytes, *, compression: int = 0, header: int = 40, masks: tuple[int, ...] = (), height: int = 4,
    palette: bytes = b"", offset: int | None = None,
) -> bytes:  # fmt: skip
    """4 pixels wide; masks lie within headers of more than 40 bytes, else behind them."""
    size = len(palette) // 4
    head = struct.pack("<IiiHHIIiiII", header, 4, height, 1, bits, compression, len(data), 0, 0, size, 0)
    head += struct.pack(f"<{len(masks)}I", *masks)
    head = head.ljust(header, b"\0") + palette
    start = 14 + len(head) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, start) + head + data


@pytest.mark.parametrize("alpha", [0, 128, 255])
@pytest.mark.parametrize("compression", [0, 3])
def test_the_fourth_byte_of_a_plain_one_is_nothing(alpha: int, compression: int) -> None:
    masks = V5[:3] if compression else ()
    data = bitmap(32, bytes([10, 20, 200, alpha]) * 16, compression=compression, masks=masks)
    assert decode(data).pixels.tolist() == [[RED] * 4] * 4


@pytest.mark.parametrize("header", [56, 108, 124])
def test_transparency_by_a_mask(header: int) -> None:
    shown = decode(bitmap(32, HALF_CLEAR, compression=3, header=header, masks=V5)).pixels
    assert shown[..., 3].tolist() == [[255, 0, 255, 0]] * 4
    with pytest.raises(UnsupportedImageError, match="transparency that some viewers heed"):
        decode(bitmap(32, HALF_CLEAR, header=header, masks=V5))
    whole = bitmap(32, bytes([10, 20, 200, 255]) * 16, header=header, masks=V5, height=-4)
    assert decode(whole).pixels.tolist() == [[RED] * 4] * 4


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bitmap(32, HALF_CLEAR, compression=3, masks=(0x3FF00000, 0xFFC00, 0x3FF)), "a BMP of unsupported bitfields"),
        (
            bitmap(16, bytes(32), compression=3, header=124, masks=(0xF00, 0xF0, 0xF, 0xF000)),
            "a BMP of unsupported bitf",
        ),
        (bitmap(32, HALF_CLEAR, compression=6, masks=V5), "a BMP of unsupported compression"),
        (bitmap(0, b"\xff\xd8\xff", compression=4), "a BMP of unsupported"),
        (bitmap(24, bytes(48), header=16), "a BMP of unsupported header type"),
    ],
)
def test_kinds_that_are_not_taken(data: bytes, says: str) -> None:
    with pytest.raises(UnsupportedImageError, match=says):
        decode(data)


def test_rows_from_top_to_bottom() -> None:
    rows = bytes([10, 20, 200] * 4) + bytes(36)
    assert decode(bitmap(24, rows, height=-4)).pixels[0].tolist() == [RED] * 4
    assert decode(bitmap(24, rows)).pixels[3].tolist() == [RED] * 4


@pytest.mark.parametrize("offset", [0, 14, 53])
def test_pixels_that_begin_in_the_header(offset: int) -> None:
    with pytest.raises(DamagedImageError, match="begin in the header"):
        decode(bitmap(24, bytes(48), offset=offset))


@pytest.mark.parametrize("offset", [54, 69])
def test_pixels_that_begin_in_the_palette(offset: int) -> None:
    assert decode(bitmap(8, bytes(16), palette=PALETTE)).pixels.tolist() == [[[255, 0, 0]] * 4] * 4
    with pytest.raises(DamagedImageError, match="begin in the header"):
        decode(bitmap(8, bytes(16), palette=PALETTE, offset=offset))


LINES = [b"\4\0\0\0", b"\4\1\0\0", b"\4\2\0\0", b"\4\3\0\1"]


@pytest.mark.parametrize(
    ("codes", "compression"),
    [
        (b"".join(LINES), 1),
        (LINES[0] + b"\0\4\0\1\2\3\0\0" + LINES[2] + LINES[3], 1),
        (b"\3\0\1\1\0\0" + b"".join(LINES[1:]), 1),
        (b"\0\3\0\1\2\0\1\1\0\0" + b"".join(LINES[1:]), 1),
        (b"\4\x01\0\0\4\x12\0\0\0\4\x01\x23\0\0\4\x33\0\1", 2),
    ],
)
def test_run_lengths(codes: bytes, compression: int) -> None:
    bits = 8 if compression == 1 else 4
    assert decode(bitmap(bits, codes, compression=compression, palette=PALETTE)).pixels.shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (LINES[0] + LINES[1] + LINES[2], "leave pixels out|end early"),
        (LINES[0] + b"\4\1\0\1", "end early"),
        (LINES[0] + b"\0\2\2\0\2\1\0\0" + LINES[2] + LINES[3], "leave pixels out"),
        (b"\2\1\0\0" + b"".join(LINES[1:]), "leave pixels out"),
        (b"".join(LINES[:3]) + b"\4\3", "leave pixels out|end early"),
        (b"\0\5\0\1\2\3\0\0\0\0" + b"".join(LINES[1:]), "run over the edge"),
        (b"", "leave pixels out|end early"),
    ],
)
def test_run_lengths_that_do_not_say_every_pixel(codes: bytes, says: str) -> None:
    with pytest.raises(DamagedImageError, match=says):
        decode(bitmap(8, codes, compression=1, palette=PALETTE))


@pytest.mark.parametrize("over", [b"\5\1\0\0", b"\xff\1\0\0", b"\4\1\4\2\0\0"])
def test_runs_end_at_the_edge(over: bytes) -> None:
    rest = b"".join(LINES[1:])
    sound = decode(bitmap(8, b"\4\1\0\0" + rest, compression=1, palette=PALETTE)).pixels
    assert (decode(bitmap(8, over + rest, compression=1, palette=PALETTE)).pixels == sound).all()


def test_run_lengths_at_an_odd_place() -> None:
    """Pillow aligns single pixels by the file, others by the data."""
    codes = LINES[0] + b"\0\3\0\1\2\0\1\1\0\0" + LINES[2] + LINES[3]
    data = bitmap(8, codes, compression=1, palette=PALETTE)
    assert decode(data).pixels.shape == (4, 4, 3)
    moved = bitmap(8, b"\0" + codes, compression=1, palette=PALETTE, offset=len(data) - len(codes) + 1)
    with pytest.raises(UnsupportedImageError, match="at an odd place"):
        decode(moved)


def test_more_run_lengths_than_can_be_read_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    data, nibbles = (bitmap(each, codes, compression=kind, palette=PALETTE) for each, codes, kind in (
        (8, b"".join(LINES), 1), (4, b"\4\x01\0\0" * 3 + b"\4\x33\0\1", 2)))  # fmt: skip
    assert decode(data).pixels.shape == decode(nibbles).pixels.shape
    monkeypatch.setattr(bmp, "_MOST_CODES", 7)
    monkeypatch.setattr(bmp, "_MOST_NIBBLES", 15)
    with pytest.raises(LimitError, match="more than 7 run-length codes"):
        decode(data)
    with pytest.raises(LimitError, match="more than 15 pixels"):
        decode(nibbles)


def test_run_lengths_from_top_to_bottom() -> None:
    with pytest.raises(ImageError, match="from top to bottom"):
        decode(bitmap(8, b"".join(LINES), compression=1, palette=PALETTE, height=-4))
