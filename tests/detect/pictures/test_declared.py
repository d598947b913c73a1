"""What files say of their colours: every number here is what Chromium 156 shows on an sRGB screen."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from encoding import Encode
from making import (
    P3,
    SRGB,
    Chunk,
    bmp,
    chrm,
    cicp,
    exif_block,
    gama,
    gif_with_profile,
    iccp,
    lut_profile,
    matrix_profile,
    png,
    with_segments,
    xmp_orientation,
)
from numpy.typing import NDArray
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.color import settled_srgb
from detect.pictures.still import Picture, decode

GREYS = np.repeat(np.array([[32, 64, 96, 128, 160, 192, 224, 255]], np.uint8)[..., None], 3, axis=2)
COLORS = np.array([[[160, 60, 0], [0, 160, 60], [60, 0, 160]]], np.uint8)
BARE = [32, 64, 96, 128, 160, 192, 224, 255]
LIGHT = [99, 137, 165, 188, 208, 225, 241, 255]  # as linear light
LINEAR = matrix_profile(SRGB, 1.0)
SRGB_CHUNK: Chunk = (b"sRGB", b"\0")
P3_CHUNK = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def clli(brightest: int) -> Chunk:
    """How bright it gets, cd/m² (PNG 3rd ed., 11.3.2)."""
    return b"cLLI", struct.pack(">II", brightest * 10_000, brightest * 5_000)


def mdcv(brightest: int) -> Chunk:
    """A screen in the primaries of P3 that gets so bright, cd/m²."""
    primaries = (34_000, 16_000, 13_250, 34_500, 7_500, 3_000, 15_635, 16_450)
    return b"mDCV", struct.pack(">8HII", *primaries, brightest * 10_000, 50)


def on_screen(picture: Picture) -> NDArray[np.int64]:
    pixels = picture.pixels[..., :3]
    return (pixels if picture.icc is None else settled_srgb(pixels, picture.icc)).astype(int)


GREY_CASES: dict[str, tuple[list[Chunk], list[int]]] = {
    "none": ([], BARE),
    "gAMA 1": ([gama(1)], LIGHT),
    "gAMA 0.45455": ([gama(0.45455)], BARE),
    "gAMA 0.4": ([gama(0.4)], [17, 50, 83, 117, 152, 186, 221, 255]),
    "gAMA 0.01": ([gama(0.01)], [0, 0, 0, 0, 0, 0, 0, 255]),
    "gAMA 0": ([gama(0)], BARE),
    "gAMA of all ones": ([(b"gAMA", b"\xff" * 4)], [255] * 8),
    "gAMA 100": ([gama(100)], [253, 253, 254, 254, 254, 255, 255, 255]),
    "gAMA too long": ([(b"gAMA", struct.pack(">IB", 100_000, 0))], BARE),
    "sRGB before gAMA": ([gama(1), SRGB_CHUNK], BARE),
    "an sRGB of no known intent": ([gama(1), (b"sRGB", b"\x09")], LIGHT),
    "cHRM alone": ([P3_CHUNK], BARE),
    "cHRM and gAMA": ([P3_CHUNK, gama(0.45455)], [26, 62, 96, 129, 161, 193, 225, 255]),
    "cHRM of zeros": ([chrm(*[0] * 8), gama(1)], BARE),
    "iCCP before gAMA": ([iccp(LINEAR), gama(0.45455)], LIGHT),
    "iCCP before sRGB": ([SRGB_CHUNK, iccp(LINEAR)], LIGHT),
    "a broken iCCP": ([iccp(b"x" * 200), gama(1)], LIGHT),
    "an iCCP that is not compressed": ([(b"iCCP", b"x\0\0junk"), gama(1)], LIGHT),
    "cICP before iCCP": ([iccp(matrix_profile(P3, 2.2)), cicp(1, 8, 0, 1)], LIGHT),
    "cICP of BT.709": ([cicp(1, 1, 0, 1)], [20, 54, 87, 121, 155, 189, 222, 255]),
    "cICP of gamma 2.2": ([cicp(1, 4, 0, 1)], [26, 62, 96, 129, 161, 193, 225, 255]),
    "cICP of SMPTE 240": ([cicp(1, 7, 0, 1)], [50, 81, 112, 141, 170, 199, 228, 255]),
    "cICP of PQ": ([cicp(9, 16, 0, 1)], [5, 30, 70, 132, 213, 255, 255, 255]),
    "cICP of PQ, cLLI of 300": ([cicp(9, 16, 0, 1), clli(300)], [9, 41, 92, 171, 255, 255, 255, 255]),
    "cICP of PQ behind cLLI of 4000": ([clli(4000), cicp(9, 16, 0, 1)], [5, 30, 70, 132, 202, 226, 250, 255]),
    "cICP of PQ, cLLI of 100": ([cicp(9, 16, 0, 1), clli(100)], [10, 44, 98, 181, 255, 255, 255, 255]),
    "cICP of PQ, mDCV of 400": ([cicp(9, 16, 0, 1), mdcv(400)], [8, 39, 88, 163, 249, 255, 255, 255]),
    "cICP of PQ, cLLI of 0": ([cicp(9, 16, 0, 1), clli(0), mdcv(400)], [8, 39, 88, 163, 249, 255, 255, 255]),
    "cICP of PQ, mDCV before cLLI": ([cicp(9, 16, 0, 1), mdcv(400), clli(4000)], [5, 30, 70, 132, 202, 226, 250, 255]),
    "cICP of PQ, two cLLI": ([cicp(9, 16, 0, 1), clli(300), clli(4000)], [9, 41, 92, 171, 255, 255, 255, 255]),
    "cICP of HLG, cLLI of 300": ([cicp(9, 18, 0, 1), clli(300)], [22, 58, 94, 129, 175, 242, 255, 255]),
    "cICP of HLG": ([cicp(9, 18, 0, 1)], [14, 43, 71, 99, 135, 189, 228, 255]),
    "cICP of narrow range": ([cicp(9, 16, 0, 0)], BARE),
    "cICP of narrow range, gAMA": ([cicp(1, 13, 0, 0), gama(1)], LIGHT),
    "cICP unspecified": ([cicp(2, 2, 0, 1), gama(1)], LIGHT),
    "cICP reserved": ([cicp(1, 3, 0, 1), gama(1)], LIGHT),
    "cICP too long": ([(b"cICP", bytes([1, 8, 0, 1, 0]))], BARE),
    "gAMA twice": ([gama(1), gama(0.45455)], LIGHT),
    "gAMA twice, the other way round": ([gama(0.45455), gama(1)], BARE),
    "cICP twice": ([cicp(1, 8, 0, 1), cicp(1, 13, 0, 1)], LIGHT),
    "iCCP twice": ([iccp(LINEAR), iccp(matrix_profile(P3, 2.2))], LIGHT),
}


@pytest.mark.parametrize(("chunks", "expected"), GREY_CASES.values(), ids=GREY_CASES)
def test_color_chunks_of_a_png(chunks: list[Chunk], expected: list[int]) -> None:
    picture = decode(png(GREYS, chunks))
    assert np.abs(on_screen(picture)[0, :, 0] - expected).max() <= 1
    if np.abs(np.array(expected) - BARE).max() > 16:  # far from the numbers, which are then judged as well
        assert min(np.abs(each.pixels.astype(int) - GREYS).max() for each in picture.readings) <= 8


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([P3_CHUNK, gama(0.45455)], [[175, 47, 0], [0, 165, 36], [64, 0, 168]]),
        ([P3_CHUNK, gama(1)], [[220, 129, 0], [0, 211, 126], [146, 0, 216]]),
        ([cicp(12, 13, 0, 1)], [[173, 50, 0], [0, 163, 41], [67, 0, 167]]),
        ([cicp(9, 16, 0, 1)], [[255, 0, 0], [0, 226, 0], [0, 0, 224]]),
        ([cicp(9, 18, 0, 1)], [[152, 12, 0], [0, 138, 24], [40, 0, 114]]),
        ([chrm(0.1, 0.1, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), gama(0.45455)], [[255, 0, 0], [0, 210, 87], [0, 87, 171]]),
    ],
)
def test_primaries_of_a_png(chunks: list[Chunk], expected: list[list[int]]) -> None:
    assert np.abs(on_screen(decode(png(COLORS, chunks)))[0] - expected).max() <= 1


@pytest.mark.parametrize("kind", ["grey", "grey and alpha", "palette", "16 bit", "16 bit grey"])
def test_every_kind_of_png_heeds_them(kind: str) -> None:
    grey = GREYS[..., 0]
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1).tobytes()
    for chunks in ([gama(1)], [iccp(LINEAR)], [cicp(1, 8, 0, 1)]):
        data = {
            "grey": lambda: png(grey, chunks),  # noqa: B023
            "grey and alpha": lambda: png(np.dstack([grey, np.full_like(grey, 255)]), chunks),  # noqa: B023
            "palette": lambda: png(grey, chunks, palette=palette),  # noqa: B023
            "16 bit": lambda: png(GREYS.astype(int) * 257, chunks, bits=16),  # noqa: B023
            "16 bit grey": lambda: png(grey.astype(int) * 257, chunks, bits=16),  # noqa: B023
        }[kind]()
        assert np.abs(on_screen(decode(data))[0, :, 0] - LIGHT).max() <= 1


def test_chunks_where_they_do_not_belong() -> None:
    for chunk in (gama(1), iccp(LINEAR), cicp(1, 8, 0, 1)):
        assert on_screen(decode(png(GREYS, behind_pixels=[chunk])))[0, :, 0].tolist() == BARE
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1).tobytes()
    late = decode(png(GREYS[..., 0], palette=palette, behind_palette=[cicp(1, 8, 0, 1)]))
    assert late.pixels[0, :, 0].tolist() == BARE
    assert np.abs(late.readings[0].pixels[0, :, 0].astype(int) - LIGHT).max() <= 1  # for whoever takes it


@pytest.mark.parametrize("points", [(1, 8, 1, 1), (1, 8, 0, 2)])
def test_code_points_that_no_png_may_have_are_refused(points: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedImageError, match="cICP"):
        decode(png(GREYS, [cicp(*points)]))


def test_code_points_that_no_browser_shows_are_refused() -> None:
    for points in ((1, 9, 0, 1), (1, 11, 0, 1), (10, 18, 0, 1)):
        with pytest.raises(UnsupportedImageError, match="no browser shows"):
            decode(png(GREYS, [cicp(*points)]))


def avif(pixels: NDArray[np.uint8], primaries: int, transfer: int, **options: object) -> bytes:
    stream = io.BytesIO()
    large = np.repeat(np.repeat(pixels, 16, axis=0), 16, axis=1)
    Image.fromarray(large).save(stream, "AVIF", quality=100, subsampling="4:4:4", **options)
    data = stream.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        (1, BARE), (2, BARE), (3, BARE), (4, [26, 62, 96, 129, 161, 193, 225, 255]),
        (5, [10, 40, 72, 106, 142, 179, 217, 255]),
        (6, BARE), (7, [50, 81, 112, 141, 170, 199, 228, 255]), (8, LIGHT), (13, BARE), (14, BARE), (15, BARE),
        (16, [5, 30, 70, 132, 213, 255, 255, 255]), (17, [15, 48, 83, 118, 154, 191, 228, 255]),
        (18, [14, 43, 71, 99, 135, 189, 228, 255]), (99, BARE),
    ],
)  # fmt: skip
def test_transfer_of_an_avif(transfer: int, expected: list[int]) -> None:
    shown = on_screen(decode(avif(GREYS, 1, transfer)))[8, 8::16, 0]
    assert np.abs(shown - expected).max() <= 2


def test_code_points_of_a_heic(encoded: Encode) -> None:
    large = np.repeat(np.repeat(GREYS, 16, axis=0), 16, axis=1)
    data = encoded(large, "HEIF", quality=100, chroma=444)
    at = data.index(b"colrnclx") + 8
    shown = on_screen(decode(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :]))[8, 8::16, 0]
    assert np.abs(shown - [5, 30, 70, 132, 213, 255, 255, 255]).max() <= 3


def test_a_profile_comes_before_code_points_and_both_are_judged() -> None:
    stream = io.BytesIO()
    large = np.repeat(np.repeat(GREYS, 16, axis=0), 16, axis=1)
    Image.fromarray(large).save(stream, "AVIF", quality=100, subsampling="4:4:4", icc_profile=LINEAR)
    data = stream.getvalue()
    assert b"colrnclx" in data
    at = data.index(b"colrnclx") + 8
    picture = decode(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
    shown = [each[8, 8::16, 0].astype(int) for each in (picture.pixels, *(one.pixels for one in picture.readings))]
    for expected, each in zip((LIGHT, [5, 30, 70, 132, 213, 255, 255, 255], BARE), shown, strict=True):
        assert np.abs(each - expected).max() <= 2


def test_an_avif_without_code_points_goes_by_its_stream() -> None:
    """Pillow's encoder announces sRGB in the stream, whatever a box is made to say later."""
    data = avif(GREYS, 9, 16).replace(b"colrnclx", b"freenclx")
    assert on_screen(decode(data))[8, 8::16, 0] == pytest.approx(BARE, abs=2)


def test_profiles_of_bmp_and_gif() -> None:
    assert np.abs(on_screen(decode(bmp(GREYS, space=b"DEBM", profile=LINEAR)))[0, :, 0] - LIGHT).max() <= 1
    assert on_screen(decode(bmp(GREYS, profile=LINEAR)))[0, :, 0].tolist() == BARE
    for data in (bmp(GREYS, space=b"\0\0\0\0", gamma=1), bmp(GREYS, header=108, space=b"\0\0\0\0", gamma=1)):
        picture = decode(data)  # Firefox heeds the gamma, Chromium does not
        assert picture.pixels[0, :, 0].tolist() == BARE
        assert np.abs(picture.readings[0].pixels[0, :, 0].astype(int) - LIGHT).max() <= 1
    picture = decode(gif_with_profile(GREYS, LINEAR))
    assert np.abs(picture.pixels[0, :, 0].astype(int) - BARE).max() <= 3
    assert np.abs(picture.readings[0].pixels[0, :, 0].astype(int) - LIGHT).max() <= 3


def test_a_webp_whose_profile_has_no_flag(encoded: Encode) -> None:
    data = bytearray(encoded(GREYS, "WEBP", lossless=True, icc_profile=LINEAR))
    assert np.abs(on_screen(decode(bytes(data)))[0, :, 0] - LIGHT).max() <= 1
    data[data.index(b"VP8X") + 8] &= ~0x20
    assert on_screen(decode(bytes(data)))[0, :, 0].tolist() == BARE


def test_what_a_tiff_says_of_its_curves_is_a_second_reading(encoded: Encode) -> None:
    picture = decode(encoded(GREYS, "TIFF", tiffinfo={301: tuple(range(0, 65536, 257)) * 3}))
    assert picture.pixels[0, :, 0].tolist() == BARE
    assert np.abs(picture.readings[0].pixels[0, :, 0].astype(int) - LIGHT).max() <= 1
    primaries = decode(
        encoded(COLORS, "TIFF", tiffinfo={319: (0.15, 0.06, 0.3, 0.6, 0.64, 0.33), 318: (0.3127, 0.329)})
    )
    assert primaries.pixels.tolist() == COLORS.tolist()
    assert primaries.readings[0].pixels[0, 0, 2] > 120  # red and blue have changed places


def test_grey_and_ink_with_profiles(encoded: Encode) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    grey = decode(encoded(ramp, "JPEG", icc_profile=LINEAR, quality=100))
    assert grey.pixels[8, 16, 0] == pytest.approx(137, abs=2)  # browsers apply a profile for RGB to grey
    cmyk = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2)).convert("CMYK")
    assert decode(encoded(cmyk, "JPEG", icc_profile=LINEAR, quality=100)).pixels[8, 16, 0] == pytest.approx(64, abs=2)
    white = np.full((16, 3), (255, 128, 128), np.uint8)
    inked = decode(encoded(cmyk, "JPEG", icc_profile=lut_profile(white, b"CMYK")))
    assert (inked.pixels > 250).all()
    assert np.abs(inked.readings[0].pixels[8, :, 0].astype(int) - ramp[8]).max() <= 6


def test_a_pillow_image_that_is_loaded_keeps_what_pillow_knows() -> None:
    for chunks, expected in (
        ([gama(1)], LIGHT),
        ([iccp(LINEAR)], LIGHT),
        ([gama(1), SRGB_CHUNK], BARE),
        ([gama(0.45455)], BARE),
    ):
        image = Image.open(io.BytesIO(png(GREYS, chunks)))
        image.load()
        assert np.abs(on_screen(decode(image))[0, :, 0] - expected).max() <= 1


CORNERS = np.zeros((24, 40, 3), np.uint8)
CORNERS[:12, :20], CORNERS[:12, 20:], CORNERS[12:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def first_row(picture: Picture) -> str:
    corners = picture.pixels[[3, 3], [3, -4]] > 128
    return "".join(
        {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B"}.get((int(each[0]), int(each[1]), int(each[2])), "-")
        for each in corners
    )


EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
TURNED, AS_IT_IS = "BR", "RG"


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([EXIF + exif_block(6)], TURNED),
        ([EXIF + exif_block(6), EXIF + exif_block(3)], TURNED),
        ([EXIF + exif_block(1), EXIF + exif_block(6)], AS_IT_IS),
        ([EXIF + b"junk", EXIF + exif_block(6)], AS_IT_IS),
        ([EXIF, EXIF + exif_block(6)], TURNED),
        ([EXIF + exif_block(6, kind=4)], AS_IT_IS),
        ([EXIF + exif_block(6, count=2)], AS_IT_IS),
        ([EXIF + exif_block(6, 3)], TURNED),
        ([EXIF + exif_block(9, 6)], TURNED),
        ([EXIF + exif_block(6)[:15]], AS_IT_IS),
        ([XMP + xmp_orientation(6)], AS_IT_IS),
        ([XMP + xmp_orientation(6), EXIF + exif_block(1)], AS_IT_IS),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Metadata Warning")
def test_orientation_of_a_jpeg(encoded: Encode, bodies: list[bytes], expected: str) -> None:
    data = with_segments(encoded(CORNERS, "JPEG", quality=95, subsampling=0), *bodies)
    assert first_row(decode(data)) == expected
    assert first_row(decode(data, spare=lambda height, width: 1)) == expected


def test_orientation_of_a_png() -> None:
    def row(*before: Chunk, behind: tuple[Chunk, ...] = ()) -> str:
        return first_row(decode(png(CORNERS, before, behind_pixels=behind)))

    six = (b"eXIf", exif_block(6))
    raw = EXIF + exif_block(6)
    profile = b"Raw profile type exif\0\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n"
    assert row(six) == TURNED
    assert row(six, behind=((b"eXIf", exif_block(1)),)) == TURNED
    assert row(behind=(six,)) == AS_IT_IS
    assert row((b"eXIf", EXIF + exif_block(6))) == AS_IT_IS
    assert row((b"tEXt", profile)) == AS_IT_IS
    assert row((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_orientation(6))) == AS_IT_IS


def test_xmp_turns_nothing(encoded: Encode) -> None:
    for kind, options in (
        ("TIFF", {"tiffinfo": {700: xmp_orientation(6)}}), ("WEBP", {"xmp": xmp_orientation(6), "lossless": True}),
        ("AVIF", {"xmp": xmp_orientation(6)}),
    ):  # fmt: skip
        assert first_row(decode(encoded(CORNERS, kind, **options))) == AS_IT_IS


def test_a_webp_is_judged_as_it_is_and_as_its_exif_turns_it(encoded: Encode) -> None:
    picture = decode(encoded(CORNERS, "WEBP", lossless=True, exif=EXIF + exif_block(6)))
    assert first_row(picture) == AS_IT_IS
    (turned,) = picture.readings
    assert turned.orientation == 6
    assert (turned.pixels == np.rot90(CORNERS, -1)).all()
