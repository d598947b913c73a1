from __future__ import annotations

import dataclasses
import io
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FACES_JUDGED, RED, RedFinder, Scripted
from numpy.typing import NDArray
from PIL import Image

from censor import Censor, Policy, Rule
from censor.errors import DetectorError, PolicyError, RecheckError
from censor.policy_toml import load_policy
from censor.verdict import Level
from detect.detections import Detections
from detect.errors import DamagedImageError, InferenceError, LimitError, UnknownLabelError, WeightsError

LABEL = "FEMALE_BREAST_EXPOSED"


def one_rule(**values: object) -> Policy:
    given: dict[str, object] = {"censor_at": 0.5, "nsfw_at": 0.5, "shape": "box", "expand": 0.0, **values}
    return Policy(name="test", rules={LABEL: Rule(**given)})  # type: ignore[arg-type]


def red(image: NDArray[np.uint8]) -> int:
    return int((image[..., :3] == RED).all(axis=2).sum())


@pytest.mark.parametrize("effect", ["pixelate", "blur", "solid", "sticker"])
@pytest.mark.parametrize("shape", ["box", "rounded", "ellipse"])
def test_what_is_found_is_hidden_and_said(scene: NDArray[np.uint8], effect: str, shape: str) -> None:
    before = scene.copy()
    result = Censor(policy=one_rule(effect=effect, shape=shape, expand=0.1), detector=RedFinder()).apply(scene)
    assert (scene == before).all()
    assert red(scene) == 800
    assert red(result.image) == 0
    assert result.image.shape == scene.shape
    assert (result.image[:15] == scene[:15]).all()
    assert result.verdict is not None
    assert result.verdict.level is Level.NSFW
    assert [(hidden.label, hidden.xyxy, hidden.effect) for hidden in result.redactions] == [
        (LABEL, (50, 30, 90, 70), effect)
    ]
    assert (result.width, result.height) == (160, 120)
    assert set(result.seconds) == {"decode", "detect", "hide", "recheck"}


def test_nothing_found_changes_nothing_and_is_safe() -> None:
    image = np.random.default_rng(1).integers(0, 99, (50, 60, 3), np.uint8)
    finder = RedFinder()
    result = Censor(policy=one_rule(), detector=finder).apply(image)
    assert (result.image == image).all()
    assert result.verdict is not None
    assert result.verdict.level is Level.SAFE
    assert result.redactions == ()
    assert finder.calls == 1  # the output is the input: looking again would tell nothing


def test_a_score_below_the_threshold_is_not_hidden_and_not_nsfw(scene: NDArray[np.uint8]) -> None:
    result = Censor(policy=one_rule(), detector=RedFinder(score=0.49)).apply(scene)
    assert red(result.image) == 800
    assert result.verdict is not None
    assert result.verdict.level is Level.SAFE
    assert result.verdict.score == np.float32(0.49)


def test_labels_without_a_rule_pass(scene: NDArray[np.uint8]) -> None:
    result = Censor(policy=one_rule(), detector=RedFinder("FACE_MALE", others=[LABEL])).apply(scene)
    assert red(result.image) == 800
    assert len(result.detections) == 1


def test_check_judges_as_apply_does(scene: NDArray[np.uint8]) -> None:
    censor = Censor(policy=one_rule(), detector=RedFinder())
    assert censor.check(scene).verdict == censor.apply(scene).verdict
    assert censor.check(scene).detections == censor.apply(scene).detections


def test_a_policy_that_only_hides_gives_no_verdict(scene: NDArray[np.uint8]) -> None:
    censor = Censor(policy=one_rule(nsfw_at=None), detector=RedFinder())
    result = censor.apply(scene)
    assert result.verdict is None
    assert len(result.redactions) == 1
    with pytest.raises(PolicyError, match="judges nothing"):
        censor.check(scene)


def test_a_policy_that_judges_what_the_detector_never_reports_gives_no_verdict(scene: NDArray[np.uint8]) -> None:
    faces = load_policy(FACES_JUDGED)
    assert Censor(policy=faces, detector=RedFinder("FACE_MALE", others=["FACE_FEMALE"])).apply(scene).verdict is None
    judging = Censor(policy=faces, detector=RedFinder("FACE_MALE", others=["FACE_FEMALE", LABEL])).apply(scene)
    assert judging.verdict is not None
    assert judging.verdict.level is Level.SAFE


def test_every_kind_of_source(scene: NDArray[np.uint8], encoded: Callable[..., bytes], tmp_path: Path) -> None:
    data = encoded(scene, "PNG")
    path = tmp_path / "p.png"
    path.write_bytes(data)
    censor = Censor(policy=one_rule(), detector=RedFinder())
    expected = censor.apply(scene).image
    with Image.open(path) as image:
        for source in (data, path, str(path), io.BytesIO(data), image):
            assert (censor.apply(source).image == expected).all()


# --- the second look ------------------------------------------------------------------------------------------------


def test_the_second_look_hides_what_it_finds(scene: NDArray[np.uint8]) -> None:
    finder = Scripted([LABEL], [(LABEL, 0.9, (50, 30, 90, 70))], [(LABEL, 0.7, (0, 0, 20, 20))], [])
    result = Censor(policy=one_rule(), detector=finder).apply(scene)
    assert [(hidden.xyxy, hidden.rechecked, hidden.effect) for hidden in result.redactions] == [
        ((50, 30, 90, 70), False, "pixelate"),
        ((0, 0, 20, 20), True, "pixelate"),
    ]
    assert (result.image[:20, :20] != scene[:20, :20]).any()
    assert (finder.seen[1][0] != finder.seen[2][0]).any()  # it looked at the new output
    assert (finder.seen[2][0] == result.image).all()


def test_what_is_found_later_shows_no_finer_cells(scene: NDArray[np.uint8]) -> None:
    first, later = [(LABEL, 0.9, (0, 0, 120, 120))], [(LABEL, 0.7, (50, 50, 74, 74))]
    alone = Censor(policy=one_rule(), detector=Scripted([LABEL], first, [])).apply(scene).image  # cells of 20
    both = Censor(policy=one_rule(), detector=Scripted([LABEL], first, later, [])).apply(scene).image
    met = both[40:80, 40:80]
    assert (met == met[0, 0]).all()
    assert (met[0, 0] == np.floor(scene[40:80, 40:80].reshape(-1, 3).mean(axis=0) + 0.5)).all()
    both[40:80, 40:80] = alone[40:80, 40:80]
    assert (both == alone).all()


def test_the_last_try_is_solid(scene: NDArray[np.uint8]) -> None:
    stubborn = [(LABEL, 0.9, (50, 30, 90, 70))]
    finder = Scripted([LABEL], stubborn, stubborn, stubborn, [])
    result = Censor(policy=one_rule(), detector=finder).apply(scene)
    assert [hidden.effect for hidden in result.redactions] == ["pixelate", "pixelate", "solid"]
    assert (result.image[30:70, 50:90] == 0).all()


def test_a_box_where_nothing_is_left_is_passed_over(scene: NDArray[np.uint8]) -> None:
    """It is found for ever, but under solid colour: nothing of the picture is there to be hidden."""
    stubborn = [(LABEL, 0.9, (50, 30, 90, 70))]
    for effect, feather in (("solid", 0.0), ("sticker", 0.0), ("solid", 0.3), ("sticker", 0.3)):
        finder = Scripted([LABEL], stubborn)
        policy = dataclasses.replace(one_rule(effect=effect), feather=feather)
        result = Censor(policy=policy, detector=finder).apply(scene)
        assert len(result.redactions) == 1
        assert len(finder.seen) == 2


def test_a_picture_that_still_fails_gives_no_output(scene: NDArray[np.uint8], tmp_path: Path) -> None:
    boxes = [[(LABEL, 0.9, (x, 0, x + 10, 10))] for x in (0, 20, 40, 60, 80)]
    with pytest.raises(RecheckError, match=rf"picture: after 3 looks .* still finds {LABEL} 0.90"):
        Censor(policy=one_rule(), detector=Scripted([LABEL], *boxes)).apply(scene)
    target = tmp_path / "out.png"
    with pytest.raises(RecheckError):
        Censor(policy=one_rule(), detector=Scripted([LABEL], *boxes)).apply_file(scene, target)
    assert not list(tmp_path.iterdir())


def test_without_recheck_it_looks_once(scene: NDArray[np.uint8]) -> None:
    finder = RedFinder()
    result = Censor(policy=one_rule(), detector=finder, recheck=False).apply(scene)
    assert finder.calls == 1
    assert red(result.image) == 0
    assert "recheck" not in result.seconds


def test_solid_lies_on_top_whatever_the_order(scene: NDArray[np.uint8]) -> None:
    """Painted later, a mosaic would show means of the original where solid colour was asked for."""
    names = (LABEL, "FACE_MALE")
    rules = {LABEL: Rule(censor_at=0.2, effect="solid"), "FACE_MALE": Rule(censor_at=0.2, effect="pixelate")}
    both = [(LABEL, 0.9, (50, 30, 90, 70)), ("FACE_MALE", 0.5, (40, 20, 100, 80))]
    result = Censor(policy=Policy(name="p", rules=rules), detector=Scripted(names, both, [])).apply(scene)
    assert (result.image[30:70, 50:90] == 0).all()


def test_what_one_view_shows_more_of_is_hidden_whole() -> None:
    class Wider(RedFinder):
        def _find(self, image: NDArray[np.uint8]) -> Detections:
            box = [10, 10, 20, 20] if image.max() < 200 else [10, 10, 20, 28]  # on the light page it sees more
            return Detections(np.array([box], np.float32), np.array([0.9]), np.array([0]), self.names)

    rgba = np.random.default_rng(0).integers(0, 150, (40, 40, 4), np.uint8)
    result = Censor(policy=one_rule(effect="solid"), detector=Wider()).apply(rgba)
    assert (result.image[10:28, 10:20, :3] == 0).all()


# --- transparency ---------------------------------------------------------------------------------------------------


def transparent(scene: NDArray[np.uint8], alpha: int) -> NDArray[np.uint8]:
    return np.dstack([scene, np.full(scene.shape[:2], alpha, np.uint8)])


def test_a_body_that_shows_only_once_transparency_is_dropped_is_hidden(scene: NDArray[np.uint8]) -> None:
    rgba = transparent(scene, 1)  # all but invisible, and whole for whoever drops the alpha channel
    result = Censor(policy=one_rule(), detector=RedFinder()).apply(rgba)
    assert red(result.image) == 0
    assert (result.image[30:70, 50:90, 3] == 255).all()
    assert (result.image[:20] == rgba[:20]).all()


@pytest.mark.parametrize("background", [0, 255])
def test_a_body_drawn_by_transparency_alone_is_hidden(background: int) -> None:
    """White ink whose transparency is the drawing shows on a dark page only, black ink on a light one only."""

    class InkFinder(RedFinder):
        def _find(self, image: NDArray[np.uint8]) -> Detections:
            mask = (image[40:60, 40:60].max() != image[40:60, 40:60].min()) and image[0, 0, 0] == background
            box = np.array([[40, 40, 60, 60]] if mask else np.empty((0, 4)), np.float32)
            return Detections(box, np.full(len(box), 0.9), np.zeros(len(box), np.int64), self.names)

    rgba = np.full((100, 100, 4), 255 - background, np.uint8)
    rgba[..., 3] = 0
    rgba[45:55, 45:55, 3] = 255
    result = Censor(policy=one_rule(effect="solid"), detector=InkFinder()).apply(rgba)
    assert len(result.redactions) == 1
    assert (result.image[40:60, 40:60] == (0, 0, 0, 255)).all()


def test_what_lies_under_full_transparency_is_judged_and_leaves_with_the_source(scene: NDArray[np.uint8]) -> None:
    rgba = transparent(scene, 255)
    rgba[30:70, 50:90, 3] = 0
    censor = Censor(policy=one_rule(), detector=RedFinder())
    result = censor.apply(rgba)
    assert red(result.image) == 0
    assert result.redactions == ()
    assert (result.image[30:70, 50:90] == 0).all()
    assert result.picture.beneath is None
    assert result.verdict is not None
    assert result.verdict.level is Level.NSFW  # the file holds it, and a careless viewer shows it
    assert censor.check(rgba).verdict == result.verdict


def test_an_opaque_alpha_costs_one_look(scene: NDArray[np.uint8]) -> None:
    finder = Scripted([LABEL], [])
    Censor(policy=one_rule(), detector=finder).apply(transparent(scene, 255))
    assert [len(images) for images in finder.seen] == [1]


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_detector_that_raises_is_an_error(scene: NDArray[np.uint8]) -> None:
    with pytest.raises(DetectorError, match="picture: the detector failed: RuntimeError: boom"):
        Censor(policy=one_rule(), detector=Scripted([LABEL], RuntimeError("boom"))).apply(scene)
    with pytest.raises(InferenceError, match="picture: bad network"):
        Censor(policy=one_rule(), detector=Scripted([LABEL], InferenceError("bad network"))).check(scene)


def test_a_detector_that_fails_on_the_second_look_gives_no_output(scene: NDArray[np.uint8]) -> None:
    finder = Scripted([LABEL], [(LABEL, 0.9, (50, 30, 90, 70))], RuntimeError("boom"))
    with pytest.raises(DetectorError):
        Censor(policy=one_rule(), detector=finder).apply(scene)


@pytest.mark.parametrize("answer", [[], None, [1], (Detections.empty([LABEL]),), [Detections.empty(["FACE_MALE"])]])
def test_a_detector_that_breaks_its_contract_is_an_error(scene: NDArray[np.uint8], answer: object) -> None:
    class Broken(RedFinder):
        def detect(self, images: object) -> Any:
            return answer

    with pytest.raises(DetectorError, match="the detector must answer"):
        Censor(policy=one_rule(), detector=Broken()).check(scene)


def test_a_policy_the_detector_cannot_serve_is_refused() -> None:
    with pytest.raises(PolicyError, match="never reports"):
        Censor(policy="default", detector=RedFinder(), classifiers=())
    with pytest.raises(UnknownLabelError):
        Censor(policy=Policy(name="p", rules={"queen": Rule(censor_at=0.1)}), detector=RedFinder())
    deaf = RedFinder()
    deaf.min_score = 0.6  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match=r"acts on scores from 0\.5, but the detector reports none below 0\.6"):
        Censor(policy=one_rule(), detector=deaf)


def test_the_policy_comes_first(scene: NDArray[np.uint8]) -> None:
    policy = one_rule()
    assert Censor(policy, detector=RedFinder()).policy is policy


@pytest.mark.parametrize("policy", [5, None, ["faces"], b"faces"])
def test_a_policy_of_another_type_is_refused(policy: Any) -> None:
    expected = "policy must be a Policy, the name of a preset, or the path of a TOML file, not"
    with pytest.raises(TypeError, match=expected + " " + type(policy).__name__):
        Censor(policy, detector=RedFinder())


@pytest.mark.parametrize("detector", [5, "320n.onnx", object()])
def test_what_does_not_detect_is_no_detector(detector: Any) -> None:
    with pytest.raises(TypeError, match=rf"detector must have `names` and `detect.*{type(detector).__name__} has not"):
        Censor(one_rule(), detector=detector)


@pytest.mark.parametrize("source", [12, None, 1.5, ["a.jpg"], object()])
def test_what_no_picture_can_come_in_is_refused(source: Any) -> None:
    censor = Censor(one_rule(), detector=RedFinder())
    expected = "a picture must be a path, bytes, a binary file object, a Pillow image or uint8 pixels, not "
    for work in (censor.apply, censor.check):
        with pytest.raises(TypeError, match=expected + type(source).__name__):
            work(source)
    text: Any = io.StringIO("text")
    with pytest.raises(TypeError, match="a picture's file object must be binary"):
        censor.apply(text)


def test_caps_and_damage_reach_the_caller(scene: NDArray[np.uint8], encoded: Callable[..., bytes]) -> None:
    data = encoded(scene, "PNG")
    with pytest.raises(LimitError):
        Censor(policy=one_rule(), detector=RedFinder(), max_pixels=99).check(data)
    with pytest.raises(LimitError):
        Censor(policy=one_rule(), detector=RedFinder(), max_bytes=99).check(data)
    with pytest.raises(DamagedImageError):
        Censor(policy=one_rule(), detector=RedFinder()).apply(data[:-200])


def test_no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)  # as if it were not installed
    monkeypatch.setenv("CENSOR_WEIGHTS", str(tmp_path))  # which is the command's
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path))
    for policy, wanted in (("default", "all"), ("boxes", "320n"), ("faces", "centerface")):
        with pytest.raises(WeightsError, match=rf"no model that finds .*; get it with: censor models add {wanted}$"):
            Censor(policy)


# --- the real detector ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces() -> Censor:
    return Censor(policy=FACES_JUDGED)


def test_a_real_face_is_hidden_and_not_found_again(faces: Censor, astronaut: NDArray[np.uint8]) -> None:
    result = faces.apply(astronaut)
    assert [hidden.label for hidden in result.redactions] == ["FACE_FEMALE"]
    x0, y0, x1, y1 = result.redactions[0].xyxy
    assert (170 < x0 < 180, 75 < y0 < 90, 265 < x1 < 280, 170 < y1 < 190) == (True,) * 4
    face = np.s_[int(y0) : int(y1), int(x0) : int(x1)]
    assert (result.image[face] != astronaut[face]).mean() > 0.9
    assert (result.image[300:] == astronaut[300:]).all()
    assert result.verdict is not None
    assert result.verdict.level is Level.SAFE
    assert not faces.apply(result.image).redactions


def test_threads_share_one_censor(faces: Censor, astronaut: NDArray[np.uint8]) -> None:
    expected = faces.apply(astronaut).image
    barrier = threading.Barrier(4)

    def work(_: int) -> bool:
        barrier.wait()
        return bool((faces.apply(astronaut).image == expected).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_the_default_policy_finds_nothing_in_a_clothed_portrait(astronaut: NDArray[np.uint8]) -> None:
    result = Censor().apply(astronaut)
    assert result.verdict is not None
    assert result.verdict.level is Level.SAFE
    assert (result.image == astronaut).all()
