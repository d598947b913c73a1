"""What classifiers say counts beside boxes, and never makes milder what these say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.errors import PolicyError
from censor.evidence import Evidence
from censor.policy import PictureRule, Policy, Rule
from censor.policy_toml import load_policy
from censor.verdict import Level, Verdict, judge
from detect.classifier.scores import Scores
from detect.detections import Detections

NAMES = ("FEMALE_BREAST_EXPOSED", "FACE_FEMALE")
RULES = {"FEMALE_BREAST_EXPOSED": Rule(censor_at=0.2, review_at=0.3, nsfw_at=0.6, confirm_at=0.1)}
POLICY = Policy(
    name="p", rules=RULES, picture=PictureRule(review_at=0.5, nsfw_at=0.7, votes=2, labels=(("NSFL", 0.4),))
)


def said(probability: float, *, nsfl: float = 0.0, where: bool = False) -> Scores:
    values = np.array([nsfl, probability, 1 - probability], np.float32)
    heat = np.array([[0.1, 0.2], [0.3, 0.9]], np.float32) if where else None
    return Scores(values, ("NSFL", "NSFW", "SFW"), ("NSFW",), heat)


def boxes(*scores: float) -> Detections:
    count = len(scores)
    xyxy = np.tile(np.array([2, 2, 6, 7], np.float32), (count, 1))
    return Detections(xyxy, np.array(scores, np.float32), np.zeros(count, np.int64), NAMES)


def verdict(found: Detections, policy: Policy = POLICY, **scores: Scores) -> Verdict:
    return judge(Evidence(boxes=found, scores=scores, detectors={"320n": found.names}), policy, width=10, height=10)


def test_one_classifier_makes_a_person_look_and_votes_make_it_nsfw() -> None:
    assert verdict(boxes(), a=said(0.49), b=said(0.2)).level is Level.SAFE
    assert verdict(boxes(), a=said(0.99), b=said(0.2)).level is Level.REVIEW
    assert verdict(boxes(), a=said(0.99), b=said(0.69)).level is Level.REVIEW
    assert verdict(boxes(), a=said(0.99), b=said(0.7)).level is Level.NSFW
    assert verdict(boxes(), a=said(0.99)).level is Level.REVIEW  # one alone has one vote


def test_reasons_name_classifier_score_rule_and_where_it_sees_most() -> None:
    found = verdict(boxes(0.9), a=said(0.8, where=True), b=said(0.75))
    assert [str(each) for each in found.reasons] == [
        "FEMALE_BREAST_EXPOSED 0.90 >= nsfw_at 0.6, 20.0% of the picture",
        "a: NSFW 0.80 >= nsfw_at 0.7, most at 5,5,10,10",
        "b: NSFW 0.75 >= nsfw_at 0.7",
    ]
    assert json.loads(json.dumps(found.to_dict()["reasons"][1:])) == [
        {"label": "NSFW", "score": 0.8, "rule": "nsfw_at", "threshold": 0.7, "area": 1.0,
         "xyxy": [5.0, 5.0, 10.0, 10.0], "classifier": "a"},
        {"label": "NSFW", "score": 0.75, "rule": "nsfw_at", "threshold": 0.7, "area": 1.0, "xyxy": None,
         "classifier": "b"},
    ]  # fmt: skip
    assert found.models == ("320n", "a", "b")
    assert found.score == np.float32(0.9)


def test_what_else_a_classifier_says_is_no_nsfw() -> None:
    found = verdict(boxes(), a=said(0.0, nsfl=0.5))
    assert found.level is Level.REVIEW
    assert [str(each) for each in found.reasons] == ["a: NSFL 0.50 >= review_at 0.4"]
    assert verdict(boxes(), a=said(0.0, nsfl=0.3)).level is Level.SAFE


def test_a_box_that_no_classifier_confirms_makes_a_person_look() -> None:
    assert verdict(boxes(0.9)).level is Level.NSFW  # nobody is there to deny it
    assert verdict(boxes(0.9), a=said(0.0), b=said(0.1)).level is Level.NSFW
    found = verdict(boxes(0.9, 0.4), a=said(0.05), b=said(0.09))
    assert found.level is Level.REVIEW
    assert [each.rule for each in found.reasons] == ["confirm_at", "review_at"]
    assert str(found.reasons[0]) == "FEMALE_BREAST_EXPOSED 0.90, 20.0% of the picture; no classifier >= confirm_at 0.1"
    assert found.score == np.float32(0.9)


def test_only_classifiers_that_count_confirm() -> None:
    policy = Policy(name="p", rules=RULES, picture=PictureRule(classifiers=("b",), review_at=0.5))
    assert verdict(boxes(0.9), policy, a=said(0.9), b=said(0.0)).level is Level.REVIEW
    assert verdict(boxes(0.9), policy, a=said(0.0), b=said(0.9)).level is Level.NSFW
    assert verdict(boxes(0.9), policy, a=said(0.0)).level is Level.NSFW
    assert verdict(boxes(), policy, a=said(0.9), b=said(0.0)).models == ("320n", "b")


def test_classifiers_judge_without_a_detector() -> None:
    found = verdict(Detections.empty(()), a=said(0.6))
    assert (found.level, found.models, found.score) == (Level.REVIEW, ("a",), float(np.float32(0.6)))
    with pytest.raises(PolicyError, match="judges nothing"):
        verdict(Detections.empty(()))
    with pytest.raises(PolicyError, match="judges nothing"):
        verdict(
            Detections.empty(()), Policy(name="p", rules={}, picture=PictureRule(nsfw_at=0.5, votes=2)), a=said(1.0)
        )


def test_a_face_has_one_rule_whatever_a_detector_calls_it() -> None:
    policy = Policy(name="p", rules={"FACE": Rule(nsfw_at=0.5)})
    assert policy.rule_for("FACE_FEMALE") == policy.rule_for("FACE_MALE") == policy.rules["FACE"]
    face = Detections(np.array([[0, 0, 5, 5]], np.float32), np.array([0.9]), np.array([1]), NAMES)
    assert verdict(face, policy).level is Level.NSFW
    women = Policy(name="p", rules={"FACE_FEMALE": Rule(nsfw_at=0.5), "FACE": Rule(review_at=0.2)})
    assert women.rule_for("FACE_FEMALE") == Rule(nsfw_at=0.5)
    assert Policy(name="p", rules={"FACE_FEMALE": Rule(nsfw_at=0.5)}).rule_for("FACE") is None


levels = st.floats(0, 1, width=32)
classifiers = st.dictionaries(st.sampled_from(["a", "b", "c"]), levels.map(said), max_size=3)
policies = st.sampled_from([POLICY, *map(load_policy, ("default", "strict", "boxes"))])


@given(policies, st.lists(levels, max_size=4), classifiers)
def test_nobody_makes_milder_than_review_what_another_puts_there(
    policy: Policy, scores: list[float], given_: dict[str, Scores]
) -> None:
    together = verdict(boxes(*scores), policy, **given_)
    of_boxes = verdict(boxes(*scores), policy)
    of_classifiers = verdict(boxes(), policy, **given_)
    assert together.level >= min(of_boxes.level, Level.REVIEW)
    assert together.level >= of_classifiers.level
    assert together.score == max(of_boxes.score, of_classifiers.score)


@given(st.sampled_from(["default", "strict"]), st.lists(levels, max_size=4), classifiers)
def test_what_boxes_alone_put_at_review_or_above_no_preset_puts_below(
    name: str, scores: list[float], given_: dict[str, Scores]
) -> None:
    alone, union = verdict(boxes(*scores), load_policy("boxes")), verdict(boxes(*scores), load_policy(name), **given_)
    assert union.level >= min(alone.level, Level.REVIEW)
    without = verdict(boxes(*scores), load_policy(name))
    assert without.level >= alone.level  # and where nobody denies anything, they hold as they are
    assert name == "strict" or without.level == alone.level
    if any(each.probability >= 0.6 for each in given_.values()):
        assert union.level >= Level.REVIEW


@given(policies, st.lists(levels, max_size=4), classifiers, levels)
def test_one_more_box_or_a_surer_classifier_never_makes_a_picture_safer(
    policy: Policy, scores: list[float], given_: dict[str, Scores], more: float
) -> None:
    before = verdict(boxes(*scores), policy, **given_)
    assert verdict(boxes(*scores, more), policy, **given_).level >= before.level
    surer = {name: said(max(each.probability, more)) for name, each in given_.items()}
    assert verdict(boxes(*scores), policy, **surer).level >= before.level
