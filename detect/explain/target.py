"""The one number of a network's answer that a map is to explain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Classifier
from detect.detections import Detector, RGBImage
from detect.errors import ExplanationError

__all__ = ["GRAY", "Heatmap", "Score", "batches", "classifier_score", "detector_score"]

Score: TypeAlias = Callable[[Sequence[RGBImage]], NDArray[np.float64]]
"""One number in [0, 1] for each picture, float64 (B,)."""

Heatmap: TypeAlias = NDArray[np.float32]
"""One number for each pixel of a picture, float32 (H, W): the more, the more the answer comes from there."""

GRAY = (128, 128, 128)
"""What stands where a part of a picture is not shown."""


def classifier_score(classifier: Classifier, name: str | None = None) -> Score:
    """How likely a picture is NSFW, or how likely it is one of the classifier's names.

    Raises:
        ExplanationError: The classifier does not know `name`.
    """
    if name is not None and name not in classifier.names:
        raise ExplanationError(f"{classifier.name}: says nothing of {name!r}, only of {', '.join(classifier.names)}")

    def score(images: Sequence[RGBImage]) -> NDArray[np.float64]:
        found = classifier.classify(images)
        return np.array([each.probability if name is None else each.value(name) for each in found], np.float64)

    return score


def detector_score(detector: Detector, label: str) -> Score:
    """The best score of any box of a label, 0 where there is none.

    Raises:
        ExplanationError: The detector does not know `label`.
    """
    if label not in detector.names:
        raise ExplanationError(f"the detector does not find {label!r}, only {', '.join(detector.names)}")
    wanted = detector.names.index(label)

    def score(images: Sequence[RGBImage]) -> NDArray[np.float64]:
        found = detector.detect(images)
        return np.array([each.scores[each.labels == wanted].max(initial=0) for each in found], np.float64)

    return score


def batches(images: Iterable[RGBImage], size: int) -> Iterator[list[RGBImage]]:
    """Pictures that are made one after the other, so many at a time: no more of them are in memory."""
    each = iter(images)
    while batch := list(islice(each, size)):
        yield batch
