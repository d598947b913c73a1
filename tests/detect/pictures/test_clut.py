"""Look-up tables of profiles: as browsers read them and as LittleCMS does, and what neither may hide."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from making import SRGB as SRGB_PRIMARIES
from making import lut_profile, lut_tag, matrix_profile, table_profile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from detect.errors import UnsupportedImageError
from detect.pictures.clut import read_clut, to_xyz
from detect.pictures.color import of_grey_or_ink, settle, to_srgb

KINDS = (b"mft1", b"mft2", b"mAB ")
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


def saddle(channels: int = 3) -> NDArray[np.float64]:
    """Half light where all channels are alike, and black at every other corner; without color."""
    grid = np.zeros((2,) * channels + (3,))
    grid[..., 1:] = 128 / 255
    grid[(0,) * channels + (0,)] = grid[(1,) * channels + (0,)] = 0.5
    return grid


def smooth(points: int = 17) -> NDArray[np.float64]:
    """What sRGB shows, in Lab of 8 bits."""
    steps = np.round(np.linspace(0, 255, points)).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    seen = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform)).astype(np.uint8)
    seen[..., 1:] ^= 0x80  # Pillow has a and b with a sign
    return (seen / 255).reshape(points, points, points, 3)


def grey_of(lightness: float) -> float:
    """The level of sRGB of a lightness in 0..100 (CIE 15 and IEC 61966-2-1)."""
    root = (lightness + 16) / 116
    light = root**3 if root > 6 / 29 else lightness / 903.3
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_between_the_corners_is_seen(kind: bytes) -> None:
    """Four corners of a cell make one flat grey of this, all eight a picture: so browsers show it."""
    settled = settle(GREYS, [table_profile({b"A2B0": lut_tag(saddle(), kind)}, version=4)], "picture")
    expected = [grey_of(50 * (t**3 + (1 - t) ** 3)) for t in np.arange(256) / 255]
    assert np.abs(settled.pixels[0] - np.array(expected)[:, None]).max() <= 2
    assert np.ptp(settled.pixels[0, :, 0]) > 80
    assert any(np.ptp(other[0, :, 0]) <= 2 and other[0, 0, 0] > 100 for other in settled.others)  # LittleCMS
    assert any((other == GREYS).all() for other in settled.others)


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_tables_are_taken_and_are_the_same_to_all(astronaut: NDArray[np.uint8], kind: bytes) -> None:
    pixels = np.ascontiguousarray(astronaut[::4, ::4])
    icc = table_profile({b"A2B0": lut_tag(smooth(), kind)}, version=4 if kind == b"mAB " else 2)
    settled = settle(pixels, [icc], "picture")
    converted = to_srgb(Image.fromarray(pixels), icc)
    assert converted is not None
    off = np.abs(settled.pixels.astype(int) - np.asarray(converted))
    assert np.quantile(off, 0.999) <= 3
    assert off.mean() < 1
    assert settled.pixels.std() > 50


def test_both_tables_of_a_profile_are_judged_and_browsers_go_by_the_first() -> None:
    flat = np.full((2, 2, 2, 3), 128 / 255)
    tags = {b"A2B1": lut_tag(flat, b"mft1"), b"A2B0": lut_tag(saddle(), b"mft1")}
    settled = settle(GREYS, [table_profile(tags)], "picture")
    assert np.ptp(settled.pixels[0, :, 0]) > 80
    swapped = settle(GREYS, [table_profile({b"A2B1": tags[b"A2B0"], b"A2B0": tags[b"A2B1"]})], "picture")
    assert np.ptp(swapped.pixels[0, :, 0]) == 0
    assert any(np.ptp(other[0, :, 0]) > 80 for other in swapped.others[:-1])


def test_a_table_that_hangs_on_how_finely_one_reckons_is_refused() -> None:
    jumps = (np.arange(4096) % 2).astype(np.float64)
    icc = table_profile({b"A2B0": lut_tag(smooth(5), b"mft2", behind=jumps)})
    with pytest.raises(UnsupportedImageError, match="no two viewers read alike"):
        settle(GREYS, [icc], "picture")


def test_stages_by_hand() -> None:
    """Curves that square, a matrix that swaps and adds, and both encodings: ICC.1:2022, 10.12 and 6.3.4.2."""
    square = b"curv\0\0\0\0" + struct.pack(">IHH", 1, 512, 0)
    matrix = b"".join(struct.pack(">i", round(65536 * each)) for each in (0, 1, 0, 1, 0, 0, 0, 0, 1, 0.25, 0, 0))
    plain = b"curv" + bytes(8)
    tag = b"mAB \0\0\0\0\3\3\0\0" + struct.pack(">5I", 32, 68, 116, 0, 0) + plain * 3 + matrix + square * 3
    levels = np.array([[51, 102, 255]], np.uint8)
    clut = read_clut(tag, 3, lab=False)
    assert clut is not None
    assert to_xyz(clut, levels)[0] == pytest.approx(np.array([0.41, 0.04, 1]) * 65535 / 32768, abs=1e-4)
    clut = read_clut(tag, 3, lab=True)
    assert clut is not None
    assert to_xyz(clut, levels)[0, 1] == pytest.approx(((41 + 16) / 116) ** 3, abs=1e-4)


BROKEN = {
    "another kind": lambda tag: b"mBA " + tag[4:],
    "nine channels": lambda tag: tag[:8] + b"\x09" + tag[9:],
    "two outputs": lambda tag: tag[:9] + b"\2" + tag[10:],
    "cut short": lambda tag: tag[:-1],
    "no more than its head": lambda tag: tag[:33],
}


@pytest.mark.parametrize("kind", [b"mft1", b"mft2"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_no_table_is_refused(kind: bytes, broken: object) -> None:
    assert callable(broken)
    tag = broken(lut_tag(saddle(), kind))
    assert read_clut(tag, 3, lab=True) is None
    with pytest.raises(UnsupportedImageError, match="look-up tables"):
        settle(GREYS, [table_profile({b"A2B0": tag})], "picture")


@pytest.mark.parametrize(
    ("at", "value"), [(12, 0), (12, 9999), (16, 40), (20, 40), (24, 0), (24, 9999), (28, 0), (28, 9999)]
)
def test_stages_that_are_not_there(at: int, value: int) -> None:
    tag = lut_tag(saddle(), b"mAB ")
    assert read_clut(tag, 3, lab=True) is not None
    assert read_clut(tag[:at] + struct.pack(">I", value) + tag[at + 4 :], 3, lab=True) is None


def test_grey_by_tables_and_by_a_curve() -> None:
    image = Image.fromarray(GREYS[..., 0])
    rising, flat = np.full((2, 3), 128 / 255), np.full((2, 3), 128 / 255)
    rising[:, 0] = (0.45, 0.55)
    tags = {b"A2B0": lut_tag(rising, b"mft1"), b"A2B1": lut_tag(flat, b"mft1")}
    tags[b"kTRC"] = b"curv\0\0\0\0" + struct.pack(">IHH", 1, 256, 0)
    first, *others = of_grey_or_ink(image, table_profile(tags, b"GRAY"), "picture")
    assert first[0, [0, 255], 0] == pytest.approx([grey_of(45), grey_of(55)], abs=2)
    assert any(np.ptp(other[..., 0]) == 0 for other in others)
    assert any(other[0, 64, 0] == pytest.approx(137, abs=1) for other in others)  # by the curve: linear light
    assert of_grey_or_ink(image, matrix_profile(SRGB_PRIMARIES, 2.2), "picture") == []


def test_ink_is_also_judged_as_chromium_shows_it() -> None:
    """Which makes RGB of it first, so that no black is left for the table."""
    by_black = np.zeros((2, 2, 2, 2, 3))
    by_black[..., 1:] = 128 / 255
    by_black[..., 0, 0] = 1  # white without black, whatever the other inks are
    by_black[1, 1, 1, 0, 0] = 0.5
    ink = np.zeros((1, 2, 4), np.uint8)
    ink[0, 1, 3] = 255
    icc = table_profile({b"A2B0": lut_tag(by_black, b"mft1")}, b"CMYK")
    printed, without = of_grey_or_ink(Image.fromarray(ink, "CMYK"), icc, "picture")
    assert printed[0, :, 0].tolist() == [255, 0]
    assert without[0, :, 0] == pytest.approx([255, grey_of(50)], abs=2)


def test_curves_of_three_colors_are_for_ink_in_chromium_and_never_for_grey() -> None:
    linear = matrix_profile(SRGB_PRIMARIES, 1.0)
    grey, ink = (linear.replace(b"RGB XYZ ", space + b"XYZ ", 1) for space in (b"GRAY", b"CMYK"))
    assert of_grey_or_ink(Image.new("L", (2, 2)), grey, "picture") == []
    (shown,) = of_grey_or_ink(Image.new("CMYK", (2, 2), (0, 0, 0, 191)), ink, "picture")
    assert shown[0, 0] == pytest.approx([137] * 3, abs=1)


def test_pixels_of_two_strips_come_out_in_place() -> None:
    """More than are reckoned at a time."""
    pixels = np.tile(GREYS, (1200, 1, 1))
    shown = settle(pixels, [lut_profile(np.round(saddle() * 255).astype(np.uint8).reshape(8, 3))], "picture").pixels
    assert (shown == shown[:1]).all()
