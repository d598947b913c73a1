"""Small sound pictures of every format and of many kinds, made anew: what mutations begin with."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms

__all__ = ["seeds"]

_WHITE_IS_ZERO = 262  # TIFF 6.0: PhotometricInterpretation


def seeds() -> dict[str, bytes]:
    """Name, beginning with Pillow's name of the format, and file of each seed."""
    return {f"{kind}:{name}": data for kind, name, data in (*_jpeg(), *_png(), *_modern(), *_plain())}


def _picture(mode: str = "RGB") -> Image.Image:
    """72 x 56: slopes, a disc and some noise, so that every mistake shows."""
    y, x = np.mgrid[:56, :72]
    disc = (x - 40) ** 2 + (y - 24) ** 2 < 300
    pixels = np.stack([60 + x * 2, 200 - y * 2, np.where(disc, 190, 70)], axis=2)
    pixels += np.random.default_rng(1).integers(-9, 10, pixels.shape)
    image = Image.fromarray(pixels.astype(np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.where(disc, 255, 90).astype(np.uint8)))
        return image
    return image.convert(mode)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(stream, **options)
    else:
        image.save(stream, kind, **options)
    return stream.getvalue()


def _metadata() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # when it was made (ICC.1:2022, 7.2.9)
    return {"exif": exif.tobytes(), "icc_profile": bytes(profile)}


def _lossless() -> bytes:
    """A lossless JPEG of one grey: every difference is nought (ITU-T T.81, annex H)."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    frame = struct.pack(">BHHB", 8, 56, 72, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    table = bytes([0, 0, 2, *[0] * 14, 0, 1])
    scan = b"\3\1\0\2\0\3\0\1\0\0"
    return (
        b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, scan)
        + bytes(56 * 72 * 3 * 2 // 8) + b"\xff\xd9"
    )  # fmt: skip


def _jpeg() -> Iterator[tuple[str, str, bytes]]:
    image = _picture()
    for sampling in ("444", "422", "420", "440", "411"):
        yield "JPEG", sampling, simplejpeg.encode_jpeg(np.asarray(image), quality=85, colorsubsampling=sampling)
    yield "JPEG", "progressive", _saved(image, "JPEG", progressive=True, restart_marker_blocks=4)
    yield "JPEG", "metadata", _saved(image, "JPEG", comment=b"a comment", **_metadata())
    yield "JPEG", "rgb", _saved(image, "JPEG", keep_rgb=True, restart_marker_rows=1)
    yield "JPEG", "grey", _saved(_picture("L"), "JPEG")
    yield "JPEG", "cmyk", _saved(_picture("CMYK"), "JPEG")
    several = bytearray(_saved(image, "MPO", save_all=True, append_images=[image.rotate(180)]))
    second = several.index(b"MPF\0") + 4 + 0x32 + 16  # where Pillow puts the second entry
    several[second : second + 4] = struct.pack("<I", 0x020002)  # one of a stereo pair (CIPA DC-007)
    yield "JPEG", "several", bytes(several)
    yield "JPEG", "lossless", _lossless()


def _png() -> Iterator[tuple[str, str, bytes]]:
    yield "PNG", "rgb", _saved(_picture(), "PNG", **_metadata())
    yield "PNG", "rgba", _saved(_picture("RGBA"), "PNG")
    yield "PNG", "palette", _saved(_picture("P"), "PNG", transparency=3)
    yield "PNG", "bits", _saved(_picture("1"), "PNG")
    deep = np.asarray(_picture("L")).astype(np.uint16) * 257
    yield "PNG", "16 bit", _saved(Image.fromarray(deep), "PNG")
    frames = [_picture().rotate(180)]
    yield "PNG", "animated", _saved(_picture(), "PNG", save_all=True, append_images=frames)


def _modern() -> Iterator[tuple[str, str, bytes]]:
    yield "WEBP", "lossy", _saved(_picture(), "WEBP", quality=80)
    yield "WEBP", "lossless", _saved(_picture("RGBA"), "WEBP", lossless=True)
    yield "WEBP", "extended", _saved(_picture("RGBA"), "WEBP", quality=70, **_metadata())
    for kind in ("AVIF", "HEIF"):
        yield kind, "rgb", _saved(_picture(), kind, quality=70)
        yield kind, "rgba", _saved(_picture("RGBA"), kind, quality=60, **_metadata())


def _plain() -> Iterator[tuple[str, str, bytes]]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield "TIFF", compression, _saved(_picture(), "TIFF", compression=compression)
    yield "TIFF", "rgba", _saved(_picture("RGBA"), "TIFF", **_metadata())
    yield "TIFF", "palette", _saved(_picture("P"), "TIFF")
    yield "TIFF", "cmyk", _saved(_picture("CMYK"), "TIFF", compression="tiff_lzw")
    deep: NDArray[np.uint16] = np.asarray(_picture("L")).astype(np.uint16) * 257
    yield "TIFF", "16 bit", _saved(Image.fromarray(deep), "TIFF")
    yield "TIFF", "white is zero", _saved(_picture("1"), "TIFF", tiffinfo={_WHITE_IS_ZERO: 0})
    for mode in ("RGB", "L", "P", "1", "RGBA"):
        yield "BMP", mode, _saved(_picture(mode), "BMP")
    yield "GIF", "still", _saved(_picture("P"), "GIF")
    yield "GIF", "transparent", _saved(_picture("P"), "GIF", transparency=3, interlace=1)
    yield "GIF", "animated", _saved(_picture("P"), "GIF", save_all=True, append_images=[_picture("P").rotate(180)])
