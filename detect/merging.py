"""Several detectors as one: each label comes from the one that finds it best."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from detect.detections import Detections, Detector, HasEngine, RGBImage
from detect.labels import serves, taken
from detect.reduction import spare_factor
from detect.tiling import files_of, lowest_score, models_of

__all__ = ["MergedDetector", "NoDetector", "best_for", "reported"]


class MergedDetector:
    """Asks each of several detectors, and reports of each the labels that it is asked for.

    Attributes:
        names: Every label that is reported, detector by detector.
    """

    def __init__(self, parts: Sequence[tuple[Detector, Iterable[str]]]) -> None:
        """Take detectors, and which of its own labels each is to report.

        Raises:
            ValueError: There are no parts, a part has no label, a label is none of its detector's, or two report one.
        """
        self._parts = [(detector, tuple(labels)) for detector, labels in parts]
        self.names = tuple(label for _, labels in self._parts for label in labels)
        if not self._parts or len(set(self.names)) < len(self.names):
            raise ValueError(f"need detectors that report each label once, not {self.names}")
        for detector, labels in self._parts:
            if not labels or not set(labels) <= set(detector.names):
                raise ValueError(f"a detector of {detector.names} cannot report {labels}")

    @property
    def min_score(self) -> float:
        """The score below which one of the detectors reports nothing."""
        return max(lowest_score(detector) for detector, _ in self._parts)

    @property
    def engine(self) -> str:
        """What runs the networks, each once; empty where none says."""
        return _joined(detector.engine for detector, _ in self._parts if isinstance(detector, HasEngine))

    @property
    def precision(self) -> str:
        """What the networks compute in, each once; empty where none says."""
        return _joined(detector.precision for detector, _ in self._parts if isinstance(detector, HasEngine))

    @property
    def models(self) -> Mapping[str, tuple[str, ...]]:
        """Each detector's models, to those of their labels that are reported."""
        found: dict[str, tuple[str, ...]] = {}
        for detector, labels in self._parts:
            for model, names in models_of(detector).items():
                found[model] = (*found.get(model, ()), *(name for name in names if name in labels))
        return found

    @property
    def files(self) -> Mapping[str, str]:
        """The files of all models."""
        return {name: path for detector, _ in self._parts for name, path in files_of(detector).items()}

    def spare_factor(self, height: int, width: int) -> float:
        """What the neediest of the detectors can spare: see `detect.reduction`."""
        return min(spare_factor(detector, height, width) for detector, _ in self._parts)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`. Boxes come detector by detector; masks do not, since not every detector has them."""
        columns = [
            [self._reported(found, labels) for found in detector.detect(images)] for detector, labels in self._parts
        ]
        return [Detections.concatenate(found) for found in zip(*columns, strict=True)]

    def _reported(self, found: Detections, labels: tuple[str, ...]) -> Detections:
        """Those of a detector's boxes that are to be reported, labelled by `names`."""
        places = np.array([self.names.index(name) if name in labels else -1 for name in found.names], np.int64)
        placed = places[found.labels]
        keep = placed >= 0
        return Detections(found.xyxy[keep], found.scores[keep], placed[keep], self.names)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


class NoDetector:
    """What looks for nothing, where classifiers look alone."""

    names: tuple[str, ...] = ()

    def spare_factor(self, height: int, width: int) -> float:  # noqa: ARG002
        """All: nothing is looked at."""
        return float("inf")

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Nothing, for each picture."""
        return [Detections.empty(()) for _ in images]


def best_for(labels: Collection[str], detectors: Sequence[Detector]) -> Detector:
    """One detector that finds all of some labels that any of several finds, and asks none that is not needed for them.

    Each label is served by a detector that has the very label before one that has every kind of it, by the first of
    equals. What a detector finds besides is reported too, but for kinds of a label that another one serves.

    Args:
        labels: As the class table or a detector spells them; those that nobody finds are passed over.
        detectors: To choose from.

    Returns:
        One of them, or several of them as one; `NoDetector` where nobody finds any.
    """
    served: dict[int, list[str]] = {}
    for label in dict.fromkeys(labels):
        able = [at for at, detector in enumerate(detectors) if serves(label, detector.names)]
        if able:
            served.setdefault(min(able, key=lambda at: label not in detectors[at].names), []).append(label)
    parts = [(detectors[at], reported(detectors[at].names, asked, labels)) for at, asked in served.items()]
    if not parts:
        return NoDetector()
    return parts[0][0] if len(parts) == 1 else MergedDetector(parts)


def reported(names: Iterable[str], asked: Iterable[str], labels: Iterable[str]) -> tuple[str, ...]:
    """Those of a detector's names that it shall report, when it serves some labels and others serve the rest."""
    names, asked = tuple(names), tuple(asked)
    own = {name for label in asked for name in taken(label, names)}
    others = {name for label in labels if label not in asked for name in taken(label, names)}
    return tuple(name for name in names if name in own or name not in others)
