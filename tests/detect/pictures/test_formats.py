"""What a file is by its first bytes: taken, a film or a picture that is not taken, or neither."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from encoding import FORMATS, Encode
from numpy.typing import NDArray
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.formats import SNIFF_BYTES, refused_kind, several, sniff
from detect.pictures.still import decode


def file_type(*brands: bytes) -> bytes:
    body = brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body


def packets(length: int, first: int) -> bytes:
    packet = b"\x47\x40\x11\x10" + b"\xff" * (length - 4)
    return bytes(first) + packet * 8


def ogg(header: bytes) -> bytes:
    return b"OggS\0\2" + bytes(21) + bytes([len(header)]) + header


FILMS = {
    "MP4": file_type(b"isom", b"iso2", b"avc1", b"mp41"),
    "QuickTime": file_type(b"qt  "),
    "3GPP": file_type(b"3gp5", b"isom"),
    "QuickTime)": b"\0\0\0\x08wide\0\0\x10\0mdat",
    "Matroska": b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm",
    "AVI": b"RIFF\0\0\1\0AVI LIST",
    "Flash Video": b"FLV\1\5\0\0\0\x09",
    "(Flash)": b"CWS\x0a\0\0\1\0",
    "Windows Media": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "transport": packets(188, 0),
    "transport stream": packets(192, 4),
    "transport stream)": packets(204, 0),
    "program stream": b"\0\0\1\xba\x44\0\4\0\4\1",
    "(MPEG)": b"\0\0\1\xb3\x16\0\xf0\x15",
    "H.264": b"\0\0\0\1\x67\x64\0\x1f",
    "H.264)": b"\0\0\0\1\x09\xf0\0\0\0\1\x67\x64",
    "H.265": b"\0\0\0\1\x40\1\x0c\1",
    "Theora": ogg(b"\x80theora\3\2\1"),
    "VP8": ogg(b"OVP80\1\1\0"),
    "Theora, second stream": ogg(b"\1vorbis" + bytes(23)) + ogg(b"\x80theora\3\2\1"),
    "MNG": b"\x8aMNG\r\n\x1a\n",
    "MXF": bytes.fromhex("060e2b34020501010d0102010102"),
    "DV": b"\x1f\7\0\x3f",
}


@pytest.mark.parametrize("name", FILMS)
def test_films(name: str) -> None:
    kind = refused_kind(FILMS[name][:SNIFF_BYTES])
    assert kind is not None
    assert kind.startswith(("a film", "an animation"))
    with pytest.raises(UnsupportedImageError, match=r"bytes: not a picture \(.* or GIF\) but a(n animation| film)"):
        decode(FILMS[name])


@pytest.mark.parametrize("kind", ["JPEG2000", "ICO", "ICNS", "PCX", "PPM", "QOI", "DDS", "SGI", "XBM", "EPS", "BMP"])
def test_pictures_of_other_kinds(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    image = Image.fromarray(photo).convert("1" if kind == "XBM" else "RGB")
    if kind == "ICNS":
        image = image.resize((128, 128))
    data = encoded(image, kind)
    found = refused_kind(data[:SNIFF_BYTES])
    if kind == "BMP":
        assert found is None
        return
    assert found is not None
    assert not found.startswith("a film")
    with pytest.raises(UnsupportedImageError, match=r"not a picture .* but (an icon|one of another kind)"):
        decode(data)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"8BPS\0\1" + bytes(6), "Photoshop"),
        (b"8BPS\0\2" + bytes(6), "Photoshop"),
        (b"\0\0\2\0\1\0\x20\x20\0\0\1\0\1\0", "a cursor"),
        (b"\0\0\1\0\1\0\0\0\x10\0\1\0\4\0", "an icon"),
        (b"\x76\x2f\x31\1\2\0\0\0", "OpenEXR"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance"),
        (b"P6 # made by hand\n# and again\n 10\n10 255\n", "Netpbm"),
        (b"P7\nWIDTH 4\nHEIGHT 4\n", "Netpbm"),
        (b"Pf\n4 4\n-1.0\n", "PFM"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a - drawing -->\n<!DOCTYPE svg [<!ENTITY a "b">]>\n<svg>', "SVG"),
        ("\ufeff<?xml version='1.0'?><svg:svg>".encode("utf-16-le"), "SVG"),
        (b"IIRO\x08\0\0\0", "Olympus"),
        (b"IIU\0\x18\0\0\0", "Panasonic"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm"),
        (file_type(b"crx ", b"isom"), "CR3"),
        (file_type(b"avci", b"miaf"), "HEIF with AVC"),
        (b"FORM\0\0\1\0ILBMBMHD", "IFF"),
        (b"\1\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF", "metafile"),
    ],
)
def test_beginnings_of_other_pictures(start: bytes, says: str) -> None:
    assert says in (refused_kind(start) or "")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"x",
        b"hello world, this is text",
        b"%PDF-1.7\n",
        b"PK\3\4" + bytes(40),
        b"ID3\4\0\0\0\0\0\0",
        b"\xff\xfb\x90\x64",
        b"RIFF\0\0\1\0WAVEfmt ",
        ogg(b"\1vorbis" + bytes(23)),
        ogg(b"OpusHead\1\2"),
        b"fLaC\0\0\0\x22",
        file_type(b"M4A ", b"isom", b"mp42"),
        b"GATTACA" * 200,
        b"G" * 2000,
        b"<!doctype html><html><body><svg></svg></body></html>",
        b"\x7fELF\2\1\1\0",
        b"P1 was the first of them",
        b"\0\1\0\0\0\x0c\0\x80",
        b"BMW and other makes of cars",
    ],
)
def test_what_is_neither_film_nor_picture(start: bytes) -> None:
    assert sniff(start[:SNIFF_BYTES]) is None
    assert refused_kind(start[:SNIFF_BYTES]) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_taken_is_not_refused(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    data = encoded(photo, kind)
    assert sniff(data[:SNIFF_BYTES]) == kind
    assert refused_kind(data[:SNIFF_BYTES]) is None


@pytest.mark.parametrize("unit", [b" ", b"<??>", b"<!---->", b"#\n", b"P1 ", b"/*", b"OggS", b"\n#", b"<!DOCTYPE ["])
def test_no_head_takes_long(unit: bytes) -> None:
    start = time.perf_counter()
    for begins in (b"", b"P1 ", b"P7\n", b"<", b"/*"):
        assert refused_kind((begins + unit * SNIFF_BYTES)[:SNIFF_BYTES]) is None
    assert time.perf_counter() - start < 1


def test_a_text_that_begins_with_the_letters_of_a_bitmap(photo: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "BMP")
    assert sniff(stream.getvalue()) == "BMP"
    assert sniff(b"BM") == "BMP"
    with pytest.raises(UnsupportedImageError, match="not a picture"):
        decode(b"BMW and other makes of cars")


def test_several_pictures_are_refused_with_what_to_do_instead() -> None:
    assert str(several("a", "TIFF")).endswith("where one picture is expected; save each page by itself")
    assert "have it taken as what moves" in str(several("a", "HEIF"))
    assert "have it taken as what moves" in str(several("a", "GIF"))
