"""The policies that ship: what each hides and judges, and what it needs."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from censor.errors import PolicyError
from censor.policy import NSFW_REGION, PictureRule, Policy, Rule
from censor.policy_toml import PRESETS, format_policy, load_policy, parse_policy
from detect.labels import CLASSES, KNOWN_LABELS

EXPLICIT = {
    "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_EXPOSED",
}  # fmt: skip

TWO = {"open_nsfw": ("sfw", "nsfw"), "image-safety-s": ("NSFL", "NSFW", "SFW")}


def hidden_by(policy: Policy) -> set[str]:
    return {label for label, rule in policy.rules.items() if rule.censor_at is not None}


@pytest.mark.parametrize("name", ["default", "boxes"])
def test_the_default_hides_and_judges_the_explicit_labels(name: str) -> None:
    policy = load_policy(name)
    assert policy.name == name
    assert set(policy.rules) == hidden_by(policy) == EXPLICIT
    assert all(rule.nsfw_at is not None for rule in policy.rules.values())


def test_belly_and_male_chest_count_only_under_strict() -> None:
    strict = load_policy("strict")
    assert hidden_by(strict) == {*CLASSES, "ANUS_EXPOSED"}
    assert strict.lowest < load_policy("default").lowest


def test_faces_hides_faces_and_judges_nothing() -> None:
    faces = load_policy("faces")
    assert hidden_by(faces) == set(faces.rules) == {"FACE"}
    assert not faces.judges(KNOWN_LABELS, TWO)
    assert not faces.asks_classifiers
    for served in (["FACE"], ["FACE_FEMALE", "FACE_MALE"]):
        faces.require(served)
    with pytest.raises(PolicyError, match="never reports FACE"):
        faces.require(["FACE_FEMALE"])


def test_the_default_adds_classifiers_to_boxes() -> None:
    boxes, asking = load_policy("boxes"), load_policy("default")
    assert boxes.picture == PictureRule()
    assert boxes.heat is None
    assert not boxes.asks_classifiers
    assert not boxes.judges([], TWO)
    assert asking.asks_classifiers
    assert {label: dataclasses.replace(rule, confirm_at=None) for label, rule in asking.rules.items()} == boxes.rules
    assert asking.picture.votes == asking.picture.hide_votes == 2


@pytest.mark.parametrize("name", ["default", "strict", "boxes"])
def test_what_they_judge_is_hidden_unless_something_else_is_named(name: str) -> None:
    policy = load_policy(name)
    assert policy.hides_what_it_judges
    assert policy.unhidden == ()
    part = policy.only(["FACE"])
    assert not part.hides_what_it_judges
    assert "BUTTOCKS_EXPOSED" in part.unhidden
    assert (NSFW_REGION in part.unhidden) is (name != "boxes")


def test_faces_lets_out_what_looks_nsfw() -> None:
    assert not load_policy("faces").hides_what_it_judges
    assert load_policy("faces").unhidden == ()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_suit_the_class_table_and_survive_a_round_trip(name: str) -> None:
    policy = load_policy(name)
    policy.require(KNOWN_LABELS)
    assert parse_policy(format_policy(policy)) == policy


@pytest.mark.parametrize("name", PRESETS)
def test_a_policy_is_a_value(name: str) -> None:
    policy = load_policy(name)
    pickled = pickle.loads(pickle.dumps(policy))  # noqa: S301  # our own
    for again in (pickled, copy.copy(policy), copy.deepcopy(policy), load_policy(name)):
        assert again == policy
        assert hash(again) == hash(policy)
        with pytest.raises(TypeError):
            again.rules["FACE_MALE"] = Rule()  # type: ignore[index]  # which is what must not work
    turned = dataclasses.replace(policy, rules=dict(reversed([*policy.rules.items()])), color=[*policy.color])  # type: ignore[arg-type]
    assert turned == policy
    assert hash(turned) == hash(policy)
    assert again.picture == policy.picture
    others = {policy.at(0.5), policy.each(expand=0.77), dataclasses.replace(policy, cells=3)}
    assert len(others) == 3
    assert policy not in others


@pytest.mark.parametrize("name", ["default", "strict"])
def test_a_detector_of_the_six_classes_suffices(name: str) -> None:
    load_policy(name).require(CLASSES)


def test_boxes_hold_without_classifiers_and_classifiers_without_boxes_where_neither_is_required() -> None:
    for name in ("default", "strict"):
        policy = load_policy(name)
        needing = dataclasses.replace(policy, picture=dataclasses.replace(policy.picture, required=True))
        with pytest.raises(PolicyError, match="and there are none"):
            needing.require(CLASSES, judging=True)
        with pytest.raises(PolicyError, match="there is no detector"):
            needing.require([], classifiers=TWO)
        policy.require(CLASSES, judging=True)
        policy.require([], classifiers=TWO, judging=True)
        with pytest.raises(PolicyError, match=r"never reports .*; there is no detector"):
            policy.require([])
        with pytest.raises(PolicyError, match=r"never reports .*BUTTOCKS_EXPOSED.*; what it reports: FACE_FEMALE"):
            policy.require(["FACE_FEMALE"], classifiers=TWO)
    with pytest.raises(PolicyError, match="there is no detector"):
        load_policy("boxes").require([], classifiers=TWO)


def test_classifiers_stand_for_labels_that_count_and_for_no_others() -> None:
    default = load_policy("default")
    assert not default.needs_detector(TWO)
    assert default.needs_detector({})
    for policy in (
        default.only(["FACE"]),  # heat is not hidden, and no face is
        default.only(["FACE", "NSFW_REGION"]),
        default.only(["BUTTOCKS_EXPOSED"]),
        load_policy("boxes"),
        load_policy("faces"),
        dataclasses.replace(default, picture=dataclasses.replace(default.picture, classifiers=("mine", "yours"))),
        dataclasses.replace(default, picture=PictureRule(nsfw_at=0.5, votes=3, required=False), heat=None),
    ):
        assert policy.needs_detector(TWO)
        with pytest.raises(PolicyError, match="there is no detector"):
            policy.require([], classifiers=TWO)
    assert not default.only(["BUTTOCKS_EXPOSED", "NSFW_REGION"]).needs_detector(TWO)
