"""Like pictures lie close, the same pictures make the same map, and few pictures are no trouble."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detect.evaluation.layout import lay_out


def clusters(count: int = 90, axes: int = 64) -> tuple[NDArray[Any], NDArray[Any]]:
    """Three bundles of directions, and which of them each row is of."""
    random = np.random.default_rng(4)
    kind = np.arange(count) % 3
    return (random.normal(size=(3, axes))[kind] + 0.2 * random.normal(size=(count, axes))).astype(np.float32), kind


def test_what_is_alike_lies_close_and_fills_the_square() -> None:
    features, kind = clusters()
    places = lay_out(features)
    assert places.shape == (90, 2)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(90) * 9
    assert (kind[distance.argmin(axis=1)] == kind).all()
    assert np.ptp(places, axis=0).max() == pytest.approx(1)
    np.testing.assert_allclose((places.min(axis=0) + places.max(axis=0)) / 2, 0.5)


def test_the_same_pictures_make_the_same_map_and_lengths_do_not_count() -> None:
    features, _ = clusters(30)
    np.testing.assert_array_equal(lay_out(features), lay_out(features))
    np.testing.assert_allclose(lay_out(features), lay_out(features * 4), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6])
def test_few_pictures_have_places_too(count: int) -> None:
    places = lay_out(clusters(count)[0])
    assert places.shape == (count, 2)
    assert ((places >= 0) & (places <= 1)).all()
    if count > 1:
        assert len(np.unique(places.round(6), axis=0)) == count


def test_one_picture_lies_in_the_middle_and_so_do_those_that_are_all_the_same() -> None:
    assert lay_out(np.ones((1, 8), np.float32)).tolist() == [[0.5, 0.5]]
    assert lay_out(np.ones((7, 8), np.float32)).tolist() == [[0.5, 0.5]] * 7
    assert lay_out(np.zeros((7, 8), np.float32)).tolist() == [[0.5, 0.5]] * 7


def test_two_directions_lie_at_the_two_ends() -> None:
    places = lay_out(np.array([[1, 0], [0, 1]], np.float32))
    assert sorted(places[:, 0].tolist()) == pytest.approx([0, 1])
    assert places[:, 1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("wrong", [np.zeros(3, np.float32), np.full((3, 3), np.nan, np.float32)])
def test_what_are_no_features_is_refused(wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="features must be finite"):
        lay_out(wrong)


@pytest.mark.parametrize("perplexity", [0, -1, float("nan")])
def test_a_perplexity_that_is_none_is_refused(perplexity: float) -> None:
    with pytest.raises(ValueError, match="perplexity must be above 0"):
        lay_out(clusters(9)[0], perplexity=perplexity)
