"""A JPEG is saved again as it was saved before."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from encoding import Encode, oriented
from numpy.typing import NDArray
from PIL import Image

from censor.media.encoding import encode
from detect.pictures.jpeg import Saving, saving_of
from detect.pictures.still import Picture, decode


def saved(data: bytes) -> Saving | None:
    return decode(data).saving


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_every_quality_is_read_from_its_tables(photo: NDArray[np.uint8], subsampling: str) -> None:
    small = np.ascontiguousarray(photo[:16, :16])
    for quality in range(1, 101):
        data = simplejpeg.encode_jpeg(small, quality=quality, colorsubsampling=subsampling)
        assert saved(data) == Saving(quality, subsampling)


def test_it_comes_out_as_it_came_in(photo: NDArray[np.uint8], encoded: Encode) -> None:
    """Closer to its source than at any other quality, and about as large."""
    source = encoded(photo, "JPEG", quality=80)
    picture = decode(source)
    again = encode(picture, format="JPEG")
    assert saved(again) == saved(source) == Saving(80, "420")
    assert abs(len(again) - len(source)) < 0.02 * len(source)
    distance = {
        quality: psnr(decode(encode(picture, format="JPEG", quality=quality)).pixels, picture.pixels)
        for quality in (75, 80, 85, 95)
    }
    assert max(distance, key=distance.__getitem__) == 80


def test_sharp_chroma_stays_sharp() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    data = simplejpeg.encode_jpeg(stripes, quality=95, colorsubsampling="444")
    assert psnr(decode(encode(decode(data), format="JPEG")).pixels, stripes) > 35
    assert psnr(decode(encode(Picture(stripes), format="JPEG")).pixels, stripes) < 15


def test_of_foreign_tables_the_quality_is_not_guessed(photo: NDArray[np.uint8], encoded: Encode) -> None:
    standard = Image.open(io.BytesIO(encoded(photo, "JPEG", quality=80))).quantization
    one_off = [[*standard[0][:63], standard[0][63] + 1], standard[1]]
    swapped = [standard[1], standard[0]]
    of_two_qualities = [standard[0], Image.open(io.BytesIO(encoded(photo, "JPEG", quality=81))).quantization[1]]
    for tables in (one_off, swapped, of_two_qualities):
        source = encoded(photo, "JPEG", qtables=tables, subsampling=0)
        assert saved(source) == Saving(None, "444")
        assert saved(encode(decode(source), format="JPEG")) == Saving(95, "444")


def test_grey_says_how_it_was_saved_too(photo: NDArray[np.uint8], encoded: Encode) -> None:
    assert saved(encoded(Image.fromarray(photo).convert("L"), "JPEG", quality=70)) == Saving(70, "420")


def test_cmyk_and_rgb_have_no_quality_that_another_kind_could_have(photo: NDArray[np.uint8], encoded: Encode) -> None:
    assert saved(encoded(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=70)) == Saving(None, "444")
    assert saved(encoded(photo, "JPEG", quality=70, keep_rgb=True)) == Saving(None, "444")


def test_other_samplings(photo: NDArray[np.uint8], encoded: Encode) -> None:
    for given, kept in (("440", "440"), ("411", "444")):
        assert saved(simplejpeg.encode_jpeg(photo, quality=85, colorsubsampling=given)) == Saving(85, kept)


@pytest.mark.parametrize(("given", "kept"), [("422", "440"), ("440", "422"), ("420", "420"), ("444", "444")])
def test_one_on_its_side_has_its_sampling_turned(photo: NDArray[np.uint8], given: str, kept: str) -> None:
    data = oriented(simplejpeg.encode_jpeg(photo, quality=85, colorsubsampling=given), 6)
    first = decode(encode(decode(data), format="JPEG"))
    assert first.pixels.shape == (96, 64, 3)
    assert saved(data) == first.saving == Saving(85, kept)
    assert saved(encode(first, format="JPEG")) == Saving(85, kept)


def test_a_loaded_pillow_image_says_it_as_its_file_does(photo: NDArray[np.uint8], encoded: Encode) -> None:
    image = Image.open(io.BytesIO(encoded(photo, "JPEG", quality=20)))
    image.load()
    assert decode(image).saving == Saving(20, "420")
    assert decode(image.copy()).saving is None


def test_a_quality_that_is_asked_for_is_taken(photo: NDArray[np.uint8], encoded: Encode) -> None:
    picture = decode(encoded(photo, "JPEG", quality=60, subsampling=0))
    assert saved(encode(picture, format="JPEG", quality=90)) == Saving(90, "444")


def test_what_was_no_jpeg_is_saved_at_95(photo: NDArray[np.uint8], encoded: Encode) -> None:
    assert decode(encoded(photo, "PNG")).saving is None
    assert saved(encode(decode(encoded(photo, "PNG")), format="JPEG")) == Saving(95, "420")


def test_other_formats_do_not_take_a_jpegs_quality(photo: NDArray[np.uint8], encoded: Encode) -> None:
    coarse = decode(encoded(photo, "JPEG", quality=10))
    assert encode(coarse, format="WEBP") == encode(Picture(coarse.pixels), format="WEBP", quality=95)


def test_a_header_without_tables_says_no_quality() -> None:
    image = Image.open(io.BytesIO(simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))))
    image.quantization = {}
    assert saving_of(image, turned=False) == Saving(None, "444")
