"""Which of the models in a folder find what, and loading them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_classifiers import reds

from detect import LongDetector, UnknownLabelError, WeightsError, load
from detect.classifier.scores import Classifier
from detect.errors import MissingModelError, ModelError
from detect.installed import added_classifiers, found_labels, load_classifiers, load_detectors
from detect.merging import MergedDetector
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import Session
from detect.tiling import TiledDetector, models_of


@pytest.fixture
def nothing_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No distribution with weights is installed."""
    monkeypatch.setattr(load, "_installed_weights", lambda: None)


@pytest.fixture
def folder_of(models_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """``folder_of(name, …)``: a folder with some of the known models."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / f"{name}.onnx").symlink_to(models_folder / f"{name}.onnx")
        return tmp_path

    return make


def test_faces_alone_need_the_face_detector_alone(models_folder: Path, astronaut: NDArray[np.uint8]) -> None:
    detector = load_detectors(["FACE"], folder=models_folder, min_score=0.5, engine="onnxruntime", threads=1)
    assert detector.names == ("FACE",)
    assert isinstance(detector, LongDetector)
    assert (detector.engine, detector.precision, detector.min_score) == ("onnxruntime", "f32", 0.5)
    assert len(detector.detect([astronaut])[0]) == 1


@pytest.mark.parametrize("labels", [["BELLY_EXPOSED"], ["FACE_FEMALE"], ["BELLY_EXPOSED", "FACE_MALE", "FACE_FEMALE"]])
def test_parts_and_the_faces_of_women_need_the_other_alone(models_folder: Path, labels: list[str]) -> None:
    detector = load_detectors(labels, folder=models_folder, engine="onnxruntime", threads=1)
    assert len(detector.names) == 18
    assert isinstance(detector, LongDetector)


def test_each_label_comes_from_whom_it_is_found_best_by(models_folder: Path, astronaut: NDArray[np.uint8]) -> None:
    detector = load_detectors(
        ["BELLY_EXPOSED", "FACE"], folder=models_folder, min_score=0.3, engine="onnxruntime", threads=1
    )
    assert isinstance(detector, MergedDetector)
    assert {name: len(labels) for name, labels in models_of(detector).items()} == {"320n": 16, "centerface": 1}
    assert len(detector.names) == len(set(detector.names)) == 17
    assert "FACE" in detector.names
    assert not {"FACE_FEMALE", "FACE_MALE"} & set(detector.names)
    (found,) = detector.detect([astronaut])
    assert [found.label(row) for row in range(len(found))] == ["FACE"]


def test_what_is_asked_for_by_name_is_reported_beside_what_says_less(models_folder: Path) -> None:
    detector = load_detectors(["FACE", "FACE_FEMALE"], folder=models_folder, engine="onnxruntime", threads=1)
    assert {"FACE", "FACE_FEMALE", "FACE_MALE"} & set(detector.names) == {"FACE", "FACE_FEMALE"}


def test_without_the_face_detector_faces_of_both_kinds_are_found(
    folder_of: Callable[..., Path], nothing_distributed: None
) -> None:
    detector = load_detectors(["FACE"], folder=folder_of("320n"), engine="onnxruntime", threads=1)
    assert {"FACE_FEMALE", "FACE_MALE"} <= set(detector.names)


@pytest.mark.parametrize("with_folder", [True, False])
def test_an_installed_distribution_goes_on_working(tmp_path: Path, with_folder: bool) -> None:
    folder = tmp_path if with_folder else None
    assert len(load_detectors(["FACE", "BELLY_EXPOSED"], folder=folder, engine="onnxruntime", threads=1).names) == 18


@pytest.mark.parametrize(
    ("labels", "models"),
    [
        (["FACE"], ("centerface", "320n")),
        (["FACE_FEMALE"], ("320n",)),
        (["FACE", "BELLY_EXPOSED"], ("centerface", "320n")),
    ],
)
def test_a_missing_detector_is_named_with_what_it_is_missed_for(
    tmp_path: Path, nothing_distributed: None, labels: list[str], models: tuple[str, ...]
) -> None:
    for folder in (tmp_path, tmp_path / "none", None):
        with pytest.raises(
            MissingModelError, match=f"finds {labels[0]} has been added: {' or '.join(models)}"
        ) as caught:
            load_detectors(labels, folder=folder, engine="onnxruntime", threads=1)
        assert caught.value.models == models


def test_faces_of_women_are_never_looked_for_with_the_face_detector(
    folder_of: Callable[..., Path], nothing_distributed: None
) -> None:
    with pytest.raises(MissingModelError, match="320n"):
        load_detectors(["FACE", "FACE_FEMALE"], folder=folder_of("centerface"), engine="onnxruntime", threads=1)


def test_labels_that_no_known_model_finds_and_none_at_all_are_refused(models_folder: Path) -> None:
    with pytest.raises(UnknownLabelError, match="'ace of spades'"):
        load_detectors(["ace of spades"], folder=models_folder, engine="onnxruntime", threads=1)
    with pytest.raises(ValueError, match="at least one label"):
        load_detectors([], folder=models_folder, engine="onnxruntime", threads=1)


def test_weights_replace_every_model_whatever_they_find(tmp_path: Path, square_network: Callable[..., bytes]) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(square_network())
    detector = load_detectors(
        ["FACE", "ace of spades"], folder=tmp_path / "none", weights=path, engine="onnxruntime", threads=1
    )
    assert detector.names == ("FACE_FEMALE", "FEET_EXPOSED")


def test_a_model_that_was_changed_is_refused(models_folder: Path, tmp_path: Path) -> None:
    content = bytearray((models_folder / "centerface.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "centerface.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"centerface\.onnx: damaged or changed"):
        load_detectors(["FACE"], folder=tmp_path, engine="onnxruntime", threads=1)


def test_classifiers_by_name_in_the_order_asked_for(models_folder: Path, astronaut: NDArray[np.uint8]) -> None:
    found = load_classifiers(["image-safety-s", "open_nsfw"], folder=models_folder, engine="onnxruntime", threads=1)
    assert [each.name for each in found] == ["image-safety-s", "open_nsfw"]
    assert [(each.engine, each.precision) for each in found] == [("onnxruntime", "f32")] * 2
    assert all(isinstance(each, Classifier) for each in found)
    long = np.concatenate([astronaut[:100]] * 3, axis=1)
    for each in found:
        assert each.classify([long])[0].probability < 0.5
        assert each.spare_factor(*long.shape[:2]) == 1
    assert load_classifiers([], folder=None) == ()


def test_a_classifier_of_ones_own_is_taken_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(reds())
    (classifier,) = load_classifiers([tmp_path / "mine.onnx"], folder=None, engine="onnxruntime", threads=1)
    assert (classifier.name, classifier.names) == ("reds", ("sfw", "red"))


def test_which_classifiers_are_there(folder_of: Callable[..., Path]) -> None:
    assert added_classifiers(None) == ()
    folder = folder_of("320n")
    assert added_classifiers(folder) == ()
    folder_of("image-safety-s")
    assert added_classifiers(folder) == ("image-safety-s",)
    folder_of("open_nsfw")
    assert added_classifiers(folder) == ("open_nsfw", "image-safety-s")


def test_classifiers_that_are_missing_unknown_or_none_are_refused(tmp_path: Path, models_folder: Path) -> None:
    for folder in (tmp_path, None):
        with pytest.raises(MissingModelError, match="the model open_nsfw has not been added") as caught:
            load_classifiers(["open_nsfw"], folder=folder, engine="onnxruntime", threads=1)
        assert caught.value.models == ("open_nsfw",)
        with pytest.raises(ModelError, match="unknown model 'closed_nsfw'"):
            load_classifiers(["closed_nsfw"], folder=folder, engine="onnxruntime", threads=1)
    with pytest.raises(WeightsError, match=r"centerface\.onnx: metadata key 'task' must be 'classify', found 'detect'"):
        load_classifiers(["centerface"], folder=models_folder, engine="onnxruntime", threads=1)
    with pytest.raises(WeightsError, match="cannot read the weights"):
        load_classifiers([tmp_path / "none.onnx"], folder=None, engine="onnxruntime", threads=1)


def test_two_classifiers_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        (tmp_path / name).write_bytes(reds())
    with pytest.raises(ModelError, match=r"two\.onnx: another classifier is called reds already"):
        load_classifiers([tmp_path / "one.onnx", tmp_path / "two.onnx"], folder=None, engine="onnxruntime", threads=1)


def test_a_precision_that_a_file_does_not_have_is_refused(models_folder: Path) -> None:
    with pytest.raises(WeightsError, match="not quantised"):
        load_classifiers(["open_nsfw"], folder=models_folder, precision="int8")
    with pytest.raises(ValueError, match="bf16 needs the engine openvino"):
        load_detectors(["FACE"], folder=models_folder, engine="onnxruntime", precision="bf16")


def test_labels_that_are_found_here(folder_of: Callable[..., Path], nothing_distributed: None) -> None:
    labels = ["BELLY_EXPOSED", "FACE", "FACE_MALE", "ace of spades"]
    assert found_labels(labels, folder=None) == ()
    folder = folder_of("centerface")
    assert found_labels(labels, folder=folder) == ("FACE",)
    folder_of("320n")
    assert found_labels(labels, folder=folder) == ("BELLY_EXPOSED", "FACE", "FACE_MALE")


def test_each_model_has_its_own_overlap(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    original = OnnxDetector.__init__

    def made(self: OnnxDetector, session: Session, **given: Any) -> None:
        told.append(given["iou_threshold"])
        original(self, session, **given)

    monkeypatch.setattr(OnnxDetector, "__init__", made)
    for labels, overlap in ((["FACE"], None), (["BELLY_EXPOSED"], None), (["FACE"], 0.6)):
        load_detectors(labels, folder=models_folder, iou_threshold=overlap, engine="onnxruntime", threads=1)
    assert told == [0.3, 0.45, 0.6]


@pytest.mark.parametrize(
    ("said", "name"), [({}, "tiny"), ({"name": "mine-2.1"}, "mine-2.1"), ({"name": "two words"}, "tiny")]
)
def test_a_model_is_called_what_its_file_says_or_as_the_file(
    square_network: Callable[..., bytes], detector_of: Callable[..., OnnxDetector], said: dict[str, str], name: str
) -> None:
    detector = detector_of(square_network(**said))
    assert detector.models == {name: detector.names}
    assert models_of(TiledDetector(LongDetector(detector))) == detector.models
