"""What a classifier's answer must be."""

from __future__ import annotations

import numpy as np
import pytest

from detect.classifier.scores import Classifier, Scores


def test_scores_add_up_what_counts_as_nsfw() -> None:
    scores = Scores(np.array([0.125, 0.25, 0.625], np.float32), ("drawing", "nude", "porn"), ("nude", "porn"))

    assert scores.probability == 0.875
    assert scores.value("drawing") == 0.125


def test_probability_never_exceeds_one() -> None:
    assert Scores(np.array([0.75, 0.75], np.float32), ("nude", "porn"), ("nude", "porn")).probability == 1.0


def test_scores_cannot_be_changed() -> None:
    scores = Scores(np.array([0.5, 0.5], np.float32), ("sfw", "nsfw"), ("nsfw",), np.zeros((2, 3), np.float32))

    assert scores.heat is not None
    assert scores.heat.shape == (2, 3)
    for array in (scores.values, scores.heat):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("values", "names", "nsfw", "heat", "message"),
    [
        ([0.5, 1.5], ("sfw", "nsfw"), ("nsfw",), None, "values must lie in"),
        ([0.5, float("nan")], ("sfw", "nsfw"), ("nsfw",), None, "values must lie in"),
        ([0.5], ("sfw", "nsfw"), ("nsfw",), None, "2 names need 2 values"),
        ([0.5, 0.5], ("nsfw", "nsfw"), ("nsfw",), None, "each once"),
        ([], (), (), None, "names must be given"),
        ([0.5, 0.5], ("sfw", "nsfw"), (), None, "nsfw must be some of"),
        ([0.5, 0.5], ("sfw", "nsfw"), ("porn",), None, "nsfw must be some of"),
        ([0.5, 0.5], ("sfw", "nsfw"), ("nsfw",), [0.5], "heat must have shape"),
        ([0.5, 0.5], ("sfw", "nsfw"), ("nsfw",), [[-0.5]], "heat must lie in"),
    ],
)
def test_scores_refuse_what_is_no_answer(
    values: list[float], names: tuple[str, ...], nsfw: tuple[str, ...], heat: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Scores(np.array(values, np.float32), names, nsfw, None if heat is None else np.array(heat, np.float32))


def test_a_classifier_is_known_by_its_members() -> None:
    assert not isinstance(object(), Classifier)
