"""Curves and areas: by hand, and beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from generated_scores import drawn, scored
from hypothesis import given
from sklearn import metrics

from detect.evaluation.curves import areas, average_precision, precision_recall_curve, roc_auc, roc_curve
from detect.evaluation.scored import Scored

CASES = [
    drawn(0),
    drawn(1, decimals=1),
    drawn(2, weighted=True),
    drawn(3, 5000, decimals=2, weighted=True),
    drawn(4, 2),
]


def agrees_with_scikit_learn(data: Scored) -> None:
    given_ = {"sample_weight": data.weights}
    roc, curve = roc_curve(data), precision_recall_curve(data)
    rates = metrics.roc_curve(data.labels, data.scores, drop_intermediate=False, **given_)
    for ours, theirs in zip((roc.false_alarm_rates, roc.recalls, roc.thresholds), rates, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    precisions, recalls, thresholds = metrics.precision_recall_curve(data.labels, data.scores, **given_)
    np.testing.assert_allclose(curve.precisions[::-1], precisions, rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.recalls[::-1], recalls, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(curve.thresholds[:0:-1], thresholds)
    assert roc_auc(data) == pytest.approx(metrics.roc_auc_score(data.labels, data.scores, **given_), abs=1e-9)
    theirs = metrics.average_precision_score(data.labels, data.scores, **given_)
    assert average_precision(data) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("data", CASES, ids=["plain", "ties", "weights", "many", "two"])
def test_curves_are_those_of_scikit_learn(data: Scored) -> None:
    agrees_with_scikit_learn(data)


@given(scored())
def test_curves_of_whatever_ties_and_weights_are_those_of_scikit_learn(data: Scored) -> None:
    agrees_with_scikit_learn(data)


def test_by_hand() -> None:
    # .9 yes, .8 no, .7 yes and no: of four pairs one positive is above both, the other below one and tied with one.
    data = Scored([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.7])
    assert roc_auc(data) == (2 + 0.5) / 4
    assert average_precision(data) == 0.5 * 1 + 0.5 * 2 / 4
    assert roc_curve(data).thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7]


def test_constant_scores_say_nothing() -> None:
    data = Scored([1, 0, 0, 0], [0.3] * 4)
    assert (roc_auc(data), average_precision(data)) == (0.5, 0.25)


def test_a_picture_of_weight_two_is_two_pictures() -> None:
    once = Scored([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.7], weights=[1, 2, 1, 1])
    twice = Scored([1, 0, 0, 1, 0], [0.9, 0.8, 0.8, 0.7, 0.7])
    assert roc_auc(once) == pytest.approx(roc_auc(twice), abs=1e-12)
    assert average_precision(once) == pytest.approx(average_precision(twice), abs=1e-12)


@pytest.mark.parametrize("data", CASES)
def test_areas_under_many_weightings_are_those_of_each(data: Scored) -> None:
    rng = np.random.default_rng(9)
    weights = np.stack([data.weights, *rng.choice([0.0, 1.0, 2.0, 3.5], (20, len(data)))])
    weights[:, :2] = 1  # some of each class
    auc, precision = areas(data, weights)
    each = [data.reweighted(row) for row in weights]
    np.testing.assert_allclose(auc, [roc_auc(one) for one in each], rtol=0, atol=1e-12)
    np.testing.assert_allclose(precision, [average_precision(one) for one in each], rtol=0, atol=1e-12)
