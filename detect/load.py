"""The one place that picks a detector."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from detect.detections import Detector
from detect.errors import WeightsError
from detect.runtime.onnx_detector import OnnxDetector, read_weights
from detect.runtime.sessions import ENGINES, Session
from detect.tiling import LongDetector

__all__ = ["WEIGHTS_VARIABLE", "find_weights", "load_detector"]

WEIGHTS_VARIABLE = "CENSOR_WEIGHTS"
"""Environment variable that names a weights file."""

_NUDENET_FILE = "320n.onnx"
_NUDENET_SHA256 = "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f"
"""Of the 320n weights as distributed since nudenet 3.4.0."""


def load_detector(
    weights: str | Path | None = None,
    *,
    min_score: float = 0.05,
    iou_threshold: float = 0.45,
    threads: int = 0,
    engine: str = "onnxruntime",
) -> Detector:
    """Load the detector that the caller, the environment or the installation names, in this order.

    An explicit path comes first, then the file named by ``CENSOR_WEIGHTS``, then the weights inside an installed
    `nudenet` distribution, whose SHA-256 is checked and whose code is never imported. Long, narrow pictures are looked
    at in stretches: see `LongDetector`.

    Args:
        weights: An ONNX file that describes itself; or a safetensors file as training writes it, which needs torch.
        min_score: In [0, 1]; lower-scored boxes are not reported.
        iou_threshold: In [0, 1]; see `OnnxDetector`.
        threads: Threads for one run of the network; 0 takes every core. torch decides for itself.
        engine: "onnxruntime", or "openvino" where that extra is installed; safetensors weights run on torch.

    Raises:
        WeightsError: There are no weights (the message says which command installs some), or they are unreadable,
            damaged, altered or foreign, or the engine is not installed.
        ValueError: An unknown engine, or a number out of its range.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    path, expected = find_weights(weights)
    model = read_weights(path)
    if expected is not None and (found := hashlib.sha256(model).hexdigest()) != expected:
        raise WeightsError(
            f"{path}: SHA-256 {found} is not that of the weights it should hold ({expected}); "
            "reinstall with: pip install --force-reinstall 'censor[nudenet]'"
        )
    session: Session
    if _is_safetensors(model):
        session = _torch_session(path)
    else:
        session = ENGINES[engine](model, source=str(path), threads=threads)
    detector = OnnxDetector(session, source=str(path), min_score=min_score, iou_threshold=iou_threshold)
    return LongDetector(detector)


def find_weights(weights: str | Path | None = None) -> tuple[Path, str | None]:
    """Where `load_detector` takes its weights from, and the SHA-256 they must have, None where any will do.

    Raises:
        WeightsError: Nobody names weights and none are installed.
    """
    if weights is not None:
        return Path(weights), None
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named), None
    spec = importlib.util.find_spec("nudenet")  # finds the package without running its code
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / _NUDENET_FILE).exists():
            return path, _NUDENET_SHA256
    raise WeightsError(
        f"no detector weights: name a file with --weights or {WEIGHTS_VARIABLE}, "
        "or install some with: pip install 'censor[nudenet]'"
    )


def _is_safetensors(model: bytes) -> bool:
    """The length of a JSON header in eight bytes, then that header; an ONNX file never has a brace there."""
    return model[8:9] == b"{" and int.from_bytes(model[:8], "little") <= len(model) - 8


def _torch_session(path: Path) -> Session:
    try:
        from detect.retinanet.inference import TorchSession
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{path}: safetensors weights need torch, and {error.name} is missing: pip install 'censor[train]'; "
            "or export them where it is installed: python -m detect export"
        ) from error
    return TorchSession(path)
