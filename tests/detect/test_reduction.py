"""Making pictures smaller beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import finder
from hypothesis import given
from hypothesis import strategies as st

from detect.reduction import halved, least_reduction, reduced, reduction
from detect.tiling import FlipDetector, LongDetector, TiledDetector

FACTORS = st.sampled_from([1, 2, 4, 8])


def pairs(length: int) -> tuple[list[int], list[int]]:
    """Which rows are averaged: 0 and 1, 2 and 3, and the last two."""
    first = [min(start, max(length - 2, 0)) for start in range(0, length, 2)]
    return first, [min(start + 1, length - 1) for start in first]


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([3, 4]), st.integers(0, 2**32 - 1))
def test_halving_averages_two_by_two(height: int, width: int, channels: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    (top, below), (left, right) = pairs(height), pairs(width)
    values = image.astype(float)
    means = (values[top][:, left] + values[below][:, left] + values[top][:, right] + values[below][:, right]) / 4
    small = halved(image)
    assert small.shape == means.shape
    assert np.abs(small - means).max() <= 0.51


@given(st.integers(1, 60), st.integers(1, 60), FACTORS, st.data())
def test_part_of_a_picture_reduces_as_the_whole_does(height: int, width: int, factor: int, data: st.DataObject) -> None:
    """What lets a look at the output reduce anew only what was painted."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    whole = reduced(image, factor)
    assert whole.shape == (-(-height // factor), -(-width // factor), 3)
    top = data.draw(st.integers(0, whole.shape[0] - 1))
    bottom = data.draw(st.integers(top + 1, whole.shape[0]))
    left = data.draw(st.integers(0, whole.shape[1] - 1))
    right = data.draw(st.integers(left + 1, whole.shape[1]))
    part = reduced(image[top * factor : bottom * factor, left * factor : right * factor], factor)
    if (height % factor, width % factor) == (0, 0) or (bottom < whole.shape[0] and right < whole.shape[1]):
        assert np.array_equal(part, whole[top:bottom, left:right])
    else:
        assert part.shape == whole[top:bottom, left:right].shape


def test_other_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="factor must be one of 8, 4, 2, 1, not 3"):
        reduced(np.zeros((9, 9, 3), np.uint8), 3)


@pytest.mark.parametrize(("spare", "factor"), [(0.5, 1), (1.0, 1), (2.49, 1), (2.5, 2), (9.9, 4), (10.0, 8), (99.0, 8)])
def test_a_detector_gets_a_quarter_more_rows_and_columns_than_it_looks_at(spare: float, factor: int) -> None:
    detector: Any = finder()
    detector.spare_factor = lambda height, width: spare
    assert reduction(detector, 100, 100) == factor


def test_a_detector_that_says_nothing_gets_every_pixel() -> None:
    assert reduction(finder(), 4000, 3000) == 1


def test_detectors_around_detectors_pass_on_what_can_be_spared() -> None:
    detector: Any = finder()
    detector.spare_factor = lambda height, width: 12.5
    for wrapped in (LongDetector(detector), FlipDetector(detector), FlipDetector(LongDetector(detector))):
        assert reduction(wrapped, 3000, 4000) == 8
    assert reduction(LongDetector(detector), 3000, 9000) == 1
    assert reduction(TiledDetector(detector), 3000, 4000) == 1


def test_several_networks_are_given_what_the_neediest_can_spare() -> None:
    class Sparing:
        def __init__(self, factor: float) -> None:
            self._factor = factor

        def spare_factor(self, height: int, width: int) -> float:
            return self._factor

    assert least_reduction([Sparing(10), Sparing(6), Sparing(20)], 9, 9) == 4
    assert least_reduction([Sparing(10), object()], 9, 9) == 1
    assert least_reduction([], 9, 9) == 1
