"""Classifiers and a detector that need no weights, for tests of what is done about what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Scores
from detect.detections import Detections, RGBImage


class Nobody:
    """A detector that finds nothing."""

    names = ("FACE",)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [Detections.empty(self.names) for _ in images]


class RedSeer:
    """A classifier to which a picture is as NSFW as its reddest eighth: a grid of eight by eight cells."""

    names = ("sfw", "nsfw")

    def __init__(self, name: str = "red") -> None:
        self.name = name
        self.mapped = 0

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.mapped += heat * len(images)
        return [self._one(image, heat) for image in images]

    def _one(self, image: RGBImage, heat: bool) -> Scores:
        height, width = (side // 8 for side in image.shape[:2])
        cells = image[: height * 8, : width * 8].astype(np.int64).reshape(8, height, 8, width, 3)
        red = (cells[..., 0] - cells[..., 1] > 150).mean(axis=(1, 3)).astype(np.float32)
        worst = red.max()
        return Scores(np.array([1 - worst, worst]), self.names, ("nsfw",), red if heat else None)


class BlueSeer(RedSeer):
    """The same of what is blue."""

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        return super().classify([image[..., ::-1] for image in images], heat=heat)


def picture(at: tuple[slice, slice] = (slice(16, 32), slice(48, 64)), size: int = 128) -> NDArray[np.uint8]:
    pixels = np.full((size, size, 3), 200, np.uint8)
    pixels[at] = (250, 10, 10)
    return pixels
