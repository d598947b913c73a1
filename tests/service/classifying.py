"""Classifiers for tests of the service, in threads and in processes of their own, and policies that ask them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from fakes import TEST_PICTURE, finder

from censor.service.networks import NetworkSet
from detect.classifier.scores import Scores
from detect.detections import RGBImage

JUDGED = """
[labels.FEMALE_BREAST_EXPOSED]
censor_at = 0.2
nsfw_at = 0.4
[labels.NSFW_REGION]
effect = "solid"
shape = "box"
expand = 0.0
[picture]
classifiers = ["seer"]
review_at = 0.3
nsfw_at = 0.6
hide_at = 0.6
heat_at = 0.5
"""


class Seer:
    """To it a picture is as NSFW as the greenest of eight by eight cells, and that is where it sees it."""

    names = ("sfw", "nsfw", "gore")

    def __init__(self, name: str = "seer") -> None:
        self.name = name
        self.calls = 0

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.calls += 1
        return [self._one(image, heat) for image in images]

    def _one(self, image: RGBImage, heat: bool) -> Scores:
        height, width = (side // 8 for side in image.shape[:2])
        cells = image[: height * 8, : width * 8].astype(np.int64).reshape(8, height, 8, width, 3)
        green = (cells[..., 1] - cells[..., 0] > 150).mean(axis=(1, 3)).astype(np.float32)
        worst = green.max()
        return Scores(np.array([1 - worst, worst, 0]), self.names, ("nsfw",), green if heat else None)


class Sworn(Seer):
    """Says the same of whatever it sees, but of the test picture."""

    def __init__(self, probability: float = 0.99, *, name: str = "seer") -> None:
        super().__init__(name)
        self.probability = probability

    def _one(self, image: RGBImage, heat: bool) -> Scores:
        said = 0.0 if image.shape == TEST_PICTURE else self.probability
        return Scores(np.array([1 - said, said, 0], np.float32), self.names, ("nsfw",))


class Failing(Seer):
    """Raises, or answers what is no answer, but of the test picture."""

    def __init__(self, answer: Any, *, also_tests: bool = False) -> None:
        super().__init__()
        self.answer, self.also_tests = answer, also_tests

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> Any:
        if images[0].shape == TEST_PICTURE and not self.also_tests:
            return super().classify(images, heat=heat)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


class Slow(Seer):
    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        if images[0].shape != TEST_PICTURE:
            time.sleep(0.6)
        return super().classify(images, heat=heat)


def both() -> NetworkSet:
    """What each process loads."""
    return NetworkSet(detectors=(finder(),), classifiers=(Seer(),))


def failing() -> NetworkSet:
    return NetworkSet(detectors=(finder(),), classifiers=(Failing(RuntimeError("secret of the inside")),))
