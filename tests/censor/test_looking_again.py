"""What is hidden for classifiers, what a look at the output says, and what may never leave."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike, NDArray

from censor import cells
from censor.evidence import Evidence
from censor.looking_again import hide_further, remaining, still_nsfw
from censor.policy import PictureRule, Policy, Rule
from censor.policy_toml import load_policy
from censor.redact import Frame, Redaction, kept_heat, paint, plan
from censor.verdict import Level, judge
from detect.classifier.scores import Scores
from detect.detections import Detections
from detect.pictures.blocks import BlockGrid

FRAME = Frame(width=40, height=40)
POLICY = Policy(
    name="p",
    rules={"FACE": Rule(censor_at=0.2, review_at=0.2, nsfw_at=0.4, shape="box", expand=0.0)},
    picture=PictureRule(review_at=0.5, nsfw_at=0.7, votes=2, hide_at=0.7, hide_votes=2, sure_at=0.9, heat_at=0.5),
    heat=Rule(shape="box", expand=0.0),
)
CORNER = [[0.9, 0.1], [0.1, 0.1]]


def said(probability: float, heat: ArrayLike | None = None) -> Scores:
    values = np.array([1 - probability, probability], np.float32)
    return Scores(values, ("sfw", "nsfw"), ("nsfw",), None if heat is None else np.array(heat, np.float32))


def faces(*boxes: tuple[float, ...], score: float = 0.9) -> Detections:
    count = len(boxes)
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full(count, score, np.float32), np.zeros(count, np.int64), ("FACE_FEMALE",))


def evidence(*boxes: tuple[float, ...], **scores: Scores) -> Evidence:
    return Evidence(boxes=faces(*boxes), scores=scores)


def places(redactions: list[Redaction]) -> list[Any]:
    return [(each.label, each.effect, each.classifier, each.xyxy) for each in redactions]


def test_heat_is_hidden_in_whole_cells_beside_boxes() -> None:
    planned = plan(evidence((30, 30, 40, 40), a=said(0.95, CORNER), b=said(0.1, [[1.0]])), POLICY, FRAME)
    assert places(planned) == [
        ("FACE_FEMALE", "pixelate", None, (30, 30, 40, 40)), ("NSFW_REGION", "pixelate", "a", (0, 0, 20, 20)),
    ]  # fmt: skip
    area = planned[1].region
    assert (area.x0, area.y0, area.x1, area.y1, area.cover) == (0, 0, 20, 20, None)
    assert planned[1].score == np.float32(0.95)
    assert plan(evidence(a=said(0.8, CORNER)), POLICY, FRAME) == []


def test_how_heat_is_hidden() -> None:
    policy = dataclasses.replace(POLICY, heat=Rule(effect="solid", shape="box", expand=0.1))
    frame = dataclasses.replace(FRAME, blocks=BlockGrid(8, 8))
    (only,) = plan(evidence(a=said(0.95, CORNER)), policy, frame)
    assert only.effect == "solid"
    assert (only.region.x1, only.region.y1) == (24, 24)  # 22, and the block whole
    shown = np.full((40, 40, 3), 9, np.uint8)
    paint(shown, [only], policy)
    assert (shown[:24, :24] == 0).all()
    assert (shown[24:] == 9).all()


def test_at_most_eight_means_along_a_region_of_any_form() -> None:
    ring = np.ones((5, 5), np.float32)
    ring[1:4, 1:4] = 0
    policy = dataclasses.replace(POLICY, cells=8)
    (only,) = plan(evidence(a=said(0.95, ring)), policy, Frame(width=400, height=200))
    means = cells.cell_means(np.zeros((200, 400, 3), np.uint8), only.region, cells=8)
    assert means.colors.shape[:2] == (4, 8)
    mask = np.zeros((200, 400), np.bool_)
    only.region.mark(mask)
    assert not mask[40:160, 80:320].any()
    assert mask.sum() == 400 * 200 - 120 * 240


def test_heat_in_a_kept_box_is_passed_over_but_does_not_silence_the_classifier() -> None:
    found = evidence(a=said(0.95, CORNER))
    frame = dataclasses.replace(FRAME, keep=((0.0, 0.0, 20.0, 20.0),))
    assert plan(found, POLICY, frame) == []
    (passed,) = kept_heat(found, POLICY, frame)
    assert passed.bounds(width=40, height=40) == (0, 0, 20, 20)
    assert remaining(found, POLICY, frame) == ("a says NSFW 0.95", "keeping 0,0,20,20")
    more = hide_further(found, POLICY, frame, [], last=True)
    assert len(more) == 1  # the cells around, and nothing of the kept one
    mask = np.zeros((40, 40), np.bool_)
    more[0].region.mark(mask)
    assert not mask[:20, :20].any()
    assert mask[20:].all()
    smaller = dataclasses.replace(FRAME, keep=((0.0, 0.0, 20.0, 19.99),))
    assert len(plan(found, POLICY, smaller)) == 1
    assert kept_heat(found, POLICY, smaller) == []


def test_nothing_speaks_against_a_harmless_picture() -> None:
    assert remaining(evidence(), POLICY, FRAME) == ()
    assert remaining(evidence(a=said(0.69), b=said(0.89)), POLICY, FRAME) == ()
    assert remaining(evidence(a=said(1.0)), load_policy("faces"), FRAME) == ()


def test_who_still_calls_it_nsfw() -> None:
    assert still_nsfw(evidence(a=said(0.7), b=said(0.7)), POLICY) == ("a", "b")
    assert still_nsfw(evidence(a=said(0.9), b=said(0.0)), POLICY) == ("a",)
    judging = Policy(name="p", rules={}, picture=PictureRule(nsfw_at=0.5))
    assert not judging.hides_what_it_judges
    assert still_nsfw(evidence(a=said(0.9)), judging) == ()


def test_a_classifier_that_does_not_say_where_lets_nothing_out() -> None:
    found = evidence(a=said(0.95))
    assert plan(found, POLICY, FRAME) == hide_further(found, POLICY, FRAME, [], last=True) == []
    assert remaining(found, POLICY, FRAME) == ("a says NSFW 0.95",)


def test_what_lies_under_solid_color_is_passed_over_but_a_classifier_is_not() -> None:
    box = (0.0, 0.0, 20.0, 20.0)
    solid = plan(evidence(box), POLICY, FRAME, effect="solid")
    mosaic = plan(evidence(box), POLICY, FRAME)
    assert remaining(evidence(box), POLICY, FRAME, solid) == ()
    assert remaining(evidence(box), POLICY, FRAME, mosaic) == ("FACE_FEMALE 0.90",)
    assert remaining(evidence(a=said(0.95, CORNER)), POLICY, FRAME, solid) == ("a says NSFW 0.95",)


def test_it_is_hidden_as_the_policy_says_first_and_solid_and_further_at_last() -> None:
    found = evidence(a=said(0.95, [[0.9, 0.1, 0.1, 0.1]] * 4))
    before = plan(evidence((30, 0, 40, 10)), POLICY, FRAME)
    once = hide_further(found, POLICY, FRAME, before)
    assert places(once) == [
        ("FACE_FEMALE", "pixelate", None, (30, 0, 40, 10)), ("NSFW_REGION", "pixelate", "a", (0, 0, 10, 40)),
    ]  # fmt: skip
    twice = hide_further(found, POLICY, FRAME, once, last=True)
    assert places(twice) == [
        ("FACE_FEMALE", "solid", None, (30, 0, 40, 10)), ("NSFW_REGION", "solid", "a", (0, 0, 10, 40)),
        ("NSFW_REGION", "solid", "a", (0, 0, 20, 40)),
    ]  # fmt: skip
    assert [each.rechecked for each in twice] == [False, True, True]


def test_boxes_alone_leave_the_other_regions_as_they_are() -> None:
    before = plan(evidence((30, 0, 40, 10)), POLICY, FRAME)
    after = hide_further(evidence((0, 0, 10, 10)), POLICY, FRAME, before, last=True)
    assert [each.effect for each in after] == ["pixelate", "solid"]


def test_a_box_that_was_nsfw_and_had_no_pixels_to_hide() -> None:
    outside = (50.0, 50.0, 60.0, 60.0)
    assert plan(evidence(outside), POLICY, FRAME) == []
    assert remaining(evidence(outside), POLICY, FRAME) == ("FACE_FEMALE 0.90",)
    wanted = dataclasses.replace(FRAME, keep=((0.0, 0.0, 20.0, 20.0),))
    assert remaining(evidence((1, 1, 9, 9)), POLICY, wanted) == ()  # a user said so


probabilities = st.floats(0, 1, width=32)
maps = st.none() | arrays(np.float32, (3, 3), elements=probabilities)
box_lists = st.lists(st.tuples(st.integers(-30, 60), st.integers(-30, 60)).map(lambda at: (*at, at[0] + 9, at[1] + 9)))


@settings(max_examples=60)
@given(
    st.sampled_from([POLICY, *map(load_policy, ("default", "strict", "boxes"))]), box_lists,
    probabilities,
    st.dictionaries(st.sampled_from("abc"), st.builds(said, probabilities, maps)),
)  # fmt: skip
def test_what_is_nsfw_and_has_nothing_hidden_never_leaves(
    policy: Policy, boxes: list[tuple[float, ...]], score: float, scores: dict[str, Scores]
) -> None:
    names = ("FACE_FEMALE", "FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED")
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    found = Detections(xyxy, np.full(len(boxes), score, np.float32), np.arange(len(boxes)) % 3, names)
    seen = Evidence(boxes=found, scores=scores)
    assert policy.hides_what_it_judges
    if judge(seen, policy, width=40, height=40).level is Level.NSFW and not plan(seen, policy, FRAME):
        assert remaining(seen, policy, FRAME)


@settings(max_examples=60)
@given(st.builds(said, probabilities, maps), st.builds(said, probabilities, maps), st.booleans())
def test_hiding_further_never_shows_more(first: Scores, second: Scores, last: bool) -> None:
    before = plan(evidence(a=first), POLICY, FRAME)
    after = hide_further(evidence(a=second), POLICY, FRAME, before, last=last)
    assert [each.region for each in after[: len(before)]] == [each.region for each in before]
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)

    def untouched(redactions: list[Redaction]) -> NDArray[np.bool_]:
        shown = image.copy()
        paint(shown, redactions, POLICY)
        mask = np.zeros((40, 40), np.bool_)
        for each in redactions:
            each.region.mark(mask)
        assert (shown[~mask] == image[~mask]).all()
        return ~mask

    assert not (untouched(after) & ~untouched(before)).any()


def test_the_sticker_of_heat_is_loaded() -> None:
    from censor.redact import load_sticker

    assert load_sticker(POLICY) is None
    assert load_sticker(dataclasses.replace(POLICY, heat=Rule(effect="sticker"))) is not None


@pytest.mark.parametrize("name", ["default", "strict"])
def test_the_presets_look_at_what_they_have_hidden(name: str) -> None:
    policy = load_policy(name)
    hot = evidence(a=said(0.99, CORNER), b=said(0.99, CORNER))
    redactions = plan(hot, policy, FRAME)
    assert {each.classifier for each in redactions} == {"a", "b"}
    assert remaining(evidence(a=said(0.1, CORNER), b=said(0.1, CORNER)), policy, FRAME, redactions) == ()
    assert remaining(hot, policy, FRAME, redactions)
