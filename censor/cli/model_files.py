"""Which files the networks came from that options chose, by their hashes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detect.detections import Detector

__all__ = ["detector_files", "file_sha256"]


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
