from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from encoding import FORMATS, Encode
from numpy.typing import NDArray
from PIL import Image

from detect.errors import AnimatedImageError, DamagedImageError, ReadError, UnsupportedImageError
from detect.pictures.rgb import read_rgb
from detect.pictures.still import decode


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_are_those_of_the_one_decoder_and_may_be_changed(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(encoded(photo, kind))
    pixels = read_rgb(path)
    np.testing.assert_array_equal(pixels, decode(path).pixels)
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[255, 0, 0, 0], [0, 0, 0, 255], [100, 0, 0, 128]]], np.uint8)).save(tmp_path / "a.png")
    # 100 * 128 / 255 + 127 = 177.2; 127 from the page.
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), [[[255, 255, 255], [0, 0, 0], [177, 127, 127]]])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_16_bits_is_scaled_and_rounded(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16)).save(path)
    np.testing.assert_array_equal(read_rgb(path)[0, :, 0], [0, 1, 128, 255])


def test_what_production_refuses_is_refused(photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(ReadError, match=r"a\.bin: cannot be read"):
        read_rgb(path)
    path.write_bytes(encoded(photo, "JPEG")[:-300])
    with pytest.raises(DamagedImageError):
        read_rgb(path)
    path.write_bytes(encoded(photo, "PPM"))
    with pytest.raises(UnsupportedImageError):
        read_rgb(path)
    path.write_bytes(encoded(photo, "GIF", save_all=True, append_images=[Image.fromarray(photo[::-1].copy())]))
    with pytest.raises(AnimatedImageError):
        read_rgb(path)
