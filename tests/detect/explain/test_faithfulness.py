from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from detect.explain.faithfulness import (
    Curve,
    deletion,
    hottest_share,
    insertion,
    random_heat,
    rank_correlation,
)


def corner(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """How red the upper left pixel is."""
    return np.array([image[0, 0, 0] / 255 for image in images])


def picture() -> NDArray[np.uint8]:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0, 0] = 255
    return image


def test_deletion_by_hand() -> None:
    knows = np.array([[4, 3], [2, 1]], np.float32)
    first, last = (deletion(picture(), heat, corner, steps=4, fill=(0, 0, 0)) for heat in (knows, -knows))
    assert first.scores.tolist() == [1, 0, 0, 0, 0]
    assert last.scores.tolist() == [1, 1, 1, 1, 0]
    assert first.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert (first.area, last.area) == (0.125, 0.875)


def test_insertion_begins_blurred_and_ends_sharp() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:2, :2, 0] = 255
    knows = -np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    first, last = (insertion(image, heat, corner, steps=4) for heat in (knows, -knows))
    assert first.scores[0] == last.scores[0] == last.scores[3] < 0.9
    assert first.scores[1] == first.scores[4] == last.scores[4] == 1
    assert first.area > last.area


def test_the_area_is_that_of_trapezoids() -> None:
    assert Curve(shares=np.array([0, 0.5, 1]), scores=np.array([1, 0.5, 0.0])).area == 0.5


@pytest.mark.parametrize(("heat", "steps"), [(np.zeros((2, 3), np.float32), 4), (np.zeros((2, 2), np.float32), 0)])
def test_a_map_of_another_size_or_no_steps_are_refused(heat: NDArray[np.float32], steps: int) -> None:
    for way in (deletion, insertion):
        with pytest.raises(ValueError, match="need steps >= 1 and a map of"):
            way(picture(), heat, corner, steps=steps)


def test_the_hottest_share_is_of_so_many_pixels() -> None:
    heat = np.arange(20, dtype=np.float32).reshape(4, 5)
    assert np.argwhere(hottest_share(heat, 0.1)).tolist() == [[3, 3], [3, 4]]
    assert np.argwhere(hottest_share(np.zeros((4, 5), np.float32), 0.1)).tolist() == [[0, 0], [0, 1]]


def test_ranks_and_ties_as_scipy_has_them() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(7)
    one = rng.integers(0, 9, (6, 7)).astype(np.float32)
    other = (one + rng.integers(0, 9, (6, 7))).astype(np.float32)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert rank_correlation(one, np.zeros_like(one)) == 0
    with pytest.raises(ValueError, match="of one size"):
        rank_correlation(one, other[:3])


def test_a_map_that_knows_nothing_has_squares() -> None:
    heat = random_heat(10, 13, block=4)
    assert heat.shape == (10, 13)
    assert len(np.unique(heat)) == 3 * 4
    assert np.ptp(heat[4:8, 8:12]) == 0
