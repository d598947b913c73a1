"""The networks that explanations are about, by the names that people give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.errors import MissingModelError, ModelError
from detect.explain.shuffled import shuffled_weights
from detect.explain.skin1996 import Skin1996
from detect.installed import LoadedClassifier, added_classifiers
from detect.load import LoadedDetector, find_weights, start_session
from detect.models.catalogue import KNOWN, find
from detect.models.storage import is_added, read_model
from detect.runtime.onnx_detector import OnnxDetector, read_weights

__all__ = ["ExplainedNetwork", "default_names", "load_networks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedNetwork:
    """A classifier or a detector.

    Attributes:
        name: What pages call it.
        classifier: One of the two.
        detector: The other.
        content: The ONNX file; None where there is none.
    """

    name: str
    classifier: Classifier | None = None
    detector: Detector | None = None
    content: bytes | None = None

    def shuffled(self) -> Classifier | None:
        """The classifier with its weights in disorder; None where there are none, or no classifier.

        Raises:
            DetectError: There is no module for it, or nothing runs it.
        """
        if self.classifier is None or self.content is None:
            return None
        content = shuffled_weights(self.content, source=self.name)
        session = start_session(content, self.name, engine="onnxruntime")
        return LoadedClassifier(OnnxClassifier(session, source=self.name))


def default_names(folder: Path | None) -> tuple[str, ...]:
    """The classifiers that were added, else the detector that is installed."""
    return added_classifiers(folder) or ("320n",)


def load_networks(names: Iterable[str], *, folder: Path | None) -> tuple[ExplainedNetwork, ...]:
    """Load networks by name, or from ONNX files that describe themselves.

    Args:
        names: Of known models, ``skin1996``, or paths of files.
        folder: Where known models were added.

    Raises:
        ModelError: A name that none has, and that is no file.
        MissingModelError: A known model that has not been added.
        WeightsError: A file that cannot be read, or describes no network.
    """
    return tuple(_load(name, folder) for name in dict.fromkeys(names))


def _load(name: str, folder: Path | None) -> ExplainedNetwork:
    if name == Skin1996.name:
        return ExplainedNetwork(name=name, classifier=Skin1996())
    if name.casefold() not in {known.name.casefold() for known in KNOWN} and not Path(name).is_file():
        known = ", ".join([*(each.name for each in KNOWN), Skin1996.name])
        raise ModelError(f"unknown model {name!r}: neither a file nor one of {known}")
    content = read_weights(Path(name)) if Path(name).is_file() else _added(find(name).name, folder)
    session = start_session(content, name, engine="onnxruntime")
    if session.metadata.get("task") == "classify":
        classifier = LoadedClassifier(OnnxClassifier(session, source=name))
        return ExplainedNetwork(name=classifier.name, classifier=classifier, content=content)
    plain = OnnxDetector(session, source=name)
    detector = LoadedDetector(plain, engine=session.engine, precision=session.precision)
    return ExplainedNetwork(name=Path(name).stem, detector=detector, content=content)


def _added(name: str, folder: Path | None) -> bytes:
    if folder is not None and is_added(folder, name):
        return read_model(folder, name)
    path, expected = find_weights() if name == "320n" else (None, None)  # the one that a distribution brings ready
    if path is None or expected is None:
        raise MissingModelError(f"the model {name} has not been added", (name,))
    return read_weights(path)
