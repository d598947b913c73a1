"""The models in a user's folder: which of them finds what, and loading them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from detect.classifier.tiling import LongClassifier
from detect.errors import MissingModelError, MissingWeightsError, ModelError, UnknownLabelError
from detect.labels import serves
from detect.load import LoadedDetector, SessionOptions, find_weights, load_detector, start_session
from detect.merging import MergedDetector, reported
from detect.models.catalogue import KNOWN, find
from detect.models.storage import added_path, is_added, read_model
from detect.runtime.onnx_detector import OnnxDetector, read_weights

if TYPE_CHECKING:
    from detect.classifier.features import FeatureExtractor
    from detect.classifier.onnx_classifier import OnnxClassifier

__all__ = [
    "LoadedClassifier",
    "added_classifiers",
    "found_labels",
    "load_classifiers",
    "load_detectors",
    "load_each",
    "load_features",
    "load_installed",
]

_T = TypeVar("_T")

_DISTRIBUTED = "320n"
"""The known model that an installed distribution brings ready to run."""


class LoadedClassifier(LongClassifier):
    """What `load_classifiers` answers: a classifier that says what runs it.

    Attributes:
        engine: ``onnxruntime`` or ``openvino``.
        precision: What the network computes in: ``f32``, ``bf16``, ``int8``, or ``mixed`` where nobody can say.
    """

    def __init__(self, classifier: OnnxClassifier) -> None:
        super().__init__(classifier)
        self.engine = classifier.engine
        self.precision = classifier.precision


def added_classifiers(folder: Path | None) -> tuple[str, ...]:
    """Names of the known classifiers that are there, in the order of the catalogue.

    Args:
        folder: Where models were added; None where there is no such folder.

    Raises:
        ModelError: The folder cannot be looked at.
    """
    known = (model.name for model in KNOWN if model.kind == "classifier")
    return tuple(name for name in known if folder is not None and is_added(folder, name))


def load_classifiers(
    models: Iterable[str | Path], *, folder: Path | None, **options: Unpack[SessionOptions]
) -> tuple[LoadedClassifier, ...]:
    """Load classifiers by name, or from ONNX files that describe themselves.

    Long, narrow pictures are looked at in stretches: see `LongClassifier`.

    Args:
        models: Names of known models, and paths of files.
        folder: Where known models were added; None where there is no such folder.
        options: What runs them: see `detect.load.load_detector`.

    Returns:
        One for each of `models`, in their order.

    Raises:
        MissingModelError: A known model that has not been added.
        WeightsError: A name that no known model has; a file that cannot be read, was changed, or is no classifier; or
            two that call themselves the same.
        EngineError: See `load_detector`.
        ValueError: See `load_detector`.
    """
    loaded = _at_once([partial(_load_classifier, model, folder, options) for model in models])
    names: set[str] = set()
    for source, classifier in loaded:
        if classifier.name in names:
            raise ModelError(f"{source}: another classifier is called {classifier.name} already")
        names.add(classifier.name)
    return tuple(classifier for _, classifier in loaded)


def found_labels(labels: Iterable[str], *, folder: Path | None) -> tuple[str, ...]:
    """Those of some labels that an installed model finds: `load_detectors` brings it.

    Args:
        labels: As the class table spells them.
        folder: Where models were added; None where there is no such folder.

    Raises:
        ModelError: The folder cannot be looked at.
    """
    return tuple(label for label in labels if any(_is_installed(name, folder) for name in _able(label)))


def load_features(model: str | Path, *, folder: Path | None, **options: Unpack[SessionOptions]) -> FeatureExtractor:
    """Load a classifier for its last features instead of its scores.

    Args:
        model: The name of a known model, or the path of a file.
        folder: Where known models were added; None where there is no such folder.
        options: What runs it: see `detect.load.load_detector`.

    Raises:
        MissingModelError: A known model that has not been added.
        WeightsError: A name that no known model has; a file that cannot be read, was changed, is no classifier, or has
            no linear layer whose input would be its features.
        EngineError: See `load_detector`.
        ValueError: See `load_detector`.
    """
    from detect.classifier.features import FeatureExtractor
    from detect.classifier.onnx_classifier import OnnxClassifier
    from detect.runtime.graph import answering_features

    source, content = _read(model, folder)
    answering, output = answering_features(content, source)
    classifier = OnnxClassifier(start_session(answering, source, **options), source=source)
    return FeatureExtractor(classifier, output=output, source=source)


def load_detectors(
    labels: Collection[str],
    *,
    folder: Path | None,
    weights: str | Path | None = None,
    min_score: float = 0.05,
    iou_threshold: float | None = None,
    **options: Unpack[SessionOptions],
) -> LoadedDetector | MergedDetector:
    """Load what finds these labels, and nothing that is not needed for them.

    Each label is served by the installed model that finds it best: by one that has the very label before one that has
    every kind of it. What a model finds besides is reported too, but for kinds of a label that another one serves.

    Args:
        labels: As the class table spells them; at least one.
        folder: Where models were added; None where there is no such folder. The 320n weights of an installed `nudenet`
            distribution count as added.
        weights: A file that takes the place of every model, whatever it finds.
        min_score: In [0, 1]; lower-scored boxes are not reported.
        iou_threshold: In [0, 1]; see `OnnxDetector`. By default that of each model, and for `weights` .45.
        options: What runs them: see `detect.load.load_detector`.

    Raises:
        MissingModelError: No model that finds a label has been added; the message names those that would.
        UnknownLabelError: No known model finds a label.
        WeightsError: A file that cannot be read, was changed, or is no detector.
        EngineError: See `load_detector`.
        ValueError: No labels; else see `load_detector`.
    """
    if weights is not None:
        overlap = 0.45 if iou_threshold is None else iou_threshold
        return load_detector(weights, min_score=min_score, iou_threshold=overlap, **options)
    loaded = load_each(labels, folder=folder, min_score=min_score, iou_threshold=iou_threshold, **options)
    if len(loaded) == 1:
        return loaded[0][0]
    return MergedDetector([(detector, reported(detector.names, asked, labels)) for detector, asked in loaded])


def load_each(
    labels: Collection[str],
    *,
    folder: Path | None,
    min_score: float = 0.05,
    iou_threshold: float | None = None,
    **options: Unpack[SessionOptions],
) -> list[tuple[LoadedDetector, tuple[str, ...]]]:
    """The models that `load_detectors` makes one detector of, each with the labels that it is loaded for.

    Args:
        labels: As for `load_detectors`, like the rest.
        folder: Where models were added.
        min_score: Lower-scored boxes are not reported.
        iou_threshold: By default that of each model.
        options: What runs them.

    Raises:
        DetectError: See `load_detectors`.
        ValueError: See `load_detectors`.
    """
    if not labels:
        raise ValueError("need at least one label")
    served: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        served.setdefault(_best(label, folder), []).append(label)
    loaded = _at_once([partial(_load_known, name, folder, min_score, iou_threshold, options) for name in served])
    return list(zip(loaded, map(tuple, served.values()), strict=True))


def load_installed(
    *, folder: Path | None, min_score: float = 0.05, **options: Unpack[SessionOptions]
) -> dict[str, LoadedDetector]:
    """Load every known detector that is installed, whatever it finds, by its name.

    Args:
        folder: Where models were added, as for `load_detectors`.
        min_score: In [0, 1]; lower-scored boxes are not reported.
        options: What runs them: see `detect.load.load_detector`.

    Returns:
        In the order of the catalogue; empty where none is installed.

    Raises:
        WeightsError: A file that cannot be read, was changed, or is no detector.
        EngineError: See `load_detector`.
        ValueError: See `load_detector`.
    """
    names = [model.name for model in KNOWN if model.kind == "detector" and _is_installed(model.name, folder)]
    loaded = _at_once([partial(_load_known, name, folder, min_score, None, options) for name in names])
    return dict(zip(names, loaded, strict=True))


def _at_once(jobs: Sequence[Callable[[], _T]]) -> list[_T]:
    """What each of some jobs comes to: networks load faster side by side."""
    if len(jobs) < 2:
        return [job() for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda job: job(), jobs))


def _load_classifier(model: str | Path, folder: Path | None, options: SessionOptions) -> tuple[str, LoadedClassifier]:
    """Where a classifier lies, and itself."""
    from detect.classifier.onnx_classifier import OnnxClassifier  # a policy that asks none need not wait for it

    source, content = _read(model, folder)
    return source, LoadedClassifier(OnnxClassifier(start_session(content, source, **options), source=source))


def _load_known(
    name: str, folder: Path | None, min_score: float, iou_threshold: float | None, options: SessionOptions
) -> LoadedDetector:
    """A detector of the catalogue's that is installed."""
    overlap = find(name).iou_threshold if iou_threshold is None else iou_threshold
    if name == _DISTRIBUTED and not (folder is not None and is_added(folder, name)):
        return load_detector(min_score=min_score, iou_threshold=overlap, **options)
    source, content = _read_added(folder, name)
    session = start_session(content, source, **options)
    plain = OnnxDetector(session, source=source, min_score=min_score, iou_threshold=overlap)
    return LoadedDetector(plain, engine=session.engine, precision=session.precision)


def _able(label: str) -> tuple[str, ...]:
    """Names of the known models that find a label, the best first."""
    able = [known for known in KNOWN if known.kind == "detector" and serves(label, known.names)]
    able.sort(key=lambda known: label not in known.names)
    return tuple(known.name for known in able)


def _best(label: str, folder: Path | None) -> str:
    """Name of the installed model that finds a label best."""
    able = _able(label)
    if not able:
        raise UnknownLabelError(f"no known model finds {label!r}")
    for name in able:
        if _is_installed(name, folder):
            return name
    raise MissingModelError(f"no model that finds {label} has been added: {' or '.join(able)} would do", able)


def _is_installed(name: str, folder: Path | None) -> bool:
    if folder is not None and is_added(folder, name):
        return True
    if name != _DISTRIBUTED:
        return False
    try:
        find_weights()
    except MissingWeightsError:
        return False
    return True


def _read(model: str | Path, folder: Path | None) -> tuple[str, bytes]:
    """Where a named file or a known model lies, and its content."""
    return (str(model), read_weights(model)) if isinstance(model, Path) else _read_added(folder, model)


def _read_added(folder: Path | None, name: str) -> tuple[str, bytes]:
    """Where a known model lies, and its content."""
    if folder is None:
        raise MissingModelError(f"the model {find(name).name} has not been added", (name,))
    return str(added_path(folder, name)), read_model(folder, name)
