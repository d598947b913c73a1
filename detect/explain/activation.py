"""Class activation maps: what each cell of a classifier's last feature map says by itself, laid over the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Classifier
from detect.detections import RGBImage
from detect.errors import ExplanationError
from detect.explain.target import Heatmap

__all__ = ["activation", "spread"]


def activation(classifier: Classifier, image: RGBImage) -> Heatmap:
    """A classifier's map over a picture, in probabilities.

    Exact, not an approximation, where a network ends in a global mean and a linear layer: the logits of the answer are
    the means of the cells' logits. What is between the cells' middles is interpolated.

    Args:
        classifier: One that has a map; see `detect.classifier.scores.Scores.heat`.
        image: uint8 (H, W, 3).

    Raises:
        ExplanationError: The classifier has no map.

    Source:
        Zhou et al., Learning Deep Features for Discriminative Localization (arXiv:1512.04150), § 2.
    """
    (found,) = classifier.classify([image], heat=True)
    if found.heat is None:
        raise ExplanationError(f"{classifier.name}: this network has no activation map")
    return spread(found.heat, *image.shape[:2])


def spread(cells: NDArray[np.float32], height: int, width: int) -> Heatmap:
    """A grid over a picture as a value for each pixel: that of a cell in its middle, straight lines between."""
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
