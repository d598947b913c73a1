"""Where the blocks of a lossy picture lie, whichever way it is turned."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from encoding import Encode, oriented, profile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from detect.pictures.blocks import BlockGrid
from detect.pictures.still import decode

ROWS, COLUMNS = 37, 61  # neither a multiple of 8


def tiles(width: int, height: int) -> NDArray[np.uint8]:
    """Every block in a grey of its own, which JPEG keeps exactly at quality 100; no two neighbours alike."""
    rows, columns = np.arange(ROWS)[:, None] // height, np.arange(COLUMNS)[None, :] // width
    grey = (40 + (rows * 13 + columns * 29) % 160).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def is_a_block_each(pixels: NDArray[np.uint8], grid: BlockGrid) -> bool:
    """Whether no block of the grid holds two greys, and no two that share a side hold the same."""
    grey = pixels[..., 1].astype(int)
    rows = (np.arange(grey.shape[0]) - grid.y) // grid.height
    columns = (np.arange(grey.shape[1]) - grid.x) // grid.width
    across = np.abs(np.diff(grey, axis=1)).max(axis=0) > 3, np.diff(columns) > 0
    down = np.abs(np.diff(grey, axis=0)).max(axis=1) > 3, np.diff(rows) > 0
    return bool((across[0] == across[1]).all() and (down[0] == down[1]).all())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("subsampling", "width", "height"), [("444", 8, 8), ("422", 16, 8), ("440", 8, 16), ("420", 16, 16)]
)
def test_a_jpegs_blocks_however_it_is_turned(subsampling: str, width: int, height: int, orientation: int) -> None:
    data = simplejpeg.encode_jpeg(tiles(width, height), quality=100, colorsubsampling=subsampling)
    picture = decode(oriented(data, orientation))
    assert picture.blocks is not None
    assert picture.blocks[:2] == ((height, width) if orientation >= 5 else (width, height))
    assert is_a_block_each(picture.pixels, picture.blocks)
    with Image.open(io.BytesIO(oriented(data, orientation))) as image:
        image.load()
        assert decode(image).blocks == picture.blocks


def test_grids_of_a_picture_that_is_no_multiple() -> None:
    data = simplejpeg.encode_jpeg(tiles(16, 8), quality=90, colorsubsampling="422")  # 61 x 37 in blocks of 16 x 8
    expected = {
        1: (16, 8, 0, 0), 2: (16, 8, 13, 0), 3: (16, 8, 13, 5), 4: (16, 8, 0, 5),
        5: (8, 16, 0, 0), 6: (8, 16, 5, 0), 7: (8, 16, 5, 13), 8: (8, 16, 0, 13),
    }  # fmt: skip
    assert {at: decode(oriented(data, at)).blocks for at in expected} == expected


def test_other_jpegs(encoded: Encode) -> None:
    image = Image.fromarray(tiles(8, 8))
    assert decode(encoded(image.convert("L"), "JPEG")).blocks == (8, 8, 0, 0)
    assert decode(encoded(image.convert("CMYK"), "JPEG")).blocks == (8, 8, 0, 0)
    assert decode(encoded(image, "JPEG", keep_rgb=True)).blocks == (8, 8, 0, 0)
    assert decode(simplejpeg.encode_jpeg(np.array(image), colorsubsampling="411")).blocks == (32, 8, 0, 0)


def test_a_lossy_webps_are_its_macroblocks(encoded: Encode) -> None:
    image = Image.fromarray(tiles(16, 16))
    assert decode(encoded(image, "WEBP", quality=80)).blocks == (16, 16, 0, 0)
    exif = {"exif": Image.Exif().tobytes(), "icc_profile": profile("sRGB")}  # chunks before the bitstream
    assert decode(encoded(image, "WEBP", quality=80, **exif)).blocks == (16, 16, 0, 0)
    assert decode(encoded(image, "WEBP", lossless=True, **exif)).blocks is None
    assert decode(encoded(image, "WEBP", lossless=True)).blocks is None
    with Image.open(io.BytesIO(encoded(image, "WEBP", lossless=True))) as loaded:
        loaded.load()
        assert decode(loaded).blocks == (16, 16, 0, 0)  # its file is gone, which would tell


def test_what_has_no_blocks(encoded: Encode) -> None:
    pixels = tiles(8, 8)
    assert decode(pixels).blocks is None
    assert decode(Image.fromarray(pixels)).blocks is None
    for kind in ("PNG", "TIFF", "BMP", "GIF", "AVIF", "HEIF"):
        assert decode(encoded(pixels, kind)).blocks is None


@given(
    st.builds(BlockGrid, st.sampled_from([8, 16, 32]), st.sampled_from([8, 16]), st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60)),
)
def test_outwards_is_the_least_of_whole_blocks(grid: BlockGrid, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box[0], box[1], box[0] + box[2], box[1] + box[3]
    left, top, right, bottom = grid.outwards(x0, y0, x1, y1)
    assert (left - grid.x) % grid.width == (right - grid.x) % grid.width == 0
    assert (top - grid.y) % grid.height == (bottom - grid.y) % grid.height == 0
    assert x0 - grid.width < left <= x0
    assert x1 <= right < x1 + grid.width
    assert y0 - grid.height < top <= y0
    assert y1 <= bottom < y1 + grid.height
