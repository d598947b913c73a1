from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor.service.batching import BatchingDetector
from detect.detections import Detections, RGBImage


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
