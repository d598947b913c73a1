"""What a policy says of classifiers, and which of its values contradict each other."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.rules import PictureRule, Rule, check_number
from detect.classifier.scores import Scores

TWO = {"one": ("sfw", "nsfw"), "two": ("sfw", "nsfw", "NSFL")}


def said(**probabilities: float) -> dict[str, Scores]:
    return {
        name: Scores(np.array([1 - each, each], np.float32), ("sfw", "nsfw"), ("nsfw",))
        for name, each in probabilities.items()
    }


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"classifiers": "open_nsfw"}, "classifiers must be a list of names"),
        ({"classifiers": ["a", 1]}, "classifiers must be a list of names"),
        ({"classifiers": ["a", "a"]}, "classifiers must be named once each"),
        ({"review_at": 1.1}, "review_at must be a number in [0, 1]"),
        ({"heat_at": True, "hide_at": 0.1}, "heat_at must be a number in [0, 1]"),
        ({"labels": (("NSFL", 7),)}, "review_at must be a number in [0, 1], not 7"),
        ({"required": 1}, "required must be true or false"),
        ({"nsfw_at": 0.5, "votes": 0}, "votes must be a whole number from 1 on, not 0"),
        ({"nsfw_at": 0.5, "votes": True}, "votes must be a whole number"),
        ({"nsfw_at": 0.5, "votes": 1.0}, "votes must be a whole number"),
        ({"nsfw_at": 0.5, "votes": 2, "classifiers": ["a"]}, "votes (2) can never be reached: 1 classifiers are named"),
        ({"hide_at": 0.5, "heat_at": 0.5, "hide_votes": 3, "classifiers": ["a", "b"]}, "hide_votes (3) can never be"),
        ({"votes": 2}, "votes needs nsfw_at"),
        ({"hide_votes": 2}, "hide_votes needs hide_at"),
        ({"review_at": 0.6, "nsfw_at": 0.5}, "review_at (0.6) must not be above nsfw_at (0.5)"),
        ({"hide_at": 0.5}, "hide_at needs heat_at"),
        ({"heat_at": 0.5}, "heat_at needs hide_at"),
        ({"sure_at": 0.5}, "sure_at needs hide_at"),
        ({"hide_first": ["a"]}, "hide_first needs hide_at"),
        ({"hide_at": 0.5, "heat_at": 0.5, "hide_first": "a"}, "hide_first must be a list of names"),
        ({"hide_at": 0.5, "heat_at": 0.5, "hide_first": ["a", "a"]}, "hide_first must be named once each"),
        ({"hide_at": 0.5, "heat_at": 0.5, "classifiers": ["a"], "hide_first": ["b"]}, "hide_first names b, and classi"),
        ({"hide_at": 0.5, "heat_at": 0.5, "hide_votes": 2, "sure_at": 0.4}, "sure_at (0.4) must not be below hide_at"),
        ({"hide_at": 0.5, "heat_at": 0.5, "sure_at": 0.9}, "sure_at needs hide_votes above 1"),
        ({"hide_at": 0.0, "heat_at": 0.5}, "hide_at of 0 needs review_at or nsfw_at above 0"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match="^" + says.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")):
        PictureRule(**values)


def test_confirmation_needs_something_to_confirm() -> None:
    assert Rule(nsfw_at=0.5, confirm_at=0.1).confirm_at == 0.1
    with pytest.raises(ValueError, match="confirm_at needs nsfw_at"):
        Rule(censor_at=0.5, confirm_at=0.1)
    with pytest.raises(ValueError, match="confirm_at must be a number"):
        Rule(nsfw_at=0.5, confirm_at=2)


def test_a_rule_of_the_picture_is_a_value() -> None:
    rule = PictureRule(classifiers=["b", "a"], review_at=0.5, labels=(("z", 0.1), ("NSFL", 0.5)))  # type: ignore[arg-type]
    assert rule.labels == (("NSFL", 0.5), ("z", 0.1))
    assert rule.classifiers == ("b", "a")
    for again in (pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule)):  # noqa: S301  # our own
        assert again == rule
        assert hash(again) == hash(rule)


def test_one_is_enough_for_a_look_and_votes_are_counted_for_the_rest() -> None:
    rule = PictureRule(review_at=0.5, nsfw_at=0.6, votes=2, hide_at=0.6, hide_votes=2, sure_at=0.9, heat_at=0.5)
    assert rule.nsfw_by(said(one=0.6, two=0.6)) == ("one", "two")
    assert rule.nsfw_by(said(one=1.0, two=0.59)) == ()
    assert rule.hidden_by(said(one=0.6, two=0.7)) == ("one", "two")
    assert rule.hidden_by(said(one=0.6, two=0.5)) == ()
    assert rule.hidden_by(said(one=0.95, two=0.5)) == ("one",)
    assert rule.hidden_by(said(one=0.95)) == ("one",)
    assert rule.hidden_by({}) == rule.nsfw_by({}) == ()


def test_only_named_classifiers_count() -> None:
    rule = PictureRule(classifiers=("two",), nsfw_at=0.5)
    assert rule.counted(TWO) == ("two",)
    assert rule.nsfw_by(said(one=1.0, two=0.4)) == ()
    assert PictureRule(nsfw_at=0.5).counted(TWO) == ("one", "two")


def test_who_can_raise_a_verdict() -> None:
    assert PictureRule().judged_by(TWO) == ()
    assert PictureRule(review_at=0.5).judged_by(TWO) == ("one", "two")
    assert PictureRule(nsfw_at=0.5, votes=2).judged_by(TWO) == ("one", "two")
    assert PictureRule(nsfw_at=0.5, votes=2).judged_by({"one": TWO["one"]}) == ()  # never two votes
    assert PictureRule(labels=(("NSFL", 0.5),)).judged_by(TWO) == ("two",)


def test_who_goes_first_is_hidden_before_the_others_whatever_it_says() -> None:
    rule = PictureRule(nsfw_at=0.5, hide_at=0.5, heat_at=0.5, hide_first=("one",))
    assert rule.hidden_by(said(one=0.0, two=1.0)) == ("one",)
    assert rule.hidden_by(said(one=0.0, two=1.0), alone=True) == ("one", "two")
    assert rule.hidden_by(said(one=0.0, two=1.0), again=True) == ("two",)
    assert rule.hidden_by(said(one=0.0, two=0.4), alone=True) == ("one",)
    assert rule.hidden_by(said(two=1.0)) == ("two",)  # where it does not look, nobody waits for it


def test_what_has_been_hidden_is_looked_at_as_a_person_would_have_to() -> None:
    any_picture = PictureRule(review_at=0.2, nsfw_at=0.5, hide_at=0.0, heat_at=0.5)
    assert any_picture.suspect_at == 0.2
    assert any_picture.hidden_by(said(one=0.1)) == ("one",)
    assert any_picture.hidden_by(said(one=0.1), again=True) == ()
    assert any_picture.hidden_by(said(one=0.2), again=True) == ("one",)
    assert PictureRule(nsfw_at=0.5, hide_at=0.1, heat_at=0.5).suspect_at == 0.5
    assert PictureRule(review_at=0.2, hide_at=0.7, heat_at=0.5).suspect_at == 0.7
    assert PictureRule(hide_at=0.1, heat_at=0.5).suspect_at == 0.1
    assert PictureRule(review_at=0.2).suspect_at is None


def test_a_rule_that_hides_all_that_it_calls_nsfw() -> None:
    assert PictureRule(review_at=0.1).hides_what_it_judges
    assert PictureRule(nsfw_at=0.5, votes=2, hide_at=0.5, hide_votes=2, heat_at=0.5).hides_what_it_judges
    assert not PictureRule(nsfw_at=0.5).hides_what_it_judges
    assert not PictureRule(nsfw_at=0.5, hide_at=0.6, heat_at=0.5).hides_what_it_judges
    assert not PictureRule(nsfw_at=0.5, hide_at=0.5, hide_votes=2, heat_at=0.5).hides_what_it_judges


probabilities = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.floats(0, 1, width=32))


@given(probabilities, st.floats(0.01, 1), st.integers(1, 3), st.floats(0.01, 1), st.integers(1, 3))
def test_what_is_nsfw_is_hidden_where_a_rule_says_it_does_so(
    given_: dict[str, float], nsfw_at: float, votes: int, hide_at: float, hide_votes: int
) -> None:
    rule = PictureRule(nsfw_at=nsfw_at, votes=votes, hide_at=hide_at, hide_votes=hide_votes, heat_at=0.5)
    scores = said(**given_)
    if rule.hides_what_it_judges:
        assert set(rule.nsfw_by(scores)) <= set(rule.hidden_by(scores))


def test_numbers_are_checked() -> None:
    check_number("x", 0.5, 0, 1)
    with pytest.raises(ValueError, match="x must be a number in"):
        check_number("x", "0.5", 0, 1)
