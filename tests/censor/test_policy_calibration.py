"""Classifiers under a policy's calibrations: probabilities before rules, and said to be such."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from fakes import finder
from tiny_classifiers import Reds

from censor import Censor
from censor.calibration import CalibratedClassifier, calibrated_evidence, calibrated_scores
from censor.errors import PolicyError
from censor.evidence import Evidence
from censor.policy import Policy
from censor.policy_toml import format_policy, parse_policy
from censor.rules import PictureRule
from detect.classifier.scores import Scores
from detect.detections import Detections
from detect.evaluation.calibration import Isotonic, Platt, Temperature

SHIFT = Platt(1.0, 2.0)


def scores(*values: float, names: tuple[str, ...] = ("sfw", "nsfw"), nsfw: tuple[str, ...] = ("nsfw",)) -> Scores:
    return Scores(np.array(values, np.float32), names, nsfw, np.array([[0.0, 0.5], [0.9, 1.0]], np.float32))


def test_the_probability_and_the_heat_are_calibrated_and_the_rest_stays() -> None:
    names = ("NSFL", "NSFW", "SFW")
    said = scores(0.6, 0.3, 0.1, names=names, nsfw=("NSFW",))
    found = calibrated_scores(said, SHIFT)
    assert found.probability == np.float32(SHIFT.apply(np.float32(0.3)))
    assert found.value("NSFL") == np.float32(0.6)
    assert found.value("SFW") == np.float32(0.1)
    assert found.heat is not None
    assert said.heat is not None
    assert found.heat == pytest.approx(SHIFT.apply(said.heat), abs=1e-7)


@pytest.mark.parametrize("parts", [(0.2, 0.1), (0.0, 0.0), (0.6, 0.4), (1e-6, 0.0)])
def test_several_names_share_the_probability_in_proportion(parts: tuple[float, float]) -> None:
    said = scores(*parts, 1 - sum(parts), names=("porn", "hentai", "sfw"), nsfw=("porn", "hentai"))
    found = calibrated_scores(said, SHIFT)
    assert found.probability == pytest.approx(float(SHIFT.apply(min(1, sum(parts)))), abs=1e-5)
    if parts[1]:
        assert found.value("porn") / found.value("hentai") == pytest.approx(parts[0] / parts[1], rel=1e-5)


def test_a_wrapped_classifier_is_the_same_but_for_its_scores() -> None:
    judge = CalibratedClassifier(Reds(), SHIFT)
    assert (judge.name, judge.names, judge.spare_factor(9, 9)) == ("reds", ("sfw", "red"), 4.0)
    picture = np.full((16, 16, 3), 51, np.uint8)
    (plain,), (found,) = Reds().classify([picture], heat=True), judge.classify([picture], heat=True)
    assert found.probability == calibrated_scores(plain, SHIFT).probability
    assert found.heat is not None
    assert judge.classify([picture])[0].heat is None


def policy(**given: float) -> Policy:
    return Policy(name="p", rules={}, picture=PictureRule(**given), calibrations={"reds": SHIFT})  # type: ignore[arg-type]


def test_rules_go_by_probabilities_and_reasons_say_so() -> None:
    picture = np.full((64, 64, 3), 51, np.uint8)  # .2, which becomes .65
    plain = Policy(name="p", rules={}, picture=PictureRule(review_at=0.5))
    assert Censor(plain, detector=finder(), classifiers=[Reds()]).check(picture).verdict.level == "safe"
    verdict = Censor(policy(review_at=0.5), detector=finder(), classifiers=[Reds()]).check(picture).verdict
    assert verdict.level == "review"
    (reason,) = verdict.reasons
    assert reason.calibrated
    assert str(reason).startswith("reds: NSFW 0.65 calibrated >= review_at 0.5")
    assert verdict.to_dict()["reasons"][0]["calibrated"] is True
    assert verdict.score == pytest.approx(float(SHIFT.apply(0.2)), abs=1e-6)


def test_evidence_found_without_is_judged_as_with() -> None:
    evidence = Evidence(boxes=Detections.empty(()), scores={"reds": scores(0.8, 0.2), "other": scores(0.8, 0.2)})
    found = calibrated_evidence(evidence, {"reds": SHIFT}).scores
    assert found["reds"].probability == calibrated_scores(scores(0.8, 0.2), SHIFT).probability
    assert found["other"].probability == np.float32(0.2)


TEXT = """
[picture]
review_at = 0.5
[calibration.open_nsfw]
method = "isotonic"
scores = [0.0, 0.25, 1.0]
values = [0.0, 0.5, 1.0]
[calibration."own.model"]
method = "temperature"
temperature = 2
"""


def test_calibrations_are_read_from_a_file_and_written_into_one() -> None:
    found = parse_policy(TEXT)
    assert found.calibrations == {
        "open_nsfw": Isotonic((0.0, 0.25, 1.0), (0.0, 0.5, 1.0)),
        "own.model": Temperature(2.0),
    }
    assert parse_policy(format_policy(found)) == found
    odd = Policy(
        name="o",
        rules={},
        picture=PictureRule(review_at=0.5),
        calibrations={"a": Platt(1e-7, -1e20), "b": Isotonic((1e-30,), (1 / 3,))},
    )
    assert parse_policy(format_policy(odd)) == odd
    assert pickle.loads(pickle.dumps(odd)) == odd  # noqa: S301  # it is ours
    assert hash(parse_policy(TEXT)) == hash(found)
    assert parse_policy(TEXT.replace("= 2\n", "= 3\n")) != found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"isotonic"', '"linear"', r"line 4, \[calibration.open_nsfw\]: .*method must be one of"),
        ("temperature = 2", "temperature = 0", "temperature must be finite and above 0"),
        ("temperature = 2", "slope = 2", "temperature is missing"),
        ("temperature = 2", "temperature = nan", "must be a finite number"),
        ("[0.0, 0.5, 1.0]", "[0.5, 0.0, 1.0]", "must not fall"),
        ("review_at = 0.5", 'review_at = 0.5\nclassifiers = ["open_nsfw"]', "own.model does not count: open_nsfw do"),
        ("[calibration.open_nsfw]", "[calibration]\nplain = 3\n[calibration.open_nsfw]", "must be a table"),
    ],
)
def test_calibrations_that_make_no_sense_name_the_line(old: str, new: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_policy(TEXT.replace(old, new))


def test_calibrations_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="calibrations must be of classifiers' names, not 'a': 3"):
        Policy(name="p", rules={}, picture=PictureRule(review_at=0.5), calibrations={"a": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="calibration of b, which does not count: a"):
        Policy(name="p", rules={}, picture=PictureRule(review_at=0.5, classifiers=("a",)), calibrations={"b": SHIFT})


def test_a_calibration_of_what_nobody_knows_is_refused_and_of_what_is_not_here_is_not() -> None:
    for name, fine in (("open_nsfv", False), ("open_nsfw", True)):
        rule = PictureRule(review_at=0.5)
        given = Policy(name="p", rules={}, picture=rule, calibrations={name: SHIFT})
        if fine:
            Censor(given, detector=finder(), classifiers=[Reds()])
        else:
            with pytest.raises(PolicyError, match="nobody knows a classifier open_nsfv"):
                Censor(given, detector=finder(), classifiers=[Reds()])


def test_hiding_goes_by_probabilities_too(tmp_path: Path) -> None:
    picture = np.full((64, 64, 3), 51, np.uint8)
    text = '[picture]\nreview_at = 0.95\nhide_at = 0.6\nheat_at = 0.6\n[labels.NSFW_REGION]\neffect = "solid"\n'
    calibration = '[calibration.reds]\nmethod = "platt"\nslope = 1.0\nintercept = 2.0\n'
    for given, hidden in ((text, 0), (text + calibration, 1)):
        done = Censor(parse_policy(given), detector=finder(), classifiers=[Reds()]).apply(picture)
        assert len(done.redactions) == hidden
