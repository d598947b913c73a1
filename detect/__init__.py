"""Pictures in, boxes out. Knows nothing of censoring, and needs torch for `detect.retinanet` alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detect.detections import Detections, Detector, RGBImage
    from detect.errors import DetectError, EngineError, InferenceError, UnknownLabelError, WeightsError
    from detect.labels import CLASSES, KNOWN_LABELS
    from detect.load import load_detector
    from detect.tiling import FlipDetector, LongDetector, TiledDetector

__all__ = [
    "CLASSES",
    "KNOWN_LABELS",
    "DetectError",
    "Detections",
    "Detector",
    "EngineError",
    "FlipDetector",
    "InferenceError",
    "LongDetector",
    "RGBImage",
    "TiledDetector",
    "UnknownLabelError",
    "WeightsError",
    "load_detector",
]

_HOME = {
    "CLASSES": "detect.labels",
    "KNOWN_LABELS": "detect.labels",
    "DetectError": "detect.errors",
    "Detections": "detect.detections",
    "Detector": "detect.detections",
    "EngineError": "detect.errors",
    "FlipDetector": "detect.tiling",
    "InferenceError": "detect.errors",
    "LongDetector": "detect.tiling",
    "RGBImage": "detect.detections",
    "TiledDetector": "detect.tiling",
    "UnknownLabelError": "detect.errors",
    "WeightsError": "detect.errors",
    "load_detector": "detect.load",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562), so that `detect.choices` need not load numpy."""
    if name not in _HOME:
        raise AttributeError(f"module 'detect' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
