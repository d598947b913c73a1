from __future__ import annotations

import copy
import itertools
import json
import operator
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.errors import PolicyError
from censor.evidence import Evidence
from censor.policy import Policy, Rule
from censor.verdict import Level, Verdict
from censor.verdict import judge as judge_evidence
from detect.detections import Detections

NAMES = ("BREAST", "BELLY", "FACE", "queen")
POLICY = Policy(
    name="p",
    rules={
        "BREAST": Rule(censor_at=0.2, review_at=0.3, nsfw_at=0.6),
        "BELLY": Rule(censor_at=0.2),
        "queen": Rule(review_at=0.5, min_area=0.25),
    },
)


def found(*boxes: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    return Detections(
        np.array([box for _, _, box in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in boxes]),
        np.array([NAMES.index(label) for label, _, _ in boxes], np.int64),
        NAMES,
    )


def judge(boxes: Detections, policy: Policy, *, width: int, height: int) -> Verdict:
    return judge_evidence(Evidence(boxes=boxes), policy, width=width, height=height)


def test_nothing_found_is_safe() -> None:
    verdict = judge(found(), POLICY, width=10, height=10)
    assert (verdict.level, verdict.nsfw, verdict.score, verdict.reasons) == (Level.SAFE, False, 0.0, ())
    assert verdict.policy == "p"


def test_what_no_rule_judges_has_no_verdict() -> None:
    hiding = Policy(name="hiding", rules={"BREAST": Rule(censor_at=0.2)})
    elsewhere = Policy(name="elsewhere", rules={"ANKLE": Rule(nsfw_at=0.2, required=False)})
    for policy in (hiding, elsewhere):
        assert not policy.judges(NAMES)
        with pytest.raises(PolicyError, match="judges nothing that the detector reports"):
            judge(found(("BREAST", 0.9, (0, 0, 9, 9))), policy, width=10, height=10)
    assert elsewhere.judges(["ANKLE"])
    assert POLICY.judges(NAMES)


def test_each_level_has_its_threshold() -> None:
    for score, level in ((0.29, Level.SAFE), (0.3, Level.REVIEW), (0.59, Level.REVIEW), (0.6, Level.NSFW)):
        verdict = judge(found(("BREAST", score, (0, 0, 5, 2))), POLICY, width=10, height=10)
        assert verdict.level is level
        assert verdict.nsfw == (level is Level.NSFW)
        assert verdict.score == np.float32(score)


def test_belly_and_labels_without_a_rule_never_count() -> None:
    verdict = judge(found(("BELLY", 1.0, (0, 0, 9, 9)), ("FACE", 1.0, (0, 0, 9, 9))), POLICY, width=10, height=10)
    assert (verdict.level, verdict.score, verdict.reasons) == (Level.SAFE, 0.0, ())


def test_reasons_say_which_box_which_rule_which_numbers() -> None:
    verdict = judge(
        found(("BREAST", 0.4, (0, 0, 1, 1)), ("BREAST", 0.9, (2, 2, 6, 7)), ("BREAST", 0.7, (-5, 0, 5, 1))),
        POLICY, width=10, height=10,
    )  # fmt: skip
    assert [(reason.rule, round(reason.score, 2), reason.threshold) for reason in verdict.reasons] == [
        ("nsfw_at", 0.9, 0.6), ("nsfw_at", 0.7, 0.6), ("review_at", 0.4, 0.3),
    ]  # fmt: skip
    assert verdict.reasons[0].xyxy == (2, 2, 6, 7)
    assert verdict.reasons[0].area == np.float32(0.2)
    assert verdict.reasons[1].area == np.float32(0.05)  # only what lies inside the picture
    assert str(verdict.reasons[0]) == "BREAST 0.90 >= nsfw_at 0.6, 20.0% of the picture"


def test_small_boxes_do_not_count_where_the_rule_says_so() -> None:
    def level(side: float) -> Level:
        return judge(found(("queen", 0.9, (0, 0, side, side))), POLICY, width=10, height=10).level

    assert level(4.9) is Level.SAFE
    assert level(5) is Level.REVIEW


def test_levels_are_ordered() -> None:
    assert [level.rank for level in (Level.SAFE, Level.REVIEW, Level.NSFW)] == [0, 1, 2]
    for one, other in itertools.product(Level, Level):
        assert (one < other) is (one.rank < other.rank)
        assert (one <= other) is (one.rank <= other.rank)
        assert (one > other) is (one.rank > other.rank)
        assert (one >= other) is (one.rank >= other.rank)
        assert (one == other) is (one is other)
    for order in itertools.permutations(Level):
        assert sorted(order) == [Level.SAFE, Level.REVIEW, Level.NSFW]
        assert (min(order), max(order)) == (Level.SAFE, Level.NSFW)


@pytest.mark.parametrize("other", ["nsfw", "anything", 1, None])
@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_only_levels_have_an_order(compare: Callable[[object, object], bool], other: object) -> None:
    for one, two in ((Level.REVIEW, other), (other, Level.REVIEW)):
        with pytest.raises(TypeError, match="a Level is compared with a Level, not with"):
            compare(one, two)


@pytest.mark.parametrize("level", list(Level))
def test_a_level_is_still_its_text(level: Level) -> None:
    assert level == level.value
    assert {level.value: 1}[level] == 1
    assert json.dumps([level]) == f'["{level.value}"]'
    assert f"{level}|{level:>7}" == f"{level.value}|{level.value:>7}"
    assert pickle.loads(pickle.dumps(level)) is copy.deepcopy(level) is level  # noqa: S301  # our own
    assert Level(level.value) is level


def test_json() -> None:
    record = judge(found(("BREAST", 0.9, (2, 2, 6, 7))), POLICY, width=10, height=10).to_dict()
    assert json.loads(json.dumps(record)) == {
        "level": "nsfw", "nsfw": True, "score": 0.9, "policy": "p", "models": ["detector"],
        "reasons": [{"label": "BREAST", "score": 0.9, "rule": "nsfw_at", "threshold": 0.6, "area": 0.2,
                     "xyxy": [2.0, 2.0, 6.0, 7.0], "classifier": None, "calibrated": False}],
    }  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 1, width=32)), max_size=6), st.floats(0, 1, width=32))
def test_one_more_box_never_makes_a_picture_safer(boxes: list[tuple[str, float]], score: float) -> None:
    rows = [(label, each, (0.0, 0.0, 8.0, 8.0)) for label, each in boxes]
    before = judge(found(*rows), POLICY, width=10, height=10)
    after = judge(found(*rows, ("BREAST", score, (0, 0, 8, 8))), POLICY, width=10, height=10)
    assert after.level.rank >= before.level.rank
    assert after.score >= before.score
