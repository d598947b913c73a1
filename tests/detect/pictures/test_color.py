"""Profiles: which are kept, which are applied, and what is judged twice."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from making import ADOBE, P3, PROPHOTO, SRGB, lut_profile, matrix_profile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from detect.errors import DamagedImageError, UnsupportedImageError
from detect.pictures.cicp import Cicp
from detect.pictures.color import is_plain, settle, settled_srgb
from detect.pictures.icc import parsed
from detect.pictures.still import decode


def shown(pixels: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """What a colour-managed viewer shows on an sRGB screen."""
    image: Image.Image | None = Image.fromarray(pixels[..., :3])
    if icc is not None:
        image = ImageCms.profileToProfile(
            Image.fromarray(pixels[..., :3]),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    return np.asarray(image)


def off(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other).max())


def hidden_in(astronaut: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Levels shuffled, and a tone curve that puts them back: the numbers show nothing, the colours all."""
    shuffle = (np.arange(256) * 37 % 256).astype(np.uint8)
    curve = np.zeros(256, np.uint16)
    curve[shuffle] = np.round((np.arange(256) / 255) ** 2.2 * 65535)
    return shuffle[astronaut], curve


def patched(icc: bytes, at: int, value: bytes) -> bytes:
    return icc[:at] + value + icc[at + len(value) :]


T = np.linspace(0, 1, 1024)
SRGB_TABLE = np.round(65535 * np.where(T <= 0.04045, T / 12.92, ((T + 0.055) / 1.055) ** 2.4)).astype(np.uint16)
LCMS = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PLAIN = {
    "sRGB by LittleCMS": LCMS,
    "sRGB by table": matrix_profile(SRGB, SRGB_TABLE),
    "sRGB 2.2": matrix_profile(SRGB, 2.2),
    "Display P3": matrix_profile(P3, SRGB_TABLE),
    "Adobe RGB": matrix_profile(ADOBE, 563 / 256),
    "with a private tag": matrix_profile(SRGB, 2.2, extra=b"SECRET" * 9),
    "with bytes behind it": matrix_profile(SRGB, 2.2, tail=b"SECRET"),
}


@pytest.mark.parametrize("icc", PLAIN.values(), ids=PLAIN)
def test_a_plain_profile_is_made_anew_and_shows_the_same(astronaut: NDArray[np.uint8], icc: bytes) -> None:
    pixels = np.ascontiguousarray(astronaut[::4, ::4])
    settled = settle(pixels, [icc], "picture")
    assert settled.pixels is pixels
    assert settled.others == ()
    assert settled.icc is not None
    assert off(shown(pixels, settled.icc), shown(pixels, icc)) <= 1
    assert settle(pixels, [settled.icc], "picture").icc == settled.icc


def test_nothing_of_a_profile_but_its_numbers_is_written() -> None:
    pixels = np.zeros((1, 1, 3), np.uint8)
    ours = settle(pixels, [PLAIN["sRGB 2.2"]], "picture").icc
    bare = PLAIN["sRGB 2.2"]
    between = bytearray(matrix_profile(SRGB, 2.2, extra=b"SECRET" * 9))
    between[between.index(b"priv") + 8 : between.index(b"priv") + 12] = struct.pack(">I", 8)  # all but its first bytes
    header = patched(bare, 4, b"SECR") + b"SECRET"
    for icc in (PLAIN["with a private tag"], PLAIN["with bytes behind it"], bytes(between), header):
        assert settle(pixels, [icc], "picture").icc == ours
    wobbly = np.round((np.arange(256) / 255) ** 2.2 * 65535) + np.random.default_rng(1).integers(-3, 4, 256)
    steganographic = matrix_profile(SRGB, np.clip(wobbly, 0, 65535).astype(np.uint16))
    assert settle(pixels, [steganographic], "picture").icc in (ours, None)


ODD = {
    "ProPhoto": matrix_profile(PROPHOTO, 1.8),
    "linear": matrix_profile(SRGB, 1.0),
    "red and blue swapped": matrix_profile(SRGB[::-1], 2.2),
    "good at every 51st level alone": matrix_profile(
        SRGB, np.where(np.arange(256) % 51 == 0, (np.arange(256) / 255) ** 2.2 * 65535, 0).astype(np.uint16)
    ),
}


@pytest.mark.parametrize("icc", ODD.values(), ids=ODD)
def test_any_other_profile_is_applied_and_the_bare_numbers_are_a_second_reading(
    astronaut: NDArray[np.uint8], icc: bytes
) -> None:
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    settled = settle(pixels, [icc], "picture")
    assert settled.icc is None
    assert off(settled.pixels, shown(pixels, icc)) <= 2
    (other,) = settled.others
    assert (other == pixels).all()


def test_transparency_survives_the_conversion(astronaut: NDArray[np.uint8]) -> None:
    rgba = np.dstack([astronaut[::8, ::8], np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)])
    settled = settle(rgba, [matrix_profile(PROPHOTO, 1.8)], "picture")
    assert (settled.pixels[..., 3] == rgba[..., 3]).all()
    assert (settled.others[0] == rgba).all()


BROKEN = {
    "illuminant off D50": patched(ODD["linear"], 68, struct.pack(">3i", 62289, 65536, 71372)),
    "unknown version": patched(ODD["linear"], 8, b"\x05"),
    "says it is longer": patched(ODD["linear"], 0, struct.pack(">I", 9999)),
    "a tag beyond its end": patched(ODD["linear"], 140, struct.pack(">I", 9999)),
    "another connection space": patched(ODD["linear"], 20, b"Luv "),
    "a last tag without a length": patched(ODD["linear"], 132 + 6 * 12 + 8, bytes(4)),  # Chromium 150 applies this one
}


@pytest.mark.parametrize("icc", BROKEN.values(), ids=BROKEN)
def test_a_profile_that_browsers_ignore_is_judged_both_ways(astronaut: NDArray[np.uint8], icc: bytes) -> None:
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    settled = settle(pixels, [icc], "picture")
    assert settled.icc is None
    assert (settled.pixels == pixels).all()
    if "tag beyond" not in str([name for name, each in BROKEN.items() if each == icc]):
        assert off(settled.others[0], shown(pixels, ODD["linear"])) <= 2


def test_a_profile_that_only_browsers_take_is_applied(astronaut: NDArray[np.uint8]) -> None:
    """LittleCMS takes no more than a hundred tags."""
    icc = ODD["linear"]
    entries, tags = icc[132 : 132 + 7 * 12], 120
    grown = 12 * (tags - 7)
    moved = b"".join(
        entries[at : at + 4] + struct.pack(">I", int.from_bytes(entries[at + 4 : at + 8], "big") + grown)
        + entries[at + 8 : at + 12] for at in range(0, 84, 12)
    )  # fmt: skip
    more = b"".join(struct.pack(">4sII", b"x%03d" % each, 144 + grown, 20) for each in range(tags - 7))
    many = struct.pack(">I", len(icc) + grown) + icc[4:128] + struct.pack(">I", tags) + moved + more + icc[216:]
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    settled = settle(pixels, [many], "picture")
    assert off(settled.pixels, shown(pixels, icc)) <= 2
    assert (settled.others[0] == pixels).all()


def test_look_up_tables_come_before_curves_and_both_are_judged(astronaut: NDArray[np.uint8]) -> None:
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    inverse = np.tile(np.array([[255 - 255 * (each >> 2), 128, 128] for each in range(8)], np.uint8), 1)
    settled = settle(pixels, [lut_profile(inverse)], "picture")
    assert settled.pixels[pixels[..., 0] > 200].mean() < 100  # the red channel upside down, and grey
    assert (settled.others[0] == pixels).all()
    truncated = patched(lut_profile(inverse), 144 + 8, b"\x09")  # nine channels
    with pytest.raises(UnsupportedImageError, match="look-up tables"):
        settle(pixels, [truncated], "picture")


@pytest.mark.parametrize("icc", [b"", b"short", b"\0" * 200, matrix_profile(SRGB, 2.2)[:140].ljust(300, b"\0")])
def test_what_is_no_rgb_profile_is_dropped(icc: bytes) -> None:
    pixels = np.full((2, 2, 3), 99, np.uint8)
    settled = settle(pixels, [icc], "picture")
    assert (settled.pixels == pixels).all()
    assert settled.icc is None
    assert settled.others == ()


def with_curve(icc: bytes, kind: int, numbers: tuple[float, ...]) -> bytes:
    """The same with a parametric curve for each channel."""
    tag = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(struct.pack(">i", round(n * 65536)) for n in numbers)
    grown = icc + tag
    for entry in range(132, 132 + 84, 12):
        if icc[entry + 1 : entry + 4] == b"TRC":
            grown = patched(grown, entry + 4, struct.pack(">II", len(icc), len(tag)))
    return patched(grown, 0, struct.pack(">I", len(grown)))


def test_light_beyond_white_is_judged_as_it_is_and_cut_off() -> None:
    """Chromium takes it through the matrix, LittleCMS cuts it before: red light twice as strong has green in it."""
    dull = ((0.5, 0.35), *SRGB[1:])  # a red that is half green
    doubled = with_curve(matrix_profile(dull, 2.2), 3, (1.0, 2.0, 0.0, 0.0, 0.0))
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    settled = settle(red, [doubled], "picture")
    cut = settle(red, [with_curve(matrix_profile(dull, 2.2), 3, (1.0, 1.0, 0.0, 0.0, 0.0))], "picture").pixels
    green, cut_green = (each[0, 0, 1] / 255 for each in (settled.pixels, cut))
    assert ((green + 0.055) / 1.055) ** 2.4 == pytest.approx(2 * ((cut_green + 0.055) / 1.055) ** 2.4, rel=0.02)
    assert off(settled.others[0], cut) <= 1
    assert (settled.others[-1] == red).all()


def test_a_profile_of_many_large_tags_is_not_held_once_for_each() -> None:
    tags, size = 20_000, 2**20
    entries = b"".join(struct.pack(">III", each, 132, size - 132) for each in range(tags))
    icc = matrix_profile(SRGB, 2.2)[:128] + struct.pack(">I", tags) + entries
    tracemalloc.start()
    parsed(icc.ljust(size, b"\0"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * size  # 20,000 times, before


def test_black_stays_black_whatever_the_power() -> None:
    """Chromium shows a picture of black and of all else by a power of nothing."""
    flat = with_curve(matrix_profile(SRGB, 2.2), 0, (0.0,))
    settled = settle(np.array([[[0, 0, 0], [1, 0, 0], [9, 99, 200]]], np.uint8), [flat], "picture")
    assert settled.pixels.tolist() == [[[0, 0, 0], [255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("numbers", [(-2.0, 1, 0, 0, 0), (2.4, -1, 0, 0, 0), (2.4, 1, 0, -1, 0), (2.4, 1, -1, 0, 0.5)])
def test_curves_that_may_fall_are_refused(numbers: tuple[float, ...]) -> None:
    """Chromium 156 takes the numbers for light then, where others take them as they are."""
    stream = io.BytesIO()
    icc = with_curve(matrix_profile(SRGB, 2.2), 3, numbers)
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(stream, "PNG", icc_profile=icc)
    with pytest.raises(DamagedImageError, match="a colour profile with a curve that may fall"):
        decode(stream.getvalue())


@pytest.mark.parametrize(("kind", "exact"), [(0, 50), (1, 100), (2, 100), (3, 100), (4, 100)])
def test_parametric_curves(kind: int, exact: int) -> None:
    """ICC.1:2022, table 68, by hand at level 128 of a curve that squares."""
    numbers = {
        0: (2.0,), 1: (2.0, 1.0, 0.0), 2: (2.0, 1.0, 0.0, 0.125), 3: (2.0, 1.0, 0.0, 0.5, 0.25),
        4: (2.0, 1.0, 0.0, 0.5, 0.25, 0.125, 0.0),
    }[kind]  # fmt: skip
    profile = parsed(with_curve(matrix_profile(SRGB, 2.2), kind, numbers))
    assert profile is not None
    assert profile.shaper is not None
    assert profile.shaper.curves[0, 128] == pytest.approx((128 / 255) ** 2 + (0.125 if kind in (2, 4) else 0))
    assert profile.shaper.curves[0, 0] == pytest.approx(0.125 if kind == 2 else 0)


def test_a_picture_that_only_its_profile_shows_is_judged_as_shown(astronaut: NDArray[np.uint8]) -> None:
    numbers, curve = hidden_in(astronaut)
    stream = io.BytesIO()
    Image.fromarray(numbers).save(stream, "PNG", icc_profile=matrix_profile(SRGB, curve))
    picture = decode(stream.getvalue())
    assert picture.icc is None
    assert np.abs(picture.pixels.astype(int) - astronaut).mean() < 4
    assert (picture.readings[0].pixels == numbers).all()


def test_a_jpeg_is_not_shrunk_before_its_profile_is_applied(astronaut: NDArray[np.uint8]) -> None:
    numbers, curve = hidden_in(astronaut)
    for icc, factor in ((matrix_profile(SRGB, curve), 1), (matrix_profile(SRGB, 2.2), 2), (b"", 2)):
        stream = io.BytesIO()
        Image.fromarray(numbers).save(stream, "JPEG", icc_profile=icc, quality=95)
        picture = decode(stream.getvalue(), spare=lambda height, width: 2)
        assert picture.pixels.shape[0] == 512 // factor
        if factor == 1:
            assert (picture.pixels == decode(stream.getvalue()).pixels).all()


def test_what_holds_no_profile_is_written_in_srgb(astronaut: NDArray[np.uint8]) -> None:
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    ours = settle(pixels, [PLAIN["Display P3"]], "picture").icc
    assert ours is not None
    assert off(settled_srgb(pixels, ours), shown(pixels, PLAIN["Display P3"])) <= 1
    rgba = np.dstack([pixels, pixels[..., 0]])
    assert (settled_srgb(rgba, ours)[..., 3] == pixels[..., 0]).all()
    assert settled_srgb(pixels, b"none") is pixels


def test_which_declarations_leave_the_numbers_alone() -> None:
    p3 = matrix_profile(P3, 2.2)
    assert is_plain([])
    assert is_plain([p3])
    assert is_plain([Cicp(1, 13), p3])
    assert is_plain([Cicp(12, 13)])
    assert not is_plain([p3, ODD["linear"]])
    assert not is_plain([Cicp(9, 16)])
    assert not is_plain([Cicp(9, 13)])
    assert not is_plain([Cicp(1, 9)])
