"""JPEGs with a secret in one side channel each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from leaks.carrier import THUMBNAIL_SECRETS, Carrier, encoded, exif, photoshop, profiles, thumbnail, xmp
from leaks.search import SECRET
from numpy.typing import NDArray

__all__ = ["JPEGS"]

RGB = NDArray[np.uint8]
SECOND = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
"""Pixels of pictures behind the first."""


def segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(body) + 2).to_bytes(2, "big") + body


def with_segments(*segments: bytes) -> Callable[[RGB], bytes]:
    """Behind the JFIF header."""

    def make(pixels: RGB) -> bytes:
        data = encoded(pixels, "JPEG", quality=90)
        after = 4 + int.from_bytes(data[4:6], "big")
        return data[:after] + b"".join(segments) + data[after:]

    return make


def instead_of_jfif(header: bytes) -> Callable[[RGB], bytes]:
    def make(pixels: RGB) -> bytes:
        data = encoded(pixels, "JPEG", quality=90)
        return data[:2] + header + data[4 + int.from_bytes(data[4:6], "big") :]

    return make


def before_the_scan(extra: bytes) -> Callable[[RGB], bytes]:
    def make(pixels: RGB) -> bytes:
        data = encoded(pixels, "JPEG", quality=90)
        at = data.index(b"\xff\xda")
        return data[:at] + extra + data[at:]

    return make


def behind(tail: bytes) -> Callable[[RGB], bytes]:
    return lambda pixels: encoded(pixels, "JPEG", quality=90) + tail


def before_the_end(extra: bytes) -> Callable[[RGB], bytes]:
    return lambda pixels: encoded(pixels, "JPEG", quality=90)[:-2] + extra + b"\xff\xd9"


def icc(whole: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0\x01\x01" + whole)


def two_pictures(pixels: RGB) -> bytes:
    """Multi-picture format, as phones write it (CIPA DC-007)."""
    from PIL import Image

    return encoded(pixels, "MPO", save_all=True, append_images=[Image.fromarray(SECOND)])


_PADDED = SECRET + bytes(64 - len(SECRET))
_SYMBOLS = bytes([0] * 7 + [len(SECRET)] + [0] * 8) + SECRET  # so many codes of eight bits
_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01"

JPEGS = [
    *(Carrier(f"JPEG APP{n}", ".jpg", with_segments(segment(0xE0 + n, b"Mark\0" + SECRET))) for n in range(16)),
    *(Carrier(f"JPEG reserved {n:X}", ".jpg", with_segments(segment(n, SECRET)), refusable=True) for n in (0xF0, 0xFD)),
    Carrier("JPEG comment", ".jpg", with_segments(segment(0xFE, SECRET), segment(0xFE, SECRET))),
    Carrier("JPEG comment before the scan", ".jpg", before_the_scan(segment(0xFE, SECRET))),
    Carrier("JPEG EXIF", ".jpg", with_segments(segment(0xE1, b"Exif\0\0" + exif()))),
    Carrier(
        "JPEG EXIF thumbnail",
        ".jpg",
        with_segments(segment(0xE1, b"Exif\0\0" + exif(with_thumbnail=True))),
        THUMBNAIL_SECRETS,
    ),
    Carrier("JPEG XMP", ".jpg", with_segments(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp()))),
    Carrier(
        "JPEG extended XMP",
        ".jpg",
        with_segments(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + bytes(8) + xmp())),
    ),
    Carrier(
        "JPEG Photoshop resources",
        ".jpg",
        with_segments(segment(0xED, b"Photoshop 3.0\0" + photoshop())),
        THUMBNAIL_SECRETS,
    ),
    Carrier(
        "JPEG second picture",
        ".jpg",
        two_pictures,
        (encoded(SECOND, "JPEG")[-60:-20],),
        refusable=True,
    ),
    *(
        Carrier(f"JPEG profile, {where}", ".jpg", with_segments(icc(whole)), secrets)
        for where, (whole, secrets) in profiles().items()
    ),
    Carrier("JPEG JFIF thumbnail", ".jpg", instead_of_jfif(segment(0xE0, _JFIF + b"\x08\x01" + (2 * SECRET)[:24]))),
    Carrier(
        "JPEG JFXX thumbnail", ".jpg", with_segments(segment(0xE0, b"JFXX\0\x10" + thumbnail())), THUMBNAIL_SECRETS
    ),
    Carrier("JPEG behind its end", ".jpg", behind(SECRET)),
    Carrier("JPEG picture behind its end", ".jpg", behind(thumbnail()), THUMBNAIL_SECRETS),
    Carrier("JPEG between segments", ".jpg", with_segments(SECRET), refusable=True),
    Carrier("JPEG behind the scan", ".jpg", before_the_end(SECRET), refusable=True),
    Carrier("JPEG segment behind the scan", ".jpg", before_the_end(segment(0xFE, SECRET)), refusable=True),
    Carrier("JPEG fill bytes", ".jpg", before_the_scan(b"\xff" * 40 + segment(0xFE, SECRET)[1:]), refusable=True),
    Carrier(
        "JPEG unused quantization table", ".jpg", before_the_scan(segment(0xDB, b"\x03" + _PADDED)), refusable=True
    ),
    Carrier("JPEG unused Huffman table", ".jpg", before_the_scan(segment(0xC4, b"\x13" + _SYMBOLS)), refusable=True),
]
