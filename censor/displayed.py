"""Networks that look at what players show of stored pixels, and answer in stored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from censor.finding import Networks
from censor.media.display import Display
from detect.classifier.scores import Classifier, Scores
from detect.detections import Detections, Detector, RGBImage
from detect.tiling import DetectorWrapper

__all__ = ["as_displayed"]


def as_displayed(networks: Networks, display: Display | None) -> Networks:
    """The networks, looking at pixels as they are shown.

    Args:
        networks: Those that look.
        display: How they are shown; None if as they are stored.
    """
    if display is None:
        return networks
    detector = None if networks.detector is None else _DisplayedDetector(networks.detector, display)
    classifiers = tuple(_DisplayedClassifier(each, display) for each in networks.classifiers)
    return replace(networks, detector=detector, classifiers=classifiers)


class _DisplayedDetector(DetectorWrapper):
    def __init__(self, detector: Detector, display: Display) -> None:
        super().__init__(detector)
        self._display = display

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        found = self._detector.detect([self._display.show(each) for each in images])
        across, down = self._display.scale
        scale = np.array([across, down, across, down], np.float32)
        return [each.replace(xyxy=each.xyxy / scale, masks=None) for each in found]


class _DisplayedClassifier:
    """A map lies over the whole picture, however that is stretched."""

    def __init__(self, classifier: Classifier, display: Display) -> None:
        self._classifier, self._display = classifier, display
        self.name, self.names = classifier.name, classifier.names

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify`."""
        return self._classifier.classify([self._display.show(each) for each in images], heat=heat)
