from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from detect.pictures.color import settle
from detect.pictures.still import decode

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))


def matrix_profile(
    primaries: tuple[tuple[float, float], ...], curve: float | NDArray[np.uint16], extra: bytes = b"", tail: bytes = b""
) -> bytes:
    """A version 2 display profile (ICC.1:2022, 7 and 8.3), its primaries adapted from D65 to D50 after Bradford."""

    def xyz(x: float, y: float) -> NDArray[np.float64]:
        return np.array([x / y, 1, (1 - x - y) / y])

    matrix = np.stack([xyz(*each) for each in primaries], axis=1)
    white, d50 = xyz(0.3127, 0.3290), np.array([0.9642, 1, 0.8249])
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapt = np.linalg.inv(cone) @ np.diag((cone @ d50) / (cone @ white)) @ cone
    matrix = adapt @ (matrix * np.linalg.solve(matrix, white))

    def number(values: NDArray[np.float64]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    if isinstance(curve, float):
        table = struct.pack(">IH", 1, round(curve * 256)) + b"\0\0"
    else:
        table = struct.pack(">I", len(curve)) + curve.astype(">u2").tobytes()
    tags = {b"wtpt": b"XYZ \0\0\0\0" + number(d50)}
    for channel, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + number(matrix[:, channel])
        tags[name + b"TRC"] = b"curv\0\0\0\0" + table
    if extra:
        tags[b"priv"] = b"text\0\0\0\0" + extra
    entries, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        entries += name + struct.pack(">II", start + len(body), len(value))
        body += padded
    head = bytearray(128)
    head[0:4] = struct.pack(">I", start + len(body))
    head[8:12], head[12:24], head[36:40] = b"\x02\x10\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = number(d50)
    return bytes(head) + struct.pack(">I", len(tags)) + entries + body + tail


def shown(pixels: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """What a colour-managed viewer shows on an sRGB screen."""
    image = Image.fromarray(pixels[..., :3])
    if icc is not None:
        image = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    return np.asarray(image)


@pytest.mark.parametrize(
    ("icc", "kept"),
    [
        (matrix_profile(SRGB, 2.2), True),
        (matrix_profile(P3, 2.2), True),
        (matrix_profile(ADOBE, 2.2), True),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), True),
        (matrix_profile(PROPHOTO, 1.8), False),
        (matrix_profile(SRGB, 1.0), False),
        (matrix_profile(SRGB, 2.2, extra=b"SECRET" * 9), False),  # a private tag may hold anything
        (matrix_profile(SRGB, 2.2, tail=b"SECRET"), False),  # and so may what follows the declared size
        (matrix_profile(SRGB, np.linspace(0, 65535, 4096) ** 2.2 / 65535**1.2), False),  # three tables: too large
    ],
)
def test_a_plain_profile_is_kept_and_what_any_other_shows_becomes_the_pixels(
    astronaut: NDArray[np.uint8], icc: bytes, kept: bool
) -> None:
    pixels = np.ascontiguousarray(astronaut[::8, ::8])
    settled, profile = settle(pixels, icc)
    assert profile == (icc if kept else None)
    assert (settled == (pixels if kept else shown(pixels, icc))).all()


def test_transparency_survives_the_conversion(astronaut: NDArray[np.uint8]) -> None:
    rgba = np.dstack([astronaut[::8, ::8], np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)])
    icc = matrix_profile(PROPHOTO, 1.8)
    settled, profile = settle(rgba, icc)
    assert profile is None
    assert (settled[..., 3] == rgba[..., 3]).all()
    assert (settled[..., :3] == shown(rgba, icc)).all()


@pytest.mark.parametrize("icc", [None, "text", b"", b"short", b"\0" * 200])
def test_what_is_no_rgb_profile_is_dropped(icc: object) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert settle(pixels, icc) == (pixels, None)


def test_a_broken_profile_is_dropped_as_viewers_ignore_it() -> None:
    pixels = np.full((2, 2, 3), 99, np.uint8)
    broken = matrix_profile(SRGB, 2.2)[:140].ljust(300, b"\0")
    settled, profile = settle(pixels, broken)
    assert (settled == pixels).all()
    assert profile is None


def test_a_picture_that_only_its_profile_shows_is_judged_as_shown(astronaut: NDArray[np.uint8]) -> None:
    """Levels shuffled, and a tone curve that puts them back: numbers that show nothing, a viewer that shows it all."""
    shuffle = (np.arange(256) * 37 % 256).astype(np.uint8)
    linear = (np.arange(256) / 255) ** 2.2
    curve = np.zeros(256, np.uint16)
    curve[shuffle] = np.round(linear * 65535)
    stream = io.BytesIO()
    Image.fromarray(shuffle[astronaut]).save(stream, "PNG", icc_profile=matrix_profile(SRGB, curve))
    picture = decode(stream.getvalue())
    assert picture.icc is None
    assert np.abs(picture.pixels.astype(int) - astronaut).mean() < 4
