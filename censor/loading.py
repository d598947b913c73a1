"""Which networks serve a policy, of the models that are here, and loading them side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Unpack

from censor.data_folder import models_folder
from censor.errors import DataFolderError
from censor.policy import Policy
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.errors import MissingModelError
from detect.installed import added_classifiers, found_labels, load_classifiers, load_detectors
from detect.load import SessionOptions
from detect.models.catalogue import KNOWN, find

__all__ = ["folder_of_models", "load_networks", "parse_classifiers"]


def load_networks(
    policy: Policy,
    *,
    detector: Detector | Path | None = None,
    classifiers: Sequence[Classifier | Path | str] | None = None,
    min_score: float | None = None,
    **options: Unpack[SessionOptions],
) -> tuple[Detector | None, tuple[Classifier, ...]]:
    """Load what serves a policy, of the models that were added, and nothing that it does not need.

    Args:
        policy: Its labels say what must be found, its rules whether classifiers are asked.
        detector: What takes the place of every model that finds boxes, itself or its file.
        classifiers: Those that look, themselves, the names of models that were added, or files; by default all that
            were added and the policy counts. None is loaded for a policy that asks none.
        min_score: Boxes that score less are not reported; by default the policy's lowest threshold.
        options: What runs what is loaded: see `detect.load.load_detector`.

    Returns:
        The detector and the classifiers. No detector where none is here and the policy holds without: see
        `Policy.needs_detector`.

    Raises:
        DataFolderError: Nobody knows where models would be, and the policy needs them.
        MissingModelError: A label that no model here finds, or a classifier that has not been added.
        UnknownLabelError: The policy names a label that nobody knows.
        WeightsError: A model cannot be loaded.
        EngineError: See `detect.load.load_detector`.
        ValueError: See `detect.load.load_detector`.
    """
    needs = policy.asks_classifiers and policy.picture.required
    folder, score = models_folder() if needs else folder_of_models(), policy.lowest if min_score is None else min_score
    asked: Sequence[Classifier | Path | str] = ()
    if policy.asks_classifiers:
        asked = policy.picture.counted(added_classifiers(folder)) if classifiers is None else classifiers
    there = tuple(each for each in asked if isinstance(each, Classifier))
    named = [each for each in asked if isinstance(each, Path | str)]

    def look() -> tuple[Classifier, ...]:
        """All classifiers, once they are loaded."""
        return (*there, *(loading.result() if loading else ()))

    try:
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load_classifiers, named, folder=folder, **options) if named else None
            if isinstance(detector, Path):
                detector = load_detectors((), folder=folder, weights=detector, min_score=score, **options)
            elif detector is None and (labels := _found_labels(policy, folder, look)):
                detector = load_detectors(labels, folder=folder, min_score=score, **options)
            return detector, look()
    except MissingModelError as error:
        few = bool(asked) or not policy.asks_classifiers
        wanted = error.models[0] if few and error.models else "all"
        raise MissingModelError(f"{error}; get it with: censor models add {wanted}", error.models) from error


def parse_classifiers(given: Sequence[str]) -> tuple[str | Path, ...] | None:
    """Which classifiers a user names: known models by name, others by their files; None leaves it to the policy.

    Raises:
        ModelError: A name that no known model has, and no file.
        ValueError: ``none`` beside others.
    """
    if "none" in given:
        if len(given) > 1:
            raise ValueError("classifiers: none stands alone")
        return ()
    names = {known.name.casefold(): known.name for known in KNOWN}
    chosen: list[str | Path] = []
    for text in given:
        if text.casefold() in names:
            chosen.append(names[text.casefold()])
        elif Path(text).suffix or os.path.exists(text):  # noqa: PTH110  # false for what can be no path, too
            chosen.append(Path(text))
        else:
            find(text)  # which says what there is
    return tuple(chosen) or None


def folder_of_models() -> Path | None:
    """The folder that models are added to; None where nobody can know it, so that none have been."""
    try:
        return models_folder()
    except DataFolderError:
        return None


def _found_labels(policy: Policy, folder: Path | None, look: Callable[[], Sequence[Classifier]]) -> tuple[str, ...]:
    """The labels that a policy does something about and a model here finds; none where it holds without a detector."""
    policy.resolve_labels(())
    found = found_labels(policy.acting, folder=folder)
    missing = [label for label in policy.acting if policy.rules[label].required and label not in found]
    if missing and (found or policy.needs_detector({each.name: each.names for each in look()})):
        load_detectors(missing, folder=folder)  # says which models would do
    return found
