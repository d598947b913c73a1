"""Samples of TIFF, where readers differ."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.samples import to_pixels
from detect.pictures.still import decode


def tiff(values: NDArray[np.integer], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, metadata=None, **options)
    return stream.getvalue()


def test_separate_planes_of_16_bits_are_read_rightly_or_refused(photo: NDArray[np.uint8]) -> None:
    planes = np.moveaxis(photo.astype(np.uint16) * 257, 2, 0)
    options = {"photometric": "rgb", "planarconfig": "separate"}
    assert (decode(tiff(planes, compression="zlib", **options)).pixels == photo).all()
    with pytest.raises(UnsupportedImageError, match="separate planes of 16 bits"):
        decode(tiff(planes, **options))
    assert (decode(tiff(np.moveaxis(photo, 2, 0), **options)).pixels == photo).all()
    assert (decode(tiff(photo.astype(np.uint16) * 257, photometric="rgb")).pixels == photo).all()


def test_a_fourth_sample_of_which_nothing_is_said_is_left_out_and_judged_as_alpha(photo: NDArray[np.uint8]) -> None:
    four = np.dstack([photo, photo[..., 1]])
    for values in (four, four.astype(np.uint16) * 257):
        picture = decode(tiff(values, photometric="rgb", extrasamples=["unspecified"]))
        assert (picture.pixels == photo).all()
        assert (picture.readings[0].pixels == four).all()
    options = {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}
    planes = tiff(np.moveaxis(four, 2, 0), extrasamples=["unspecified"], **options)
    with pytest.raises(UnsupportedImageError, match="a plane of which nothing is said"):
        decode(planes)


def test_premultiplied_and_straight_alpha_come_to_the_same() -> None:
    straight = np.full((4, 4, 4), (200, 100, 0, 51), np.uint8)
    premultiplied = np.full((4, 4, 4), (40, 20, 0, 51), np.uint8)
    for values, kind in ((straight, "unassalpha"), (premultiplied, "assocalpha")):
        assert decode(tiff(values, photometric="rgb", extrasamples=[kind])).pixels[0, 0].tolist() == [200, 100, 0, 51]


def test_samples_with_a_sign_are_refused() -> None:
    with pytest.raises(UnsupportedImageError, match="whole numbers from zero on"):
        decode(tiff(np.zeros((4, 4), np.int8), photometric="minisblack"))


def test_12_bits_of_grey() -> None:
    """ABC and DEF in hexadecimal, packed: 2,748 and 3,567 of 4,095."""
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 3)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<I", 12) + b"\xab\xcd\xef\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert decode(data).pixels[0, :, 0].tolist() == [171, 222]


@pytest.mark.parametrize("mode", ["P", "L", "CMYK", "RGBA", "RGB", "LA", "1"])
def test_strips_are_the_whole(mode: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1100, 2000, 3), np.uint8)).convert(mode)
    if mode == "P":
        image.info["transparency"] = bytes(range(256))
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    assert (to_pixels(image, "p")[0] == np.asarray(image.convert(wanted))).all()
