from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor.service.batching import BatchingClassifier, BatchingDetector
from detect.detections import Detections, RGBImage
from detect.installed import load_classifiers
from detect.load import load_detector


class Counting(RedFinder):
    """Notes how many pictures each run has, and waits for a signal before its first."""

    min_score = 0.25

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.go = threading.Event()

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        assert self.go.wait(5)
        self.sizes.append(len(images))
        return super().detect(images)


def image(number: int) -> NDArray[np.uint8]:
    pixels = np.zeros((50, 50, 3), np.uint8)
    pixels[number : number + 2, number : number + 3] = RED
    return pixels


def ask(detector: BatchingDetector, count: int) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(detector.detect, [image(number)]) for number in range(count)]
        return [future.exception() or future.result()[0].xyxy.tolist() for future in futures]


def test_what_waits_together_runs_together_and_everybody_gets_his_own() -> None:
    inner = Counting()
    detector = BatchingDetector(inner, size=4, wait=0.2)
    threading.Timer(0.3, inner.go.set).start()
    found = ask(detector, 9)
    assert found == [[[number, number, number + 3, number + 2]] for number in range(9)]
    assert sum(inner.sizes) == 9
    assert max(inner.sizes) == 4
    assert detector.names == inner.names
    assert detector.min_score == 0.25
    detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect([image(0)])


def test_without_patience_those_that_wait_already_are_taken() -> None:
    inner = Counting()
    inner.go.set()
    detector = BatchingDetector(inner, size=4)
    assert ask(detector, 1) == [[[0, 0, 3, 2]]]
    assert len(detector.detect([image(1), image(2)])) == 2
    detector.close()


class Allergic(RedFinder):
    """Fails on every batch that holds picture 3; answers one too few where it is told to."""

    def __init__(self, *, short: bool) -> None:
        super().__init__()
        self.short = short

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        if any(tuple(each[3, 3]) == RED and tuple(each[2, 2]) != RED for each in images):
            if self.short:
                return super().detect(images[1:])
            raise RuntimeError("three")
        return super().detect(images)


@pytest.mark.parametrize("short", [False, True])
def test_one_pictures_failure_stays_its_own(short: bool) -> None:
    detector = BatchingDetector(Allergic(short=short), size=8, wait=0.1)
    found = ask(detector, 6)
    assert isinstance(found[3], ValueError if short else RuntimeError)
    assert [each for each in found if not isinstance(each, Exception)] == [
        [[number, number, number + 3, number + 2]] for number in (0, 1, 2, 4, 5)
    ]
    detector.close()


@pytest.mark.parametrize("values", [{"size": 0}, {"size": 1, "wait": -1.0}])
def test_numbers_out_of_range(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need size >= 1"):
        BatchingDetector(RedFinder(), **values)


def test_networks_answer_alike_alone_and_together(astronaut: NDArray[np.uint8], models_folder: Path) -> None:
    """Pictures of two sizes, of which those of one are one run; up to the last bits of a float."""
    shapes = [(90, 346), (100, 356), (110, 366), (100, 320)]
    pictures = [np.ascontiguousarray(astronaut[:256, left:right]) for left, right in shapes]
    detector = load_detector(models_folder / "320n.onnx", min_score=0.05)
    (classifier,) = load_classifiers(("open_nsfw",), folder=models_folder)
    boxes, said = BatchingDetector(detector, size=8, wait=0.1), BatchingClassifier(classifier, size=8, wait=0.1)
    for each, alone in zip(boxes.detect(pictures), (detector.detect([one])[0] for one in pictures), strict=True):
        assert len(alone.scores)
        np.testing.assert_array_equal(each.labels, alone.labels)
        np.testing.assert_allclose(each.scores, alone.scores, atol=1e-5)
        np.testing.assert_allclose(each.xyxy, alone.xyxy, atol=1e-2)
    for heat in (False, True):
        for scores, one in zip(said.classify(pictures, heat=heat), pictures, strict=True):
            (alone_said,) = classifier.classify([one], heat=heat)
            np.testing.assert_allclose(scores.values, alone_said.values, atol=1e-5)
            assert (scores.heat is None) == (alone_said.heat is None)
            if scores.heat is not None and alone_said.heat is not None:
                np.testing.assert_allclose(scores.heat, alone_said.heat, atol=1e-5)
    for found, alone_map in zip(said.maps(pictures), classifier.maps(pictures), strict=True):
        assert (found is None) == (alone_map is None)
        if found is not None and alone_map is not None:
            np.testing.assert_allclose(found, alone_map, atol=1e-5)
    boxes.close()
    said.close()
