"""Between pixels as they are stored and as players show them: networks look at these, and are answered in those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.finding import Networks
from censor.media.display import Display
from censor.policy import Policy
from detect.classifier.scores import Classifier, Scores, heat_is_free, maps_of
from detect.classifier.tiling import most_suspicious, overlaid
from detect.detections import Detections, Detector, RGBImage
from detect.pictures.still import Picture
from detect.tiling import DetectorWrapper, joined

__all__ = ["as_displayed", "as_stored", "shown"]


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


def shown(picture: Picture, display: Display | None) -> Picture:
    """A picture in the colours that most players show, for those that take its numbers for sRGB."""
    return picture if display is None else replace(picture, pixels=display.srgb(picture.pixels))


def as_stored(
    policy: Policy, sticker: NDArray[np.uint8] | None, display: Display | None
) -> tuple[Policy, NDArray[np.uint8] | None]:
    """A policy whose colour, and a sticker whose colours, are numbers that show what the given ones are in sRGB.

    Args:
        policy: How things are hidden.
        sticker: RGBA; None for none.
        display: How stored numbers are shown; None if as sRGB.
    """
    if display is None:
        return policy, sticker
    red, green, blue = display.coded(np.array(policy.color, np.uint8)).tolist()
    drawn = None if sticker is None else np.dstack([display.coded(sticker[..., :3]), sticker[..., 3]])
    return replace(policy, color=(red, green, blue)), drawn


class _DisplayedDetector(DetectorWrapper):
    def __init__(self, detector: Detector, display: Display) -> None:
        super().__init__(detector)
        self._display = display

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        across, down = self._display.scale
        scale = np.array([across, down, across, down], np.float32)
        answers = []
        for image in images:
            found = self._detector.detect(self._display.readings(image))
            one = found[0] if len(found) == 1 else joined(Detections.concatenate(found))
            answers.append(one.replace(xyxy=one.xyxy / scale, masks=None))
        return answers


class _DisplayedClassifier:
    """A map lies over the whole picture, however that is stretched."""

    def __init__(self, classifier: Classifier, display: Display) -> None:
        self._classifier, self._display = classifier, display
        self.name, self.names = classifier.name, classifier.names
        self.heat_is_free = heat_is_free(classifier)

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify`."""
        answers = []
        for image in images:
            said = self._classifier.classify(self._display.readings(image), heat=heat)
            answers.append(said[0] if len(said) == 1 else most_suspicious(said, [(0.0, 0.0, 1.0, 1.0)] * len(said)))
        return answers

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """See `HasMaps.maps`."""
        answers = []
        for image in images:
            said = maps_of(self._classifier, self._display.readings(image))
            answers.append(said[0] if len(said) == 1 else overlaid(said, [(0.0, 0.0, 1.0, 1.0)] * len(said)))
        return answers
