"""What `censor calibrate` promises, drawn again and again: of all policies made so, few enough break their promise."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from test_calibrate import BOTH, EYES, drawn

from censor.analysis.calibrate import Wanted, calibrate
from censor.analysis.looking import Look
from censor.policy import Policy
from detect.evaluation.scoring import Answers

POOL, SAFE = 1500, 200
CONFIDENCE = 0.9

CASES = [
    # policy, methods, NSFW pictures, share that may be missed
    (EYES, {}, 22, 0.1),
    (EYES, {}, 60, 0.1),
    (EYES, {}, 150, 0.05),
    (EYES, {"a": "platt", "b": "platt"}, 80, 0.1),
    (BOTH, {}, 120, 0.1),
]
"""22 is the fewest for a tenth with this confidence. Where something is fitted, or boxes and classifiers both count,
half of the pictures are held back."""


@pytest.fixture(scope="module")
def everything() -> Look:
    """All pictures that there are, safe ones first."""
    return drawn(99, SAFE, POOL)


def part(look: Look, rows: NDArray[np.intp], rng: np.random.Generator) -> Look:
    """Some of the pictures, one of which may come twice: each draw is by itself."""
    answers = look.answers
    pictures = tuple(
        dataclasses.replace(answers.pictures[row], path=f"{number}.jpg") for number, row in enumerate(rows)
    )
    hashes = tuple(answers.hashes[row] for row in rng.permutation(len(answers.hashes))[: len(rows)])
    made = Answers(pictures, tuple(map(str, range(len(rows)))), hashes, tuple({} for _ in rows), (), {})
    return Look(answers=made, seen=tuple(look.seen[row] for row in rows))


@functools.cache
def said(look: Look) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What classifiers say of all NSFW pictures, (POOL, 2), and the score of their best boxes, (POOL,)."""
    nsfw = [seen.evidence for seen in look.seen[SAFE:]]
    probabilities = [[scores.probability for scores in each.scores.values()] for each in nsfw]
    return np.array(probabilities), np.array([each.boxes.scores.max(initial=-1) for each in nsfw], np.float64)


def miss_rate(look: Look, policy: Policy) -> float:
    """The share of all NSFW pictures that a policy judges safe, reckoned apart from its own way of judging."""
    values, boxes = said(look)
    columns = [
        policy.calibrations[name].apply(column) if name in policy.calibrations else column
        for name, column in zip("ab", values.T, strict=True)
    ]
    at = policy.picture.review_at
    flagged = np.max(columns, axis=0).astype(np.float32) >= np.float32(np.inf if at is None else at)
    for rule in policy.rules.values():
        flagged |= boxes.astype(np.float32) >= np.float32(np.inf if rule.review_at is None else rule.review_at)
    return float(1 - flagged.mean())


def broken(look: Look, case: tuple[Policy, dict[str, str], int, float], draws: int) -> int:
    policy, methods, count, rate = case
    rng, wanted = np.random.default_rng(7), Wanted(methods=methods, miss_rate=rate, confidence=CONFIDENCE)
    found = 0
    for _ in range(draws):
        rows = np.concatenate([rng.integers(0, SAFE, 20), rng.integers(SAFE, SAFE + POOL, count)])
        made = calibrate(part(look, rows, rng), policy, wanted)
        found += miss_rate(look, made.policy) > rate
    return found


def most(draws: int) -> int:
    """More broken promises than this come about once in a thousand times where the confidence holds."""
    return int(draws * (1 - CONFIDENCE) + 3.1 * math.sqrt(draws * CONFIDENCE * (1 - CONFIDENCE)))


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: f"{case[0].name}-{case[2]}-{case[3]}")
def test_few_of_many_policies_break_their_promise(
    everything: Look, case: tuple[Policy, dict[str, str], int, float]
) -> None:
    found = broken(everything, case, 40)
    assert found <= most(40)


@pytest.mark.slow  # some minutes each: two thousand policies are fitted
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].name}-{case[2]}-{case[3]}-{len(case[1])}")
def test_of_two_thousand_policies_no_more_break_their_promise_than_the_confidence_allows(
    everything: Look, case: tuple[Policy, dict[str, str], int, float]
) -> None:
    assert broken(everything, case, 2000) <= most(2000)
