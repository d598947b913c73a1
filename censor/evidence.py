"""What was found out about a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from detect.classifier.scores import Scores
from detect.detections import Detections

__all__ = ["Evidence"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What was found out about a picture: all that a verdict and a plan go by.

    Attributes:
        boxes: Of the detectors, in the picture's pixels; without any, `Detections.empty(())`.
        scores: Each classifier's answer by the classifier's name; immutable. Heat lies over the whole picture.
        detectors: Name of each model that looked for boxes, to the labels that it reports; by default one, called
            ``detector``, that reports all there are.
    """

    boxes: Detections
    scores: Mapping[str, Scores] = field(default_factory=dict)
    detectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        detectors = self.detectors or ({"detector": self.boxes.names} if self.boxes.names else {})
        object.__setattr__(self, "detectors", MappingProxyType(dict(detectors)))
        object.__setattr__(self, "scores", MappingProxyType(dict(self.scores)))

    @property
    def classifiers(self) -> Mapping[str, tuple[str, ...]]:
        """Those who answered, each one's name to the names of what it can say."""
        return {name: scores.names for name, scores in self.scores.items()}
