"""Policies made from labelled pictures: what is promised holds, and rests on what nothing was fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from censor.analysis.calibrate import Wanted, calibrate
from censor.analysis.calibration_page import NEEDS, calibration_errors, calibration_page
from censor.analysis.looking import Look, Seen
from censor.evidence import Evidence
from censor.policy import Policy, Rule
from censor.policy_toml import format_policy, parse_policy
from censor.rules import PictureRule
from detect.classifier.scores import Scores
from detect.detections import Detections
from detect.duplicates import PictureHash
from detect.errors import EvaluationError
from detect.evaluation.labeled import LabeledPicture
from detect.evaluation.scoring import Answers

LABEL = "FEMALE_BREAST_EXPOSED"
BOXES = Policy(name="boxes", rules={LABEL: Rule(review_at=0.2, nsfw_at=0.4, censor_at=0.3)})
EYES = Policy(name="eyes", rules={}, picture=PictureRule(review_at=0.5, nsfw_at=0.6))
BOTH = Policy(name="both", rules=BOXES.rules, picture=PictureRule(review_at=0.5, nsfw_at=0.6, votes=2))


def one(score: float | None, probabilities: Sequence[float]) -> Seen:
    """One box of this score, and classifiers a, b, … of these probabilities."""
    boxes = Detections.empty((LABEL,))
    if score is not None:
        boxes = Detections(np.array([[0, 0, 8, 8]], np.float32), np.array([score]), np.array([0]), (LABEL,))
    scores = {
        name: Scores(np.array([1 - value, value], np.float32), ("sfw", "nsfw"), ("nsfw",))
        for name, value in zip("ab", probabilities, strict=False)
    }
    return Seen(evidence=Evidence(boxes=boxes, scores=scores), width=16, height=16)


def drawn(seed: int, safe: int, nsfw: int, *, classifiers: int = 2, groups: int | None = None) -> Look:
    """Pictures whose boxes and classifiers know something of what people say."""
    rng = np.random.default_rng(seed)
    labels = np.arange(safe + nsfw) >= safe
    pictures, seen = [], []
    for row, label in enumerate(labels):
        group = None if groups is None else str(row % groups)
        pictures.append(LabeledPicture(path=f"{row}.jpg", nsfw=bool(label), group=group))  # type: ignore[arg-type]
        said = 1 / (1 + np.exp(-rng.normal(1.5 if label else -1.5, 1.5, classifiers)))
        found = rng.random() < (0.7 if label else 0.2)
        seen.append(one(0.05 + 0.9 * rng.random() if found else None, said.tolist()))
    hashes = tuple(PictureHash(int(bits), 2**64 - 1 - int(bits)) for bits in rng.integers(0, 2**63, len(labels)))
    return Look(
        answers=Answers(tuple(pictures), tuple(map(str, labels)), hashes, tuple({} for _ in labels), (), {}),
        seen=tuple(seen),
    )


def missed(look: Look, policy: Policy) -> NDArray[np.bool_]:
    return np.array([seen.judged(policy).level == "safe" for seen in look.seen])


def called(look: Look, policy: Policy) -> NDArray[np.bool_]:
    return np.array([seen.judged(policy).nsfw for seen in look.seen])


def test_scores_become_probabilities_measured_on_what_was_held_back() -> None:
    look = drawn(0, 300, 100)
    found = calibrate(look, BOTH, Wanted(methods={"a": "platt", "b": "isotonic"}))
    assert set(found.policy.calibrations) == {"a", "b"}
    assert 0.4 < found.held_back.mean() < 0.6
    for each in found.fitted:
        assert len(each.before) == found.held_back.sum()
        before, after = calibration_errors(each)
        assert after < before
    assert found.policy.picture == BOTH.picture
    assert found.promises == ()


@pytest.mark.parametrize("policy", [EYES, BOTH, BOXES], ids=lambda policy: policy.name)
def test_what_is_promised_of_false_alarms_is_kept_on_what_was_held_back(policy: Policy) -> None:
    look = drawn(1, 400, 100)
    methods = {} if policy is BOXES else {"a": "platt", "b": "temperature"}
    found = calibrate(look, policy, Wanted(methods=methods, false_alarm_rate=0.1))
    (promise,) = found.promises
    wrong = called(look, found.policy) & ~found.truth.labels & found.held_back
    assert wrong.sum() <= promise.guarantee.mistakes < 0.1 * promise.guarantee.groups
    assert promise.guarantee.groups == (found.held_back & ~found.truth.labels).sum()
    assert called(look, found.policy).any()


@pytest.mark.parametrize("policy", [EYES, BOTH], ids=lambda policy: policy.name)
def test_what_is_promised_of_misses_is_kept_on_what_was_held_back(policy: Policy) -> None:
    look = drawn(2, 100, 400)
    found = calibrate(look, policy, Wanted(methods={"a": "platt", "b": "platt"}, miss_rate=0.1))
    (promise,) = found.promises
    wrong = missed(look, found.policy) & found.truth.labels & found.held_back
    assert wrong.sum() == promise.guarantee.mistakes < 0.1 * promise.guarantee.groups
    assert missed(look, found.policy).any()


def test_without_fits_every_picture_counts() -> None:
    look = drawn(3, 10, 29)
    found = calibrate(look, EYES, Wanted(methods={}, miss_rate=0.1))
    assert found.held_back.all()
    assert found.promises[0].guarantee.groups == 29
    with pytest.raises(EvaluationError, match=r"takes 29 independent .* there are 28, so 1 are missing"):
        calibrate(drawn(3, 10, 28), EYES, Wanted(methods={}, miss_rate=0.1))


def test_groups_count_once_and_stay_on_one_side() -> None:
    look = drawn(4, 200, 200, groups=80)
    found = calibrate(look, EYES, Wanted(methods={"a": "platt"}, miss_rate=0.1))
    groups = found.truth.groups
    assert not set(groups[found.held_back]) & set(groups[~found.held_back])
    assert found.promises[0].guarantee.groups == 40
    with pytest.raises(EvaluationError, match="so 19 are missing"):
        calibrate(drawn(4, 200, 200, groups=20), EYES, Wanted(methods={"a": "platt"}, miss_rate=0.1))


def test_both_promises_at_once_leave_an_order_of_thresholds() -> None:
    look = drawn(5, 400, 400)
    wanted = Wanted(methods={"a": "platt", "b": "platt"}, miss_rate=0.1, false_alarm_rate=0.1)
    found = calibrate(look, BOTH, wanted)
    assert len(found.promises) == 2
    rule, picture = found.policy.rules[LABEL], found.policy.picture
    assert rule.review_at is not None
    assert rule.nsfw_at is not None
    assert rule.review_at <= rule.nsfw_at
    assert rule.censor_at is not None
    assert rule.censor_at <= rule.nsfw_at
    assert picture.review_at is not None
    assert picture.nsfw_at is not None
    assert picture.review_at <= picture.nsfw_at
    assert parse_policy(format_policy(found.policy)) == found.policy


def test_a_safe_picture_exactly_at_a_threshold_is_not_flagged_for_rounding() -> None:
    """A score is a float32: the next float64 above it is the same float32, and would be reached."""
    look = drawn(6, 60, 5)
    found = calibrate(look, EYES, Wanted(methods={}, false_alarm_rate=0.1))
    alarms = called(look, found.policy) & ~found.truth.labels
    assert alarms.sum() == found.promises[0].guarantee.mistakes


def test_promises_that_no_thresholds_keep_are_refused() -> None:
    with pytest.raises(EvaluationError, match="cannot be promised of boxes alone"):
        calibrate(drawn(7, 10, 100), BOXES, Wanted(methods={}, miss_rate=0.1))
    hopeless = drawn(8, 40, 40)
    sure = tuple(one(None, [1.0, 1.0]) for _ in hopeless.seen)
    with pytest.raises(EvaluationError, match="only if nothing is judged NSFW"):
        calibrate(Look(answers=hopeless.answers, seen=sure), EYES, Wanted(methods={}, false_alarm_rate=0.1))
    blind = tuple(one(None, [0.0, 0.0]) for _ in hopeless.seen)
    with pytest.raises(EvaluationError, match="only if every picture is judged at least review"):
        calibrate(Look(answers=hopeless.answers, seen=blind), EYES, Wanted(methods={}, miss_rate=0.1))


def test_scores_that_fall_where_labels_rise_are_refused() -> None:
    look = drawn(9, 60, 60)
    turned = tuple(one(None, [1 - s.probability for s in seen.evidence.scores.values()]) for seen in look.seen)
    with pytest.raises(EvaluationError, match="labels the wrong way round"):
        calibrate(Look(answers=look.answers, seen=turned), EYES, Wanted(methods={"a": "platt"}))


def test_classifiers_that_did_not_look_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="no classifier c looked at the pictures"):
        calibrate(drawn(0, 20, 20), EYES, Wanted(methods={"c": "platt"}))


def test_the_page_says_what_is_promised_and_what_it_needs() -> None:
    found = calibrate(drawn(2, 100, 400), EYES, Wanted(methods={"a": "platt"}, miss_rate=0.1))
    page = calibration_page(found)
    for need in NEEDS:
        assert need.replace("'", "&#39;") in page
    assert "At most 10 % of the NSFW pictures are judged safe, with a confidence of 0.95" in page
    assert "data:image/png" in page
    plain = calibration_page(calibrate(drawn(2, 100, 400), EYES, Wanted(methods={})))
    assert "Nothing: no rate was asked for" in plain
    assert "data:image/png" not in plain
