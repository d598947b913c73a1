"""Files that must not pass for pictures: damaged, animated, too large, or without an agreed look."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from encoding import FORMATS, Encode, grey_ramp, profile
from numpy.typing import NDArray
from PIL import Image, ImageFile

from detect.errors import (
    AnimatedImageError,
    DamagedImageError,
    ImageError,
    LimitError,
    ReadError,
    UnsupportedImageError,
)
from detect.pictures.formats import SNIFF_BYTES, sniff
from detect.pictures.still import decode


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
    with pytest.raises(UnsupportedImageError, match="several pictures in one file, and no sequence"):
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


@pytest.mark.parametrize("size", [10, 70_000, 300_000])
def test_a_pipe_is_read_to_its_end_or_to_the_cap(tmp_path: Path, size: int) -> None:
    """Nothing says beforehand how much will come."""
    os.mkfifo(pipe := tmp_path / "pipe.jpg")
    sizes = []
    for cap in (size, size - 1):
        writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * size,))
        writer.start()
        with pytest.raises(LimitError if cap < size else UnsupportedImageError, match=r"pipe\.jpg: ") as refused:
            decode(pipe, max_bytes=cap)
        writer.join()
        sizes.append(str(refused.value))
    assert f"more than {size - 1:,} bytes" in sizes[1]


def test_caps(photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path) -> None:
    data = encoded(photo, "PNG")
    path = tmp_path / "p.png"
    path.write_bytes(data)
    assert decode(data, max_bytes=len(data), max_pixels=64 * 96).format == "PNG"
    for source in (data, path, io.BytesIO(data)):
        with pytest.raises(LimitError, match=r"more than [\d,]+ bytes"):
            decode(source, max_bytes=len(data) - 1)
    for anything in (data, path, photo, Image.fromarray(photo)):
        with pytest.raises(LimitError, match="96 x 64 pixels are over the cap of 6,143"):
            decode(anything, max_pixels=64 * 96 - 1)


def test_a_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(LimitError, match="60000 x 60000 pixels are over the cap"):
        decode(bomb)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_an_agreed_look_are_refused(encoded: Encode, mode: str) -> None:
    image = Image.fromarray(grey_ramp()).convert(mode)
    with pytest.raises(UnsupportedImageError, match=f"pixel type '{mode}'"):
        decode(encoded(image, "TIFF"))
    with pytest.raises(UnsupportedImageError, match=f"picture: pixel type '{mode}'"):
        decode(image)


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
    assert getattr(Image.open(io.BytesIO(lying)), "n_frames", None) == 1
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
    assert sniff((head + data[length:])[:SNIFF_BYTES]) == "AVIF"
    assert sniff((head.replace(b"avif", b"heic") + data[length:])[:SNIFF_BYTES]) == "HEIF"


def test_a_pillow_image_of_a_cut_file(photo: NDArray[np.uint8], encoded: Encode) -> None:
    data = encoded(photo, "PNG")
    with pytest.raises(DamagedImageError):
        decode(Image.open(io.BytesIO(data[: len(data) // 2])))
