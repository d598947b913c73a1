"""Encoders: pixels and profile, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from censor.errors import WriteError
from censor.media.encoding import encode
from detect.pictures import formats
from detect.pictures.formats import SUFFIXES, format_of
from detect.pictures.still import Picture, decode

FORMATS = sorted(set(SUFFIXES.values()))
WITHOUT_PROFILE = {each.name for each in formats.FORMATS if not each.has_profile}


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(astronaut[80:144, 170:266])


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_encoded_decodes_to_the_same(photo: NDArray[np.uint8], kind: str) -> None:
    picture = decode(encode(Picture(photo), format=kind))
    assert picture.format == kind
    error = np.abs(picture.pixels.astype(int) - photo).mean()
    assert error == 0 if kind in ("PNG", "TIFF", "BMP") else error < 6


@pytest.mark.parametrize(
    ("kind", "most"),
    [("AVIF", 32_768), ("BMP", 65_535), ("GIF", 65_535), ("HEIF", 32_768), ("JPEG", 65_500), ("WEBP", 16_383)],
)
@pytest.mark.parametrize("upright", [False, True])
def test_sides_that_a_format_or_its_readers_do_not_take(kind: str, most: int, upright: bool) -> None:
    line = np.full((64 if kind == "HEIF" else 1, most + 1, 3), 90, np.uint8)
    pixels = line.transpose(1, 0, 2) if upright else line
    with pytest.raises(WriteError, match=f"cannot be encoded as {kind}: .* pixels are more than the {most:,} a side"):
        encode(Picture(pixels), format=kind)
    whole = pixels[:-1] if upright else pixels[:, :-1]
    assert decode(encode(Picture(np.ascontiguousarray(whole)), format=kind)).pixels.shape == whole.shape


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "JPEG"])
def test_an_encoder_that_writes_something_else_is_found_out(
    photo: NDArray[np.uint8], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = encode(Picture(photo[:40]), format=kind)

    def write(image: object, stream: io.BytesIO, *arguments: object, **options: object) -> None:
        stream.write(other)

    monkeypatch.setattr(Image.Image, "save", write)
    monkeypatch.setattr("censor.media.encoding._save_heif", write)
    with pytest.raises(WriteError, match=f"cannot be encoded as {kind}: it opens as 96 x 40 pixels"):
        encode(Picture(photo), format=kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_of_the_source_but_pixels_and_profile_gets_out(photo: NDArray[np.uint8], kind: str) -> None:
    """A source full of metadata, whose every byte string must be missing from the output."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif.get_ifd(0x8825)[1] = "N"
    marks = [b"SECRET", b"GPS", b"Exif", b"http://ns.adobe.com/xap", b"Photoshop", b"MPF\0", b"TRAILING"]
    stream = io.BytesIO()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo).save(
        stream, "JPEG", exif=exif, icc_profile=srgb, comment=b"SECRET-COMMENT", xmp=b"http://ns.adobe.com/xap SECRET"
    )
    source = stream.getvalue() + b"TRAILING SECRET"
    assert source.count(b"SECRET") == 4
    ours = decode(source).icc
    out = encode(decode(source), format=kind)
    assert ours is not None
    assert not [mark for mark in marks if mark in out]
    shown = Image.open(io.BytesIO(out)) if kind != "HEIF" else None
    if shown is not None:
        assert not shown.getexif() or kind == "TIFF"  # a TIFF's own tags are read as EXIF
        assert (shown.info.get("icc_profile") == ours) == (kind not in WITHOUT_PROFILE)
    assert (decode(out).icc == ours) == (kind not in WITHOUT_PROFILE)


def test_transparency_is_kept_where_there_is_room_and_laid_on_white_where_not(photo: NDArray[np.uint8]) -> None:
    rgba = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    rgba[:20, :, 3] = 0
    picture = decode(rgba)
    for kind in ("PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        assert decode(encode(picture, format=kind)).pixels.shape[2] == 4
    for kind in ("JPEG", "BMP"):
        flat = decode(encode(picture, format=kind)).pixels
        assert flat.shape[2] == 3
        assert (flat[2:16] > 245).all()


@pytest.mark.parametrize("size", [128, 65_519, 65_520, 200_000])
def test_a_profile_of_any_size_fits_into_a_jpeg(photo: NDArray[np.uint8], size: int) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = (srgb + bytes(size))[:size]
    data = encode(Picture(photo[:31, :17], icc=icc), format="JPEG")
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == icc
    assert decode(data).pixels.shape == (31, 17, 3)


def test_quality_matters(photo: NDArray[np.uint8]) -> None:
    for kind in ("JPEG", "WEBP", "AVIF", "HEIF"):
        assert len(encode(Picture(photo), format=kind, quality=30)) < len(encode(Picture(photo), format=kind))


@pytest.mark.parametrize(("kind", "quality", "says"), [("JPG", 90, "format must be"), ("JPEG", 0, "quality lies in")])
def test_misuse(photo: NDArray[np.uint8], kind: str, quality: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(Picture(photo), format=kind, quality=quality)


def test_what_an_encoder_refuses_is_a_write_error() -> None:
    wide = Picture(np.zeros((1, 20_000, 3), np.uint8), name="wide.png")
    with pytest.raises(WriteError, match=r"wide\.png: cannot be encoded as WEBP"):
        encode(wide, format="WEBP")


@pytest.mark.parametrize(
    ("path", "kind"), [("a.JPG", "JPEG"), ("b.tiff", "TIFF"), ("x/y.heic", "HEIF"), ("a.txt", None), ("png", None)]
)
def test_format_of(path: str, kind: str | None) -> None:
    assert format_of(path) == kind
