"""What the command says of a picture: the line, the record, and the picture of what was found."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
from fake_classifiers import Nobody, RedSeer, picture
from fakes import RedFinder
from numpy.typing import NDArray

from censor import Censor
from censor.policy import Policy, Rule
from censor.policy_toml import load_policy
from censor.report import Outcome, draw_boxes, log_line
from censor.results import Checked
from censor.rules import PictureRule
from censor.verdict import Level, Reason, Verdict
from detect.detections import Detections

POLICY = Policy(
    name="own",
    rules={"FACE": Rule(censor_at=0.5, nsfw_at=0.5)},
    picture=PictureRule(review_at=0.3, nsfw_at=0.6, hide_at=0.6, heat_at=0.5),
    heat=Rule(effect="solid", shape="box", expand=0.0),
)
HIDDEN, SHOWN = (230, 40, 40), (60, 200, 90)


def censor(policy: Policy = POLICY) -> Censor:
    return Censor(policy, detector=Nobody(), classifiers=[RedSeer("a"), RedSeer("b")])


def box(label: str, rule: str, score: float) -> Reason:
    return Reason(label=label, score=score, rule=rule, threshold=0.1, area=0.2, xyxy=(0, 0, 9, 9))


def says(classifier: str, rule: str, score: float) -> Reason:
    where = (120.0, 30.0, 180.0, 90.0)
    return Reason(label="NSFW", score=score, rule=rule, threshold=0.5, area=1.0, xyxy=where, classifier=classifier)


def line_of(*reasons: Reason, level: Level = Level.NSFW) -> str:
    verdict = Verdict(level=level, score=0.9, reasons=reasons, policy="p")
    return Outcome.of("a.jpg", Checked(verdict=verdict, detections=Detections.empty(()), width=9, height=9)).line


def inked(drawn: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((drawn == color).all(axis=2))


# --- lines ----------------------------------------------------------------------------------------------------------


def test_a_line_names_the_classifier_that_decided_where_there_are_many_boxes() -> None:
    boxes = [box("FEMALE_BREAST_EXPOSED", "nsfw_at", score) for score in (0.9, 0.8, 0.7, 0.6)]
    assert line_of(*boxes, says("open_nsfw", "nsfw_at", 0.5), box("BELLY_EXPOSED", "review_at", 0.3)) == (
        "nsfw    0.90  a.jpg  (open_nsfw: NSFW 0.50 >= nsfw_at 0.5, most at 120,30,180,90; "
        "FEMALE_BREAST_EXPOSED 0.90 >= nsfw_at 0.1, 20.0% of the picture; "
        "BELLY_EXPOSED 0.30 >= review_at 0.1, 20.0% of the picture; and 3 more)"
    )


def test_a_graver_box_goes_before_a_classifier_that_wants_a_person_to_look() -> None:
    line = line_of(box("FEMALE_BREAST_EXPOSED", "nsfw_at", 0.6), says("open_nsfw", "review_at", 0.9))
    assert line.index("FEMALE_BREAST_EXPOSED") < line.index("open_nsfw")


def test_however_many_reasons_a_line_is_one_that_can_be_read() -> None:
    labels = ("FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED", "FEMALE_BREAST_EXPOSED", "BUTTOCKS_EXPOSED")
    reasons = [box(label, "nsfw_at", 0.9) for label in labels for _ in range(50)]
    line = line_of(*reasons, says("open_nsfw", "nsfw_at", 0.9), says("image-safety-s", "nsfw_at", 0.9))
    assert len(line) < 280
    assert "\n" not in line
    assert line.endswith("; and 199 more)")
    assert line_of(level=Level.SAFE) == "safe    0.90  a.jpg"


def test_a_line_says_where_a_classifier_sees_most_though_nothing_is_hidden_for_it() -> None:
    looking = dataclasses.replace(POLICY, picture=PictureRule(review_at=0.3), heat=None)
    line = Outcome.of("a.png", censor(looking).check(picture())).line
    assert line == (
        "review  1.00  a.png  (a: NSFW 1.00 >= review_at 0.3, most at 48,16,64,32; "
        "b: NSFW 1.00 >= review_at 0.3, most at 48,16,64,32)"
    )


# --- what is judged and not hidden -----------------------------------------------------------------------------------


def test_a_policy_that_hides_part_of_what_it_judges_says_so() -> None:
    partly = load_policy("strict").only(["FACE_FEMALE"])
    assert len(partly.unhidden) > 3
    image = np.full((60, 60, 3), 200, np.uint8)
    first, second, third, *more = partly.unhidden
    finder = RedFinder(first, others=("FACE_FEMALE", *partly.unhidden[1:]))
    harmless = Censor(partly, detector=finder, classifiers=()).apply(image)
    outcome = Outcome.of("a.png", harmless, "b.png")
    assert outcome.record["unhidden"] == list(partly.unhidden)  # type: ignore[typeddict-item]
    assert outcome.line == "a.png -> b.png  (0 regions hidden, safe)"
    image[10:30, 10:30] = (250, 10, 20)
    outcome = Outcome.of("a.png", Censor(partly, detector=finder, classifiers=()).apply(image), "b.png")
    told = f"{first}, {second}, {third}, and {len(more)} more"
    assert outcome.line == f"a.png -> b.png  (0 regions hidden, nsfw; judged but not hidden: {told})"
    assert log_line(harmless, "b.png")["unhidden"] == list(partly.unhidden)


def test_heat_that_is_judged_and_not_hidden_is_named() -> None:
    judging = Policy(name="j", rules=POLICY.rules, picture=PictureRule(nsfw_at=0.5))
    outcome = Outcome.of("a.png", censor(judging).apply(picture()), "b.png")
    assert outcome.line == "a.png -> b.png  (0 regions hidden, nsfw; judged but not hidden: NSFW_REGION)"
    whole = Outcome.of("a.png", censor().apply(picture()), "b.png")
    assert whole.line == "a.png -> b.png  (2 regions hidden, nsfw)"
    assert whole.record["unhidden"] == []  # type: ignore[typeddict-item]


# --- what classifiers say --------------------------------------------------------------------------------------------


def test_what_each_classifier_says_is_told_in_value_and_record() -> None:
    checked = censor().check(picture())
    assert {name: each.probability for name, each in checked.scores.items()} == {"a": 1.0, "b": 1.0}
    assert checked.scores["a"].heat is not None
    assert checked.scores["a"].names == ("sfw", "nsfw")
    assert Outcome.of("a.png", checked).record["classifiers"] == {"a": 1.0, "b": 1.0}  # type: ignore[typeddict-item]
    done = censor().apply(picture((slice(16, 32), slice(48, 52))))
    record = Outcome.of("a.png", done, "b.png").record
    assert record["classifiers"] == {"a": 0.25, "b": 0.25}  # type: ignore[typeddict-item]
    assert pickle.loads(pickle.dumps(checked)).scores["b"].probability == 1.0  # noqa: S301  # our own
    alone = Censor(Policy(name="b", rules=POLICY.rules), detector=Nobody(), classifiers=[RedSeer()])
    assert alone.check(picture()).scores == {}


def test_hidden_heat_names_its_classifier() -> None:
    record = Outcome.of("a.png", censor().apply(picture()), "b.png").record
    assert record["hidden"] == [  # type: ignore[typeddict-item]
        {"label": "NSFW_REGION", "score": 1.0, "xyxy": [48.0, 16.0, 64.0, 32.0], "classifier": name, "effect": "solid",
         "rechecked": False}
        for name in ("a", "b")
    ]  # fmt: skip


def test_heat_in_a_kept_box_is_recorded() -> None:
    """Of any picture what is hot is hidden here, and only what is suspected is refused: so something can be kept."""
    rule = PictureRule(review_at=0.9, nsfw_at=0.9, hide_at=0.2, heat_at=0.2)
    lenient = dataclasses.replace(POLICY, picture=rule)
    warm = picture((slice(320, 384), slice(192, 224)), size=512)
    keep = (180, 310, 270, 390)
    done = Censor(lenient, detector=Nobody(), classifiers=[RedSeer()]).apply(warm, keep=[keep])
    assert done.redactions == ()
    assert (done.picture.pixels == warm).all()
    assert [done.kept.label(row) for row in range(len(done.kept))] == ["NSFW_REGION"]
    assert Outcome.of("a.png", done, "b.png").record["kept"] == [  # type: ignore[typeddict-item]
        {"label": "NSFW_REGION", "score": 0.5, "xyxy": [192.0, 320.0, 256.0, 384.0]}
    ]
    assert len(Censor(lenient, detector=Nobody(), classifiers=[RedSeer()]).apply(warm).kept) == 0
    drawn = inked(draw_boxes(done), SHOWN)
    assert drawn[320:385, 256].all()


# --- the picture ------------------------------------------------------------------------------------------------------


def test_hidden_heat_is_outlined_in_red_and_the_rest_of_the_picture_shows() -> None:
    ring = np.full((480, 480, 3), 200, np.uint8)
    ring[180:420, 60:300] = (250, 10, 10)
    ring[240:360, 120:240] = 200
    drawn = draw_boxes(Censor(POLICY, detector=Nobody(), classifiers=[RedSeer()]).apply(ring))
    red = inked(drawn, HIDDEN)
    assert red[180:420, [60, 299]].all()
    assert red[[180, 419], 60:300].all()
    assert red[239, 125:235].all()  # around the hole: it is no box
    assert (drawn[430:, 310:] == 200).all()
    assert not inked(drawn, SHOWN).any()
    assert drawn[210, 90, 0] > drawn[210, 90, 2]  # tinted: it was hot there


def test_a_classifier_whose_heat_is_not_hidden_is_drawn_where_it_sees_most() -> None:
    looking = dataclasses.replace(POLICY, picture=PictureRule(review_at=0.3), heat=None)
    red = picture((slice(256, 320), slice(320, 384)), size=512)
    drawn = draw_boxes(Censor(looking, detector=Nobody(), classifiers=[RedSeer()]).apply(red))
    green = inked(drawn, SHOWN)
    assert green[256:321, [320, 384]].all()
    assert not inked(drawn, HIDDEN).any()


def test_what_classifiers_say_stands_in_the_corner_of_a_harmless_picture() -> None:
    plain = np.full((128, 128, 3), 200, np.uint8)
    drawn = draw_boxes(censor().apply(plain))
    changed = np.flatnonzero((drawn != 200).any(axis=(1, 2)))
    assert 0 < changed.max() < 64
    alone = Censor(Policy(name="b", rules=POLICY.rules), detector=Nobody()).apply(plain)
    assert (draw_boxes(alone) == plain).all()
