"""Detectors that need no weights, for tests that are about something else."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect.detections import Detections, Detector, RGBImage
from detect.errors import WeightsError

FACES_JUDGED = Path(__file__).with_name("faces_judged.toml")
"""A policy that hides faces and judges as `boxes` does, for those who want both and ask no classifier."""

RED = (250, 10, 20)
"""What `RedFinder` takes for a body part."""


class RedFinder:
    """A detector of pure red: the box around all pixels of `RED`, if there are any, for each label it knows.

    It looks at pixels, so that hiding the red really makes it find nothing on the second look.
    """

    def __init__(
        self,
        label: str = "FEMALE_BREAST_EXPOSED",
        score: float = 0.9,
        others: Sequence[str] = (),
        tolerance: int = 0,
    ) -> None:
        self.names = (label, *others)
        self.score = score
        self.tolerance = tolerance
        self.calls = 0

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self.calls += 1
        return [self._find(image) for image in images]

    def _find(self, image: RGBImage) -> Detections:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        ys, xs = np.nonzero((np.abs(image.astype(np.int16) - RED) <= self.tolerance).all(axis=2))
        if not len(ys):
            return Detections.empty(self.names)
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        return Detections(np.array([box], np.float32), np.array([self.score]), np.array([0]), self.names)


OTHERS = (
    "BUTTOCKS_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_EXPOSED",
    "BELLY_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "FACE_FEMALE",
    "FACE_MALE",
)
"""What a detector must know besides `RedFinder`'s own label for all presets to be served by it."""


def finder(tolerance: int = 0) -> RedFinder:
    """A `RedFinder` that serves all presets; of what lost a little in coding if it has some tolerance."""
    return RedFinder(others=OTHERS, tolerance=tolerance)


TEST_PICTURE = (96, 96, 3)
"""Shape of the picture with which the service tries itself out."""

DEADLY, ENDLESS, BABBLING = (40, 40, 3), (41, 41, 3), (42, 42, 3)
"""Shapes of pictures at which `Moody` ends its process, never ends, and writes nonsense to its parent."""


HUNGRY, HUNGRY_TO_DEATH = (43, 43, 3), (44, 44, 3)
"""Shapes of pictures at which `Moody` takes memory without end, and ends its process when there is no more."""


def eat() -> None:
    """Take memory until there is no more, or two GiB."""
    kept = [np.ones(2**22, np.uint8) for _ in range(2**9)]
    raise AssertionError(len(kept))


class Moody(RedFinder):
    """A `RedFinder` for processes of their own, which takes its time and has its whims."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(others=OTHERS)
        self.seconds = seconds

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        for image in images:
            if image.shape == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            elif image.shape == BABBLING:
                os.write(int(sys.argv[1]), b"nonsense" * 10)
                time.sleep(60)
            elif image.shape == ENDLESS:
                time.sleep(60)
            elif image.shape == HUNGRY:
                eat()
            elif image.shape == HUNGRY_TO_DEATH:
                try:
                    eat()
                except MemoryError:
                    os.abort()
            elif image.shape != TEST_PICTURE:
                time.sleep(self.seconds)
        return super().detect(images)


def broken_load() -> Detector:
    """Loads nothing, as do the two below; they stand here since a worker imports the module that they are in."""
    raise WeightsError("weights.onnx: cannot be read")


def deadly_load() -> Detector:
    os.kill(os.getpid(), signal.SIGKILL)
    return finder()


def fickle_load(present: Path, changed: Path) -> Detector:
    if not present.exists():
        raise WeightsError("weights.onnx: gone")
    return RedFinder() if changed.exists() else finder()


class Scripted:
    """A detector that answers from a list, one entry a call, the last one for ever; entries are lists of
    (label, score, box) for every picture, or exceptions."""

    def __init__(
        self, names: Sequence[str], *answers: Sequence[tuple[str, float, Sequence[float]]] | Exception
    ) -> None:
        self.names = tuple(names)
        self.answers = list(answers)
        self.seen: list[list[NDArray[np.uint8]]] = []

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self.seen.append([image.copy() for image in images])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        found = Detections(
            np.array([box for _, _, box in answer], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in answer]),
            np.array([self.names.index(label) for label, _, _ in answer], np.int64),
            self.names,
        )
        return [found for _ in images]
