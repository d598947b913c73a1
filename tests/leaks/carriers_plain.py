"""PNGs, GIFs, BMPs and TIFFs with a secret in one side channel each."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from leaks.carrier import THUMBNAIL_SECRETS, Carrier, encoded, exif, photoshop, profile, profiles, thumbnail, xmp
from leaks.search import SECRET
from numpy.typing import NDArray
from paged import planted
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

__all__ = ["BMPS", "GIFS", "PNGS", "TIFFS"]

RGB = NDArray[np.uint8]
Make = Callable[[RGB], bytes]


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def png(*chunks: bytes, before: bytes = b"IDAT") -> Make:
    def make(pixels: RGB) -> bytes:
        data = encoded(pixels, "PNG")
        at = data.index(before) - 4
        return data[:at] + b"".join(chunks) + data[at:]

    return make


def png_rows(pixels: RGB) -> bytes:
    """More in the stream of rows than rows."""
    data = encoded(pixels, "PNG")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return data[:33] + chunk(b"IDAT", zlib.compress(rows + SECRET)) + chunk(b"IEND", b"")


def with_palette(kind: str) -> Make:
    """Few colours, and the secret in the entries that no pixel uses."""

    def make(pixels: RGB) -> bytes:
        image = Image.fromarray(pixels // 86 * 86).quantize(32)
        palette = bytes(image.getpalette() or b"")[: 32 * 3] + 8 * (SECRET + b"\0\0")
        image.putpalette(palette[: 256 * 3])
        return encoded(image, kind, **({"optimize": False} if kind != "BMP" else {}))

    return make


def behind(kind: str, tail: bytes) -> Make:
    return lambda pixels: encoded(pixels, kind) + tail


PNGS = [
    Carrier("PNG tEXt", ".png", png(chunk(b"tEXt", b"Comment\0" + SECRET))),
    Carrier("PNG zTXt", ".png", png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET)))),
    Carrier("PNG iTXt", ".png", png(chunk(b"iTXt", b"Comment\0\0\0en\0x\0" + SECRET))),
    Carrier("PNG iTXt, deflated", ".png", png(chunk(b"iTXt", b"Comment\0\x01\0en\0x\0" + zlib.compress(SECRET)))),
    Carrier("PNG XMP", ".png", png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp()))),
    Carrier("PNG EXIF", ".png", png(chunk(b"eXIf", exif(with_thumbnail=True))), THUMBNAIL_SECRETS),
    Carrier("PNG profile's name", ".png", png(chunk(b"iCCP", SECRET + b"\0\0" + zlib.compress(profile())))),
    *(
        Carrier(f"PNG profile, {where}", ".png", png(chunk(b"iCCP", b"x\0\0" + zlib.compress(whole))), secrets)
        for where, (whole, secrets) in profiles().items()
    ),
    Carrier("PNG sPLT", ".png", png(chunk(b"sPLT", SECRET + b"\0\x08" + SECRET[:6]))),
    Carrier("PNG private chunk", ".png", png(chunk(b"prVt", thumbnail())), THUMBNAIL_SECRETS),
    Carrier("PNG provenance", ".png", png(chunk(b"caBX", SECRET))),
    Carrier("PNG text behind the rows", ".png", png(chunk(b"tEXt", b"Comment\0" + SECRET), before=b"IEND")),
    Carrier(
        "PNG in the end chunk",
        ".png",
        lambda pixels: encoded(pixels, "PNG")[:-12] + chunk(b"IEND", SECRET),
        refusable=True,
    ),
    Carrier("PNG behind its end", ".png", behind("PNG", SECRET)),
    Carrier("PNG chunk behind its end", ".png", behind("PNG", chunk(b"tEXt", b"Comment\0" + SECRET))),
    Carrier("PNG behind the rows", ".png", png_rows, refusable=True),
    Carrier("PNG unused palette", ".png", with_palette("PNG")),
    Carrier("PNG suggested palette", ".png", png(chunk(b"PLTE", (6 * SECRET)[:96])), refusable=True),
]


def gif(*blocks: bytes, before: bytes = b",") -> Make:
    """Blocks between the global color table and the first picture."""

    def make(pixels: RGB) -> bytes:
        data = encoded(Image.fromarray(pixels).quantize(64), "GIF")
        at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
        return data[:at] + b"".join(blocks) + data[at:]

    return make


def _sub_blocks(body: bytes) -> bytes:
    parts = [body[at : at + 200] for at in range(0, len(body), 200)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


_BLOCK = bytes([len(SECRET)]) + SECRET + b"\0"
GIFS = [
    Carrier("GIF comment", ".gif", gif(b"!\xfe" + _BLOCK)),
    Carrier("GIF application", ".gif", gif(b"!\xff\x0bMARKERS 1.0" + _BLOCK)),
    Carrier("GIF XMP", ".gif", gif(b"!\xff\x0bXMP DataXMP" + _sub_blocks(xmp()))),
    Carrier("GIF plain text", ".gif", gif(b"!\x01\x0c" + bytes(12) + _BLOCK), refusable=True),
    Carrier("GIF behind its end", ".gif", behind("GIF", SECRET), refusable=True),
    Carrier("GIF unused palette", ".gif", with_palette("GIF")),
]


def bmp_gap(pixels: RGB) -> bytes:
    """Bytes between the header and the rows."""
    data = encoded(pixels, "BMP")
    start = int.from_bytes(data[10:14], "little")
    return data[:10] + (start + 16).to_bytes(4, "little") + data[14:start] + SECRET + data[start:]


def bmp_profile(pixels: RGB) -> bytes:
    """A header of version 5 with a profile behind the rows."""
    data = encoded(pixels, "BMP")
    rows = data[int.from_bytes(data[10:14], "little") :]
    whole = profiles()["in a private tag"][0]
    header = (124).to_bytes(4, "little") + data[18:54] + bytes(16) + b"DEBM" + bytes(36 + 12) + bytes(4)
    header += (124 + len(rows)).to_bytes(4, "little") + len(whole).to_bytes(4, "little") + bytes(4)
    assert len(header) == 124
    body = header + rows + whole
    return b"BM" + (14 + len(body)).to_bytes(4, "little") + bytes(4) + (138).to_bytes(4, "little") + body


_BGRX = b"".join(SECRET[at : at + 3][::-1] + b"\0" for at in range(0, 15, 3))

BMPS = [
    Carrier("BMP behind its end", ".bmp", behind("BMP", SECRET)),
    Carrier("BMP gap", ".bmp", bmp_gap, refusable=True),
    Carrier("BMP unused palette", ".bmp", with_palette("BMP"), (_BGRX,)),
    Carrier("BMP profile", ".bmp", bmp_profile, THUMBNAIL_SECRETS, refusable=True),
]


def tiff(tags: dict[int, Any], kinds: dict[int, int] | None = None, **options: object) -> Make:
    def make(pixels: RGB) -> bytes:
        directory = ImageFileDirectory_v2()
        for tag, value in tags.items():
            if kinds and tag in kinds:
                directory.tagtype[tag] = kinds[tag]
            directory[tag] = value
        return encoded(pixels, "TIFF", tiffinfo=directory, **options)

    return make


def tiff_gap(pixels: RGB) -> bytes:
    """Bytes between the header and the first directory, which moves behind everything."""
    data = encoded(pixels, "TIFF")
    start = int.from_bytes(data[4:8], "little")
    size = 2 + 12 * int.from_bytes(data[start : start + 2], "little") + 4
    moved = data + b"\0" * (len(data) % 2)
    assert start == 8
    assert size >= len(SECRET)
    return moved[:4] + len(moved).to_bytes(4, "little") + SECRET + moved[8 + len(SECRET) :] + data[8 : 8 + size]


def tiff_thumbnail(pixels: RGB) -> bytes:
    """A second directory in a SubIFD."""
    data = tiff({330: 0x11223344}, {330: 4})(pixels)
    start = len(data) + len(data) % 2
    small = thumbnail()
    entries = [(0x0201, start + 30), (0x0202, len(small))]
    ifd = (2).to_bytes(2, "little")
    for tag, value in entries:
        ifd += (
            tag.to_bytes(2, "little")
            + (4).to_bytes(2, "little")
            + (1).to_bytes(4, "little")
            + value.to_bytes(4, "little")
        )
    data = data.replace((0x11223344).to_bytes(4, "little"), start.to_bytes(4, "little"))
    return data + b"\0" * (len(data) % 2) + ifd + bytes(4) + small


def two_pages(pixels: RGB) -> bytes:
    """Their pixels are judged and shown; what stands beside them is not."""
    return planted([pixels[:40], pixels], SECRET)


_TEXT = SECRET.decode()
TIFFS = [
    Carrier("TIFF description", ".tif", tiff({270: _TEXT, 315: _TEXT, 33432: _TEXT, 305: _TEXT})),
    Carrier("TIFF private tag", ".tif", tiff({65000: thumbnail()}, {65000: 7}), THUMBNAIL_SECRETS),
    Carrier("TIFF private text", ".tif", tiff({65001: _TEXT}, {65001: 2})),
    Carrier("TIFF GeoTIFF", ".tif", tiff({34737: _TEXT, 33550: (1.0, 1.0, 0.0)}, {34737: 2, 33550: 12})),
    Carrier("TIFF XMP", ".tif", tiff({700: xmp()}, {700: 1})),
    Carrier("TIFF IPTC", ".tif", tiff({33723: b"\x1c\x02\x78\0\x10" + SECRET}, {33723: 7})),
    Carrier("TIFF Photoshop", ".tif", tiff({34377: photoshop()}, {34377: 1}), THUMBNAIL_SECRETS),
    Carrier("TIFF resolution", ".tif", tiff({282: IFDRational(72), 33434: IFDRational(1, 3), 270: _TEXT})),
    *(
        Carrier(f"TIFF profile, {where}", ".tif", tiff({34675: whole}, {34675: 7}), secrets)
        for where, (whole, secrets) in profiles().items()
    ),
    Carrier("TIFF behind its end", ".tif", behind("TIFF", SECRET)),
    Carrier("TIFF gap", ".tif", tiff_gap),
    Carrier("TIFF SubIFD", ".tif", tiff_thumbnail, THUMBNAIL_SECRETS, refusable=True),
    Carrier("TIFF pages", ".tif", two_pages, refusable=True),
]
