from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detect.runtime.letterbox import Letterbox, shrink

SIDES = st.integers(1, 4000)


def area_means(image: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """The exact area average, by weights: how much of each source pixel lies in each target pixel."""

    def weights(source: int, target: int) -> NDArray[np.float64]:
        edges = np.linspace(0, source, target + 1)
        starts = np.arange(source)
        inside = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
        return np.asarray(np.clip(inside, 0, None) * target / source, np.float64)

    height, width = image.shape[:2]
    by_rows = np.tensordot(weights(height, rows), image.astype(float), axes=(1, 0))  # (rows, width, 3)
    return np.tensordot(by_rows, weights(width, columns), axes=(1, 1)).transpose(0, 2, 1)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 640, (240, 320, 256, 320, 8, 0)),  # half the size, padded by 16 rows to a multiple of 32
        (640, 480, (320, 240, 320, 256, 0, 8)),
        (512, 512, (320, 320, 320, 320, 0, 0)),
        (320, 320, (320, 320, 320, 320, 0, 0)),
        (100, 200, (160, 320, 160, 320, 0, 0)),  # smaller pictures are enlarged
        (333, 1000, (107, 320, 128, 320, 10, 0)),
        (1, 5000, (1, 320, 32, 320, 15, 0)),
        (5000, 1, (320, 1, 320, 32, 0, 15)),
        (1, 1, (320, 320, 320, 320, 0, 0)),
    ],
)
def test_a_picture_is_fitted_by_hand(height: int, width: int, expected: tuple[int, ...]) -> None:
    fit = Letterbox.fit(height, width, size=(320, 320), stride=32)
    assert (fit.rows, fit.columns, fit.input_height, fit.input_width, fit.top, fit.left) == expected


@pytest.mark.parametrize(
    ("height", "width", "stride", "expected"),
    [
        (213, 320, 32, (224, 320, 224, 320, 0, 0)),  # eleven rows more instead of eleven of padding
        (213, 320, 64, (224, 320, 256, 320, 16, 0)),  # what an engine wants besides is padding
        (5000, 1, 32, (320, 32, 320, 32, 0, 0)),
        (640, 640, 32, (320, 320, 320, 320, 0, 0)),
    ],
)
def test_sides_are_stretched_to_multiples_before_they_are_padded(
    height: int, width: int, stride: int, expected: tuple[int, ...]
) -> None:
    fit = Letterbox.fit(height, width, size=(320, 320), stride=stride, stretch=32)
    assert (fit.rows, fit.columns, fit.input_height, fit.input_width, fit.top, fit.left) == expected
    whole = np.array([[0, 0, width, height]], np.float32)
    np.testing.assert_allclose(fit.restore(fit.place(whole)), whole, atol=1e-3)
    edges = [[fit.left, fit.top, fit.left + fit.columns, fit.top + fit.rows]]
    np.testing.assert_allclose(fit.place(whole), edges, atol=1e-3)


def test_a_fixed_input_is_filled_up_and_never_smaller() -> None:
    fit = Letterbox.fit(480, 640, size=(320, 320), stride=32, fixed=True)
    assert (fit.rows, fit.columns, fit.input_height, fit.input_width, fit.top, fit.left) == (240, 320, 320, 320, 40, 0)


def test_an_oblong_input_limits_each_side_by_its_own() -> None:
    fit = Letterbox.fit(1000, 1000, size=(64, 128), stride=32, fixed=True)
    assert (fit.rows, fit.columns, fit.top, fit.left) == (64, 64, 0, 32)


@given(SIDES, SIDES, st.sampled_from([(320, 320), (64, 96), (100, 50)]), st.sampled_from([1, 16, 32]), st.booleans())
def test_the_picture_lies_inside_the_input_as_large_as_it_can(
    height: int, width: int, size: tuple[int, int], stride: int, fixed: bool
) -> None:
    fit = Letterbox.fit(height, width, size=size, stride=stride, fixed=fixed)
    assert fit.rows == size[0] or fit.columns == size[1]
    assert 1 <= fit.rows <= size[0]
    assert 1 <= fit.columns <= size[1]
    if fixed:
        assert (fit.input_height, fit.input_width) == size
    else:
        assert fit.input_height % stride == fit.input_width % stride == 0
        assert fit.rows <= fit.input_height < fit.rows + stride
        assert fit.columns <= fit.input_width < fit.columns + stride
    assert 0 <= fit.input_height - fit.rows - 2 * fit.top <= 1  # centred
    assert 0 <= fit.input_width - fit.columns - 2 * fit.left <= 1
    if min(fit.rows, fit.columns) > 1:
        assert fit.rows / height == pytest.approx(fit.columns / width, abs=0.5 / min(height, width) + 1e-9)


@given(SIDES, SIDES, st.booleans(), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_come_back_to_where_they_were(height: int, width: int, fixed: bool, shares: list[float]) -> None:
    fit = Letterbox.fit(height, width, size=(320, 320), stride=32, fixed=fixed)
    (x0, x1), (y0, y1) = sorted(shares[:2]), sorted(shares[2:])
    there = np.array([[x0 * width, y0 * height, x1 * width, y1 * height]])
    scale = np.array([fit.columns / width, fit.rows / height] * 2)
    inside = there * scale + [fit.left, fit.top, fit.left, fit.top]
    back = fit.restore(inside.astype(np.float32))
    assert back.dtype == np.float32
    assert np.abs(back - there).max() < 1e-3


def test_no_boxes_come_back_as_no_boxes() -> None:
    fit = Letterbox.fit(480, 640, size=(320, 320), stride=32)
    assert fit.restore(np.empty((0, 4), np.float32)).shape == (0, 4)


def test_a_picture_is_laid_red_first_on_grey() -> None:
    fit = Letterbox.fit(16, 32, size=(32, 32), stride=32)
    image = np.broadcast_to(np.array([255, 51, 0], np.uint8), (16, 32, 3))
    laid = fit.apply(image)
    assert laid.dtype == np.float32
    assert laid.shape == (3, 32, 32)
    for channel, value in enumerate([1, 0.2, 0]):
        assert laid[channel, 8:24] == pytest.approx(value)
    assert laid[:, :8] == pytest.approx(114 / 255)
    assert laid[:, 24:] == pytest.approx(114 / 255)


@pytest.mark.parametrize("shape", [(512, 512), (480, 640), (333, 1000), (1000, 333), (50, 70), (1, 900), (3000, 2000)])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_colored_square_is_found_where_it_was(shape: tuple[int, int], fixed: bool) -> None:
    height, width = shape
    square = (width // 5, height // 4, width // 5 + max(width // 3, 1), height // 4 + max(height // 3, 1))
    image = np.full((*shape, 3), 20, np.uint8)
    image[square[1] : square[3], square[0] : square[2]] = [250, 20, 20]
    fit = Letterbox.fit(height, width, size=(320, 320), stride=32, fixed=fixed)
    red, green, _ = fit.apply(image)
    y, x = np.nonzero(red - green > 0.45)
    found = fit.restore(np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32))[0]
    pixel = max(1, width / fit.columns, height / fit.rows)  # of the network, in the picture
    assert np.abs(found - square).max() <= 0.6 * pixel


def test_a_shrink_by_a_whole_factor_gives_back_the_square_exactly() -> None:
    image = np.zeros((640, 640, 3), np.uint8)
    image[100:300, 40:200] = 255
    fit = Letterbox.fit(640, 640, size=(320, 320), stride=32)
    assert np.array_equal(fit.apply(image)[1] == 1, image[::2, ::2, 1] == 255)


def test_every_pixel_counts_when_shrinking() -> None:
    image = np.zeros((1280, 1280, 3), np.uint8)
    image[641, 82] = [255, 160, 96]
    small = shrink(image, rows=320, columns=320)
    assert small[160, 20].tolist() == [16, 10, 6]  # a sixteenth of each
    assert small.astype(int).sum() == 32


def halvings(image: NDArray[np.uint8], rows: int, columns: int) -> tuple[NDArray[np.float64], int]:
    """Means of two by two pixels, unrounded, while the (even) sides are at least twice too long."""
    means, count = image.astype(float), 0
    while min(means.shape[0] / rows, means.shape[1] / columns) >= 2:
        means, count = (means[::2, ::2] + means[1::2, ::2] + means[::2, 1::2] + means[1::2, 1::2]) / 4, count + 1
    return means, count


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_shrinking_far_is_an_area_average(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    height, width = 8 * height, 8 * width
    rows, columns = (min(max(small, side // 8), side) for small, side in ((rows, height), (columns, width)))
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    small = shrink(image, rows=rows, columns=columns)
    assert small.dtype == np.uint8
    assert small.shape == (rows, columns, 3)
    means, count = halvings(image, rows, columns)
    less, more = sorted((means.shape[0] / rows, means.shape[1] / columns))
    if less > 1 and more >= 1.5:
        assert np.abs(small - area_means(means, rows, columns)).max() <= 0.51 * (count + 1)  # each step rounds


def test_shrinking_a_little_interpolates_by_hand() -> None:
    image = np.repeat(np.array([[0, 30, 60, 90]], np.uint8)[..., None], 3, axis=2).repeat(4, axis=0)
    assert shrink(image, rows=3, columns=3)[1, :, 0].tolist() == [5, 45, 85]  # at columns 1/6, 3/2 and 17/6


@given(st.integers(6, 40), st.floats(1.01, 1.49), st.data())
def test_every_pixel_counts_when_shrinking_a_little(rows: int, factor: float, data: st.DataObject) -> None:
    side = int(rows * factor)
    y, x = data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1))
    image = np.zeros((side, side, 3), np.uint8)
    image[y, x] = 255
    assert shrink(image, rows=rows, columns=rows)[..., 0].sum() > 255 * (rows / side) ** 2 / 2 - 8  # rounding


@pytest.mark.parametrize("shape", [(640, 480), (800, 640), (501, 703), (1999, 1501)])
def test_large_pictures_keep_their_brightness(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert shrink(image, rows=60, columns=50).mean() == pytest.approx(image.mean(), abs=0.7)  # ties round up


@given(st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**32 - 1))
def test_shrinking_by_powers_of_two_is_exact_but_for_rounding(rows: int, columns: int, factor: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (rows * factor, columns * factor, 3), np.uint8)
    means = image.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))
    assert np.abs(shrink(image, rows=rows, columns=columns) - means).max() <= 0.51 * max(1, factor.bit_length() - 1)


def test_a_picture_of_the_right_size_is_left_as_it_is(astronaut: NDArray[np.uint8]) -> None:
    assert np.array_equal(shrink(astronaut, rows=512, columns=512), astronaut)


def test_growing_is_smooth() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1] = 200
    assert shrink(image, rows=4, columns=8)[2, :, 0].tolist() == [0, 0, 25, 75, 125, 175, 200, 200]
