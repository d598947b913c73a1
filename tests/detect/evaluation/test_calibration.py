"""Fits beside scikit-learn's and a general optimiser's, what they are for, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import Any

import numpy as np
import pytest
from generated_scores import drawn, scored
from hypothesis import assume, given
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from detect.errors import EvaluationError
from detect.evaluation.calibration import (
    Isotonic,
    Platt,
    Temperature,
    calibration_from_data,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from detect.evaluation.curves import roc_auc
from detect.evaluation.reliability import brier_score, reliability
from detect.evaluation.scored import Scored

FITS = (fit_temperature, fit_platt, fit_isotonic)
GRID = np.linspace(0, 1, 501)


def overconfident(seed: int, count: int = 4000) -> Scored:
    """Scores whose logits are three times what they should be, and 1 too high."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-logits))
    return Scored(labels, 1 / (1 + np.exp(-(3 * logits + 1))))


def reference_loss(factors: NDArray[np.float64], data: Scored) -> float:
    inside = np.clip(data.scores, 1e-7, 1 - 1e-7)
    z = factors[0] * np.log(inside / (1 - inside)) + (factors[1] if len(factors) == 2 else 0)
    up, down = data.weights[data.labels].sum(), data.weights[~data.labels].sum()
    targets = np.where(data.labels, (up + 1) / (up + 2), 1 / (down + 2))
    return float((data.weights * (targets * np.log1p(np.exp(-z)) + (1 - targets) * np.log1p(np.exp(z)))).sum())


@pytest.mark.parametrize(
    "data", [drawn(0), drawn(1, weighted=True), overconfident(2)], ids=["plain", "weights", "many"]
)
def test_lines_are_those_of_a_general_optimizer(data: Scored) -> None:
    found = fit_platt(data)
    best = minimize(reference_loss, [1.0, 0.0], (data,), method="BFGS", options={"gtol": 1e-6})
    assert found.slope == pytest.approx(best.x[0], rel=1e-4)
    assert found.intercept == pytest.approx(best.x[1], abs=1e-4)
    assert reference_loss(np.array([found.slope, found.intercept]), data) <= best.fun * (1 + 1e-12)
    best = minimize(reference_loss, [1.0], (data,), method="BFGS", options={"gtol": 1e-6})
    assert fit_temperature(data).temperature == pytest.approx(1 / best.x[0], rel=1e-4)


def test_platts_fit_is_that_of_scikit_learn() -> None:
    from sklearn.calibration import _SigmoidCalibration

    data = drawn(3, 500)
    theirs = _SigmoidCalibration().fit(np.log(data.scores / (1 - data.scores)), data.labels)
    found = fit_platt(data)
    assert found.slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert found.intercept == pytest.approx(-theirs.b_, abs=1e-3)


def same_isotonic(data: Scored) -> None:
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    theirs.fit(data.scores, data.labels, data.weights)
    expected = theirs.predict(GRID)
    if expected[0] == pytest.approx(expected[-1], abs=1e-12):
        with pytest.raises(EvaluationError, match="do not rise"):
            fit_isotonic(data)
        return
    np.testing.assert_allclose(fit_isotonic(data).apply(GRID), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "data",
    [drawn(0), drawn(1, decimals=1), drawn(2, weighted=True), drawn(3, 3000, decimals=3, weighted=True)],
    ids=["plain", "ties", "weights", "many"],
)
def test_isotonic_fits_are_those_of_scikit_learn(data: Scored) -> None:
    same_isotonic(data)


@given(scored())
def test_isotonic_fits_of_whatever_ties_and_weights_are_those_of_scikit_learn(data: Scored) -> None:
    same_isotonic(data)


def test_isotonic_by_hand() -> None:
    found = fit_isotonic(Scored([0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found == Isotonic((0.1, 0.2, 0.3, 0.4, 0.5), (0, 0.5, 0.5, 1, 1))
    assert found.apply([0, 0.15, 0.25, 0.9]).tolist() == [0, pytest.approx(0.25), 0.5, 1]
    long = Scored([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert fit_isotonic(long) == Isotonic((0.1, 0.3, 0.4, 0.6), (0, 0, 1, 1))


@pytest.mark.parametrize("fit", FITS)
def test_scores_that_were_overconfident_become_probabilities(fit: Any) -> None:
    seen, unseen = overconfident(0), overconfident(1)
    before = reliability(unseen).expected_calibration_error
    calibrated = unseen.rescored(fit(seen).apply(unseen.scores))
    after = reliability(calibrated).expected_calibration_error
    assert before > 0.15
    assert after < (0.1 if fit is fit_temperature else 0.03)  # a temperature leaves the shift where it is
    assert brier_score(calibrated) < brier_score(unseen)
    assert roc_auc(calibrated) == pytest.approx(roc_auc(unseen), abs=0.005)


@pytest.mark.parametrize("fit", FITS)
@given(data=scored())
def test_order_is_kept_and_probabilities_are_some(fit: Any, data: Scored) -> None:
    try:
        values = fit(data).apply(GRID)
    except EvaluationError:
        assume(False)
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) >= 0).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scores", [[0.5] * 6, [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]], ids=["constant", "reversed"])
def test_scores_that_say_nothing_are_refused(fit: Any, scores: list[float]) -> None:
    with pytest.raises(EvaluationError, match="nothing to calibrate"):
        fit(Scored([1, 1, 1, 0, 0, 0], scores))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("odd", [-0.1, 1.1])
def test_only_shares_are_calibrated(fit: Any, odd: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        fit(Scored([1, 0], [odd, 0.5]))


@pytest.mark.parametrize("fit", [fit_temperature, fit_platt])
def test_few_pictures_without_a_mistake_do_not_make_certainty(fit: Any) -> None:
    few = Scored([1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    assert 0.6 < float(fit(few).apply(0.9)) < 0.95
    ends = Scored([1, 1, 0, 0], [1, 1, 0, 0])
    assert float(fit(ends).apply(1)) == pytest.approx(0.75, abs=1e-6)  # (2 + 1) / (2 + 2)


@pytest.mark.parametrize(
    ("fit", "scores"),
    [
        (fit_temperature, (0.5000001, 0.4999999)),
        (fit_temperature, (1, 1e-30)),
        (fit_platt, (0.5000001, 0.4999999)),
        (fit_platt, (1, 1e-30)),
        (fit_platt, (1, 0.999999)),
        (fit_platt, (1e-6, 1e-30)),
    ],
)
def test_scores_that_hardly_differ_or_differ_by_everything_are_fitted(fit: Any, scores: tuple[float, float]) -> None:
    data = Scored([1] * 50 + [0] * 50, np.repeat(scores, 50))
    assert fit(data).apply(scores).tolist() == pytest.approx([51 / 52, 1 / 52], rel=1e-6)  # Platt's targets


MADE = (Temperature(1.7), Platt(0.25, -3.5), Isotonic((0.1, 0.3), (0.0, 0.9)))


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_what_is_written_is_read(made: Any) -> None:
    data = made.to_data()
    assert calibration_from_data(json.loads(json.dumps(data))) == made
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in data.items())
    assert calibration_from_data(tomllib.loads(lines)) == made
    assert hash(calibration_from_data(data)) == hash(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, next(iter(made.__dataclass_fields__)), 1.0)
    for odd in (1.5, float("nan")):
        with pytest.raises(ValueError, match="must lie in"):
            made.apply([0.5, odd])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "method must be one of temperature, platt, isotonic, not null"),
        ({"method": "beta"}, 'not "beta"'),
        ({"method": ["platt"]}, "method must be one of"),
        ({"method": "platt", "slope": 1.0}, "intercept is missing; platt has slope and intercept"),
        ({"method": "temperature", "temperature": 1, "slope": 1}, "slope is unknown"),
        ({"method": "temperature", "temperature": "1"}, "temperature must be a finite number"),
        ({"method": "temperature", "temperature": True}, "temperature must be a finite number"),
        ({"method": "temperature", "temperature": 0}, "above 0"),
        ({"method": "temperature", "temperature": float("inf")}, "temperature must be a finite number"),
        ({"method": "platt", "slope": -1, "intercept": 0}, "slope above 0"),
        ({"method": "isotonic", "scores": 1, "values": [1]}, "scores must be a list"),
        ({"method": "isotonic", "scores": [0.1], "values": ["1"]}, "values must be a list of finite numbers"),
        ({"method": "isotonic", "scores": [], "values": []}, "at least one"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "values": [0.1]}, "as many scores as values"),
        ({"method": "isotonic", "scores": [0.1, 0.1], "values": [0.1, 0.2]}, "must rise"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "values": [0.2, 0.1]}, "must not fall"),
        ({"method": "isotonic", "scores": [0.1, 0.2], "values": [0.2, 1.1]}, r"values of knots must lie in \[0, 1\]"),
    ],
)
def test_data_that_are_no_calibration_are_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        calibration_from_data(data)


def test_reliability_by_hand() -> None:
    found = reliability(Scored([0, 1, 1, 1], [0.1, 0.2, 0.5, 1.0], weights=[1, 1, 2, 1]), bins=4)
    assert found.weights.tolist() == [2, 0, 2, 1]
    assert found.said[[0, 2, 3]].tolist() == [pytest.approx(0.15), 0.5, 1]
    assert found.observed[[0, 2, 3]].tolist() == [0.5, 1, 1]
    assert np.isnan(found.said[1])
    assert found.expected_calibration_error == pytest.approx((2 * 0.35 + 2 * 0.5 + 0) / 5)


def test_reliability_and_brier_score_are_those_of_scikit_learn() -> None:
    data = drawn(7, 3000)
    found = reliability(data, bins=10)
    observed, said = calibration_curve(data.labels, data.scores, n_bins=10)
    np.testing.assert_allclose(found.observed, observed, atol=1e-9)
    np.testing.assert_allclose(found.said, said, atol=1e-9)
    weighed = drawn(8, weighted=True)
    theirs = brier_score_loss(weighed.labels, weighed.scores, sample_weight=weighed.weights)
    assert brier_score(weighed) == pytest.approx(theirs, abs=1e-9)


def test_only_shares_are_held_against_rates() -> None:
    for measure in (reliability, brier_score):
        with pytest.raises(ValueError, match="must lie in"):
            measure(Scored([1, 0], [2, 0.5]))
    with pytest.raises(ValueError, match="bins"):
        reliability(drawn(0), bins=0)
