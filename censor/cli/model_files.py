"""Which files the networks came from that options chose, by their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from censor.pipeline import Censor
    from detect.detections import Detector

__all__ = ["detector_files", "file_sha256", "model_files"]


def model_files(censor: Censor, *, weights: Path | None, classifiers: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each network's file, by what it is called.

    Args:
        censor: With the networks that were loaded.
        weights: The detector's file, if one was named.
        classifiers: As they were typed; empty for the policy's.
    """
    from censor.loading import folder_of_models, parse_classifiers
    from detect.installed import added_classifiers
    from detect.models.storage import added_path

    folder, named = folder_of_models(), parse_classifiers(classifiers)
    asked = censor.policy.picture.counted(added_classifiers(folder)) if named is None else named
    files = detector_files(censor.detector, weights, folder)
    for model, each in zip(asked if censor.classifiers else (), censor.classifiers, strict=True):
        path = model if isinstance(model, Path) or folder is None else added_path(folder, model)
        files[each.name] = file_sha256(Path(path))
    return files


def detector_files(detector: Detector | None, weights: Path | None, folder: Path | None) -> dict[str, str]:
    """The hash of each detector's file, by its name and what it reports."""
    from detect.load import find_weights
    from detect.models.storage import added_path, is_added
    from detect.tiling import models_of

    if detector is None:
        return {}
    if weights is not None:
        return {", ".join(detector.names): file_sha256(weights)}
    files = {}
    for name, labels in models_of(detector).items():
        added = folder is not None and is_added(folder, name)
        path = added_path(folder, name) if added and folder is not None else find_weights()[0]
        files[f"{name}: {', '.join(labels)}"] = file_sha256(path)
    return files


def file_sha256(path: Path) -> str:
    """Of a file's content."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
