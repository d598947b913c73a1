"""Whatever the networks say, look for look: what leaves was hidden, or is harmless to all that judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fake_classifiers import Nobody, RedSeer, picture
from fakes import Scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from censor import Censor
from censor.errors import RecheckError
from censor.policy import PictureRule, Policy, Rule
from censor.verdict import Level
from detect.classifier.scores import Scores
from detect.detections import RGBImage

FACE = Rule(censor_at=0.3, nsfw_at=0.5, confirm_at=0.1, shape="box", expand=0.0)
HEAT = Rule(shape="box", expand=0.0)
POLICIES = (
    Policy(name="boxes", rules={"FACE": Rule(censor_at=0.3, nsfw_at=0.5)}),
    Policy(name="any", rules={"FACE": FACE}, heat=HEAT,
           picture=PictureRule(review_at=0.3, nsfw_at=0.6, hide_at=0.0, heat_at=0.5)),
    Policy(name="votes", rules={"FACE": FACE}, heat=HEAT,
           picture=PictureRule(review_at=0.3, nsfw_at=0.6, votes=2,
                               hide_at=0.6, hide_votes=2, sure_at=0.9, heat_at=0.5)),
    Policy(name="heat alone", rules={}, heat=HEAT,
           picture=PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5, required=False)),
)  # fmt: skip

Answer = tuple[float, NDArray[np.float32] | None]


class Moods:
    """A classifier that says at each look what it is told to; a map belongs to the look before."""

    names = ("sfw", "nsfw")

    def __init__(self, name: str, looks: Sequence[Answer]) -> None:
        self.name, self.looks, self.look = name, looks, -1

    def now(self) -> Answer:
        return self.looks[min(self.look, len(self.looks) - 1)]

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.look += not heat
        probability, cells = self.now()
        values = np.array([1 - probability, probability], np.float32)
        return [Scores(values, self.names, ("nsfw",), cells if heat else None) for _ in images]


shares = st.sampled_from([0.0, 0.2, 0.35, 0.65, 0.95, 1.0])
looks = st.lists(st.tuples(shares, st.none() | arrays(np.float32, (3, 3), elements=shares)), min_size=1, max_size=4)
places = st.integers(-20, 40)
found = st.lists(
    st.tuples(st.just("FACE"), shares, st.tuples(places, places).map(lambda at: (*at, at[0] + 9, at[1] + 9)))
)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(POLICIES), st.lists(found, min_size=1, max_size=4), st.lists(looks, max_size=2), st.booleans())
def test_what_is_nsfw_and_has_nothing_hidden_never_leaves(
    policy: Policy, boxes: list[list[tuple[str, float, Sequence[float]]]], moods: list[list[Answer]], keeping: bool
) -> None:
    classifiers = [Moods(name, each) for name, each in zip("ab", moods, strict=False)]
    if policy.picture.acts and len(classifiers) < policy.picture.votes:
        classifiers = [Moods("a", [(0.0, None)]), Moods("b", moods[0] if moods else [(0.65, None)])]
    censor = Censor(policy, detector=Scripted(["FACE"], *boxes), classifiers=classifiers)
    keep = [(0, 0, 25, 25)] if keeping else []
    assert policy.hides_what_it_judges
    try:
        done = censor.apply(np.full((32, 32, 3), 90, np.uint8), keep=keep)
    except RecheckError:
        return
    assert done.verdict is not None
    if done.verdict.level is Level.NSFW:
        assert done.redactions or len(done.kept)
    if policy.picture.acts:  # the last word of each that judged
        last = [each.now()[0] for each in classifiers]
        assert sum(each >= 0.6 for each in last) < policy.picture.votes
        if not keeping and not done.redactions:
            assert done.verdict.level is not Level.NSFW


def test_a_box_that_is_nsfw_and_lies_outside_is_refused_without_classifiers_too() -> None:
    censor = Censor(POLICIES[0], detector=Scripted(["FACE"], [("FACE", 0.9, (50, 50, 60, 60))]))
    with pytest.raises(RecheckError, match=r"still finds FACE 0\.90"):
        censor.apply(np.full((32, 32, 3), 90, np.uint8))


def test_nothing_found_is_not_looked_at_twice() -> None:
    detector = Scripted(["FACE"], [])
    Censor(POLICIES[0], detector=detector).apply(np.full((32, 32, 3), 90, np.uint8))
    assert len(detector.seen) == 1


@pytest.mark.parametrize("maps", [True, False])
def test_a_refusal_names_the_kept_boxes_whether_the_classifier_says_where_or_not(maps: bool) -> None:
    class Silent(RedSeer):
        def _one(self, image: RGBImage, heat: bool) -> Scores:
            return super()._one(image, heat and maps)

    censor = Censor(POLICIES[1], detector=Nobody(), classifiers=[Silent()])
    keep = [(40, 8, 72, 40), *((at, 0, at + 5, 5) for at in range(9))]
    with pytest.raises(RecheckError, match=r"red says NSFW 1\.00, keeping 40,8,72,40; 0,0,5,5; 1,0,6,5; and 7 more$"):
        censor.apply(picture(), keep=keep)
