"""From scores to probabilities: of pictures that get .8, eight in ten are to be positive.

What a fit was made on says nothing about how good it is: measure it on other pictures (`split_by_group`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detect.annotations.fields import is_number, shown
from detect.errors import EvaluationError
from detect.evaluation.scored import Scored

__all__ = [
    "Calibration",
    "Isotonic",
    "Platt",
    "Temperature",
    "calibration_from_data",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
]

Data: TypeAlias = dict[str, object]
"""Texts, numbers and lists of numbers: what TOML and JSON can both say."""

_NEAREST = 1e-7
"""What is nearer to 0 or 1 counts as this near: a float32 says no more of what is near 1, and 1 has no logit."""


class Calibration(Protocol):
    """A rising function from a model's scores to probabilities; immutable."""

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Turn scores into probabilities.

        Args:
            scores: Any shape, each in [0, 1].

        Returns:
            float64 of the same shape, each in [0, 1]; never in another order than the scores.

        Raises:
            ValueError: A score is not in [0, 1].
        """
        ...

    def to_data(self) -> Data:
        """As plain data, which `calibration_from_data` reads."""
        ...


@dataclass(frozen=True)
class Platt:
    """A straight line through the scores' logits.

    Attributes:
        slope: Above 0; 1 leaves the scores as they are, together with an intercept of 0.
        intercept: What is added to each logit.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (_is_finite(self.slope, self.intercept) and self.slope > 0):
            raise ValueError(f"need a finite slope above 0 and a finite intercept: {self.slope}, {self.intercept}")

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """See `Calibration.apply`."""
        return _expit(self.slope * _logits(scores) + self.intercept)

    def to_data(self) -> Data:
        """See `Calibration.to_data`."""
        return {"method": "platt", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Temperature:
    """The scores' logits divided by one number: .5 stays .5.

    Attributes:
        temperature: Above 0; what is above 1 makes scores less certain, what is below makes them more so.
    """

    temperature: float

    def __post_init__(self) -> None:
        if not (_is_finite(self.temperature) and self.temperature > 0):
            raise ValueError(f"a temperature must be finite and above 0, not {self.temperature}")

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """See `Calibration.apply`."""
        return _expit(_logits(scores) / self.temperature)

    def to_data(self) -> Data:
        """See `Calibration.to_data`."""
        return {"method": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class Isotonic:
    """Straight pieces between knots, level before the first and after the last.

    Attributes:
        scores: Where the knots are, rising, each in [0, 1].
        values: The probability at each, never falling, each in [0, 1].
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.values):
            raise ValueError(f"need as many scores as values, at least one: {len(self.scores)}, {len(self.values)}")
        for name, knots in (("scores", self.scores), ("values", self.values)):
            if not all(0 <= knot <= 1 for knot in knots):
                raise ValueError(f"{name} of knots must lie in [0, 1]")
        if (np.diff(self.scores) <= 0).any() or (np.diff(self.values) < 0).any():
            raise ValueError("scores of knots must rise and their values must not fall")

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """See `Calibration.apply`."""
        return np.asarray(np.interp(_shares(scores), self.scores, self.values), np.float64)

    def to_data(self) -> Data:
        """See `Calibration.to_data`."""
        return {"method": "isotonic", "scores": list(self.scores), "values": list(self.values)}


def calibration_from_data(data: Mapping[str, object]) -> Temperature | Platt | Isotonic:
    """Read what `Calibration.to_data` wrote.

    Raises:
        EvaluationError: The method is unknown, a key is missing, unknown or of the wrong kind, or a value out of its
            range.
    """
    method = data.get("method")
    keys = _KEYS.get(method) if isinstance(method, str) else None
    if keys is None:
        raise EvaluationError(f"calibration: method must be one of {', '.join(_KEYS)}, not {shown(method)}")
    missing, unknown = [key for key in keys if key not in data], sorted(data.keys() - {"method", *keys})
    if missing or unknown:
        what = f"{missing[0]} is missing" if missing else f"{unknown[0]} is unknown"
        raise EvaluationError(f"calibration: {what}; {method} has {' and '.join(keys)}")
    try:
        if method == "temperature":
            return Temperature(_number(data, "temperature"))
        if method == "platt":
            return Platt(_number(data, "slope"), _number(data, "intercept"))
        return Isotonic(_numbers(data, "scores"), _numbers(data, "values"))
    except ValueError as error:
        raise EvaluationError(f"calibration: {error}") from error


_KEYS = {"temperature": ("temperature",), "platt": ("slope", "intercept"), "isotonic": ("scores", "values")}
"""What each method has, as the attributes of its class are called."""


def _number(data: Mapping[str, object], key: str) -> float:
    value = data[key]
    if not is_number(value):
        raise ValueError(f"{key} must be a finite number, not {shown(value)}")
    return float(value)


def _numbers(data: Mapping[str, object], key: str) -> tuple[float, ...]:
    values = data[key]
    if not isinstance(values, list | tuple) or not all(is_number(value) for value in values):
        raise ValueError(f"{key} must be a list of finite numbers, not {shown(values)}")
    return tuple(float(value) for value in values)


def fit_temperature(data: Scored) -> Temperature:
    """The temperature under which the labels are likeliest.

    Args:
        data: Scores in [0, 1].

    Raises:
        ValueError: A score is not in [0, 1].
        EvaluationError: Scores do not rise with the labels.

    Source:
        Guo et al. 2017, "On calibration of modern neural networks", § 4.2. We differ in the targets, which are Platt's:
        a few pictures that scores happen to divide without a mistake would otherwise make every score 0 or 1.
    """
    logits = _logits(data.scores)
    size = float(np.sqrt(np.average(logits**2, weights=data.weights)))
    if not size:
        raise EvaluationError(_NOT_RISING)
    (slope,) = _likeliest(logits[:, None] / size, data)
    _check_rising(slope)
    return Temperature(float(size / slope))


def fit_platt(data: Scored) -> Platt:
    """The line through the logits under which the labels are likeliest, with targets a little inside 0 and 1.

    Args:
        data: Scores in [0, 1].

    Raises:
        ValueError: A score is not in [0, 1].
        EvaluationError: Scores do not rise with the labels.

    Source:
        Platt 1999, "Probabilistic outputs for support vector machines"; the algorithm of Lin, Lin and Weng 2007. We fit
        logits of scores, not the scores, so that leaving everything as it is remains possible.
    """
    logits = _logits(data.scores)
    counted = logits[data.weights > 0]
    if counted.min() == counted.max():
        raise EvaluationError("all scores are equal: there is nothing to calibrate")
    middle = float(np.average(logits, weights=data.weights))
    size = float(np.sqrt(np.average((logits - middle) ** 2, weights=data.weights)))
    slope, height = _likeliest(np.stack([(logits - middle) / size, np.ones_like(logits)], axis=1), data)
    _check_rising(slope)
    return Platt(float(slope / size), float(height - slope * middle / size))


def fit_isotonic(data: Scored) -> Isotonic:
    """The function that never falls and is nearest to the labels, in squares; wants some thousand pictures.

    Args:
        data: Scores in [0, 1].

    Raises:
        ValueError: A score is not in [0, 1].
        EvaluationError: Scores do not rise with the labels, so that the nearest function is level.

    Source:
        Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates"; pool
        adjacent violators, Ayer et al. 1955. scikit-learn's `IsotonicRegression(out_of_bounds="clip")` is the same.
    """
    scores = _shares(data.scores)
    counted = data.weights > 0
    knots, place = np.unique(scores[counted], return_inverse=True)
    weights = np.bincount(place, data.weights[counted]).astype(np.float64)
    means = np.bincount(place, data.weights[counted] * data.labels[counted]) / weights
    values = _pooled(means, weights)
    ends = np.ones(len(values), np.bool_)  # of each level stretch, only its ends say anything
    ends[1:-1] = (np.diff(values)[:-1] != 0) | (np.diff(values)[1:] != 0)
    if values[0] == values[-1]:
        raise EvaluationError(_NOT_RISING)
    return Isotonic(tuple(knots[ends].tolist()), tuple(values[ends].tolist()))


_NOT_RISING = "scores do not rise with the labels: there is nothing to calibrate; are the labels the wrong way round?"


def _check_rising(slope: float) -> None:
    if slope <= 1e-6:
        raise EvaluationError(_NOT_RISING)


def _pooled(means: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means in order, neighbours put together until none falls, (K,) to (K,)."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        pool = (mean, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / total, total, before[2] + pool[2])
        pools.append(pool)
    spread = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    return np.asarray(np.clip(spread, 0, 1), np.float64)


def _likeliest(columns: NDArray[np.float64], data: Scored) -> NDArray[np.float64]:
    """Logistic regression of Platt's targets on columns (N, C): their factors, (C,).

    Newton's steps on a convex function, halved where a whole one would lead too far; columns should be of a size
    near 1.
    """
    weights = data.weights / data.weights.sum()
    up, down = (float(data.weights[data.labels == kind].sum()) for kind in (True, False))
    targets = np.where(data.labels, (up + 1) / (up + 2), 1 / (down + 2))

    def loss(factors: NDArray[np.float64]) -> float:
        z = columns @ factors
        return float((weights * (np.logaddexp(0, z) - targets * z)).sum())

    factors = np.zeros(columns.shape[1])
    now = loss(factors)
    for _ in range(100):
        shown_as = _expit(columns @ factors)
        gradient = columns.T @ (weights * (shown_as - targets))
        if np.abs(gradient).max() < 1e-12:
            break
        curvature = (columns * (weights * shown_as * (1 - shown_as))[:, None]).T @ columns
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(factors)), gradient)
        size = 1.0
        while (then := loss(factors - size * step)) > now - 1e-4 * size * float(gradient @ step) and size > 1e-10:
            size /= 2
        if then >= now:
            break  # as near as floats come
        factors, now = factors - size * step, then
    return factors


def _shares(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores to calibrate must lie in [0, 1]")
    return values


def _logits(scores: ArrayLike) -> NDArray[np.float64]:
    inside = np.clip(_shares(scores), _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def _expit(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -logits)), np.float64)


def _is_finite(*values: float) -> bool:
    return bool(np.isfinite(values).all())
