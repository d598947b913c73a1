"""What may be measured, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detect.errors import EvaluationError
from detect.evaluation.scored import Scored


@pytest.mark.parametrize(
    ("labels", "scores", "others", "message"),
    [
        ([1, 0], [0.5], {}, "1 scores need as many labels"),
        ([[1, 0]], [0.5, 0.5], {}, "2 scores need as many labels"),
        ([1, 2], [0.5, 0.5], {}, "true or false"),
        (["nsfw", "safe"], [0.5, 0.5], {}, "true or false"),
        ([1, 0], [0.5, float("nan")], {}, "1 of 2 scores are not finite, the first at position 1"),
        ([1, 0], [float("inf"), 0.5], {}, "not finite, the first at position 0"),
        ([1, 0], [[0.5, 0.5]], {}, r"scores must have shape \(N,\)"),
        ([1, 0], [0.5, 0.5], {"weights": [1]}, "as many weights"),
        ([1, 0], [0.5, 0.5], {"weights": [1, -1]}, "each weight must be finite"),
        ([1, 0], [0.5, 0.5], {"weights": [1, float("nan")]}, "each weight must be finite"),
        ([1, 0], [0.5, 0.5], {"groups": ["a"]}, "as many groups"),
    ],
)
def test_misuse_is_refused(labels: Any, scores: Any, others: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scored(labels, scores, **others)


@pytest.mark.parametrize(
    ("labels", "weights", "message"),
    [
        ([], None, "no pictures"),
        ([1, 1], None, r"none of 2 pictures is negative \(safe\)"),
        ([0, 0], None, r"none of 2 pictures is positive \(NSFW\)"),
        ([1, 0], [0, 1], "positive"),
    ],
)
def test_a_class_without_pictures_is_refused(labels: list[int], weights: list[float] | None, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Scored(labels, [0.5] * len(labels), weights=weights)


def test_the_arrays_are_copies_that_cannot_be_changed() -> None:
    scores = np.array([0.25, 0.75])
    data = Scored([False, True], scores, groups=["b", "a"])
    scores[0] = 9
    assert data.scores.tolist() == [0.25, 0.75]
    assert (data.groups.tolist(), len(data)) == ([1, 0], 2)
    for array in (data.labels, data.scores, data.weights, data.groups):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_parts_and_variants_keep_the_rest() -> None:
    data = Scored([1, 0, 1], [0.1, 0.2, 0.3], weights=[1, 2, 3], groups=[7, 7, 9])
    part = data.part(np.array([True, True, False]))
    assert (part.weights.tolist(), part.groups.tolist()) == ([1, 2], [0, 0])
    assert data.rescored([0, 0, 1]).weights.tolist() == [1, 2, 3]
    assert data.reweighted([5, 5, 5]).scores.tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match="as many choices"):
        data.part(np.array([True]))
    with pytest.raises(EvaluationError, match="negative"):
        data.part(np.array([True, False, True]))
    with pytest.raises(ValueError, match="not finite"):
        data.rescored([0, 0, float("nan")])
