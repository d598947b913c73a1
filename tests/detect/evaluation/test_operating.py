"""Thresholds and what they do, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from generated_scores import scored
from hypothesis import given
from sklearn import metrics

from detect.evaluation.operating import at_best_f1, at_false_alarm_rate, at_miss_rate, confusion_at
from detect.evaluation.scored import Scored

DATA = Scored([1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.8, 0.4, 0.3, 0.1], weights=[1, 1, 1, 2, 1, 1])


def test_what_scores_the_threshold_is_flagged() -> None:
    found = confusion_at(DATA, 0.8)
    assert (found.true_positives, found.false_negatives, found.false_positives, found.true_negatives) == (2, 2, 1, 2)
    assert (found.recall, found.miss_rate, found.false_alarm_rate) == pytest.approx((0.5, 0.5, 1 / 3))
    assert (found.precision, found.accuracy, found.f1) == pytest.approx((2 / 3, 4 / 7, 4 / 7))
    assert confusion_at(DATA, np.nextafter(0.8, 1)).true_positives == 1


def test_nothing_flagged_has_no_precision() -> None:
    nothing = confusion_at(DATA, math.inf)
    assert math.isnan(nothing.precision)
    assert (nothing.f1, nothing.miss_rate, nothing.false_alarm_rate) == (0, 1, 0)
    with pytest.raises(ValueError, match="NaN"):
        confusion_at(DATA, math.nan)


@pytest.mark.parametrize(("rate", "threshold"), [(0, 0.4), (0.49, 0.4), (0.5, 0.8), (0.75, 0.9), (1, math.inf)])
def test_the_highest_threshold_for_a_miss_rate(rate: float, threshold: float) -> None:
    point = at_miss_rate(DATA, rate)
    assert point.threshold == threshold
    assert point.confusion == confusion_at(DATA, threshold)
    assert point.confusion.miss_rate <= rate


@pytest.mark.parametrize(("rate", "threshold"), [(0, 0.9), (0.3, 0.9), (1 / 3, 0.4), (0.99, 0.3), (1, 0.1)])
def test_the_lowest_threshold_for_a_false_alarm_rate(rate: float, threshold: float) -> None:
    assert at_false_alarm_rate(DATA, rate).threshold == threshold


def test_where_every_threshold_raises_false_alarms_none_is_given() -> None:
    assert at_false_alarm_rate(Scored([1, 0], [0.1, 0.9]), 0).threshold == math.inf


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValueError, match="miss_rate must lie in"):
        at_miss_rate(DATA, rate)
    with pytest.raises(ValueError, match="false_alarm_rate must lie in"):
        at_false_alarm_rate(DATA, rate)


def test_the_best_f1_is_the_best_and_of_equals_the_lowest() -> None:
    assert at_best_f1(DATA).threshold == 0.4
    # F1 is 2/3 with the first alone and with all four.
    assert at_best_f1(Scored([1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6])).threshold == 0.6


@given(scored())
def test_counts_are_those_of_scikit_learn(data: Scored) -> None:
    for threshold in (0, 0.5, 4 / 6):
        table = metrics.confusion_matrix(data.labels, data.scores >= threshold, sample_weight=data.weights)
        found = confusion_at(data, threshold)
        ours = [[found.true_negatives, found.false_positives], [found.false_negatives, found.true_positives]]
        np.testing.assert_allclose(ours, table, rtol=0, atol=1e-9)
    best = max(confusion_at(data, each).f1 for each in data.scores)
    assert at_best_f1(data).confusion.f1 == pytest.approx(best, abs=1e-9)
