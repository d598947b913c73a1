"""The networks that all requests share, what one policy needs of them, and loading them in whatever process works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from censor.errors import ClassifierError
from censor.policy import Policy
from censor.service.batching import batching
from detect.classifier.scores import Classifier, Scores, maps_of
from detect.classifier.tiling import ClassifierWrapper
from detect.detections import Detections, Detector, RGBImage
from detect.merging import best_for
from detect.tiling import DetectorWrapper, models_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detect.load import SessionOptions

__all__ = ["NamedLoader", "NetworkSet", "Watch", "name_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSet:
    """All networks of a process that works on pictures; safe to use from several threads.

    Attributes:
        detectors: Those that find boxes, the one to be preferred among equals first.
        classifiers: Those that say how likely a picture as a whole is NSFW.
    """

    detectors: tuple[Detector, ...]
    classifiers: tuple[Classifier, ...] = ()

    @classmethod
    def of(cls, loaded: NetworkSet | Detector) -> NetworkSet:
        """What a loader answers: all networks, or a detector that works alone."""
        return loaded if isinstance(loaded, NetworkSet) else cls(detectors=(loaded,))

    def batched(self, size: int, wait: float) -> tuple[NetworkSet, Callable[[], None]]:
        """The same, with detectors that run so many pictures together; and how to close them."""
        made = [batching(each, size, wait) for each in self.detectors]

        def close() -> None:
            for _, each in made:
                each()

        return NetworkSet(detectors=tuple(each for each, _ in made), classifiers=self.classifiers), close

    @property
    def labels(self) -> tuple[str, ...]:
        """What boxes can be found of."""
        return tuple(dict.fromkeys(label for each in self.detectors for label in each.names))

    @property
    def says(self) -> dict[str, tuple[str, ...]]:
        """Each classifier's name, to the names of what it can say."""
        return {each.name: tuple(each.names) for each in self.classifiers}

    @property
    def names(self) -> tuple[str, ...]:
        """All networks by name, the detectors first."""
        return (*map(name_of, self.detectors), *self.says)

    def watched(self, watch: Watch) -> NetworkSet:
        """The same networks, each call of which goes through a watch."""
        return NetworkSet(
            detectors=tuple(_WatchedDetector(each, watch) for each in self.detectors),
            classifiers=tuple(_WatchedClassifier(each, watch) for each in self.classifiers),
        )

    def serving(self, policy: Policy) -> tuple[Detector, tuple[Classifier, ...]]:
        """What a policy asks of them: what it has no rule for is not looked for."""
        counted = policy.picture.counted(self.says) if policy.asks_classifiers else ()
        return best_for(policy.acting, self.detectors), tuple(each for each in self.classifiers if each.name in counted)


def name_of(detector: Detector) -> str:
    """What a detector is called in verdicts; of several models as one, all of them."""
    return ", ".join(models_of(detector))


class Watch:
    """Stands before each call of a network in the work on one picture, and notes how long it took.

    Attributes:
        seconds: Name of a network to the time of all its looks together.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        """Begin with nothing noted.

        Args:
            check: Raises where work should go no further.
        """
        self.seconds: dict[str, float] = {}
        self._check = check

    def on(self, name: str) -> AbstractContextManager[None]:
        """Around a call of a network."""
        self._check()
        return self._timed(name)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class _WatchedDetector(DetectorWrapper):
    def __init__(self, detector: Detector, watch: Watch) -> None:
        super().__init__(detector)
        self._watch, self._called = watch, name_of(detector)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        with self._watch.on(self._called):
            return self._detector.detect(images)


class _WatchedClassifier(ClassifierWrapper):
    def __init__(self, classifier: Classifier, watch: Watch) -> None:
        super().__init__(classifier)
        self._watch = watch

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        with self._watched():
            return self._classifier.classify(images, heat=heat)

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        with self._watched():
            return maps_of(self._classifier, images)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        watched = self._watch.on(self.name)
        try:
            with watched:
                yield
        except Exception as error:  # a network's own errors do not say that it is a classifier's
            raise ClassifierError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class NamedLoader:
    """Loads networks by what the parent has chosen; pickled, it goes to each process that works on pictures.

    Attributes:
        labels: What is to be found, of what models here find.
        classifiers: Names of models that were added, and files.
        folder: Where models were added.
        weights: A detector that takes the place of all others.
        min_score: Boxes that score less are not reported.
        options: What runs them.
    """

    labels: tuple[str, ...]
    classifiers: tuple[str | Path, ...]
    folder: Path | None
    weights: Path | None
    min_score: float
    options: SessionOptions

    def __call__(self) -> NetworkSet:
        """Load them.

        Raises:
            DetectError: One cannot be loaded.
            ValueError: An option that makes no sense.
        """
        from detect.installed import load_classifiers, load_each
        from detect.load import load_detector

        found: list[Detector] = []
        if self.weights is not None:
            found = [load_detector(self.weights, min_score=self.min_score, **self.options)]
        elif self.labels:
            loaded = load_each(self.labels, folder=self.folder, min_score=self.min_score, **self.options)
            found = [detector for detector, _ in loaded]
        classifiers = load_classifiers(self.classifiers, folder=self.folder, **self.options)
        return NetworkSet(detectors=tuple(found), classifiers=classifiers)
