"""What a classifier sees of a picture, and where in the picture its map lies."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.classifier.fit import RESIZES, fed, inside, laid, shrunk_by


@pytest.mark.parametrize("resize", RESIZES)
def test_a_picture_of_the_inputs_size_is_fed_as_it_is(resize: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    assert (fed(image, size=(32, 32), resize=resize) == image).all()


def test_squashing_shows_the_edges_of_the_whole_picture() -> None:
    image = np.zeros((64, 256, 3), np.uint8)
    image[:, :8], image[:, -8:] = 200, 100
    seen = fed(image, size=(32, 32), resize="squash")
    assert (seen[:, 0] == 200).all()
    assert (seen[:, -1] == 100).all()
    assert not seen[:, 1:-1].any()


@pytest.mark.parametrize(("rows", "columns"), [(50, 60), (43, 57), (59, 59), (60, 78), (63, 45)])
def test_shrinking_by_less_than_half_is_nearly_an_area_average(rows: int, columns: int) -> None:
    y, x = np.mgrid[:rows, :columns]
    smooth = np.stack([120 + 60 * np.sin(y / 5), 120 + 60 * np.cos(x / 4), y + x], axis=2).astype(np.uint8)
    means = cv2.resize(smooth.astype(np.float32), (40, 32), interpolation=cv2.INTER_AREA)
    off = np.abs(fed(smooth, size=(32, 40), resize="squash") - means)
    assert off.mean() < 0.8
    assert off.max() < 4


@given(st.integers(6, 40), st.floats(1.5, 1.99), st.data())
def test_every_pixel_counts(side: int, factor: float, data: st.DataObject) -> None:
    larger = max(int(side * factor), side + 1)
    y, x = data.draw(st.integers(0, larger - 1)), data.draw(st.integers(0, larger - 1))
    image = np.zeros((larger, larger, 3), np.uint8)
    image[y, x] = 255
    assert fed(image, size=(side, side), resize="squash")[..., 0].sum() > 255 * (side / larger) ** 2 / 2 - 8  # rounding


@pytest.mark.parametrize(("shape", "where"), [((64, 128, 3), np.s_[8:24]), ((128, 64, 3), np.s_[:, 8:24])])
def test_padding_holds_a_blurred_copy_of_the_picture_and_the_picture_is_not_blurred(
    shape: tuple[int, int, int], where: Any
) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    seen = fed(image, size=(32, 32), resize="pad")
    halves = image.reshape(shape[0] // 4, 4, shape[1] // 4, 4, 3).mean(axis=(1, 3))
    assert np.abs(seen[where].astype(float) - halves).max() <= 1
    padding = np.ones((32, 32), bool)
    padding[where] = False
    assert (
        np.abs(seen[padding].astype(float) - image.mean(axis=(0, 1))).max() < 30
    )  # noise, blurred, is nearly its mean
    assert seen[padding].std(axis=0).max() < 10 < seen[where].std()


def test_padding_has_the_colors_of_the_picture_beside_it() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (250, 0, 0), (0, 0, 250)
    top = fed(image, size=(224, 224), resize="pad")[0]
    assert top[0].tolist() == [250, 0, 0]
    assert top[-1].tolist() == [0, 0, 250]


def test_a_letterboxed_picture_lies_on_grey() -> None:
    seen = fed(np.full((32, 64, 3), 9, np.uint8), size=(32, 32), resize="letterbox")
    assert (seen[8:24] == 9).all()
    assert (seen[:8] == 114).all()
    assert (seen[24:] == 114).all()


@pytest.mark.parametrize(
    ("resize", "factor"), [("squash", 1.0), ("pad", 4.0), ("letterbox", 4.0)], ids=["squash", "pad", "letterbox"]
)
def test_how_much_a_picture_is_shrunk_by_hand(resize: str, factor: float) -> None:
    assert shrunk_by(32, 128, size=(32, 32), resize=resize) == factor


def test_the_map_of_a_squashed_picture_is_the_map() -> None:
    heat = np.random.default_rng(3).random((3, 5), np.float32)
    assert inside(heat, 70, 900, size=(32, 32), resize="squash") is heat


def test_cells_of_the_padding_are_cut_off() -> None:
    # 64 x 128 lies in rows 8 to 24 of 32: of four rows of cells the two in the middle.
    heat = np.array([[9, 9, 9, 9], [1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]], np.float32) / np.float32(10)
    found = inside(heat, 64, 128, size=(32, 32), resize="pad")
    assert found.shape == (8, 16)
    assert (found == heat[1:3].repeat(4, axis=0).repeat(4, axis=1)).all()


def test_a_cell_that_lies_in_the_padding_by_half_counts_for_its_half_in_the_picture() -> None:
    # 96 x 128 lies in rows 4 to 28: half a cell, two cells, half a cell.
    heat = np.arange(1, 5, dtype=np.float32)[:, None].repeat(4, axis=1) / np.float32(10)
    found = inside(heat, 96, 128, size=(32, 32), resize="pad")
    assert (found[:, 0] * 10).round().tolist() == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4]


def test_a_map_is_laid_where_it_lies_and_the_most_counts() -> None:
    grid = np.full((2, 4), 0.5, np.float32)
    found = laid(grid, np.array([[0.25, 0.75]], np.float32), (0.5, 0.5, 1, 1))
    assert found.tolist() == [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.75]]
    assert (grid == 0.5).all()


def test_a_cell_that_a_map_touches_holds_no_less_than_it() -> None:
    found = laid(np.zeros((1, 2), np.float32), np.array([[1, 0, 0]], np.float32), (0.4, 0, 1, 1))
    assert found.tolist() == [[1, 1]]


def test_a_map_beside_the_picture_is_nowhere_in_it() -> None:
    assert not laid(np.zeros((3, 3), np.float32), np.ones((2, 2), np.float32), (1, 0, 2, 1)).any()


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 0.9),
    st.floats(0, 0.9),
    st.integers(0, 99),
)
def test_no_point_of_a_picture_is_cooler_than_the_map_over_it(
    rows: int, columns: int, m: int, n: int, left: float, top: float, seed: int
) -> None:
    heat = np.random.default_rng(seed).random((m, n), np.float32)
    box = (left, top, left + 0.7 * (1 - left) + 0.05, top + 0.7 * (1 - top) + 0.05)
    found = laid(np.zeros((rows, columns), np.float32), heat, box)
    for y, x in np.random.default_rng(seed + 1).random((40, 2)):
        if box[0] + 1e-4 < x < box[2] - 1e-4 and box[1] + 1e-4 < y < box[3] - 1e-4:
            down, right = (y - box[1]) / (box[3] - box[1]) * m, (x - box[0]) / (box[2] - box[0]) * n
            if min(abs(down - round(down)), abs(right - round(right))) > 1e-3:  # not on an edge between two
                assert found[int(y * rows), int(x * columns)] >= heat[int(down), int(right)]
