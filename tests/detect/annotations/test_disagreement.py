from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from censor.policy_toml import load_policy
from detect.annotations.disagreement import NSFW_LABELS, disagreement, divergence
from detect.annotations.fusion import Fused

BREAST, BELLY = "FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED"
BOTH = {"one": (BREAST, BELLY), "two": (BREAST, BELLY)}


def box(label: str, **votes: float) -> Fused:
    return Fused(label, (10.2, 20, 110, 90), max(votes.values()), votes)


def test_divergence_by_hand() -> None:
    assert divergence([0, 1]) == 1
    assert divergence([0.3, 0.3, 0.3]) == pytest.approx(0)
    assert divergence([1]) == 0
    # H(1/2) - (H(1/4) + H(3/4)) / 2, where H(1/4) = 2 - .75 log2(3) = .811278
    assert divergence([0.25, 0.75]) == pytest.approx(1 - 0.811278, abs=1e-6)


@given(votes=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_divergence_is_a_share_and_does_not_ask_who_speaks_first(votes: list[float]) -> None:
    found = divergence(votes)
    assert 0 <= found <= 1
    assert divergence(votes[::-1]) == pytest.approx(found, abs=1e-12)
    assert divergence([1 - vote for vote in votes]) == pytest.approx(found, abs=1e-9)
    assert divergence(votes + votes) == pytest.approx(found, abs=1e-9)


def test_the_worst_place_is_named() -> None:
    boxes = [box(BELLY, one=0.9, two=0.8), box(BREAST, one=0.9, two=0.0), box(BELLY, one=0.2, two=0.1)]
    apart, why = disagreement(boxes, {}, detectors=BOTH)
    assert apart == divergence([0.9, 0])
    assert why == "FEMALE_BREAST_EXPOSED at 10, 20, 110, 90: one 0.90, two 0.00"


def test_who_alone_can_find_a_label_agrees_with_himself() -> None:
    assert disagreement([box("ace", one=0.5)], {}, detectors={"one": ("ace",), "two": ()}) == (0, "")
    assert disagreement([], {}, detectors=BOTH) == (0, "")


def test_classifiers_and_boxes_are_asked_of_the_whole_picture() -> None:
    boxes = [box(BREAST, one=0.1, two=0.1), box(BELLY, one=0.9, two=0.9)]  # a belly makes nothing NSFW
    apart, why = disagreement(boxes, {"eye": 0.95}, detectors=BOTH | {"three": (BELLY,)})
    assert apart == divergence([0.95, 0.1, 0.1])
    assert why == "the whole picture: eye 0.95, one 0.10, two 0.10"  # the third could not have seen it
    assert disagreement([], {"eye": 0.5, "other": 0.5}, detectors={}) == (0, "")
    assert disagreement([], {"eye": 0, "other": 1}, detectors={})[0] == 1
    assert disagreement([], {"eye": 1}, detectors={"three": (BELLY,)}) == (0, "")


def test_nsfw_is_what_the_default_policy_hides() -> None:
    assert set(load_policy("default").rules) == set(NSFW_LABELS)
