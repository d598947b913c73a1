"""What networks find is kept so that any policy judges it as `check` would have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import RedFinder, finder
from labeled_pictures import FACTS, labeled_folder, looked, networks, save
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds

from censor import Censor
from censor.analysis.looking import DETECTOR, look_at
from censor.errors import ClassifierError
from censor.finding import Networks
from censor.policy import Policy, Rule
from censor.rules import PictureRule
from detect.classifier.scores import Scores
from detect.errors import EvaluationError
from detect.evaluation.labeled import read_labeled
from detect.evaluation.score_cache import ScoreCache

POLICY = Policy(
    name="p",
    rules={"FEMALE_BREAST_EXPOSED": Rule(review_at=0.5, nsfw_at=0.8, confirm_at=0.4, min_area=0.01)},
    picture=PictureRule(review_at=0.5, nsfw_at=0.7),
)


def test_verdicts_are_those_of_a_check(tmp_path: Path) -> None:
    folder = labeled_folder(tmp_path / "l")
    censor = Censor(POLICY, detector=finder(), classifiers=[Reds()])
    look = looked(folder)
    levels = set()
    for picture, seen in zip(look.answers.pictures, look.seen, strict=True):
        verdict, expected = seen.judged(POLICY), censor.check(picture.path, whole=True).verdict
        assert (verdict.level, verdict.score) == (expected.level, expected.score)
        assert [(each.rule, each.score, each.area) for each in verdict.reasons] == [
            (each.rule, each.score, each.area) for each in expected.reasons
        ]
        levels.add(verdict.level)
    assert len(levels) == 3


def test_what_other_viewers_show_counts(tmp_path: Path) -> None:
    save(tmp_path / "l/SAFE", [0.1])
    clear = np.zeros((48, 64, 4), np.uint8)
    clear[8:24, 8:24, :3] = (250, 10, 20)  # beneath full transparency
    (tmp_path / "l/NSFW").mkdir()
    Image.fromarray(clear).save(tmp_path / "l/NSFW/clear.png")
    assert [seen.judged(POLICY).level for seen in looked(tmp_path / "l").seen] == ["safe", "nsfw"]


def test_a_second_run_goes_by_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = read_labeled(labeled_folder(tmp_path / "l"))
    with ScoreCache(tmp_path / "c") as cache:
        first = look_at(pictures, networks(), FACTS, cache=cache)
        monkeypatch.setattr("detect.evaluation.scoring.decode", None)
        again = look_at(pictures, networks(), FACTS, cache=cache)
    assert not any(again.answers.seconds.values())
    for one, other in zip(first.seen, again.seen, strict=True):
        assert one.judged(POLICY) == other.judged(POLICY)
        assert np.array_equal(one.evidence.boxes.xyxy, other.evidence.boxes.xyxy)


def test_another_model_is_asked_and_the_others_are_not(tmp_path: Path) -> None:
    pictures = read_labeled(labeled_folder(tmp_path / "l"))
    with ScoreCache(tmp_path / "c") as cache:
        look_at(pictures, networks(), FACTS, cache=cache)
        judge, detector = Reds(), finder()
        both = Networks(detector=detector, classifiers=(judge,))
        look_at(pictures, both, {**FACTS, "reds": {"file": "another"}}, cache=cache)
    assert len(judge.seen) == len(pictures)
    assert detector.calls == 0


def test_pictures_reduced_in_another_way_are_other_pictures(tmp_path: Path) -> None:
    class Modest(RedFinder):
        def spare_factor(self, height: int, width: int) -> float:
            return 16.0

    class Coarse(Reds):
        def spare_factor(self, height: int, width: int) -> float:
            return 16.0

    pictures = read_labeled(labeled_folder(tmp_path / "l"))
    with ScoreCache(tmp_path / "c") as cache:
        for judge in (Reds(), Coarse()):
            look_at(pictures, Networks(detector=Modest(), classifiers=(judge,)), FACTS, cache=cache)
            assert len(judge.seen) == len(pictures)


def test_failures_name_the_picture(tmp_path: Path) -> None:
    class Failing(Reds):
        def classify(self, images: Sequence[NDArray[np.uint8]], *, heat: bool = False) -> list[Scores]:
            raise RuntimeError("no")

    pictures = read_labeled(labeled_folder(tmp_path / "l"))
    with pytest.raises(ClassifierError, match=r"000.png: the classifier reds failed"):
        look_at(pictures, Networks(detector=finder(), classifiers=(Failing(),)), FACTS)


def test_nothing_readable_and_missing_facts_are_refused(tmp_path: Path) -> None:
    for side in ("SAFE", "NSFW"):
        (tmp_path / "l" / side).mkdir(parents=True)
        (tmp_path / "l" / side / "a.png").write_bytes(b"no")
    pictures = read_labeled(tmp_path / "l")
    with pytest.raises(EvaluationError, match=r"none of 2 pictures can be read; the first: .*a.png"):
        look_at(pictures, networks(), FACTS)
    with pytest.raises(ValueError, match="facts about reds are missing"):
        look_at(pictures, networks(), {DETECTOR: {}})
