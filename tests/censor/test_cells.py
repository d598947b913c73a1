from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.cells import cell_means, merge_overlapping
from censor.masks import Region


def test_cells_and_their_means() -> None:
    image = np.zeros((8, 20, 4), np.uint8)
    image[:, 8:16, :3] = (10, 20, 31)
    means = cell_means(image, Region(0, 0, 20, 8), cells=5)
    assert means.colors.shape == (2, 5, 3)
    assert means.colors[0].tolist() == [[0, 0, 0], [0, 0, 0], [10, 20, 31], [10, 20, 31], [0, 0, 0]]
    assert (means.side, means.down, means.across) == (4, (0, 4, 8), (0, 4, 8, 12, 16, 20))


@pytest.mark.parametrize(
    ("width", "height", "across", "down"),
    [
        (13, 13, (0, 4, 8, 13), (0, 4, 8, 13)),  # a pixel remains: the last cell's
        (12, 7, (0, 4, 8, 12), (0, 7)),
        (60, 16, (0, 10, 20, 30, 40, 50, 60), (0, 10, 16)),  # six remain, more than half: a cell of its own
        (60, 14, (0, 10, 20, 30, 40, 50, 60), (0, 14)),
        (60, 1, (0, 16, 32, 48, 60), (0, 1)),  # 16 pixels each
        (2, 2, (0, 2), (0, 2)),
    ],
)
def test_no_cell_is_a_sliver(width: int, height: int, across: tuple[int, ...], down: tuple[int, ...]) -> None:
    means = cell_means(np.zeros((height, width, 3), np.uint8), Region(0, 0, width, height), cells=6)
    assert (means.across, means.down) == (across, down)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 8))
def test_cells_are_few_and_large(width: int, height: int, cells: int) -> None:
    means = cell_means(np.zeros((height, width, 3), np.uint8), Region(0, 0, width, height), cells=cells)
    rows, columns = np.diff(means.down), np.diff(means.across)
    assert rows.sum() == height
    assert columns.sum() == width
    assert max(len(rows), len(columns)) <= cells
    assert rows.min() >= min(4, height)
    assert columns.min() >= min(4, width)
    if width * height >= 16:
        assert rows.min() * columns.min() >= 8  # of a region a pixel or two thin, half a cell at its end
    assert means.colors.shape == (len(rows), len(columns), 3)


def test_cells_that_overlap_are_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    one, other, far = Region(0, 0, 24, 24), Region(18, 18, 42, 42 - 2), Region(48, 0, 60, 12)
    regions = [one, other, far]
    own = [cell_means(image, each, cells=3) for each in regions]  # cells of 8, 8 and 4
    merged = merge_overlapping(image, regions, own)
    mask = np.zeros((40, 60), np.bool_)
    mask[16:24, 16:24] = mask[18:26, 18:26] = True
    mean = np.floor(image[mask].mean(axis=0) + 0.5)
    assert (merged[0].colors[2, 2] == mean).all()
    assert (merged[1].colors[0, 0] == mean).all()
    changed = [(each.colors != before.colors).any(axis=2) for each, before in zip(merged, own, strict=True)]
    assert [int(each.sum()) for each in changed] == [1, 1, 0]
    assert (own[0].colors[2, 2] != mean).any()  # what was given is left alone


def test_cuts_in_common_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    regions = [Region(0, 0, 16, 16), Region(8, 0, 24, 16), Region(24, 0, 32, 16)]
    own = [cell_means(image, each, cells=4) for each in regions]
    merged = merge_overlapping(image, regions, own)
    for each, before in zip(merged, own, strict=True):  # equal cells overlap their twins alone, and neighbours do not
        assert (each.colors == before.colors).all()


def test_a_chain_of_cells_is_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 64, 3), np.uint8)
    regions = [Region(x, 0, x + 8, 8) for x in (0, 5, 10, 15)]
    merged = merge_overlapping(image, regions, [cell_means(image, each, cells=1) for each in regions])
    mean = np.floor(image[:, :23].reshape(-1, 3).mean(axis=0) + 0.5)
    assert all((each.colors == mean).all() for each in merged)


def test_cells_that_meet_an_opaque_region_show_its_color() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 64, 3), np.uint8)
    regions = [Region(0, 0, 32, 8), Region(28, 0, 60, 8)]
    own = [cell_means(image, each, cells=4) for each in regions]  # of 8
    merged = merge_overlapping(image, regions, own, opaque=[Region(20, 2, 25, 4)], color=(9, 8, 7))
    assert (merged[0].colors[0, 2:] == (9, 8, 7)).all()  # one that meets it, and one that does with its neighbour
    assert (merged[0].colors[0, :2] == own[0].colors[0, :2]).all()
    assert (merged[1].colors[0, 0] == (9, 8, 7)).all()
    assert (merged[1].colors[0, 1:] == own[1].colors[0, 1:]).all()


def test_more_cells_than_the_bound_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cells must lie in 1\.\.8, not 9"):
        cell_means(np.zeros((9, 9, 3), np.uint8), Region(0, 0, 9, 9), cells=9)


def test_shapes_that_only_share_corners_of_their_windows_stay_apart() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    wedge = np.triu(np.full((32, 32), 255, np.uint8))[:, ::-1].copy()  # its lower right half shows
    soft = np.full((40, 40), 100, np.uint8)
    soft[16:, 16:] = 255
    one, other, box = Region(0, 0, 32, 32, wedge), Region(24, 24, 64, 64, soft), Region(28, 28, 32, 32)
    own = [cell_means(image, each, cells=4) for each in (one, other)]
    merged = merge_overlapping(image, [one, other], own)
    assert all((each.colors == before.colors).all() for each, before in zip(merged, own, strict=True))
    blank = merge_overlapping(image, [one, other], own, opaque=[box], color=(1, 2, 3))
    assert [(each.colors == (1, 2, 3)).all(axis=2).sum() for each in blank] == [1, 1]
    wedge[31, 31] = 255
    changed = merge_overlapping(image, [one, other], own)
    assert (changed[0].colors[3, 3] == changed[1].colors[0, 0]).all()
