"""Agreement by hand and beside scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from detect.evaluation.agreement import Agreement, agreement


def test_by_hand_and_beside_scikit_learn() -> None:
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool)
    found = agreement(first, second, weights=[1, 2, 1, 1, 5])
    assert found == Agreement(both=3, first_only=1, second_only=1, neither=5)
    assert found.rate == 0.8
    theirs = cohen_kappa_score(first, second, sample_weight=[1, 2, 1, 1, 5])
    assert found.kappa == pytest.approx(theirs, abs=1e-12)
    assert agreement(first, ~first).kappa < 0
    assert agreement(first, first).kappa == 1


def test_where_all_is_flagged_chance_explains_everything() -> None:
    assert math.isnan(agreement([True, True], [True, True]).kappa)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([True], [True, False]), "need two bool arrays"),
        (([0.7], [0.2]), "need two bool arrays"),
        (([], []), "need two bool arrays"),
        (([True], [True], [1, 2]), "as many weights"),
        (([True], [True], [-1]), "none below 0"),
        (([True], [True], [0]), "not all of them 0"),
        (([True], [True], [math.nan]), "none below 0"),
    ],
)
def test_misuse_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agreement(*arguments[:2], weights=arguments[2] if len(arguments) > 2 else None)
