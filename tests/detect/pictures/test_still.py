"""Pictures that are read: formats, ways in, orientation, and kinds of pixels."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from encoding import FORMATS, Encode, grey_ramp, profile
from numpy.typing import NDArray
from PIL import Image

from detect.errors import DamagedImageError, LimitError, ReadError
from detect.pictures.formats import SNIFF_BYTES, sniff
from detect.pictures.limits import MAX_SIDE
from detect.pictures.still import Source, decode

EXACT = ["PNG", "TIFF", "BMP"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_by_its_content(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    data = encoded(photo, kind, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF", "HEIF") else {}))
    picture = decode(data)
    assert sniff(data[:SNIFF_BYTES]) == picture.format == kind
    assert picture.pixels.dtype == np.uint8
    assert (picture.height, picture.width) == photo.shape[:2]
    error = np.abs(picture.pixels.astype(int) - photo).mean()
    assert error == 0 if kind in EXACT else error < 5


@pytest.mark.parametrize("kind", FORMATS)
def test_every_way_in_gives_the_same_pixels(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, kind: str
) -> None:
    data = encoded(photo, kind)
    path = tmp_path / "misleading.txt"
    path.write_bytes(data)
    expected = decode(data).pixels
    ways: list[Source] = [str(path), path, bytearray(data), memoryview(data), io.BytesIO(data), expected]
    if kind != "HEIF":
        ways.append(Image.open(io.BytesIO(data)))
    with path.open("rb") as stream:
        for way in [*ways, stream]:
            picture = decode(way)
            assert (picture.pixels == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_in(photo: NDArray[np.uint8], encoded: Encode, kind: str, orientation: int) -> None:
    # Stored so that undoing the orientation gives the photo back (EXIF 2.32: where row 0 and column 0 lie).
    stored = {
        1: photo, 2: photo[:, ::-1], 3: photo[::-1, ::-1], 4: photo[::-1], 5: photo.transpose(1, 0, 2),
        6: np.rot90(photo, 1), 7: photo[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(photo, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored), kind, exif=exif if kind == "TIFF" else exif.tobytes())
    shown = decode(data).pixels
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - photo).mean() < 6
    if kind != "HEIF":
        again = decode(Image.open(io.BytesIO(data)))
        assert (again.pixels == shown).all()


def test_a_broken_or_absurd_orientation_is_none(photo: NDArray[np.uint8], encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(encoded(photo, "PNG", exif=exif)).pixels.shape == photo.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert decode(encoded(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")).pixels.shape == photo.shape


def test_grey_becomes_equal_channels(encoded: Encode) -> None:
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        pixels = decode(encoded(grey_ramp(), kind)).pixels
        assert pixels.shape == (50, 60, 3)
        assert (np.ptp(pixels.astype(int), axis=2) == 0).all()
    assert (decode(grey_ramp()).pixels[..., 1] == grey_ramp()).all()


def test_one_bit_and_palette(encoded: Encode) -> None:
    bits = Image.fromarray(grey_ramp()).convert("1")
    assert (decode(encoded(bits, "PNG")).pixels == np.asarray(bits.convert("RGB"))).all()
    palette = Image.fromarray(grey_ramp()).convert("P")
    assert (decode(encoded(palette, "PNG")).pixels == np.asarray(palette.convert("RGB"))).all()


def test_palette_and_grey_with_transparency_keep_it(encoded: Encode) -> None:
    palette = Image.fromarray(grey_ramp()).convert("P")
    pixels = decode(encoded(palette, "PNG", transparency=palette.getpixel((7, 7)))).pixels
    assert pixels.shape == (50, 60, 4)
    assert set(np.unique(pixels[..., 3])) == {0, 255}
    alpha = Image.fromarray(grey_ramp()[:, ::-1].copy())
    both = Image.merge("LA", (Image.fromarray(grey_ramp()), alpha))
    shown = decode(encoded(both, "PNG")).pixels
    assert (shown[..., 3] == np.asarray(alpha)).all()
    plain = decode(encoded(Image.fromarray(grey_ramp()), "PNG", transparency=4)).pixels
    assert (plain[:, 1, 3] == 0).all()
    assert (plain[:, 2, 3] == 255).all()


def test_16_bit_grey_is_scaled_not_cut(encoded: Encode) -> None:
    values = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (5, 1))
    for kind in ("PNG", "TIFF"):
        pixels = decode(encoded(Image.fromarray(values), kind)).pixels
        assert np.abs(pixels[0, :, 0] - values[0] / 257).max() <= 0.5
    clear = decode(encoded(Image.fromarray(values), "PNG", transparency=0)).pixels
    assert clear[0, 0].tolist() == [0, 0, 0, 0]
    assert clear[0, 1, 3] == 255


def test_cmyk_becomes_rgb(photo: NDArray[np.uint8], encoded: Encode) -> None:
    cmyk = Image.fromarray(photo).convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        picture = decode(encoded(cmyk, kind))
        assert picture.pixels.shape == photo.shape
        assert np.abs(picture.pixels.astype(int) - photo).mean() < 6


def test_an_rgb_profile_is_made_anew_and_others_are_dropped(photo: NDArray[np.uint8], encoded: Encode) -> None:
    srgb = profile("sRGB")  # and see test_color.py
    ours = {
        decode(encoded(photo, kind, icc_profile=srgb)).icc for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")
    }
    assert len(ours) == 1
    assert srgb not in ours
    assert None not in ours
    assert decode(encoded(photo, "PNG", icc_profile=b"junk")).icc is None
    assert decode(encoded(photo, "PNG", icc_profile=profile("LAB"))).icc is None
    for kind in ("PNG", "JPEG"):  # browsers apply a profile for RGB to grey too
        grey = decode(encoded(grey_ramp(), kind, icc_profile=srgb))
        assert grey.icc in ours
        assert grey.pixels.shape == (50, 60, 3)


def test_16_bit_with_white_as_zero(encoded: Encode) -> None:
    from PIL import TiffImagePlugin

    values = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (5, 1))
    data = bytearray(encoded(Image.fromarray(values), "TIFF", tiffinfo=TiffImagePlugin.ImageFileDirectory_v2()))
    entry = data.index(struct.pack("<HHIH", 262, 3, 1, 1))  # photometric interpretation: one short, 1
    data[entry + 8 : entry + 10] = struct.pack("<H", 0)
    assert decode(bytes(data)).pixels[0, :, 0].tolist() == (255 - np.round(values[0] / 257)).tolist()


def test_a_pillow_image_that_is_not_loaded_is_read_as_its_file(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = bytearray(encoded(photo, "JPEG", quality=90))
    start = data.index(b"\xff\xda") + 200
    data[start : start + 40] = b"\xff\xd9" + bytes(38)
    image = Image.open(io.BytesIO(data))
    with pytest.raises(DamagedImageError):
        decode(image)
    with pytest.raises(LimitError, match="more than 99 bytes"):
        decode(Image.open(io.BytesIO(data)), max_bytes=99)
    whole = Image.open(io.BytesIO(encoded(photo, "PNG")))
    assert (decode(whole).pixels == photo).all()
    assert (decode(whole).pixels == photo).all()  # and is left as it was
    assert (np.asarray(whole) == photo).all()
    portable = Image.open(io.BytesIO(encoded(photo, "PPM")))
    assert decode(portable).format is None


def test_streams_that_give_little_or_nothing(photo: NDArray[np.uint8], encoded: Encode) -> None:
    class Slow(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.stream = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self.stream.read(min(size, 100))

    data = encoded(photo, "PNG")
    assert (decode(Slow(data)).pixels == photo).all()  # type: ignore[arg-type]
    with pytest.raises(LimitError):
        decode(Slow(data), max_bytes=99)  # type: ignore[arg-type]
    closed = io.BytesIO(data)
    closed.close()
    with pytest.raises(ReadError, match="closed file"):
        decode(closed)


def test_colors_beneath_full_transparency_are_gone(photo: NDArray[np.uint8], encoded: Encode) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    rgba = np.dstack([photo, alpha])
    for source in (encoded(rgba, "PNG"), rgba, Image.fromarray(rgba)):
        pixels = decode(source).pixels
        assert (pixels[:20] == 0).all()
        assert (pixels[20:] == rgba[20:]).all()
        assert np.array_equal(np.asarray(decode(source).beneath), photo)
    assert decode(np.dstack([photo, np.full(photo.shape[:2], 9, np.uint8)])).beneath is None
    assert (rgba[:20, :, :3] == photo[:20]).all()  # the caller's array is left alone


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4), np.uint16),
    ],
)
def test_arrays_of_another_kind_are_misuse(array: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="pixels must be uint8"):
        decode(array)


def test_an_empty_array_is_misuse() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        decode(np.zeros((0, 4, 3), np.uint8))


def test_a_picture_of_one_endless_row() -> None:
    for shape in ((1, MAX_SIDE + 1), (MAX_SIDE + 1, 1)):
        stream = io.BytesIO()
        Image.fromarray(np.zeros(shape, np.uint8)).save(stream, "PNG")
        with pytest.raises(LimitError, match="more on a side than 100,000"):
            decode(stream.getvalue())
