"""Sizes from headers alone: those that decoding gives, and refused where decoding refuses."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from encoding import FORMATS, Encode, grey_ramp
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin

from detect.errors import AnimatedImageError, DamagedImageError, DetectError, LimitError, ReadError
from detect.pictures.header import Header, read_header
from detect.pictures.still import decode

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def ihdr(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def png(*behind: bytes, width: int = 5, height: int = 7) -> bytes:
    """A grey PNG with chunks behind its pixels."""
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes([9] * width) for _ in range(height))))
    return b"\x89PNG\r\n\x1a\n" + ihdr(width, height) + pixels + b"".join(behind) + chunk(b"IEND")


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("BMP", "GIF")])
@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_the_size_is_the_one_it_decodes_to(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, kind: str, orientation: int
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(encoded(photo, kind, exif=turned(orientation).tobytes()))
    size = read_header(path)
    picture = decode(path)
    assert (size.width, size.height) == (picture.width, picture.height)
    if kind not in ("HEIF", "WEBP"):  # not all viewers turn these by EXIF
        assert (size.width, size.height) == ((64, 96) if orientation in range(5, 9) else (96, 64))
        assert size.stored == (96, 64)
        assert size.orientation == (orientation if orientation in range(1, 9) else 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_orientation_in_xmp_counts_as_it_does_in_decoding(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a.bin"
    if kind == "PNG":
        said = PngImagePlugin.PngInfo()
        said.add_itxt("XML:com.adobe.xmp", XMP)
        data = encoded(photo, kind, pnginfo=said)
    elif kind == "TIFF":
        data = encoded(photo, kind, tiffinfo={700: XMP.encode()})
    else:
        data = encoded(photo, kind, xmp=XMP.encode())
    path.write_bytes(data)
    size, picture = read_header(path), decode(path)
    assert (size.width, size.height) == (picture.width, picture.height)


@pytest.mark.parametrize(
    "behind",
    [
        (chunk(b"eXIf", turned(6).tobytes()[6:]),),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()),),
        (chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 32\n" + turned(8).tobytes().hex().encode()),),
        (chunk(b"tEXt", b"Comment\0none"), chunk(b"tIME", bytes(7))),
        (chunk(b"eXIf", turned(6).tobytes()[6:]), chunk(b"eXIf", turned(1).tobytes()[6:])),
        (chunk(b"eXIf", b"nonsense"),),
    ],
    ids=["exif", "xmp", "raw profile", "none", "two", "broken"],
)
def test_what_stands_behind_the_pixels_of_a_png_counts(behind: tuple[bytes, ...], tmp_path: Path) -> None:
    path = tmp_path / "late.png"
    path.write_bytes(png(*behind))
    size, picture = read_header(path), decode(path)
    assert (size.width, size.height) == (picture.width, picture.height)


@pytest.mark.parametrize("behind", [(), (chunk(b"eXIf", turned(6).tobytes()[6:]),)])
def test_no_pixel_is_decoded(behind: tuple[bytes, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(*behind))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert read_header(path) == Header(5, 7, 1)


def broken_kinds(encoded: Encode, photo: NDArray[np.uint8]) -> dict[str, bytes]:
    """What production refuses, by what is wrong with it."""
    image, more = Image.fromarray(photo), Image.fromarray(photo[::-1].copy())
    frames = {"save_all": True, "append_images": [more]}
    wide = Image.fromarray(np.zeros((3, 4), np.float32))
    return {
        "animated GIF": encoded(image, "GIF", **frames),
        "animated PNG": encoded(image, "PNG", **frames),
        "animated WebP": encoded(image, "WEBP", **frames),
        "animated AVIF": encoded(image, "AVIF", **frames),
        "two pages": encoded(image, "TIFF", **frames),
        "floats": encoded(wide, "TIFF"),
        "Lab": encoded(Image.new("LAB", (4, 3)), "TIFF"),
        "fax": encoded(Image.new("1", (16, 3)), "TIFF", compression="group4"),
        "PPM": encoded(image, "PPM"),
        "text": b"this is no picture",
        "nothing": b"",
        "no size": png(width=0),
        "too large": b"\x89PNG\r\n\x1a\n" + ihdr(60_000, 60_000) + chunk(b"IDAT"),
    }


@pytest.mark.parametrize("what", sorted(broken_kinds(lambda *args, **options: b"", np.zeros((2, 2, 3), np.uint8))))
def test_what_decoding_refuses_for_its_kind_is_refused_alike(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(broken_kinds(encoded, photo)[what])
    with pytest.raises(DetectError) as by_decoding:
        decode(path)
    with pytest.raises(DetectError) as by_header:
        read_header(path)
    assert type(by_header.value) is type(by_decoding.value)
    assert str(path) in str(by_header.value)
    assert str(by_header.value) == str(by_decoding.value)


def test_several_frames_and_too_many_pixels_are_named(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path
) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(broken_kinds(encoded, photo)["animated GIF"])
    with pytest.raises(AnimatedImageError, match=r"a\.gif: several frames or pages"):
        read_header(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + ihdr(12_000, 11_000) + chunk(b"IDAT"))
    with pytest.raises(LimitError, match="12000 x 11000 pixels are over the cap of 100,000,000"):
        read_header(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.png: cannot be read: No such file"):
        read_header(tmp_path / "gone.png")


def test_damage_to_the_pixels_is_for_decoding_to_find(tmp_path: Path, encoded: Encode) -> None:
    path = tmp_path / "cut.jpg"
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 50).save(stream, "JPEG")
    path.write_bytes(stream.getvalue()[:-400])
    assert read_header(path) == Header(64, 48, 1)
    with pytest.raises(DamagedImageError):
        decode(path)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "I;16", "1"])
def test_every_kind_of_pixels_has_its_size(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(grey_ramp())
    if mode == "I;16":
        image = Image.fromarray(grey_ramp().astype(np.uint16) * 257)
    elif mode != "L":
        image = image.convert(mode)
    image.save(tmp_path / "a.tif")
    size, picture = read_header(tmp_path / "a.tif"), decode(tmp_path / "a.tif")
    assert (size.width, size.height) == (picture.width, picture.height) == (60, 50)
