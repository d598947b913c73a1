"""Classifiers whose scores are made probabilities by a policy's calibrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from censor.evidence import Evidence
from detect.classifier.scores import Classifier, Scores, maps_of
from detect.classifier.tiling import ClassifierWrapper
from detect.detections import RGBImage

if TYPE_CHECKING:
    from detect.evaluation.calibration import Calibration

__all__ = ["CalibratedClassifier", "Calibrations", "calibrated_classifiers", "calibrated_evidence", "calibrated_scores"]

Calibrations: TypeAlias = "Mapping[str, Calibration]"
"""Each classifier's name, to what makes its scores probabilities; see `detect.evaluation.calibration`."""


def calibrated_scores(scores: Scores, calibration: Calibration) -> Scores:
    """A classifier's answer with another probability of NSFW.

    What else the classifier can say stays as it is: nothing is known of that, and gore must not become less likely
    because nudity becomes likelier. Values need not add up to 1 then.

    Args:
        scores: As the classifier gives them.
        calibration: What turns its probability of NSFW into another, and each cell of its heat, which is one too.
    """
    before, values = scores.probability, scores.values.copy()
    after = np.float32(calibration.apply(before))
    places = [scores.names.index(name) for name in scores.nsfw]
    if len(places) == 1:
        values[places] = after
    elif before > 0:
        values[places] *= after / np.float32(before)
    else:
        values[places] = after / len(places)
    heat = _calibrated_heat(scores.heat, calibration)
    return Scores(np.clip(values, 0, 1), scores.names, scores.nsfw, heat)


def _calibrated_heat(heat: NDArray[np.float32] | None, calibration: Calibration) -> NDArray[np.float32] | None:
    return None if heat is None else calibration.apply(heat).astype(np.float32)


class CalibratedClassifier(ClassifierWrapper):
    """A classifier whose scores are probabilities."""

    def __init__(self, classifier: Classifier, calibration: Calibration) -> None:
        """Wrap a classifier."""
        super().__init__(classifier)
        self._calibration = calibration

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify` and `calibrated_scores`."""
        return [calibrated_scores(each, self._calibration) for each in self._classifier.classify(images, heat=heat)]

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """See `HasMaps.maps`."""
        return [_calibrated_heat(each, self._calibration) for each in maps_of(self._classifier, images)]


def calibrated_classifiers(classifiers: Sequence[Classifier], calibrations: Calibrations) -> tuple[Classifier, ...]:
    """The classifiers, those that have a calibration with it."""
    return tuple(
        CalibratedClassifier(each, calibrations[each.name]) if each.name in calibrations else each
        for each in classifiers
    )


def calibrated_evidence(evidence: Evidence, calibrations: Calibrations) -> Evidence:
    """Evidence that was found without calibrations, as it would have been found with them."""
    scores = {
        name: calibrated_scores(said, calibrations[name]) if name in calibrations else said
        for name, said in evidence.scores.items()
    }
    return Evidence(boxes=evidence.boxes, scores=scores, detectors=evidence.detectors)
