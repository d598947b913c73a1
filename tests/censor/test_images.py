from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from censor.containers import HEAD, sniff
from censor.errors import (
    AnimatedImageError,
    DamagedImageError,
    ImageError,
    LimitError,
    ReadError,
    UnsupportedImageError,
)
from censor.images import Source, decode

Encode = Callable[..., bytes]
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF"]
EXACT = ["PNG", "TIFF", "BMP"]


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """64 x 96 of the portrait: no side equal, no symmetry."""
    return np.ascontiguousarray(astronaut[80:144, 170:266])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_by_its_content(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    data = encoded(photo, kind, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF", "HEIF") else {}))
    picture = decode(data)
    assert sniff(data[:HEAD]) == picture.format == kind
    assert picture.pixels.dtype == np.uint8
    assert (picture.height, picture.width) == photo.shape[:2]
    error = np.abs(picture.pixels.astype(int) - photo).mean()
    assert error == 0 if kind in EXACT else error < 5


@pytest.mark.parametrize("kind", FORMATS)
def test_every_way_in_gives_the_same_pixels(
    photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path, kind: str
) -> None:
    data = encoded(photo, kind)
    path = tmp_path / "misleading.txt"
    path.write_bytes(data)
    expected = decode(data).pixels
    ways: list[Source] = [str(path), path, bytearray(data), memoryview(data), io.BytesIO(data), expected]
    if kind != "HEIF":
        ways.append(Image.open(io.BytesIO(data)))
    with path.open("rb") as stream:
        for way in [*ways, stream]:
            picture = decode(way)
            assert (picture.pixels == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_in(photo: NDArray[np.uint8], encoded: Encode, kind: str, orientation: int) -> None:
    # Stored so that undoing the orientation gives the photo back (EXIF 2.32: where row 0 and column 0 lie).
    stored = {
        1: photo, 2: photo[:, ::-1], 3: photo[::-1, ::-1], 4: photo[::-1], 5: photo.transpose(1, 0, 2),
        6: np.rot90(photo, 1), 7: photo[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(photo, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored), kind, exif=exif if kind == "TIFF" else exif.tobytes())
    shown = decode(data).pixels
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - photo).mean() < 6
    if kind != "HEIF":
        again = decode(Image.open(io.BytesIO(data)))
        assert (again.pixels == shown).all()


def test_a_broken_or_absurd_orientation_is_none(photo: NDArray[np.uint8], encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(encoded(photo, "PNG", exif=exif)).pixels.shape == photo.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert decode(encoded(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")).pixels.shape == photo.shape


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_anywhere_is_an_error_or_whole(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    data = encoded(photo, kind)
    whole = decode(data).pixels
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for length in [*range(1, len(data), max(1, len(data) // 150)), *range(len(data) - 24, len(data))]:
            try:
                pixels = decode(data[:length]).pixels
            except ImageError:
                refused += 1
            else:  # only what follows the last pixel may be missing
                assert (pixels == whole).all(), length
    assert refused > 100


def test_damage_in_the_middle_of_a_jpeg_is_an_error(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = bytearray(encoded(photo, "JPEG", quality=90))
    start = data.index(b"\xff\xda") + 200
    data[start : start + 40] = b"\xff\xd9" + bytes(38)
    with pytest.raises(DamagedImageError, match="bytes: the picture is damaged or cut short"):
        decode(bytes(data))


@pytest.mark.parametrize(("rows", "whole"), [(10, False), (63, False), (64, True)])
def test_a_png_that_ends_early_inside_a_sound_file(photo: NDArray[np.uint8], rows: int, whole: bool) -> None:
    image = photo.copy()
    image[-1] = 0  # black where missing rows would be left black, too
    pixels = b"".join(b"\0" + row.tobytes() for row in image[:rows])  # all checksums right

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 96, 64, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    if whole:
        assert (decode(b"".join(parts)).pixels == image).all()
    else:
        with pytest.raises(DamagedImageError, match="bytes of pixels"):
            decode(b"".join(parts))


@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (9, 2), (5, 3), (17, 33)])
@pytest.mark.parametrize("missing", [0, 1])
def test_an_interlaced_png_that_ends_early(shape: tuple[int, int], missing: int) -> None:
    image = np.random.default_rng(0).integers(1, 255, shape, np.uint8)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in image[y::dy, x::dx] if row.size]

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", shape[1], shape[0], 8, 0, 0, 0, 1)
    body = zlib.compress(b"".join(rows[: len(rows) - missing]))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    if missing:
        with pytest.raises(DamagedImageError):
            decode(data)
    else:
        assert (decode(data).pixels[..., 0] == image).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 3), (17, 33)])
def test_a_black_png_is_not_taken_for_a_cut_one(encoded: Encode, shape: tuple[int, int]) -> None:
    black = np.zeros((*shape, 3), np.uint8)
    for image in (Image.fromarray(black), Image.fromarray(black).convert("1"), Image.fromarray(black).convert("LA")):
        assert decode(encoded(image, "PNG")).pixels.shape[:2] == shape


def test_a_host_that_tolerates_truncation_is_refused(
    photo: NDArray[np.uint8], encoded: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError, match="LOAD_TRUNCATED_IMAGES"):
        decode(encoded(photo, "PNG"))


@pytest.mark.parametrize("data", [b"hello world, this is text", b"%PDF-1.7", b"\0" * 99, b"\xff\xd8", b"8BPS\0\1"])
def test_what_is_no_picture_of_ours(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="bytes: not a picture"):
        decode(data)


def test_an_empty_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DamagedImageError, match="the file is empty"):
        decode(b"")
    with pytest.raises(ReadError, match=r"gone\.jpg: cannot be read: No such file"):
        decode(tmp_path / "gone.jpg")
    with pytest.raises(ReadError, match="Is a directory"):
        decode(tmp_path)
    with pytest.raises(ReadError, match="null"):
        decode("a\0b")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_several_frames_are_refused(photo: NDArray[np.uint8], encoded: Encode, kind: str) -> None:
    other = [Image.fromarray(photo[::-1].copy())]
    data = encoded(photo, kind, save_all=True, append_images=other)
    with pytest.raises(AnimatedImageError, match="several frames"):
        decode(data)
    for loaded in (False, True):
        image = Image.open(io.BytesIO(data))
        if loaded:
            image.load()
        with pytest.raises(AnimatedImageError, match="several frames"):
            decode(image)


def test_several_heif_images_and_sequences_are_refused(photo: NDArray[np.uint8]) -> None:
    import pillow_heif

    file = pillow_heif.from_pillow(Image.fromarray(photo))
    file.add_from_pillow(Image.fromarray(photo[::-1].copy()))
    stream = io.BytesIO()
    file.save(stream)
    with pytest.raises(AnimatedImageError, match="several frames"):
        decode(stream.getvalue())
    still = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(photo)).save(still)
    sequence = still.getvalue().replace(b"mif1", b"msf1", 1)
    with pytest.raises(ImageError):
        decode(sequence)


def test_a_hidden_default_image_counts_as_a_frame(photo: NDArray[np.uint8], encoded: Encode) -> None:
    other = [Image.fromarray(photo[::-1].copy())]
    with pytest.raises(AnimatedImageError):
        decode(encoded(photo, "PNG", save_all=True, append_images=other, default_image=True))


@pytest.mark.parametrize(("kind", "refused"), [(0x020002, True), (0x010001, False), (0x000000, False)])
def test_pictures_behind_a_jpeg(photo: NDArray[np.uint8], encoded: Encode, kind: int, refused: bool) -> None:
    """CIPA DC-007: a stereo pair is two pictures; a large thumbnail or a gain map is an appendix, and is dropped."""
    data = bytearray(encoded(photo, "MPO", save_all=True, append_images=[Image.fromarray(photo[::-1].copy())]))
    entries = data.index(b"MPF\0") + 4 + 0x32  # where Pillow puts the entries, 16 bytes each
    assert data[entries : entries + 4] == struct.pack("<I", 0x030000)  # the first is the primary picture
    data[entries + 16 : entries + 20] = struct.pack("<I", kind)
    if refused:
        with pytest.raises(AnimatedImageError, match="multi-picture"):
            decode(bytes(data))
        with pytest.raises(AnimatedImageError, match="multi-picture"):
            decode(Image.open(io.BytesIO(data)))
    else:
        assert decode(Image.open(io.BytesIO(data))).format == "JPEG"
        assert np.abs(decode(bytes(data)).pixels.astype(int) - photo).mean() < 6


def test_raw_files_are_not_mistaken_for_their_preview(photo: NDArray[np.uint8], encoded: Encode) -> None:
    from PIL import TiffImagePlugin

    for tag, value in ((254, 1), (50706, b"\1\4\0\0")):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[tag] = value
        with pytest.raises(UnsupportedImageError, match="raw file"):
            decode(encoded(photo, "TIFF", tiffinfo=tags))


def test_caps(photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path) -> None:
    data = encoded(photo, "PNG")
    path = tmp_path / "p.png"
    path.write_bytes(data)
    assert decode(data, max_bytes=len(data), max_pixels=64 * 96).format == "PNG"
    for source in (data, path, io.BytesIO(data)):
        with pytest.raises(LimitError, match=r"more than [\d,]+ bytes"):
            decode(source, max_bytes=len(data) - 1)
    for source in (data, path, photo, Image.fromarray(photo)):
        with pytest.raises(LimitError, match="96 x 64 pixels are over the cap of 6,143"):
            decode(source, max_pixels=64 * 96 - 1)


def test_a_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(LimitError, match="60000 x 60000 pixels are over the cap"):
        decode(bomb)


def grey_ramp() -> NDArray[np.uint8]:
    return np.tile(np.arange(0, 240, 4, dtype=np.uint8), (50, 1))


def test_grey_becomes_equal_channels(encoded: Encode) -> None:
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        pixels = decode(encoded(grey_ramp(), kind)).pixels
        assert pixels.shape == (50, 60, 3)
        assert (np.ptp(pixels.astype(int), axis=2) == 0).all()
    assert (decode(grey_ramp()).pixels[..., 1] == grey_ramp()).all()


def test_one_bit_and_palette(encoded: Encode) -> None:
    bits = Image.fromarray(grey_ramp()).convert("1")
    assert (decode(encoded(bits, "PNG")).pixels == np.asarray(bits.convert("RGB"))).all()
    palette = Image.fromarray(grey_ramp()).convert("P")
    assert (decode(encoded(palette, "PNG")).pixels == np.asarray(palette.convert("RGB"))).all()


def test_palette_and_grey_with_transparency_keep_it(encoded: Encode) -> None:
    palette = Image.fromarray(grey_ramp()).convert("P")
    pixels = decode(encoded(palette, "PNG", transparency=palette.getpixel((7, 7)))).pixels
    assert pixels.shape == (50, 60, 4)
    assert set(np.unique(pixels[..., 3])) == {0, 255}
    alpha = Image.fromarray(grey_ramp()[:, ::-1].copy())
    both = Image.merge("LA", (Image.fromarray(grey_ramp()), alpha))
    shown = decode(encoded(both, "PNG")).pixels
    assert (shown[..., 3] == np.asarray(alpha)).all()
    plain = decode(encoded(Image.fromarray(grey_ramp()), "PNG", transparency=4)).pixels
    assert (plain[:, 1, 3] == 0).all()
    assert (plain[:, 2, 3] == 255).all()


def test_16_bit_grey_is_scaled_not_cut(encoded: Encode) -> None:
    values = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (5, 1))
    for kind in ("PNG", "TIFF"):
        pixels = decode(encoded(Image.fromarray(values), kind)).pixels
        assert np.abs(pixels[0, :, 0] - values[0] / 257).max() <= 0.5
    clear = decode(encoded(Image.fromarray(values), "PNG", transparency=0)).pixels
    assert clear[0, 0].tolist() == [0, 0, 0, 0]
    assert clear[0, 1, 3] == 255


def test_cmyk_becomes_rgb(photo: NDArray[np.uint8], encoded: Encode) -> None:
    cmyk = Image.fromarray(photo).convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        picture = decode(encoded(cmyk, kind))
        assert picture.pixels.shape == photo.shape
        assert np.abs(picture.pixels.astype(int) - photo).mean() < 6


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def test_an_rgb_profile_is_kept_and_others_are_not(photo: NDArray[np.uint8], encoded: Encode) -> None:
    srgb = profile("sRGB")  # and see test_profiles.py
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        assert decode(encoded(photo, kind, icc_profile=srgb)).icc == srgb
    assert decode(encoded(photo, "PNG", icc_profile=b"junk")).icc is None
    assert decode(encoded(photo, "PNG", icc_profile=profile("LAB"))).icc is None
    grey = decode(encoded(grey_ramp(), "PNG", icc_profile=srgb))  # a profile that cannot be that of these pixels
    assert grey.icc is None
    assert grey.pixels.shape == (50, 60, 3)
    assert decode(encoded(grey_ramp(), "JPEG", icc_profile=srgb)).pixels.shape == (50, 60, 3)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_an_agreed_look_are_refused(encoded: Encode, mode: str) -> None:
    image = Image.fromarray(grey_ramp()).convert(mode)
    with pytest.raises(UnsupportedImageError, match=f"pixel type '{mode}'"):
        decode(encoded(image, "TIFF"))
    with pytest.raises(UnsupportedImageError, match=f"picture: pixel type '{mode}'"):
        decode(image)


def test_16_bit_with_white_as_zero(encoded: Encode) -> None:
    from PIL import TiffImagePlugin

    values = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (5, 1))
    data = bytearray(encoded(Image.fromarray(values), "TIFF", tiffinfo=TiffImagePlugin.ImageFileDirectory_v2()))
    entry = data.index(struct.pack("<HHIH", 262, 3, 1, 1))  # photometric interpretation: one short, 1
    data[entry + 8 : entry + 10] = struct.pack("<H", 0)
    assert decode(bytes(data)).pixels[0, :, 0].tolist() == (255 - np.round(values[0] / 257)).tolist()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_are_decoded_strictly_too(photo: NDArray[np.uint8], encoded: Encode, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    data = bytearray(encoded(image, "JPEG", quality=90, icc_profile=profile("sRGB")))
    assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == decode(bytes(data)).pixels).all()
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = struct.pack(">H", 128)  # twice as high as its data
    with pytest.raises(DamagedImageError):
        decode(bytes(data))


@pytest.mark.parametrize("compression", ["group4", "group3", "jpeg"])
def test_tiffs_whose_damage_cannot_be_told_are_refused(encoded: Encode, compression: str) -> None:
    image = Image.fromarray(grey_ramp()).convert("L" if compression == "jpeg" else "1")
    with pytest.raises(UnsupportedImageError, match="fax or JPEG compression"):
        decode(encoded(image, "TIFF", compression=compression))


def test_a_bomb_of_one_tile_is_refused() -> None:
    # 16 x 16 grey pixels, says the directory, in one deflated tile of 32,000 x 32,000.
    entries = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (322, 32_000), (323, 32_000), (324, 200), (325, 20)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(300)
    with pytest.raises(LimitError, match="tiles of more than"):
        decode(data)


def test_frames_that_the_header_conceals_are_found(photo: NDArray[np.uint8], encoded: Encode) -> None:
    moving = encoded(photo, "PNG", save_all=True, append_images=[Image.fromarray(photo[::-1].copy())])
    body = struct.pack(">II", 1, 0)  # one frame, says the animation control chunk
    at = moving.index(b"acTL")
    lying = moving[:at] + b"acTL" + body + struct.pack(">I", zlib.crc32(b"acTL" + body)) + moving[at + 16 :]
    assert Image.open(io.BytesIO(lying)).n_frames == 1
    with pytest.raises(AnimatedImageError):
        decode(lying)


def test_a_cropped_avif_is_refused(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "AVIF")
    with pytest.raises(UnsupportedImageError, match="clean aperture"):
        decode(data.replace(b"pixi", b"clap", 1))


def test_brands_far_back_in_the_list_count(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "AVIF")
    length = int.from_bytes(data[:4], "big")
    padded = b"mif1" + data[12:16] + b"zzzz" * 20 + b"avif"
    head = struct.pack(">I", 8 + len(padded)) + b"ftyp" + padded
    assert sniff((head + data[length:])[:HEAD]) == "AVIF"
    assert sniff((head.replace(b"avif", b"heic") + data[length:])[:HEAD]) == "HEIF"


def test_a_pillow_image_that_is_not_loaded_is_read_as_its_file(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = bytearray(encoded(photo, "JPEG", quality=90))
    start = data.index(b"\xff\xda") + 200
    data[start : start + 40] = b"\xff\xd9" + bytes(38)
    image = Image.open(io.BytesIO(data))
    with pytest.raises(DamagedImageError):
        decode(image)
    with pytest.raises(LimitError, match="more than 99 bytes"):
        decode(Image.open(io.BytesIO(data)), max_bytes=99)
    whole = Image.open(io.BytesIO(encoded(photo, "PNG")))
    assert (decode(whole).pixels == photo).all()
    assert (decode(whole).pixels == photo).all()  # and is left as it was
    assert (np.asarray(whole) == photo).all()
    portable = Image.open(io.BytesIO(encoded(photo, "PPM")))
    assert decode(portable).format is None


def test_streams_that_give_little_or_nothing(photo: NDArray[np.uint8], encoded: Encode) -> None:
    class Slow(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.stream = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self.stream.read(min(size, 100))

    data = encoded(photo, "PNG")
    assert (decode(Slow(data)).pixels == photo).all()  # type: ignore[arg-type]
    with pytest.raises(LimitError):
        decode(Slow(data), max_bytes=99)  # type: ignore[arg-type]
    closed = io.BytesIO(data)
    closed.close()
    with pytest.raises(ReadError, match="closed file"):
        decode(closed)


def test_colours_beneath_full_transparency_are_gone(photo: NDArray[np.uint8], encoded: Encode) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    rgba = np.dstack([photo, alpha])
    for source in (encoded(rgba, "PNG"), rgba, Image.fromarray(rgba)):
        pixels = decode(source).pixels
        assert (pixels[:20] == 0).all()
        assert (pixels[20:] == rgba[20:]).all()
        assert (decode(source).beneath == photo).all()
    assert decode(np.dstack([photo, np.full(photo.shape[:2], 9, np.uint8)])).beneath is None
    assert (rgba[:20, :, :3] == photo[:20]).all()  # the caller's array is left alone


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4), np.uint16),
    ],
)
def test_arrays_of_another_kind_are_misuse(array: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="pixels must be uint8"):
        decode(array)


def test_an_empty_array_is_misuse() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        decode(np.zeros((0, 4, 3), np.uint8))


def test_a_pillow_image_of_a_cut_file(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "PNG")
    with pytest.raises(DamagedImageError):
        decode(Image.open(io.BytesIO(data[: len(data) // 2])))
