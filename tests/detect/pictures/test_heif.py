"""AVIF and HEIC: what the container says against what the codec says, before anything is decoded."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from encoding import Encode
from heif_files import Part, box, clap, full, grid_of, ispe, read
from numpy.typing import NDArray

from detect.errors import AnimatedImageError, DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures import av1, hevc
from detect.pictures.heif import check_items
from detect.pictures.still import decode

KINDS = ["AVIF", "HEIF"]
CONFIGURATION = {"AVIF": b"av1C", "HEIF": b"hvcC"}


@pytest.fixture(scope="module")
def square(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """64 x 64 of the portrait: whole blocks, of which HEVC needs no crop."""
    return np.ascontiguousarray(astronaut[80:144, 200:264])


def refused(data: bytes, kind: str, error: type[ImageError], says: str, *, cap: int = 10_000_000) -> None:
    """Refused by the check alone, before a decoder is there, and by `decode`."""
    with pytest.raises(error, match=says):
        check_items(data, kind, "p", cap)
    with pytest.raises(ImageError):
        decode(data, max_pixels=cap)


def near(shown: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> bool:
    """The same but for halved chrominance, which is spread over the edges of crops and tiles in other ways."""
    return shown.shape == wanted.shape and bool(np.abs(shown.astype(int) - wanted).mean() < 2)


def see_through(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([image, np.arange(image.shape[1], dtype=np.uint8)[None].repeat(len(image), axis=0)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64), (61, 93), (1, 1), (64, 40)])
def test_what_is_put_together_again_is_the_same(
    astronaut: NDArray[np.uint8], encoded: Encode, kind: str, shape: tuple[int, int]
) -> None:
    image = np.ascontiguousarray(astronaut[: shape[0], : shape[1]])
    for pixels in (image, see_through(image)):
        data = encoded(pixels, kind)
        shown = decode(data).pixels
        assert shown.shape == pixels.shape
        assert (decode(read(data).build()).pixels == shown).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_of_another_size_than_announced(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    for size in ((32, 32), (64, 65), (128, 64)):
        file.parts[1].put(ispe(*size))
        refused(
            file.build(), kind, DamagedImageError, f"64 x 64 coded pixels where {size[0]} x {size[1]} are announced"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_over_the_cap_behind_a_small_size(encoded: Encode, kind: str) -> None:
    data = encoded(np.zeros((640, 640, 3), np.uint8), kind)
    file = read(data)
    file.parts[1].put(ispe(100, 100))
    refused(file.build(), kind, LimitError, "640 x 640 coded pixels are over the cap", cap=400_000)


@pytest.mark.parametrize("kind", KINDS)
def test_transparency_of_another_size_than_announced(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file, large = read(encoded(see_through(square), kind)), read(encoded(see_through(square.repeat(2, axis=0)), kind))
    assert decode(file.build()).pixels.shape == (64, 64, 4)
    alpha, configuration = file.parts[2], CONFIGURATION[kind]
    alpha.body = large.parts[2].body
    alpha.put(large.parts[2].find(configuration), essential=True)
    refused(file.build(), kind, DamagedImageError, "64 x 128 coded pixels where 64 x 64 are announced")
    alpha.put(ispe(64, 128))
    refused(file.build(), kind, DamagedImageError, "transparency of 64 x 128 pixels for 64 x 64")


@pytest.mark.parametrize("kind", KINDS)
def test_colors_multiplied_by_transparency(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    sound = see_through(square)
    sound[..., :3] = np.round(sound[..., :3] * (sound[..., 3:] / 255))
    faint = np.dstack([square, np.full(square.shape[:2], 10, np.uint8)])  # colours above their alpha
    for pixels in (sound, faint):
        file = read(encoded(pixels, kind))
        plain = decode(file.build())
        file.references.append((b"prem", 1, [2]))
        shown = decode(file.build())
        assert (shown.pixels[..., 3] == plain.pixels[..., 3]).all()
        on_black = plain.pixels[..., :3] if plain.beneath is None else plain.beneath
        assert (shown.readings[0].pixels == on_black).all()
        there = shown.pixels[..., 3] > 0
        wanted = np.minimum(on_black[there] * 255.0 / shown.pixels[there][:, 3:], 255)
        assert np.abs(shown.pixels[there][:, :3] - wanted).max() <= 0.5
        assert not shown.pixels[~there].any()


def test_an_aperture_and_turns(square: NDArray[np.uint8], encoded: Encode) -> None:
    file = read(encoded(square, "HEIF"))
    part = file.parts[1]
    whole = decode(file.build()).pixels
    plain = list(part.properties)
    cases = [
        ([clap(32, 1, 16, 1, 16, 1, -8, 1)], whole[16:32, 32:64]),
        ([clap(33, 1, 17, 1, 1, 2, -1, 2)], whole[23:40, 16:49]),
        ([box(b"irot", b"\1")], np.rot90(whole)),
        ([clap(32, 1, 16, 1, 16, 1, -8, 1), box(b"irot", b"\1")], np.rot90(whole[16:32, 32:64])),
    ]
    for turns, shown in cases:
        part.properties = [*plain, *((turn, True) for turn in turns)]
        assert near(decode(file.build()).pixels, shown)
    for turns in ([box(b"irot", b"\1"), clap(32, 1, 16, 1, 0, 1, 0, 1)], [box(b"imir", b"\0"), box(b"irot", b"\1")],
                  [box(b"irot", b"\1"), box(b"irot", b"\2")]):  # fmt: skip
        part.properties = [*plain, *((turn, True) for turn in turns)]
        refused(file.build(), "HEIF", UnsupportedImageError, "in an order that viewers do not agree on")
    for values in ((65, 1, 16, 1, 0, 1, 0, 1), (32, 1, 16, 1, 17, 1, 0, 1), (32, 1, 16, 1, 1, 2, 0, 1),
                   (0, 1, 16, 1, 0, 1, 0, 1), (32, 0, 16, 1, 0, 1, 0, 1), (65, 2, 16, 1, 0, 1, 0, 1)):  # fmt: skip
        part.properties = [*plain, (clap(*values), True)]
        refused(file.build(), "HEIF", DamagedImageError, "a clean aperture")


@pytest.mark.parametrize("wide", [False, True])
def test_a_cropped_avif(square: NDArray[np.uint8], encoded: Encode, wide: bool) -> None:
    file = read(encoded(square, "AVIF"))
    file.wide_meta = wide
    assert decode(file.build()).pixels.shape == (64, 64, 3)
    file.parts[1].put(clap(32, 1, 32, 1, 0, 1, 0, 1), essential=True)
    refused(file.build(), "AVIF", UnsupportedImageError, "cropped by a clean aperture")


@pytest.mark.parametrize("kind", KINDS)
def test_grids(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    tile = read(encoded(square, kind))
    one = decode(tile.build()).pixels
    file = grid_of(tile, rows=2, columns=3, width=190, height=120)
    assert near(decode(file.build()).pixels, np.tile(one, (2, 3, 1))[:120, :190])
    for change, error, says in (
        ({"rows": 2, "columns": 3, "width": 193, "height": 120}, DamagedImageError, "tiles do not fill"),
        ({"rows": 40, "columns": 100, "width": 64, "height": 64}, LimitError, "tiles of 64 x 64 pixels for a picture"),
        ({"rows": 50, "columns": 50, "width": 3200, "height": 3200}, LimitError, "over the cap"),
    ):
        refused(grid_of(tile, **change).build(), kind, error, says)  # type: ignore[arg-type]
    file.parts[4].put(ispe(32, 64))
    refused(file.build(), kind, DamagedImageError, "a grid of unequal tiles")
    file.parts[4].put(ispe(64, 64))
    for references in ([(b"dimg", 1, [2, 3, 4, 5, 6])], [], [(b"dimg", 1, [2, 3, 4, 5, 6, 99])]):
        file.references = references
        refused(file.build(), kind, DamagedImageError, "a grid that does not fit|without size")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_of_another_size_than_announced(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = grid_of(read(encoded(square, kind)), rows=1, columns=2, width=128, height=64)
    large = read(encoded(square.repeat(2, axis=0), kind)).parts[1]
    if kind == "AVIF":  # sequence headers lie in the data, parameter sets in the configuration
        file.parts[3].body = large.body
    else:
        file.parts[3].put(large.find(CONFIGURATION[kind]), essential=True)
    refused(file.build(), kind, DamagedImageError, "64 x 128 coded pixels where 64 x 64 are announced")


@pytest.mark.parametrize("kind", KINDS)
def test_derived_pictures_that_viewers_do_not_agree_on(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = grid_of(read(encoded(square, kind)), rows=1, columns=1, width=64, height=64)
    for derived in (b"iovl", b"iden", b"unci", b"tmap"):
        file.parts[1].kind = derived
        refused(file.build(), kind, UnsupportedImageError, f"pictures of kind '{derived.decode()}'")
    file.parts[1].kind = b"grid"
    file.parts[2].put(box(b"irot", b"\1"), essential=True)
    refused(file.build(), kind, UnsupportedImageError, "turned one by one")


@pytest.mark.parametrize("kind", KINDS)
def test_properties(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    part = file.parts[1]
    plain = list(part.properties)
    part.put(box(b"abcd", b"x"))
    assert decode(file.build()).pixels.shape == (64, 64, 3)
    part.put(box(b"abcd", b"x"), essential=True)
    refused(file.build(), kind, UnsupportedImageError, "must be understood and is not known, 'abcd'")
    part.put(box(b"iscl", struct.pack(">4x4H", 1, 2, 1, 2)), essential=True)
    refused(file.build(), kind, UnsupportedImageError, "must be understood")
    part.properties = [pair for pair in plain if pair[0][4:8] != b"ispe"]
    refused(file.build(), kind, DamagedImageError, "without size or with two")
    part.properties = [*plain, (ispe(64, 63), False)]
    refused(file.build(), kind, DamagedImageError, "without size or with two")
    part.properties = [*plain, (ispe(64, 64) + b"", False)]
    refused(file.build(), kind, DamagedImageError, "without size or with two")
    part.properties = [pair for pair in plain if pair[0][4:8] != CONFIGURATION[kind]]
    refused(file.build(), kind, DamagedImageError, "without configuration")


@pytest.mark.parametrize("kind", KINDS)
def test_places(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    shown = decode(file.build()).pixels
    for inline, pieces in ((True, 1), (False, 3), (True, 7)):
        file.parts[1].inline, file.parts[1].pieces = inline, pieces
        assert (decode(file.build()).pixels == shown).all()
    data = file.build()
    at = data.index(b"iloc")
    for offset, new in ((13, 2), (24, 0x7F), (28, 0x7F)):  # construction method, offset and length of the first piece
        broken = data[: at + offset] + bytes([new]) + data[at + offset + 1 :]
        refused(broken, kind, DamagedImageError, "data are not in the file")
    file.parts[1].body = b""
    file.parts[1].pieces = 1
    refused(file.build(), kind, DamagedImageError, "data are not in the file")


@pytest.mark.parametrize("kind", KINDS)
def test_structure(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    data = file.build()
    start = data.index(b"meta") - 4
    meta = data[start : start + int.from_bytes(data[start : start + 4], "big")]
    refused(data + meta, kind, DamagedImageError, "not one meta box")
    refused(data.replace(b"meta", b"free"), kind, DamagedImageError, "not one meta box")
    refused(data.replace(b"pict", b"vide"), kind, DamagedImageError, "something else than pictures")
    refused(data + box(b"moov"), kind, AnimatedImageError, "several frames")
    assert decode(data + b"rubbish").pixels.shape == (64, 64, 3)
    for more, says in (
        (full(b"pitm", b"\0\1"), "not one pitm box"),
        (full(b"iref"), "two iref"),
        (struct.pack(">I4s", 99, b"free"), "does not fit"),
        (struct.pack(">I4s", 0, b"free"), "does not fit"),
        (struct.pack(">I4s", 4, b"free"), "does not fit"),
        (struct.pack(">I4sQ", 1, b"free", 2**63), "does not fit"),
        (b"abc", "does not fit"),
    ):
        file.more_meta = more
        refused(file.build(), kind, DamagedImageError, says)
    file.more_meta = box(b"free", b"x") + box(b"meta", bytes(4))  # one in the wrong place is nobody's
    assert decode(file.build()).pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_floods(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    file.more_meta = box(b"free") * 20_001
    refused(file.build(), kind, DamagedImageError, "more than 20,000 boxes")
    file.more_meta = b""
    for number in range(2, 4_099):
        file.parts[number] = Part(b"Exif", b"")
    refused(file.build(), kind, DamagedImageError, "more than 4,096 items")


@pytest.mark.parametrize("kind", KINDS)
def test_circles_are_not_followed(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = grid_of(read(encoded(square, kind)), rows=1, columns=1, width=64, height=64)
    file.references = [(b"dimg", 1, [1])]
    refused(file.build(), kind, DamagedImageError, "a grid of unequal tiles")


@pytest.mark.parametrize("kind", KINDS)
def test_one_item_of_several_pictures(square: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    file = read(encoded(square, kind))
    file.parts[1].body *= 2
    refused(file.build(), kind, AnimatedImageError, "several frames in one item")


class Writer:
    """Numbers bit by bit."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, *pairs: tuple[int, int]) -> Writer:
        for value, count in pairs:
            self.text += format(value, f"0{count}b") if count else ""
        return self

    def bytes(self) -> bytes:
        padded = self.text + "1"
        padded += "0" * (-len(padded) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")


def obu(kind: int, body: bytes, *, layer: int | None = None) -> bytes:
    head = bytes([kind << 3 | 2]) if layer is None else bytes([kind << 3 | 6, layer << 3])
    return head + bytes([len(body)]) + body


def long_header(*, timing: bool = False, ids: bool = False, hint: bool = True) -> bytes:
    """A sequence header that is not reduced: 64 x 48, its frames may have up to 16 bits a side."""
    bits = Writer().put((0, 3), (1, 1), (0, 1), (timing, 1))
    if timing:
        bits.put((1, 32), (25, 32), (0, 1), (1, 1), (9, 5), (1, 32), (4, 5), (6, 5))  # no equal interval, decoder model
    bits.put((0, 1), (0, 5), (0, 12), (8, 5), (0, 1))
    if timing:
        bits.put((1, 1), (0, 21))
    bits.put((15, 4), (15, 4), (63, 16), (47, 16), (ids, 1))
    if ids:
        bits.put((2, 4), (1, 3))
    bits.put((0, 7), (hint, 1), *([(0, 2)] if hint else []), (1, 1), (1, 1), *([(6, 3)] if hint else []))
    return obu(1, bits.put((0, 20)).bytes())


def key_frame(width: int, height: int, *, timing: bool = False, ids: bool = False, hint: bool = True) -> bytes:
    bits = Writer().put((0, 1), (0, 2), (1, 1))
    if timing:
        bits.put((3, 7))
    bits.put((0, 1), (1, 1), (0, 1))  # allow_screen_content_tools, then force_integer_mv
    if ids:
        bits.put((5, 6))
    bits.put((1, 1), (0, 7 * hint))  # frame_size_override_flag
    if timing:
        bits.put((1, 1), (2, 5))
    return obu(6, bits.put((width - 1, 16), (height - 1, 16), (0, 40)).bytes())


@pytest.mark.parametrize(
    "options", [{}, {"timing": True}, {"ids": True}, {"hint": False}, {"timing": True, "ids": True}]
)
def test_frames_that_override_the_size_of_their_sequence(options: dict[str, bool]) -> None:
    data = memoryview(long_header(**options) + key_frame(16384, 16000, **options))
    assert [frame[:2] for frame in av1.frames(data)] == [(64, 48), (16384, 16000)]


def test_layers_are_told_apart(square: NDArray[np.uint8], encoded: Encode) -> None:
    file = read(encoded(square, "AVIF"))
    file.parts[1].put(ispe(64, 48))
    first, second = key_frame(64, 48), key_frame(64, 48)
    file.parts[1].body = long_header() + first + second[:1].replace(b"\x32", b"\x36") + b"\x08" + second[1:]
    check_items(file.build(), "AVIF", "p", 10_000)
    file.parts[1].body = long_header() + first + second
    refused(file.build(), "AVIF", AnimatedImageError, "several frames")
    file.parts[1].body = long_header() + key_frame(4000, 4000)
    refused(file.build(), "AVIF", LimitError, "4000 x 4000 coded pixels")


@pytest.mark.parametrize(
    "data",
    [b"\x0a", b"\x0a\x05\x18", b"\x32\x01\x00", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x01\x18", b"\x0e",
     b"\x8a\x01\x00", b"\x12\x00" * 10_001],
)  # fmt: skip
def test_broken_bitstreams(square: NDArray[np.uint8], encoded: Encode, data: bytes) -> None:
    file = read(encoded(square, "AVIF"))
    file.parts[1].body = data
    refused(file.build(), "AVIF", DamagedImageError, "AV1|ends early")


def test_a_parameter_set_that_crops_nearly_all(square: NDArray[np.uint8], encoded: Encode) -> None:
    """Decoders make room for what is coded, and show what the conformance window leaves."""
    bits = Writer().put((0, 4), (0, 3), (1, 1), (0, 88), (0, 8))

    def ue(value: int) -> tuple[int, int]:
        return value + 1, 2 * (value + 1).bit_length() - 1

    bits.put(
        ue(0), ue(1), ue(8000), ue(8000), (1, 1), ue(0), ue((8000 - 64) // 2), ue(0), ue((8000 - 64) // 2), (0, 80)
    )
    unit = b"\x42\x01" + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", bits.bytes())  # 7.3.1.1, so that no unit begins in it
    record = b"\1" + bytes(20) + b"\3\1\x21\0\1" + struct.pack(">H", len(unit)) + unit
    found = hevc.of_item(memoryview(record), memoryview(b"\0\0\0\3\x26\1\x80"))
    assert (found.coded, found.cropped, found.begun) == ([(8000, 8000)], [(64, 64)], 1)
    file = read(encoded(square, "HEIF"))
    file.parts[1].put(box(b"hvcC", record), essential=True)
    refused(file.build(), "HEIF", DamagedImageError, "8000 x 8000 coded pixels of which 64 x 64 are shown")


@pytest.mark.parametrize("mark", [b"\0\0\1", b"\0\0\2"])
def test_a_unit_within_a_unit_is_refused(square: NDArray[np.uint8], encoded: Encode, mark: bytes) -> None:
    """FFmpeg lets another begin there, and goes by it; libde265 does not."""
    file = read(encoded(square, "HEIF"))
    hidden = bytes([50 << 1, 1]) + b"\5" + mark + b"\x44\1\xc0"
    file.parts[1].body = struct.pack(">I", len(hidden)) + hidden + file.parts[1].body
    refused(file.build(), "HEIF", DamagedImageError, "an HEVC unit within a unit")


def test_a_configuration_of_another_version_is_refused(square: NDArray[np.uint8], encoded: Encode) -> None:
    file = read(encoded(square, "HEIF"))
    record = file.parts[1].find(b"hvcC")
    file.parts[1].put(record[:8] + b"\2" + record[9:], essential=True)
    refused(file.build(), "HEIF", DamagedImageError, "an HEVC configuration of an unknown version")
