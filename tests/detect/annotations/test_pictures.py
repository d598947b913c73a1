from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from detect.annotations.pictures import Header, list_pictures, read_header, read_rgb
from detect.errors import AnnotationsError


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_upright_size_is_the_one_pillow_decodes_to(suffix, orientation, tmp_path):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (48, 32)).save(path, exif=_turned(orientation))
    header = read_header(path)
    with Image.open(path) as image:
        assert (header.width, header.height) == ImageOps.exif_transpose(image).size
    assert (header.width, header.height) == ((32, 48) if orientation >= 5 else (48, 32))
    assert header.stored == (48, 32)
    assert read_rgb(path).shape == (header.height, header.width, 3)


def test_no_orientation_and_nonsense_count_as_upright(tmp_path):
    Image.new("L", (5, 7)).save(tmp_path / "plain.png")
    assert read_header(tmp_path / "plain.png") == Header(5, 7, 1)
    Image.new("L", (5, 7)).save(tmp_path / "odd.png", exif=_turned(9))
    assert read_header(tmp_path / "odd.png") == Header(5, 7, 1)


def test_an_orientation_behind_the_pixels_of_a_png_is_found(tmp_path):
    path = tmp_path / "late.png"
    Image.new("L", (5, 7)).save(path)
    end = _chunk(b"IEND")
    content = path.read_bytes()
    assert content.endswith(end)
    path.write_bytes(content[: -len(end)] + _chunk(b"eXIf", _turned(6).tobytes()[6:]) + end)
    assert read_header(path) == Header(7, 5, 6)
    assert read_rgb(path).shape == (5, 7, 3)


def test_a_huge_picture_is_not_decoded(tmp_path):
    path = tmp_path / "huge.png"
    header = struct.pack(">IIBBBBB", 12_000, 11_000, 8, 2, 0, 0, 0)  # 132 megapixels: Pillow would warn
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND")
    path.write_bytes(content)
    start = time.perf_counter()
    assert read_header(path) == Header(12_000, 11_000, 1)
    assert time.perf_counter() - start < 1


def test_more_pixels_than_can_be_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT") + _chunk(b"IEND"))
    with pytest.raises(AnnotationsError, match="more pixels than can be decoded"):
        read_header(path)


@pytest.mark.parametrize("read", [read_header, read_rgb])
def test_no_file_and_no_picture(read, tmp_path):
    with pytest.raises(AnnotationsError, match=r"gone\.png: cannot be read: No such file"):
        read(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(AnnotationsError, match=r"text\.png: is no picture that can be read"):
        read(tmp_path / "text.png")


def test_a_picture_that_ends_too_early(tmp_path):
    path = tmp_path / "cut.jpg"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    assert read_header(path) == Header(64, 64, 1)
    with pytest.raises(AnnotationsError, match="cannot be read: image file is truncated"):
        read_rgb(path)


def test_a_png_whose_pixels_are_damaged(tmp_path):
    path = tmp_path / "damaged.png"
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    wrong = struct.pack(">I", 4) + b"IDAT" + b"abcd" + b"\0\0\0\0"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + wrong + _chunk(b"IEND"))
    with pytest.raises(AnnotationsError, match=r"damaged\.png"):
        read_rgb(path)


def test_a_png_whose_structure_is_damaged(tmp_path):
    path = tmp_path / "broken.png"
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", b"x")[:-4] + b"0000" + _chunk(b"IEND"))
    with pytest.raises(AnnotationsError, match=r"broken\.png: (is damaged|cannot be read)"):
        read_rgb(path)


def test_what_pillow_raises_about_a_header_is_an_error_of_ours(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (2, 2)).save(path)
    monkeypatch.setattr(Image.Image, "getexif", lambda self: {}["odd"])
    with pytest.raises(AnnotationsError, match=r"a\.png: is damaged: 'odd'"):
        read_header(path)


def test_grey_palette_and_transparent_pictures_become_rgb(tmp_path):
    Image.new("L", (2, 3), 7).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey.png"), np.full((3, 2, 3), 7, np.uint8))
    Image.new("RGBA", (2, 3), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "clear.png"), np.full((3, 2, 3), 255, np.uint8))
    Image.new("RGB", (2, 3), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.gif")
    np.testing.assert_array_equal(read_rgb(tmp_path / "palette.gif")[0, 0], [10, 20, 30])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_16_bits_is_scaled(suffix, tmp_path):
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16)).save(path)
    np.testing.assert_array_equal(read_rgb(path)[0, :, 0], [0, 1, 128, 255])


def test_pixels_of_no_known_range_are_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(AnnotationsError, match=r"float\.tif: has pixels of mode F; expected 8 or 16 bits"):
        read_rgb(tmp_path / "float.tif")


def test_pictures_are_listed_by_their_path_whatever_the_case_of_their_ending(tmp_path):
    for name in ("b.JPG", "a/z.png", "a.txt", "c.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)] == ["a/z.png", "b.JPG", "c.webp"]


def test_a_folder_without_pictures_and_no_folder(tmp_path):
    with pytest.raises(AnnotationsError, match="holds no picture"):
        list_pictures(tmp_path)
    with pytest.raises(AnnotationsError, match="is no folder"):
        list_pictures(tmp_path / "gone")
