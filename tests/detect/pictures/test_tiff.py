"""TIFF by its tags: what is not taken is said to be that, and strips must be there, whole and in the file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from encoding import Encode
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from detect.errors import AnimatedImageError, DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.still import decode
from detect.pictures.tiff import QuietLibtiff

SHORT, LONG, LONG8 = 3, 4, 16
Entry = tuple[int, int, Sequence[int]]


def tiff(
    pixels: NDArray[Any], *, order: str = "<", big: bool = False, change: Sequence[Entry] = (),
    drop: Sequence[int] = (), strips: Sequence[bytes] | None = None, following: int = 0,
) -> bytes:  # fmt: skip
    """A TIFF in strips of 16 rows, its data behind the directory; `change` replaces or adds entries."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if strips is None:
        strips = [pixels[top : top + 16].tobytes() for top in range(0, height, 16)]
    values: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [8 * pixels.itemsize] * samples), 259: (SHORT, [1]),
        262: (SHORT, [2 if samples == 3 else 1]), 273: (LONG, [0] * len(strips)), 277: (SHORT, [samples]),
        278: (LONG, [16]), 279: (LONG, [len(strip) for strip in strips]),
    }  # fmt: skip
    values |= {tag: (kind, value) for tag, kind, value in change}
    values = {tag: value for tag, value in sorted(values.items()) if tag not in drop}
    head = 16 if big else 8
    room = head + (8 + 20 * len(values) + 8 if big else 2 + 12 * len(values) + 4)
    sizes = {SHORT: "H", LONG: "I", LONG8: "Q"}
    for _ in range(2):  # the second time it is known where the strips will lie
        at, outside = room, b""
        directory = struct.pack(order + ("Q" if big else "H"), len(values))
        for tag, (kind, value) in values.items():
            body = struct.pack(f"{order}{len(value)}{sizes[kind]}", *value)
            place = body.ljust(8 if big else 4, b"\0")
            if len(body) > (8 if big else 4):
                place = struct.pack(order + ("Q" if big else "I"), at + len(outside))
                outside += body
            directory += (
                struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(value)) + place[: 8 if big else 4]
            )
        start = room + len(outside)
        if 273 in values and not any(tag == 273 for tag, *_ in change):
            starts = [start + sum(map(len, strips[:number])) for number in range(len(strips))]
            values[273] = (LONG, starts)
    letters = b"II" if order == "<" else b"MM"
    first = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    end = struct.pack(order + ("Q" if big else "I"), following)
    return letters + first + directory + end + outside + b"".join(strips)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_plain_one(photo: NDArray[np.uint8], order: str) -> None:
    assert (decode(tiff(photo, order=order)).pixels == photo).all()
    packed = [zlib.compress(photo[top : top + 16].tobytes()) for top in range(0, 64, 16)]
    for compression in (8, 32946):
        data = tiff(photo, order=order, strips=packed, change=[(259, SHORT, [compression])])
        assert (decode(data).pixels == photo).all()


def test_big_ones(photo: NDArray[np.uint8]) -> None:
    assert (decode(tiff(photo, big=True)).pixels == photo).all()
    with pytest.raises(UnsupportedImageError, match="a big-endian BigTIFF"):
        decode(tiff(photo, big=True, order=">"))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", "raw"])
def test_compressions_that_are_taken(photo: NDArray[np.uint8], encoded: Encode, compression: str) -> None:
    assert (decode(encoded(photo, "TIFF", compression=compression)).pixels == photo).all()


@pytest.mark.parametrize(
    ("number", "says"),
    [(50001, "WebP"), (34887, "LERC"), (34712, "JPEG 2000"), (52546, "JPEG XL"), (34661, "JBIG"),
     (32809, "ThunderScan"), (12345, r"unknown \(12345\)"), (7, "fax or JPEG"), (6, "fax or JPEG"), (3, "fax or JPEG")],
)  # fmt: skip
@pytest.mark.parametrize("big", [False, True])
def test_compressions_that_are_not(
    photo: NDArray[np.uint8], number: int, says: str, big: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnsupportedImageError, match=f"a TIFF with {says} compression"):
        decode(tiff(photo, change=[(259, SHORT, [number])], big=big))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("f4", [(339, SHORT, [3, 3, 3])], "floating-point samples of 32 32 32 bits"),
        ("f8", [(339, SHORT, [3, 3, 3])], "floating-point samples of 64 64 64 bits"),
        ("f2", [(339, SHORT, [3, 3, 3])], "floating-point samples of 16 16 16 bits"),
        ("i2", [(339, SHORT, [2, 2, 2])], "signed samples of 16 16 16 bits"),
        ("u4", [], "whole samples of 32 32 32 bits"),
        ("c8", [(339, SHORT, [6, 6, 6])], "complex samples"),
        ("u1", [(258, SHORT, [5, 6, 5])], "samples of 5 6 5 bits"),
        ("u1", [(262, SHORT, [32845])], "photometric interpretation 32845"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_that_are_not_taken(
    photo: NDArray[np.uint8], kind: str, change: list[Entry], says: str, order: str
) -> None:
    with pytest.raises(UnsupportedImageError, match=says):
        decode(tiff(photo.astype(order + kind), change=change, order=order))


def test_colors_that_viewers_read_differently(photo: NDArray[np.uint8]) -> None:
    for sampling in ([1, 1], [2, 2]):
        with pytest.raises(UnsupportedImageError, match="in YCbCr"):
            decode(tiff(photo, change=[(262, SHORT, [6]), (530, SHORT, sampling)]))
    entries = [(258, SHORT, [8]), (262, SHORT, [3]), (277, SHORT, [1])]
    index, ramp = photo[..., 0], np.arange(256)
    wide = decode(tiff(index, change=[*entries, (320, SHORT, [*np.tile(ramp * 257, 3)])]))
    assert (wide.pixels == index[..., None]).all()
    with pytest.raises(UnsupportedImageError, match="palette has 8 bits"):
        decode(tiff(index, change=[*entries, (320, SHORT, [*np.tile(ramp, 3)])]))


@pytest.mark.parametrize(
    "change",
    [
        {"change": [(273, LONG, [200])]},  # one strip of four
        {"drop": [273]},
        {"change": [(279, LONG, [4608, 4608, 4608])]},
        {"change": [(279, LONG, [4608, 4608, 4608, 4607])]},
        {"change": [(279, LONG, [4608, 4608, 4608, 10**9])]},
        {"change": [(273, LONG, [200, 300, 400, 10**9])]},
        {"change": [(273, LONG8, [200, 300, 400, 2**64 - 5])], "big": True},
        {"change": [(278, LONG, [0])]},
        {"change": [(256, LONG, [0])]},
        {"change": [(322, LONG, [32]), (323, LONG, [32]), (324, LONG, [200])]},
    ],
)
def test_strips_that_are_missing_or_elsewhere(photo: NDArray[np.uint8], change: dict[str, Any]) -> None:
    with pytest.raises(DamagedImageError):
        decode(tiff(photo, **change))


def test_a_file_of_strips_that_is_cut(photo: NDArray[np.uint8]) -> None:
    data = tiff(photo)
    for length in range(1, len(data), 97):
        with pytest.raises(ImageError):
            decode(data[:length])


@pytest.mark.parametrize("compression", [5, 8, 32773, 34925, 50000])
def test_packed_strips_that_end_early_or_are_spoiled(
    photo: NDArray[np.uint8], encoded: Encode, compression: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """libtiff says so, and writes it to standard error, too."""
    kinds = {5: "tiff_lzw", 8: "tiff_adobe_deflate", 32773: "packbits", 34925: "lzma", 50000: "zstd"}
    data = encoded(photo, "TIFF", compression=kinds[compression])
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    start, length = image.tag_v2[273][0], image.tag_v2[279][0]
    halved = tiff(
        photo, strips=[data[start : start + length // 2]], change=[(259, SHORT, [compression]), (278, LONG, [64])]
    )
    with pytest.raises(DamagedImageError):
        decode(halved)
    spoiled = data[:start] + b"\xff" * 40 + data[start + 40 :]
    if compression != 32773:  # of which any bytes are something
        with pytest.raises(DamagedImageError):
            decode(spoiled)
    assert capfd.readouterr().err == ""


def test_libtiff_speaks_again_elsewhere(photo: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]) -> None:
    """Its handler is the process's; the host's own reading stays as it was."""
    data = tiff(photo, strips=[b"xx"], change=[(259, SHORT, [8]), (278, LONG, [64])])
    with pytest.raises(DamagedImageError):
        decode(data)
    with QuietLibtiff(), pytest.raises(DamagedImageError):
        decode(data)
    assert capfd.readouterr().err == ""
    with pytest.raises(OSError, match="decoder error"):
        Image.open(io.BytesIO(data)).load()
    assert "ZIPDecode" in capfd.readouterr().err


def test_pages_and_doubles(photo: NDArray[np.uint8]) -> None:
    with pytest.raises(AnimatedImageError, match="several frames or pages"):
        decode(tiff(photo, following=8))
    with pytest.raises(DamagedImageError, match="tag 259 twice"):
        decode(tiff(photo, change=[(260, SHORT, [5])]).replace(struct.pack("<H", 260), struct.pack("<H", 259)))
    with pytest.raises(DamagedImageError, match="tag 258 lies beyond the end"):
        decode(tiff(photo).replace(struct.pack("<HHI", 258, 3, 3), struct.pack("<HHI", 258, 3, 10**9)))


def test_tiles_far_larger_than_the_picture(photo: NDArray[np.uint8]) -> None:
    size = [(322, LONG, [9_000]), (323, LONG, [9_000]), (324, LONG, [8]), (325, LONG, [9])]
    with pytest.raises(LimitError, match="96 x 64 pixels in tiles of 9000 x 9000"):
        decode(tiff(photo, change=size, drop=[273, 278, 279]))


def test_tiles(photo: NDArray[np.uint8]) -> None:
    tiles = [photo[y : y + 32, x : x + 32].tobytes() for y in (0, 32) for x in (0, 32, 64)]
    change = [(259, SHORT, [8]), (322, LONG, [32]), (323, LONG, [32])]
    packed = [zlib.compress(tile) for tile in tiles]
    data = tiff(photo, strips=packed, change=change)
    moved = data.replace(struct.pack("<H", 273) + b"\4\0", struct.pack("<H", 324) + b"\4\0")
    moved = moved.replace(struct.pack("<H", 279) + b"\4\0", struct.pack("<H", 325) + b"\4\0")
    assert (decode(moved).pixels == photo).all()


def test_numbers_that_would_take_the_memory_are_refused_before_it_is_taken() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    for samples in (2**16, 2**31, 2**32 - 1):
        with pytest.raises(DamagedImageError, match="samples a pixel"):
            decode(tiff(pixels, change=[(277, LONG, [samples])]))


@pytest.mark.parametrize("kind", [1, 2, 7, 12])
def test_tags_that_share_what_lies_in_the_file_are_refused_where_they_are_many(kind: int) -> None:
    """Pillow has a copy of each: a file of some megabytes took gigabytes."""
    private = [(60000 + each, LONG, [0]) for each in range(5)]
    data = bytearray(tiff(np.zeros((64, 64, 3), np.uint8), change=private))
    count = 9000 // (8 if kind == 12 else 1)
    for tag, *_ in private:
        struct.pack_into("<HII", data, data.index(struct.pack("<HH", tag, LONG)) + 2, kind, count, 8)
    with pytest.raises(DamagedImageError, match="more values than the file has room for"):
        decode(bytes(data))
    for tag, *_ in private[1:]:
        struct.pack_into("<HII", data, data.index(struct.pack("<HH", tag, kind)) + 2, LONG, 1, 0)
    assert decode(bytes(data)).pixels.shape == (64, 64, 3)
