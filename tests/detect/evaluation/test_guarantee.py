"""Guarantees: their numbers, that they are kept, beside MAPIE, and when they are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy.stats import binom

from detect.errors import EvaluationError
from detect.evaluation.binomial import (
    binomial_cdf,
    binomial_p_value,
    fewest_without_mistakes,
    hoeffding_bentkus_p_value,
)
from detect.evaluation.guarantee import (
    Guarantee,
    guarantee_false_alarms,
    guarantee_fused,
    guarantee_misses,
    prove_in_sequence,
    split_by_group,
    threshold_path,
)

DRAWS = 2000


@pytest.mark.parametrize(("trials", "rate"), [(0, 0.3), (1, 0.5), (59, 0.05), (1000, 0.001), (20000, 0.37)])
def test_the_binomial_distribution_is_that_of_scipy(trials: int, rate: float) -> None:
    np.testing.assert_allclose(
        binomial_cdf(trials, rate), binom.cdf(np.arange(trials + 1), trials, rate), rtol=1e-9, atol=1e-300
    )


@pytest.mark.parametrize(
    ("rate", "confidence", "fewest"),
    [
        (0.1, 0.95, 29),
        (0.05, 0.95, 59),
        (0.02, 0.95, 149),
        (0.01, 0.95, 299),
        (0.001, 0.95, 2995),
        (0.5, 0.5, 1),
        (0.5, 0.75, 2),
        (0.5, 0.875, 3),
        (0.1, 0.9, 22),
        (0.9, 0.05, 1),
    ],
)
def test_how_many_pictures_a_guarantee_needs(rate: float, confidence: float, fewest: int) -> None:
    assert fewest_without_mistakes(rate, confidence) == fewest
    assert guarantee_misses(np.arange(fewest), rate=rate, confidence=confidence).thresholds == (0,)


@pytest.mark.parametrize("make", [guarantee_misses, guarantee_false_alarms])
def test_too_few_pictures_are_refused_with_the_number_that_is_missing(make: Any) -> None:
    which = "positive" if make is guarantee_misses else "negative"
    with pytest.raises(EvaluationError, match=rf"takes 59 independent {which} .* there are 43, so 16 are missing"):
        make(np.arange(43) / 43, rate=0.05)
    with pytest.raises(EvaluationError, match="there are 0, so 29 are missing"):
        make([], rate=0.1)
    with pytest.raises(EvaluationError, match="there are 2, so 57 are missing"):
        make(np.arange(200), rate=0.05, groups=["one", "other"] * 100)


@pytest.mark.parametrize("count", [59, 92, 93, 124, 500, 3000])
def test_the_rank_is_the_largest_that_the_distribution_allows(count: int) -> None:
    scores = np.random.default_rng(count).permutation(count)  # a score is its own rank, less one
    made = guarantee_misses(scores, rate=0.05)
    rank = int(made.thresholds[0]) + 1
    assert binom.cdf(rank - 1, count, 0.05) <= 0.05 < binom.cdf(rank, count, 0.05)
    assert made == Guarantee("misses", (rank - 1,), 1, 0.05, 0.95, count, rank - 1)
    alarms = guarantee_false_alarms(-scores, rate=0.05)
    assert alarms.thresholds == (np.nextafter(1.0 - rank, np.inf),)
    assert alarms.mistakes == made.mistakes


def test_equal_scores_miss_fewer() -> None:
    made = guarantee_misses([0.2] * 50 + [0.9] * 50, rate=0.1)
    assert (made.thresholds, made.mistakes) == ((0.2,), 0)
    alarms = guarantee_false_alarms([0.2] * 50 + [0.9] * 50, rate=0.1)
    assert (alarms.thresholds, alarms.mistakes) == ((np.nextafter(0.9, 1),), 0)


def test_a_group_counts_once_with_its_worst_picture() -> None:
    scores, groups = np.arange(120.0), np.repeat(np.arange(60), 2)
    one, whole = guarantee_misses(scores[::2], rate=0.05), guarantee_misses(scores, rate=0.05, groups=groups)
    assert one == whole
    assert guarantee_false_alarms(scores, rate=0.05, groups=groups) == guarantee_false_alarms(scores[1::2], rate=0.05)


@pytest.mark.parametrize(
    ("count", "rate", "confidence"), [(29, 0.1, 0.95), (59, 0.05, 0.95), (150, 0.1, 0.9), (400, 0.02, 0.8)]
)
@pytest.mark.parametrize("make", [guarantee_misses, guarantee_false_alarms])
def test_guarantees_are_kept(make: Any, count: int, rate: float, confidence: float) -> None:
    """Scores are uniform, so that the rate of mistakes to come is known without drawing more."""
    rng = np.random.default_rng(count)
    thresholds = np.array(
        [make(rng.random(count), rate=rate, confidence=confidence).thresholds[0] for _ in range(DRAWS)]
    )
    rates = thresholds if make is guarantee_misses else 1 - thresholds
    broken, allowed = (rates > rate).mean(), 1 - confidence
    assert broken <= allowed + 3 * np.sqrt(allowed / DRAWS)
    # Nor is it kept by promising far too little: what the distribution of ranks says is what happens.
    rank = np.searchsorted(binom.cdf(np.arange(count), count, rate), allowed, side="right")
    expected = binom.cdf(rank - 1, count, rate)
    assert broken == pytest.approx(expected, abs=4 * np.sqrt(expected / DRAWS))


def test_a_guarantee_on_copies_would_be_broken_and_is_kept_by_group() -> None:
    rng = np.random.default_rng(0)
    drawn = [np.repeat(rng.random(59), 5) for _ in range(400)]
    alone = np.mean([guarantee_misses(each, rate=0.05).thresholds[0] > 0.05 for each in drawn])
    groups = np.repeat(np.arange(59), 5)
    grouped = np.mean([guarantee_misses(each, rate=0.05, groups=groups).thresholds[0] > 0.05 for each in drawn])
    assert alone > 0.1
    assert grouped <= 0.05 + 3 * np.sqrt(0.05 / 400)


def models(rng: np.random.Generator, count: int) -> Any:
    """Two models' scores of positives: each by itself overlooks some that the other sees."""
    base = rng.random(count)
    return np.stack([np.clip(base + rng.normal(0, 0.2, count), 0, 1), rng.beta(3, 1, count)], axis=1)


@pytest.mark.parametrize(("count", "rate", "votes"), [(100, 0.1, 1), (100, 0.1, 2), (250, 0.05, 1)])
def test_guarantees_of_fused_rules_are_kept(count: int, rate: float, votes: int) -> None:
    rng = np.random.default_rng(count + votes)
    path = threshold_path(models(rng, 500), of="misses", steps=40)
    population = models(rng, 100_000)
    truth = {tuple(row): float(((population >= row).sum(axis=1) < votes).mean()) for row in np.unique(path, axis=0)}
    broken = 0
    for _ in range(DRAWS // 4):
        made = guarantee_fused(models(rng, count), path, of="misses", rate=rate, votes=votes)
        broken += truth[made.thresholds] > rate
    assert broken / (DRAWS // 4) <= 0.05 + 3 * np.sqrt(0.05 / (DRAWS // 4))


def test_a_fused_rule_of_one_model_is_that_of_one_model() -> None:
    scores = np.random.default_rng(4).random(300)
    path = np.concatenate([[-np.inf], np.sort(scores)])[:, None]
    made = guarantee_fused(scores[:, None], path, of="misses", rate=0.05)
    assert made == guarantee_misses(scores, rate=0.05)
    falling = np.concatenate([[np.inf], np.nextafter(np.sort(scores)[::-1], np.inf)])[:, None]
    made = guarantee_fused(scores[:, None], falling, of="false alarms", rate=0.05)
    assert made == guarantee_false_alarms(scores, rate=0.05)


def test_fused_groups_count_once() -> None:
    scores, groups = np.random.default_rng(5).random((180, 2)), np.arange(180) // 3
    path = threshold_path(np.random.default_rng(6).random((300, 2)), of="misses")
    made = guarantee_fused(scores, path, of="misses", rate=0.05, groups=groups)
    flagged = (scores >= np.array(made.thresholds)).any(axis=1).reshape(60, 3)
    assert (made.groups, made.mistakes) == (60, int((~flagged.all(axis=1)).sum()))
    with pytest.raises(EvaluationError, match="there are 18, so 41 are missing"):
        guarantee_fused(scores[:54], path, of="misses", rate=0.05, groups=groups[:54])


def test_a_fused_path_whose_first_rule_fails_is_refused() -> None:
    with pytest.raises(EvaluationError, match="the first rule makes mistakes in 60 of 60 groups"):
        guarantee_fused(np.zeros((60, 2)), [[0.5, 0.5]], of="misses", rate=0.05)


def test_paths_run_from_all_to_nothing_or_back() -> None:
    scores = np.array([[0.1, 0.6], [0.2, 0.5], [0.3, 0.4]])
    assert threshold_path(scores, of="misses", steps=4).tolist() == [[-np.inf] * 2, [0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]
    falling = threshold_path(scores, of="false alarms", steps=4)
    assert falling[0].tolist() == [np.inf] * 2
    assert falling[1:].tolist() == np.nextafter([[0.3, 0.6], [0.2, 0.5], [0.1, 0.4]], 1).tolist()


@pytest.mark.parametrize("steps", [5, 100])
def test_mapie_proves_the_same_thresholds(steps: int) -> None:
    rng = np.random.default_rng(steps)
    # Of 256, so that shares are exact: MAPIE rounds 200 times 3/200 up to 4 mistakes.
    scores, labels = rng.beta(3, 1, 256), np.ones(256, np.int64)
    thresholds = np.linspace(0, 0.99, steps)
    theirs = BinaryClassificationController(
        predict_function=lambda column: np.stack([1 - column[:, 0], column[:, 0]], axis=1),
        risk="recall",
        target_level=0.9,
        confidence_level=0.95,
        list_predict_params=thresholds,
        fwer_method="fixed_sequence",
    ).calibrate(scores[:, None], labels)
    proven = prove_in_sequence((scores < thresholds[:, None]).astype(float), rate=0.1, confidence=0.95)
    assert 1 < proven < steps
    assert np.sort(theirs.valid_predict_params).tolist() == thresholds[:proven].tolist()
    # Between two thresholds tried lies the one that needs none to be tried.
    ours = guarantee_misses(scores, rate=0.1).thresholds[0]
    assert thresholds[proven - 1] <= ours < thresholds[proven]


@pytest.mark.parametrize("mean", [0, 0.02, 0.049, 0.05, 0.3, 1])
def test_the_bound_is_that_of_mapie(mean: float) -> None:
    found = hoeffding_bentkus_p_value(mean, 200, 0.05)
    theirs = compute_hoeffding_bentkus_p_value(np.array([min(mean, 1 - 1e-12)]), 200, 0.05)[0, 0]
    assert found == pytest.approx(min(1, theirs), rel=1e-6)
    if round(mean * 200) == mean * 200:
        assert found >= binomial_p_value(round(mean * 200), 200, 0.05)


def test_losses_between_0_and_1_are_proven_by_the_bound() -> None:
    losses = np.full((3, 400), 0.02)
    losses[2] = 0.08
    assert prove_in_sequence(losses, rate=0.1) == 2
    assert prove_in_sequence(losses[::-1], rate=0.1) == 0  # what comes after a failure is not looked at
    assert prove_in_sequence(np.zeros((0, 5)), rate=0.1) == 0


@pytest.mark.parametrize("held_back", [0.3, 0.5])
def test_a_split_keeps_groups_together_and_classes_in_their_share(held_back: float) -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 300, 1000)
    labels = groups % 3 == 0
    back = split_by_group(labels, groups, held_back=held_back, seed=3)
    assert not set(groups[back]) & set(groups[~back])
    for kind in (True, False):
        sides = [len(set(groups[chosen & (labels == kind)])) for chosen in (back, ~back)]
        assert sides[0] == round(held_back * sum(sides))
    assert (split_by_group(labels, groups, held_back=held_back, seed=3) == back).all()
    assert (split_by_group(labels, groups, held_back=held_back, seed=4) != back).any()


def test_a_group_of_both_classes_stays_together() -> None:
    back = split_by_group([1, 0] * 10, np.arange(20) // 2)
    assert (back.reshape(10, 2).sum(axis=1) % 2 == 0).all()
    assert back.sum() == 10


def test_a_split_that_cannot_be_is_refused() -> None:
    with pytest.raises(EvaluationError, match="make 2 groups, too few for two sides: no positive picture"):
        split_by_group([1, 1, 0, 0], ["a", "a", "b", "b"])
    with pytest.raises(EvaluationError, match="make 0 groups"):
        split_by_group([], [])
    with pytest.raises(ValueError, match="held_back"):
        split_by_group([1, 0], [1, 2], held_back=1)
    with pytest.raises(ValueError, match="as many groups"):
        split_by_group([1, 0], [1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guarantee_misses([0.5, float("nan")], rate=0.5), "1 of 2 scores are not finite"),
        (lambda: guarantee_false_alarms([[0.5]], rate=0.5), r"shape \(N,\)"),
        (lambda: guarantee_misses([0.5], rate=0), "rate must lie in"),
        (lambda: guarantee_misses([0.5], rate=0.5, confidence=1), "confidence must lie in"),
        (lambda: guarantee_misses([0.5], rate=0.5, groups=[1, 2]), "as many groups"),
        (lambda: guarantee_fused([[0.5]], [[0.5, 0.5]], of="misses", rate=0.5), "need scores"),
        (lambda: guarantee_fused([[0.5]], np.empty((0, 1)), of="misses", rate=0.5), "need scores"),
        (lambda: guarantee_fused([[float("nan")]], [[0.5]], of="misses", rate=0.5), "must be finite"),
        (lambda: guarantee_fused([[0.5]], [[float("nan")]], of="misses", rate=0.5), "no NaN"),
        (lambda: guarantee_fused([[0.5]], [[0.5]], of="misses", rate=0.5, votes=2), "votes must be"),
        (lambda: guarantee_fused([[0.5]], [[0.5], [0.4]], of="misses", rate=0.5), "must never fall"),
        (lambda: guarantee_fused([[0.5]], [[0.4], [0.5]], of="false alarms", rate=0.5), "must never rise"),
        (lambda: guarantee_fused([[0.5]], [[0.4]], of="errors", rate=0.5), "of must be one of"),  # type: ignore[arg-type]
        (lambda: threshold_path([[0.5]], of="errors"), "of must be one of"),  # type: ignore[arg-type]
        (lambda: threshold_path([0.5], of="misses"), "need finite scores"),
        (lambda: threshold_path([[0.5]], of="misses", steps=1), "steps >= 2"),
        (lambda: prove_in_sequence([[0.5, 2]], rate=0.5), "losses must lie in"),
        (lambda: prove_in_sequence([[]], rate=0.5), "losses must lie in"),
        (lambda: prove_in_sequence([[0.0]], rate=0.5, confidence=0), "confidence must lie in"),
        (lambda: binomial_cdf(-1, 0.5), "trials"),
        (lambda: binomial_cdf(1, 1), "rate must lie in"),
        (lambda: binomial_p_value(2, 1, 0.5), "need 0 <= mistakes"),
        (lambda: hoeffding_bentkus_p_value(1.5, 1, 0.5), "need a mean"),
        (lambda: fewest_without_mistakes(0.5, 0), "confidence must lie in"),
    ],
)
def test_misuse_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_no_pictures_make_no_path() -> None:
    with pytest.raises(EvaluationError, match="no positive"):
        threshold_path(np.empty((0, 2)), of="misses")
