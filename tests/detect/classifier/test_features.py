from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_classifiers import means, reds

from detect.classifier.features import FeatureExtractor
from detect.errors import InferenceError, MissingModelError, WeightsError
from detect.installed import load_features


@pytest.fixture
def pictures() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(2)
    return [random.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(9)]


def extractor(tmp_path: Path, content: bytes) -> FeatureExtractor:
    (tmp_path / "mine.onnx").write_bytes(content)
    return load_features(tmp_path / "mine.onnx", folder=None, threads=1)


@pytest.mark.parametrize("cells", [False, True])
def test_features_are_those_of_the_whole_picture(
    tmp_path: Path, pictures: list[NDArray[np.uint8]], cells: bool
) -> None:
    found = extractor(tmp_path, means(cells=cells))
    assert found.name == "reds"
    assert found.spare_factor(64, 96) == 2
    expected = np.stack([picture.mean(axis=(0, 1)) / 255 for picture in pictures])
    np.testing.assert_allclose(found.features(pictures), expected, rtol=1e-4)  # nine are two runs


def test_a_network_with_a_batch_of_its_own_is_filled_up(tmp_path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    found = extractor(tmp_path, means(shape=(4, 3, 32, 32))).features(pictures)
    np.testing.assert_allclose(found, extractor(tmp_path, means()).features(pictures), rtol=1e-5)


def test_features_that_are_no_numbers_are_refused(tmp_path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(InferenceError, match="expected finite features"):
        extractor(tmp_path, means(times=float("inf"))).features(pictures)


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        extractor(tmp_path, means()).features([])


def test_a_classifier_without_features_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no features"):
        extractor(tmp_path, reds())
    with pytest.raises(MissingModelError):
        load_features("open_nsfw", folder=tmp_path)


@pytest.mark.parametrize(("name", "count"), [("open_nsfw", 1024), ("image-safety-s", 224)])
def test_a_copy_of_a_picture_lies_closer_to_it_than_another_picture(
    models_folder: Path, astronaut: NDArray[np.uint8], name: str, count: int
) -> None:
    copy = astronaut[::2, ::2]
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    features = load_features(name, folder=models_folder, threads=1).features([astronaut, copy, noise])
    assert features.shape == (3, count)
    assert np.linalg.norm(features[0] - features[1]) < np.linalg.norm(features[0] - features[2]) / 2
