"""What classifiers say, on the whole way of a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_classifiers import BlueSeer, Nobody, RedSeer, picture
from numpy.typing import NDArray
from PIL import Image, ImageOps

from censor import Censor
from censor.calibration import CalibratedClassifier
from censor.displayed import as_displayed
from censor.errors import ClassifierError, PolicyError, RecheckError
from censor.finding import Networks
from censor.media.display import Display
from censor.policy import Policy, Rule
from censor.rules import PictureRule
from censor.service.networks import NetworkSet, Watch
from censor.verdict import Level
from censor.views import turned
from detect.classifier.scores import Classifier, HasMaps, Scores
from detect.detections import RGBImage
from detect.errors import InferenceError, WeightsError
from detect.evaluation.calibration import Temperature
from detect.pictures.cicp import Cicp
from detect.pictures.still import Reading

POLICY = Policy(
    name="own",
    rules={"FACE": Rule(censor_at=0.5, nsfw_at=0.5)},
    picture=PictureRule(review_at=0.3, nsfw_at=0.6, hide_at=0.6, heat_at=0.5),
    heat=Rule(effect="solid", shape="box", expand=0.0),
)


def test_a_verdict_by_what_a_classifier_says() -> None:
    censor = Censor(POLICY, detector=Nobody(), classifiers=[RedSeer()])
    verdict = censor.check(picture()).verdict
    assert verdict.level is Level.NSFW
    assert verdict.models == ("detector", "red")
    assert [(each.classifier, each.xyxy) for each in verdict.reasons] == [("red", (48.0, 16.0, 64.0, 32.0))]
    assert censor.check(np.full((128, 128, 3), 200, np.uint8)).verdict.level is Level.SAFE


def test_what_is_hot_is_hidden_and_nothing_else(tmp_path: Path) -> None:
    seer = RedSeer()
    done = Censor(POLICY, detector=Nobody(), classifiers=[seer]).apply(picture())
    assert [(each.label, each.classifier, each.effect) for each in done.redactions] == [("NSFW_REGION", "red", "solid")]
    assert not done.picture.pixels[16:32, 48:64].any()
    expected = picture()
    expected[16:32, 48:64] = 0
    np.testing.assert_array_equal(done.picture.pixels, expected)
    assert done.verdict is not None
    assert done.verdict.level is Level.NSFW
    assert seer.mapped == 1  # maps are asked for where they are wanted, and what is left looks harmless


def test_votes_are_counted_over_classifiers() -> None:
    two = Policy(name="two", rules=POLICY.rules, picture=PictureRule(review_at=0.3, nsfw_at=0.6, votes=2))

    class Blind(RedSeer):
        def _one(self, image: RGBImage, heat: bool) -> Scores:
            return super()._one(np.zeros_like(image), heat)

    assert Censor(two, detector=Nobody(), classifiers=[RedSeer("a"), RedSeer("b")]).check(picture()).verdict.nsfw
    disagreeing = Censor(two, detector=Nobody(), classifiers=[RedSeer("a"), Blind("b")])
    assert disagreeing.check(picture()).verdict.level is Level.REVIEW


class FreeSeer(RedSeer):
    """Its maps come with its scores."""

    heat_is_free = True

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.calls += 1
        return super().classify(images, heat=heat)


@pytest.mark.parametrize(("pixels", "calls"), [(picture(), 2), (np.full((128, 128, 3), 200, np.uint8), 1)])
def test_maps_that_cost_nothing_are_asked_for_once_and_dropped_where_nobody_goes_by_them(
    pixels: RGBImage, calls: int
) -> None:
    free, plain = FreeSeer(), RedSeer()
    checked, other = (Censor(POLICY, detector=Nobody(), classifiers=[each]).check(pixels) for each in (free, plain))
    assert (free.calls, free.calls + plain.mapped) == (1, calls)
    assert checked.verdict == other.verdict
    assert (checked.scores["red"].heat is None) == (other.scores["red"].heat is None) == (calls == 1)


def test_maps_are_asked_for_alone_where_scores_are_known() -> None:
    class Mapper(RedSeer):
        def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
            assert not heat
            return super().classify(images)

        def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
            return [each.heat for each in RedSeer.classify(self, images, heat=True)]

    alone, together = (Censor(POLICY, detector=Nobody(), classifiers=[each]) for each in (Mapper(), RedSeer()))
    np.testing.assert_array_equal(alone.apply(picture()).picture.pixels, together.apply(picture()).picture.pixels)
    assert alone.check(picture()).verdict == together.check(picture()).verdict


@pytest.mark.parametrize(
    "wrapped",
    [
        CalibratedClassifier(RedSeer(), Temperature(3.0)),
        NetworkSet(detectors=(), classifiers=(RedSeer(),)).watched(Watch(lambda: None)).classifiers[0],
        as_displayed(Networks(classifiers=(RedSeer(),)), Display(aspect=2, cicp=Cicp(9, 16))).classifiers[0],
    ],
    ids=["calibrated", "watched", "displayed"],
)
def test_whoever_stands_around_a_classifier_answers_the_same_maps_alone(wrapped: Classifier) -> None:
    assert isinstance(wrapped, HasMaps)
    images = [picture(), picture(np.s_[:9, :30])]
    for found, said in zip(wrapped.maps(images), wrapped.classify(images, heat=True), strict=True):
        assert said.heat is not None
        np.testing.assert_array_equal(found, said.heat)


@pytest.mark.parametrize("answer", [[], [np.full((2, 2), 2, np.float32)], [np.zeros(4, np.float32)]])
def test_maps_that_are_none_fail_the_picture(answer: list[NDArray[np.float32]]) -> None:
    class Mapper(RedSeer):
        def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32]]:
            return answer

    with pytest.raises(ClassifierError, match="picture: the classifier red failed: ValueError"):
        Censor(POLICY, detector=Nobody(), classifiers=[Mapper()]).apply(picture())


def test_what_still_looks_nsfw_does_not_leave(tmp_path: Path) -> None:
    class Sure(RedSeer):
        def _one(self, image: RGBImage, heat: bool) -> Scores:
            return Scores(np.array([0.0, 1.0]), self.names, ("nsfw",), np.eye(8, dtype=np.float32) if heat else None)

    censor = Censor(POLICY, detector=Nobody(), classifiers=[Sure()])
    with pytest.raises(RecheckError, match=r"still looks NSFW after hiding: red says NSFW 1\.00"):
        censor.apply_file(picture(), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_a_kept_box_does_not_silence_a_classifier() -> None:
    censor = Censor(POLICY, detector=Nobody(), classifiers=[RedSeer()])
    with pytest.raises(RecheckError, match=r"red says NSFW .*, keeping 40,8,72,40"):
        censor.apply(picture(), keep=[(40, 8, 72, 40)])


def test_a_look_that_was_switched_off_is_not_taken() -> None:
    done = Censor(POLICY, detector=Nobody(), classifiers=[RedSeer()], recheck=False).apply(
        picture(), keep=[(0, 0, 128, 128)]
    )
    assert done.redactions == ()


def test_what_shows_on_one_background_alone_is_hidden() -> None:
    """Half transparent red is pale on a page; a program that drops the transparency shows it as it is."""
    pixels = np.dstack([picture(), np.full((128, 128), 255, np.uint8)])
    pixels[16:32, 48:64, 3] = 128
    done = Censor(POLICY, detector=Nobody(), classifiers=[RedSeer()]).apply(Image.fromarray(pixels))
    assert not done.picture.pixels[16:32, 48:64, :3].any()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda images: [], "must answer a list of one Scores"),
        (lambda images: [None for _ in images], "must answer a list of one Scores"),
        (lambda images: [Scores(np.array([1.0]), ("nsfw",), ("nsfw",)) for _ in images], "with its own names"),
        (lambda images: [Scores(np.array([np.nan, 0]), ("sfw", "nsfw"), ("nsfw",)) for _ in images], "values must lie"),
        (lambda images: 1 / 0, "the classifier red failed: ZeroDivisionError"),
    ],
)
def test_a_classifier_that_breaks_its_word_fails_the_picture(
    tmp_path: Path, answer: Callable[[Sequence[RGBImage]], list[Scores]], says: str
) -> None:
    class Odd(RedSeer):
        def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
            return answer(images)

    censor = Censor(POLICY, detector=Nobody(), classifiers=[Odd()])
    for work in (lambda: censor.check(picture()), lambda: censor.apply_file(picture(), tmp_path / "out.png")):
        with pytest.raises(ClassifierError, match=says):
            work()
    assert not list(tmp_path.iterdir())


def test_a_network_that_fails_names_the_picture() -> None:
    class Failing(RedSeer):
        def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
            raise InferenceError("out of order")

    with pytest.raises(InferenceError, match=r": out of order$"):
        Censor(POLICY, detector=Nobody(), classifiers=[Failing()]).check(picture())


def test_a_policy_that_needs_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path))
    with pytest.raises(PolicyError, match="needs 1 classifier, and there are none"):
        Censor(POLICY, detector=Nobody())
    with pytest.raises(PolicyError, match="two classifiers have one name"):
        Censor(POLICY, detector=Nobody(), classifiers=[RedSeer(), RedSeer()])
    with pytest.raises(TypeError, match="a classifier must have `name`"):
        Censor(POLICY, detector=Nobody(), classifiers=[Nobody()])  # type: ignore[list-item]


def test_a_policy_that_does_not_ask_loads_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "open_nsfw.onnx"
    broken.write_bytes(b"no model")
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path))
    seer = RedSeer()
    plain = Policy(name="plain", rules=POLICY.rules)
    assert Censor(plain, detector=Nobody(), classifiers=[seer]).check(picture()).verdict.models == ("detector",)
    assert Censor(plain, detector=Nobody()).check(picture()).verdict.level is Level.SAFE
    with pytest.raises(WeightsError, match="open_nsfw"):
        Censor(POLICY, detector=Nobody())


def test_the_real_ones_find_a_portrait_harmless(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, astronaut: NDArray[np.uint8]
) -> None:
    monkeypatch.setenv("CENSOR_MODELS", str(models_folder))
    done = Censor().apply(astronaut)
    assert done.verdict is not None
    assert (done.verdict.level, done.verdict.models) == (Level.SAFE, ("320n", "open_nsfw", "image-safety-s"))
    assert done.redactions == ()


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 150, 120)], ids=["black", "white", "skin"])
def test_a_picture_of_one_color_leaves_however_strict_the_real_ones_are(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, color: tuple[int, int, int]
) -> None:
    monkeypatch.setenv("CENSOR_MODELS", str(models_folder))
    strict = Censor("strict")
    pixels = np.full((120, 160, 3), color, np.uint8)
    done = strict.apply(pixels)  # black is .47 for one of them: under black bars it would stay so
    assert done.verdict is not None
    assert done.verdict.level is not Level.NSFW


@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_turn_as_pictures_do(orientation: int) -> None:
    stored: NDArray[np.float32] = (np.arange(6).reshape(2, 3) / 8).astype(np.float32)
    image = Image.fromarray((stored * 8).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    shown = (np.asarray(ImageOps.exif_transpose(image)) / 8).astype(np.float32)
    scores = Scores(np.array([1.0]), ("nsfw",), ("nsfw",), shown)
    heat = turned(scores, Reading(np.zeros((*shown.shape, 3), np.uint8), orientation)).heat
    assert heat is not None
    np.testing.assert_array_equal(heat, stored)


def test_whose_heat_is_hidden_first_spares_what_others_see_in_the_same_place() -> None:
    rule = PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5, hide_first=("red",))
    policy = dataclasses.replace(POLICY, rules={}, picture=rule)
    purple, both = picture(), picture()
    both[96:112, 16:32] = (10, 10, 250)
    seers = [RedSeer(), BlueSeer("blue")]

    def hidden(pixels: NDArray[np.uint8], *, recheck: bool = True) -> list[tuple[str | None, bool]]:
        done = Censor(policy, detector=Nobody(), classifiers=seers, recheck=recheck).apply(pixels.copy())
        return [(each.classifier, each.rechecked) for each in done.redactions]

    assert hidden(both) == [("red", False), ("blue", True)]
    assert hidden(both, recheck=False) == [("red", False), ("blue", False)]  # nobody would look again
    both[16:32, 48:64] = 200
    assert hidden(both) == [("blue", True)]
    purple[16:32, 48:64] = (250, 10, 250)
    assert hidden(purple) == [("red", False)]
