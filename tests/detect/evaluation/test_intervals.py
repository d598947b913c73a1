"""Intervals: by hand, by group, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from generated_scores import drawn
from numpy.typing import NDArray

from detect.errors import EvaluationError
from detect.evaluation.curves import areas, average_precision, roc_auc
from detect.evaluation.intervals import bootstrap, bootstrap_all, wilson
from detect.evaluation.operating import confusion_at
from detect.evaluation.scored import Scored


def test_wilson_by_hand() -> None:
    # z = 1.959964: (.4 + z²/20 ± z sqrt(.4 · .6 / 10 + z²/400)) / (1 + z²/10)
    found = wilson(4, 10)
    assert (found.low, found.high) == pytest.approx((0.168180, 0.687326), abs=1e-6)
    assert wilson(0, 10).low == 0
    assert wilson(0, 10).high == pytest.approx(0.277533, abs=1e-6)
    assert (wilson(10, 10).low, wilson(10, 10).high) == pytest.approx((1 - 0.277533, 1), abs=1e-6)
    assert wilson(4, 10, confidence=0.5).high < found.high


@pytest.mark.parametrize("count, total", [(-1, 5), (6, 5), (0, 0)])  # noqa: PT006
def test_wilson_refuses_what_is_no_count(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="need 0 <= count <= total"):
        wilson(count, total)


@pytest.mark.parametrize("confidence", [0, 1, float("nan")])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must lie in"):
        wilson(1, 2, confidence=confidence)
    with pytest.raises(ValueError, match="confidence must lie in"):
        bootstrap(roc_auc, drawn(0, 20), confidence=confidence)


def test_equal_seeds_give_equal_intervals_around_the_measure() -> None:
    data = drawn(0, 80)
    one, same, other = (bootstrap(roc_auc, data, resamples=200, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert one.low < roc_auc(data) < one.high
    wide = bootstrap(roc_auc, data, resamples=200, seed=1, confidence=0.99)
    assert wide.low < one.low < one.high < wide.high


def test_the_interval_of_a_rate_is_that_of_the_binomial() -> None:
    data = Scored([True] * 100 + [False] * 100, [0.9] * 80 + [0.1] * 120)
    found = bootstrap(lambda each: confusion_at(each, 0.5).recall, data, resamples=1000)
    spread = 1.96 * np.sqrt(0.8 * 0.2 / 100)
    assert (found.low, found.high) == pytest.approx((0.8 - spread, 0.8 + spread), abs=0.02)


def test_copies_in_groups_do_not_narrow_the_interval() -> None:
    data = drawn(5, 40)
    copied = Scored(np.tile(data.labels, 9), np.tile(data.scores, 9), groups=np.tile(np.arange(40), 9))
    single, grouped = (bootstrap(roc_auc, each, resamples=300) for each in (data, copied))
    assert (grouped.low, grouped.high) == pytest.approx((single.low, single.high))
    alone = bootstrap(roc_auc, Scored(copied.labels, copied.scores), resamples=300)
    assert alone.high - alone.low < (grouped.high - grouped.low) / 2


def test_too_few_groups_have_no_interval() -> None:
    data = Scored([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], groups=["a", "a", "b", "c"])
    with pytest.raises(EvaluationError, match="needs 2 groups with positive pictures, and there is 1"):
        bootstrap(roc_auc, data)
    with pytest.raises(ValueError, match="resamples"):
        bootstrap(roc_auc, drawn(0, 20), resamples=0)


def test_few_of_a_class_are_drawn_until_there_are_some() -> None:
    data = Scored([1, 1] + [0] * 30, np.linspace(1, 0, 32))
    assert bootstrap(roc_auc, data, resamples=100).low == pytest.approx(1)


def test_a_measure_that_is_undefined_has_no_interval() -> None:
    data = Scored([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1])
    with pytest.raises(EvaluationError, match="undefined in 50 of 50 draws"):
        bootstrap(lambda each: confusion_at(each, 0.95).precision, data, resamples=50)


def test_several_measures_share_their_draws_in_parts_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn(3, 60, weighted=True)
    alone = [bootstrap(measure, data, resamples=50) for measure in (roc_auc, average_precision)]
    monkeypatch.setattr("detect.evaluation.intervals._NUMBERS", 60 * 7)
    parts: list[int] = []

    def measures(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        parts.append(len(weights))
        return np.array(areas(data, weights))

    together = bootstrap_all(measures, data, resamples=50)
    assert parts == [7] * 7 + [1]
    for one, other in zip(together, alone, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)
