"""Pictures in, boxes out. Knows nothing of censoring, and needs torch for `detect.retinanet` alone."""

from __future__ import annotations

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
