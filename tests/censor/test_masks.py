from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from censor.masks import Region, region
from detect.pictures.blocks import BlockGrid

edges = st.floats(-400, 400, width=32)
shapes = st.sampled_from(["box", "rounded", "ellipse"])


def full(area: Region | None, width: int, height: int) -> NDArray[np.uint8]:
    """The region's cover as a picture."""
    mask = np.zeros((height, width), np.uint8)
    if area is not None:
        area.of(mask)[:] = 255 if area.cover is None else area.cover
    return mask


def touched(box: tuple[float, float, float, float], width: int, height: int) -> NDArray[np.bool_]:
    """Pixels that share area with the box, pixel by pixel."""
    x0, y0, x1, y1 = box
    columns = np.array([x + 1 > x0 and x < x1 for x in range(width)])
    rows = np.array([y + 1 > y0 and y < y1 for y in range(height)])
    return np.asarray(rows[:, None] & columns[None, :], np.bool_)


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((2, 3, 5, 7), (2, 3, 5, 7)),
        ((2.2, 3.9, 4.1, 6.01), (2, 3, 5, 7)),  # outwards, to whole pixels
        ((-5, -5, 4, 4), (0, 0, 4, 4)),  # across the corner
        ((15, 8, 99, 99), (15, 8, 20, 10)),
        ((-1e9, -1e9, 1e9, 1e9), (0, 0, 20, 10)),
        ((4, 4, 4, 4), (4, 4, 5, 5)),  # no area: still one pixel
        ((19.5, 9.5, 19.5, 9.5), (19, 9, 20, 10)),
    ],
)
def test_a_box_becomes_every_pixel_it_touches(
    box: tuple[float, float, float, float], window: tuple[int, int, int, int]
) -> None:
    area = region(box, width=20, height=10)
    assert area is not None
    assert (area.x0, area.y0, area.x1, area.y1) == window
    assert area.cover is None


@pytest.mark.parametrize("box", [(-9, 0, 0, 5), (20, 0, 30, 5), (0, -4, 9, 0), (0, 10, 9, 12), (-3, -3, -2, -2)])
@pytest.mark.parametrize("shape", ["box", "rounded", "ellipse"])
def test_a_box_beside_the_picture_is_no_region(box: tuple[float, float, float, float], shape: str) -> None:
    assert region(box, width=20, height=10, shape=shape) is None


def test_expand_moves_each_edge_by_its_share() -> None:
    area = region((10, 20, 30, 30), width=100, height=100, expand=0.1)  # 20 wide, 10 high: 2 and 1 on each side
    assert area is not None
    assert (area.x0, area.y0, area.x1, area.y1) == (8, 19, 32, 31)


def test_an_ellipse_goes_around_the_box() -> None:
    # A box of 20 x 10 has half-axes 10 sqrt(2) = 14.1 and 5 sqrt(2) = 7.07 around it.
    mask = full(region((40, 45, 60, 55), width=100, height=100, shape="ellipse"), 100, 100)
    assert mask[50].nonzero()[0].tolist() == list(range(36, 64))  # |x + .5 - 50| <= 14.1
    assert mask[:, 50].nonzero()[0].tolist() == list(range(43, 57))
    assert mask[45, 40] == mask[45, 59] == mask[54, 40] == mask[54, 59] == 255  # the box's corner pixels
    assert mask[43, 40] == 0


def test_a_rounded_region_has_no_corner_pixel_but_the_whole_box() -> None:
    mask = full(region((20, 20, 60, 60), width=80, height=80, shape="rounded"), 80, 80)
    assert (mask[20:60, 20:60] == 255).all()
    out = math.ceil(0.25 * 40 * (1 - math.sqrt(0.5)))
    assert mask[20 - out, 20 - out] == 0
    assert mask[20 - out + 1, 40] == 255


@given(st.tuples(edges, edges, edges, edges), shapes, st.floats(0, 0.5), st.sampled_from([0.0, 0.1, 0.7]))
def test_every_touched_pixel_is_covered_wholly(
    corners: tuple[float, float, float, float], shape: str, expand: float, feather: float
) -> None:
    box = (*np.minimum(corners[:2], corners[2:]).tolist(), *np.maximum(corners[:2], corners[2:]).tolist())
    area = region(box, width=37, height=53, shape=shape, expand=expand, feather=feather)
    mask = full(area, 37, 53)
    assert (mask[touched(box, 37, 53)] == 255).all()


@given(st.tuples(edges, edges, edges, edges), shapes, st.sampled_from([0.05, 0.2, 1.0]))
def test_feathering_adds_outside_and_takes_nothing_inside(
    corners: tuple[float, float, float, float], shape: str, feather: float
) -> None:
    box = (*np.minimum(corners[:2], corners[2:]).tolist(), *np.maximum(corners[:2], corners[2:]).tolist())
    hard = full(region(box, width=37, height=53, shape=shape), 37, 53)
    soft = full(region(box, width=37, height=53, shape=shape, feather=feather), 37, 53)
    assert ((soft == 255) == (hard == 255)).all()


def test_the_soft_edge_fades_with_distance() -> None:
    mask = full(region((40, 40, 60, 60), width=100, height=100, feather=0.5), 100, 100)  # 10 px
    ramp = mask[50, 28:41].astype(int)
    assert ramp[-1] == 255
    assert (np.diff(ramp) >= 0).all()
    assert 0 < ramp[6] < 255
    assert ramp[0] == 0


grids = st.builds(
    BlockGrid, st.sampled_from([8, 16, 32]), st.sampled_from([8, 16]), st.integers(0, 7), st.integers(0, 7)
)


@given(st.tuples(edges, edges, edges, edges), shapes, grids, st.sampled_from([0.0, 0.3]))
def test_blocks_are_covered_whole_and_no_others(
    corners: tuple[float, float, float, float], shape: str, blocks: BlockGrid, feather: float
) -> None:
    box = (*np.minimum(corners[:2], corners[2:]).tolist(), *np.maximum(corners[:2], corners[2:]).tolist())
    plain = full(region(box, width=37, height=53, shape=shape), 37, 53) == 255
    mask = full(region(box, width=37, height=53, shape=shape, blocks=blocks, feather=feather), 37, 53)
    rows, columns = (np.arange(53) - blocks.y) // blocks.height, (np.arange(37) - blocks.x) // blocks.width
    for row in np.unique(rows):
        for column in np.unique(columns):
            part = np.ix_(rows == row, columns == column)
            assert ((mask[part] == 255) == plain[part].any()).all()
    assert feather or set(np.unique(mask)) <= {0, 255}


def test_a_soft_edge_begins_beyond_the_blocks() -> None:
    area = region((40, 40, 60, 60), width=100, height=100, feather=0.5, blocks=BlockGrid(16, 16))  # 10 px
    mask = full(area, 100, 100)
    assert (mask[32:64, 32:64] == 255).all()
    assert (mask == 255).sum() == 32 * 32
    assert (np.diff(mask[50, 21:33].astype(int)) > 0).all()
    assert mask[50, 20] == 0


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape must be one of .*'blob'"):
        region((0, 0, 1, 1), width=5, height=5, shape="blob")


def test_mark_and_within() -> None:
    mask = np.zeros((50, 50), np.bool_)
    big = region((10, 10, 40, 40), width=50, height=50, shape="ellipse")
    small = region((20, 20, 30, 30), width=50, height=50, shape="box")
    assert big is not None
    assert small is not None
    small.mark(mask)
    assert mask.sum() == 100
    assert small.within(mask)
    assert not big.within(mask)
    big.mark(mask)
    assert big.within(mask)
