"""What a classifier makes of a picture before it judges: its last features, in which like pictures lie close."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.detections import RGBImage
from detect.errors import InferenceError

__all__ = ["FeatureExtractor"]


class FeatureExtractor:
    """Answers the features of pictures, each of which is looked at whole; safe to call from several threads."""

    def __init__(self, classifier: OnnxClassifier, *, output: int, source: str) -> None:
        """Take them from a classifier.

        Args:
            classifier: Its file answers features, as `detect.runtime.graph.answering_features` makes it.
            output: Which of the file's outputs they are.
            source: Where it came from; named in errors.
        """
        self._classifier, self._output, self._source = classifier, output, source

    @property
    def name(self) -> str:
        """The classifier's name."""
        return self._classifier.name

    def spare_factor(self, height: int, width: int) -> float:
        """By how much a picture of so many rows and columns is shrunk for the network: see `detect.reduction`."""
        return self._classifier.spare_factor(height, width)

    def features(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """Look at pictures.

        Args:
            images: N pictures, uint8 RGB of shape (H, W, 3); sizes may differ.

        Returns:
            float32, (N, C); of a last layer that works on each cell, the mean over all cells.

        Raises:
            InferenceError: The network failed, or its features are no finite numbers.
            ValueError: There is no picture, or it is something else.
        """
        if not images:
            raise ValueError("need at least one picture")
        rows = self._classifier.outputs(images)[self._output]
        if rows.ndim == 4:
            rows = rows.mean(axis=(2, 3))
        if rows.ndim != 2 or len(rows) != len(images) or not np.isfinite(rows).all():
            raise InferenceError(f"{self._source}: expected finite features, the network answered {rows.shape}")
        return np.ascontiguousarray(rows, np.float32)
