"""The networks that explanations are about, by the names that people give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.errors import ExplanationError, MissingModelError, ModelError, WeightsError
from detect.explain.shuffled import shuffled_weights
from detect.explain.skin1996 import Skin1996
from detect.installed import LoadedClassifier, added_classifiers
from detect.load import LoadedDetector, find_weights, is_safetensors, start_session
from detect.models.catalogue import KNOWN, find
from detect.models.storage import is_added, read_model
from detect.runtime.onnx_detector import OnnxDetector, read_weights

if TYPE_CHECKING:
    from detect.explain.torch_graph import TorchGraph
    from detect.explain.torch_retinanet import LayeredRetinaNet
    from detect.retinanet.inference import TorchSession

__all__ = ["ExplainedNetwork", "default_names", "load_networks"]

_DISORDERED = 100
"""Boxes that a network with its weights in disorder may report; it finds boxes everywhere, and none for sure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedNetwork:
    """A classifier or a detector.

    Attributes:
        name: What pages call it.
        classifier: One of the two.
        detector: The other.
        content: The ONNX file; None where there is none.
        session: A RetinaNet of ours, loaded from a safetensors file; None where it is no such network.
    """

    name: str
    classifier: Classifier | None = None
    detector: Detector | None = None
    content: bytes | None = None
    session: TorchSession | None = None

    @property
    def has_layers(self) -> bool:
        """Whether signals may be sent back through it, as far as is known without torch."""
        return self.session is not None or (self.classifier is not None and self.content is not None)

    @cached_property
    def layered(self) -> TorchGraph | LayeredRetinaNet:
        """What signals are sent back through.

        Raises:
            ExplanationError: There is nothing of the kind, an operator is not read, or torch or onnx is missing.
        """
        if not self.has_layers:
            raise ExplanationError(
                f"{self.name}: layers are those of a classifier's ONNX file or of a RetinaNet's safetensors file"
            )
        try:
            from detect.explain.torch_graph import load_graph
            from detect.explain.torch_retinanet import LayeredRetinaNet
        except ModuleNotFoundError as error:
            raise ExplanationError(
                f"{self.name}: sending signals back needs {error.name}: pip install 'nsfw-censor[train]'"
            ) from error
        if self.session is not None:
            return LayeredRetinaNet(self.session, source=self.name)
        return load_graph(self.content or b"", source=self.name)

    def shuffled(self) -> ExplainedNetwork | None:
        """The same with its weights in disorder; None where there are none. Of a detector every box counts.

        Raises:
            DetectError: There is no module for it, or nothing runs it.
        """
        if self.session is not None:
            from detect.explain.torch_retinanet import shuffled_session

            session = shuffled_session(self.session)
            detector = OnnxDetector(session, source=self.name, min_score=0, max_detections=_DISORDERED)
            return replace(self, session=session, detector=detector)
        if self.content is None:
            return None
        content = shuffled_weights(self.content, source=self.name)
        running = start_session(content, self.name, engine="onnxruntime")
        if self.classifier is not None:
            classifier = LoadedClassifier(OnnxClassifier(running, source=self.name))
            return replace(self, classifier=classifier, content=content)
        detector = OnnxDetector(running, source=self.name, min_score=0, max_detections=_DISORDERED)
        return replace(self, detector=detector, content=content)


def default_names(folder: Path | None) -> tuple[str, ...]:
    """The classifiers that were added, else the detector that is installed."""
    return added_classifiers(folder) or ("320n",)


def load_networks(names: Iterable[str], *, folder: Path | None) -> tuple[ExplainedNetwork, ...]:
    """Load networks by name, or from files that describe themselves: ONNX, or safetensors as training writes it.

    Args:
        names: Of known models, ``skin1996``, or paths of files.
        folder: Where known models were added.

    Raises:
        ModelError: A name that none has, and that is no file.
        MissingModelError: A known model that has not been added.
        WeightsError: A file that cannot be read, or describes no network; or torch, which it needs, is missing.
    """
    return tuple(_load(name, folder) for name in dict.fromkeys(names))


def _load(name: str, folder: Path | None) -> ExplainedNetwork:
    if name == Skin1996.name:
        return ExplainedNetwork(name=name, classifier=Skin1996())
    if name.casefold() not in {known.name.casefold() for known in KNOWN} and not Path(name).is_file():
        known = ", ".join([*(each.name for each in KNOWN), Skin1996.name])
        raise ModelError(f"unknown model {name!r}: neither a file nor one of {known}")
    content = read_weights(Path(name)) if Path(name).is_file() else _added(find(name).name, folder)
    if is_safetensors(content):
        return _retinanet(Path(name))
    session = start_session(content, name, engine="onnxruntime")
    if session.metadata.get("task") == "classify":
        classifier = LoadedClassifier(OnnxClassifier(session, source=name))
        return ExplainedNetwork(name=classifier.name, classifier=classifier, content=content)
    plain = OnnxDetector(session, source=name)
    detector = LoadedDetector(plain, engine=session.engine, precision=session.precision)
    return ExplainedNetwork(name=Path(name).stem, detector=detector, content=content)


def _retinanet(path: Path) -> ExplainedNetwork:
    try:
        from detect.retinanet.inference import TorchSession
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{path}: safetensors weights need torch, and {error.name} is missing: pip install 'nsfw-censor[train]'"
        ) from error
    session = TorchSession(path)
    return ExplainedNetwork(name=path.stem, detector=OnnxDetector(session, source=str(path)), session=session)


def _added(name: str, folder: Path | None) -> bytes:
    if folder is not None and is_added(folder, name):
        return read_model(folder, name)
    path, expected = find_weights() if name == "320n" else (None, None)  # the one that a distribution brings ready
    if path is None or expected is None:
        raise MissingModelError(f"the model {name} has not been added", (name,))
    return read_weights(path)
