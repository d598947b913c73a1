"""What is judged by several is judged by each: no one makes milder than review what another puts there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from censor.evidence import Evidence
from censor.policy import PictureRule, Policy, Rule
from censor.policy_toml import PRESETS, load_policy
from censor.rules import reached
from censor.verdict import Level, judge
from detect.classifier.scores import Scores
from detect.detections import Detections

SIDE = 40
NAMES = ("FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED", "FACE_FEMALE")
BOXES = load_policy("boxes" if "boxes" in PRESETS else "default")
"""Boxes alone."""


def said(probability: float, nsfl: float, heat: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None) -> Scores:
    values = np.array([1 - probability, probability, nsfl], np.float32)
    return Scores(values, ("sfw", "nsfw", "NSFL"), ("nsfw",), heat)


Found = tuple[str, float, float, float, float]
shares = st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) | st.floats(0, 1, width=32)
places = st.floats(-SIDE / 2, SIDE, width=32)
founds = st.lists(st.tuples(st.sampled_from(NAMES), shares, places, places, st.floats(0.5, SIDE, width=32)), max_size=4)
maps = st.none() | arrays(np.float32, (2, 3), elements=shares)
answers = st.builds(said, shares, shares, maps)
classifiers = st.dictionaries(st.sampled_from("abc"), answers, max_size=3)


def boxes(found: list[Found]) -> Detections:
    return Detections(
        np.array([(x, y, x + side, y + side) for _, _, x, y, side in found], np.float32).reshape(-1, 4),
        np.array([score for _, score, *_ in found], np.float32),
        np.array([NAMES.index(label) for label, *_ in found], np.int64),
        NAMES,
    )


def level(found: list[Found], scores: dict[str, Scores], policy: Policy) -> Level:
    return judge(Evidence(boxes=boxes(found), scores=scores), policy, width=SIDE, height=SIDE).level


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any that judges boxes, and may go by classifiers in any way."""
    low, high = sorted((draw(shares), draw(shares)))
    confirm_at = draw(st.none() | shares)
    rule = Rule(censor_at=low, review_at=draw(st.none() | st.just(low)), nsfw_at=high, confirm_at=confirm_at,
                min_area=draw(st.sampled_from([0.0, 0.01])))  # fmt: skip
    labels = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    named = tuple(draw(st.just(()) | st.sets(st.sampled_from("abc"), min_size=2).map(sorted)))
    least, most = sorted((draw(shares), draw(shares)))
    picture = PictureRule(
        classifiers=named,
        review_at=draw(st.none() | st.just(least)),
        nsfw_at=draw(st.just(most)),
        votes=draw(st.integers(1, 2)),
        labels=draw(st.just(()) | st.tuples(st.tuples(st.just("NSFL"), shares))),
    )
    return Policy(name="drawn", rules=dict.fromkeys(labels, rule), picture=picture)


def of_boxes_alone(policy: Policy) -> Policy:
    rules = {label: dataclasses.replace(rule, confirm_at=None) for label, rule in policy.rules.items()}
    return dataclasses.replace(policy, rules=rules, picture=PictureRule(), heat=None)


@settings(max_examples=40)
@given(policies(), founds, classifiers)
def test_no_picture_that_boxes_alone_put_at_review_is_ever_below(
    policy: Policy, found: list[Found], scores: dict[str, Scores]
) -> None:
    alone = level(found, {}, of_boxes_alone(policy))
    assert level(found, scores, policy) >= min(alone, Level.REVIEW)
    unconfirmed = any(rule.confirm_at is not None for rule in policy.rules.values())
    if not unconfirmed or not policy.picture.counted(scores):
        assert level(found, scores, policy) >= alone


@pytest.mark.parametrize("name", [name for name in PRESETS if load_policy(name).judges(NAMES)])
@settings(max_examples=30)
@given(founds, classifiers)
def test_every_preset_that_judges_goes_at_least_as_far_as_boxes(
    name: str, found: list[Found], scores: dict[str, Scores]
) -> None:
    assert level(found, scores, load_policy(name)) >= min(level(found, {}, BOXES), Level.REVIEW)
    assert level(found, {}, load_policy(name)) >= level(found, {}, BOXES)


@settings(max_examples=40)
@given(policies(), founds, classifiers)
def test_no_picture_that_a_classifier_s_rule_puts_somewhere_is_ever_below(
    policy: Policy, found: list[Found], scores: dict[str, Scores]
) -> None:
    rule, judged = policy.picture, level(found, scores, policy)
    counted = {name: each for name, each in scores.items() if not rule.classifiers or name in rule.classifiers}
    if sum(reached(each.probability, rule.nsfw_at) for each in counted.values()) >= rule.votes:
        assert judged is Level.NSFW
    if any(reached(each.probability, rule.review_at) for each in counted.values()):
        assert judged >= Level.REVIEW
    for label, at in rule.labels:
        assert judged >= Level.REVIEW or not any(reached(each.value(label), at) for each in counted.values())


@settings(max_examples=40)
@given(policies() | st.sampled_from([BOXES, load_policy("default"), load_policy("strict")]), founds, classifiers,
       st.data())  # fmt: skip
def test_more_evidence_never_lowers_a_level(
    policy: Policy, found: list[Found], scores: dict[str, Scores], data: st.DataObject
) -> None:
    before = level(found, scores, policy)
    assert level([*found, *data.draw(founds)], scores, policy) >= before
    surer = [(label, max(score, data.draw(shares)), *place) for label, score, *place in found]
    assert level(surer, scores, policy) >= before  # type: ignore[arg-type]  # a star hides the length
    worse = {
        name: said(max(each.probability, data.draw(shares)), max(each.value("NSFL"), data.draw(shares)), each.heat)
        for name, each in scores.items()
    }
    assert level(found, worse, policy) >= before
    hotter = {name: dataclasses.replace(each, heat=np.ones((2, 3), np.float32)) for name, each in scores.items()}
    assert level(found, hotter, policy) is before  # heat says where, not what
    another = {**scores, "d": data.draw(answers)}
    assert level(found, another, policy) >= min(before, Level.REVIEW)  # it may deny what nobody was there to confirm
