"""WebPs, AVIFs and HEICs with a secret in one side channel each."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from leaks.carrier import THUMBNAIL_SECRETS, Carrier, encoded, exif, profiles, thumbnail, xmp
from leaks.meta import box, within_meta
from leaks.search import SECRET
from numpy.typing import NDArray
from PIL import Image

__all__ = ["AVIFS", "HEICS", "WEBPS"]

RGB = NDArray[np.uint8]
Make = Callable[[RGB], bytes]


def webp(*chunks: tuple[bytes, bytes], **options: object) -> Make:
    """With chunks behind the picture's."""

    def make(pixels: RGB) -> bytes:
        data = encoded(pixels, "WEBP", **options)
        for kind, body in chunks:
            data += kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
        return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]

    return make


WEBPS = [
    Carrier("WebP EXIF", ".webp", webp(exif=exif(with_thumbnail=True)), THUMBNAIL_SECRETS),
    Carrier("WebP XMP", ".webp", webp(xmp=xmp())),
    *(
        Carrier(f"WebP profile, {where}", ".webp", webp(icc_profile=whole), secrets)
        for where, (whole, secrets) in profiles().items()
    ),
    Carrier("WebP unknown chunk", ".webp", webp((b"ABCD", thumbnail()), exif=exif()), THUMBNAIL_SECRETS),
    Carrier("WebP unknown chunk, simple", ".webp", webp((b"ABCD", SECRET)), refusable=True),
    Carrier("WebP behind its end", ".webp", lambda pixels: encoded(pixels, "WEBP") + SECRET, refusable=True),
]


BOXES = {
    "free": box(b"free", SECRET),
    "skip": box(b"skip", SECRET),
    "uuid": box(b"uuid", bytes(range(16)) + thumbnail()),
    "udta": box(b"udta", box(b"name", SECRET)),
    "mdat": box(b"mdat", thumbnail()),
    "unknown": box(b"Zq9x", SECRET),
    "no box": SECRET,
}


def avif(tail: bytes = b"", **options: object) -> Make:
    return lambda pixels: encoded(pixels, "AVIF", speed=10, **options) + tail


def heic(tail: bytes = b"", **options: object) -> Make:
    def make(pixels: RGB) -> bytes:
        import pillow_heif

        stream = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(stream, **options)
        return stream.getvalue() + tail

    return make


def two_items(pixels: RGB) -> bytes:
    """A second picture beside the primary one."""
    import pillow_heif

    file = pillow_heif.from_pillow(Image.fromarray(pixels))
    second = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    file.add_from_pillow(Image.fromarray(second))
    stream = io.BytesIO()
    file.save(stream, exif=exif(), primary_index=0)
    return stream.getvalue()


def inside(make: Make, extra: bytes = b"", item: bytes | None = None) -> Make:
    return lambda pixels: within_meta(make(pixels), extra, item=item)


def boxed(name: str, suffix: str, make: Callable[..., Make]) -> list[Carrier]:
    return [
        Carrier(f"{name} EXIF", suffix, make(exif=b"Exif\0\0" + exif(with_thumbnail=True)), THUMBNAIL_SECRETS),
        Carrier(f"{name} XMP", suffix, make(xmp=xmp())),
        *(
            Carrier(f"{name} profile, {where}", suffix, make(icc_profile=whole), secrets)
            for where, (whole, secrets) in profiles().items()
        ),
        *(
            Carrier(f"{name} {kind} behind its end", suffix, make(tail=tail), refusable=True)
            for kind, tail in BOXES.items()
        ),
        *(
            Carrier(f"{name} {kind} within meta", suffix, inside(make(), extra), refusable=True)
            for kind, extra in BOXES.items()
            if kind not in ("no box", "mdat")
        ),
        Carrier(f"{name} hidden item", suffix, inside(make(), item=thumbnail()), THUMBNAIL_SECRETS, refusable=True),
    ]


AVIFS = boxed("AVIF", ".avif", avif)
HEICS = [*boxed("HEIC", ".heic", heic), Carrier("HEIC second picture", ".heic", two_items, refusable=True)]
