"""A film's frames in their own planes: what is painted goes back, and nothing else changes by a bit."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from censor.masks import Region
from censor.media.planes import blocks_of_turned, copied, luma_of, repainted, shown_rgb
from detect.pictures.yuv import Colors, plane_arrays

FORMATS = {
    "yuv420p": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1), "yuvj420p": (2, 2), "yuv420p10le": (2, 2),
    "yuv440p": (2, 1), "yuv422p10le": (1, 2), "yuv410p": (4, 4), "gray": (1, 1),
}  # fmt: skip


def frame_in(name: str, height: int = 46, width: int = 70, seed: int = 3) -> Any:
    """Noise in every plane, of every level that it may have."""
    frame = av.VideoFrame(width, height, name)
    rng = np.random.default_rng(seed)
    for plane in plane_arrays(frame):
        most = 1 << frame.format.components[0].bits
        plane[:] = rng.integers(most // 16, most * 15 // 16, plane.shape)
    frame.colorspace, frame.pts, frame.time_base = 1, 0, Fraction(1, 25)
    return frame


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_painted_is_all_that_changes(name: str, turns: int) -> None:
    frame = frame_in(name)
    colors = Colors.of(frame)
    pixels = shown_rgb(frame, colors, turns)
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = blocks_of_turned(70, 46, turns).outwards(20, 18, 29, 31)
    region = Region(max(0, x0), max(0, y0), min(width, x1), min(height, y1))
    pixels[region.y0 : region.y1, region.x0 : region.x1] = (200, 40, 90)
    done = repainted(frame, pixels, [region], colors, turns)
    mask = np.zeros((height, width), np.bool_)
    region.mark(mask)
    stored = np.rot90(mask, -turns)
    down, across = FORMATS[name]
    for number, (new, old) in enumerate(zip(plane_arrays(done), plane_arrays(frame), strict=True)):
        cell = (1, 1) if number == 0 else (down, across)
        hidden = stored[:: cell[0], :: cell[1]]
        assert hidden.shape == new.shape
        assert (new[~hidden] == old[~hidden]).all()
        assert np.ptp(new[hidden].astype(int)) <= 2 << (frame.format.components[0].bits - 8)  # one colour, dithered
    shown = shown_rgb(done, colors, turns)
    inside = shown[region.y0 + 4 : region.y1 - 4, region.x0 + 4 : region.x1 - 4].astype(int)
    if name != "gray":
        assert np.abs(inside - (200, 40, 90)).max() < 8


def test_what_lies_under_a_region_leaves_no_trace_in_any_plane() -> None:
    """Two frames that differ under the region alone become the same frame."""
    one, other = frame_in("yuv420p10le"), frame_in("yuv420p10le")
    for number, plane in enumerate(plane_arrays(other)):
        cell = 1 if number == 0 else 2
        plane[16 // cell : 32 // cell, 24 // cell : 40 // cell] ^= 7
    colors, region = Colors.of(one), Region(24, 16, 40, 32)
    planes = []
    for frame in (one, other):
        pixels = shown_rgb(frame, colors)
        pixels[16:32, 24:40] = 0
        planes.append(plane_arrays(repainted(frame, pixels, [region], colors)))
    for ours, theirs in zip(*planes, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p10le"])
def test_one_color_comes_back_as_one_color_every_time(name: str) -> None:
    """With several threads, swscale writes over the ends of rows that another has written already."""
    frame = frame_in(name)
    colors, region = Colors.of(frame), Region(8, 8, 24, 24)
    pixels = shown_rgb(frame, colors)
    pixels[8:24, 8:24] = (200, 40, 90)
    for _ in range(200):
        luma = plane_arrays(repainted(frame, pixels, [region], colors))[0]
        assert np.ptp(luma[8:24, 8:24].astype(int)) <= 8


def test_a_soft_edge_goes_back_too() -> None:
    frame = frame_in("yuv420p")
    colors = Colors.of(frame)
    pixels = shown_rgb(frame, colors)
    cover = np.full((12, 12), 128, np.uint8)
    cover[4:8, 4:8] = 255
    pixels[11:23, 13:25] = 0
    done = repainted(frame, pixels, [Region(13, 11, 25, 23, cover)], colors)
    assert (plane_arrays(done)[0][11:23, 13:25] == 16).all()
    assert repainted(frame, pixels, [], colors).planes[0] is not frame.planes[0]


def test_a_copy_has_the_planes_and_nothing_else() -> None:
    frame = frame_in("yuv422p10le")
    frame.pts, frame.color_trc = 77, 1
    copy = copied(frame)
    assert (copy.pts, int(copy.color_trc), int(copy.colorspace)) == (77, 1, 1)
    for ours, theirs in zip(plane_arrays(copy), plane_arrays(frame), strict=True):
        assert np.array_equal(ours, theirs)
        ours[:] = 0
    assert all(each.any() for each in plane_arrays(frame))
    assert len(list(copy.side_data)) == 0


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_grey_and_rgb_lie_the_same_way(turns: int) -> None:
    frame = av.VideoFrame(64, 32, "yuv420p10le")
    luma, *chroma = plane_arrays(frame)
    luma[:] = 64
    luma[:8, 48:] = 900
    for each in chroma:
        each[:] = 512
    grey, rgb = luma_of(frame, 64, turns), shown_rgb(frame, Colors.of(frame), turns)
    assert grey.shape == rgb.shape[:2]
    assert np.array_equal(grey > 128, rgb[..., 1] > 128)
    assert max(luma_of(frame, 16, turns).shape) == 16


def test_colors_are_guessed_as_players_guess() -> None:
    small, large = av.VideoFrame(64, 32, "yuv420p"), av.VideoFrame(64, 720, "yuvj420p")
    assert (Colors.of(small).matrix, Colors.of(small).full) == (5, False)
    assert (Colors.of(large).matrix, Colors.of(large).full) == (1, True)
    small.colorspace, small.color_range = 9, 2
    assert (Colors.of(small).matrix, Colors.of(small).full) == (9, True)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_blocks_turn_with_the_picture(turns: int) -> None:
    stored: NDArray[np.int64] = np.arange(43)[:, None] // 8 * 100 + np.arange(61)[None] // 8
    upright, grid = np.rot90(stored, turns), blocks_of_turned(61, 43, turns)
    for y in range(1, upright.shape[0]):
        assert ((y - grid.y) % 8 == 0) == (upright[y, 0] != upright[y - 1, 0])
    for x in range(1, upright.shape[1]):
        assert ((x - grid.x) % 8 == 0) == (upright[0, x] != upright[0, x - 1])
