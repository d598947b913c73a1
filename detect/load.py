"""The one place that picks a detector."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from pathlib import Path
from typing import TypedDict, Unpack

from detect.choices import ENGINES, PRECISIONS, PROVIDERS
from detect.detections import Detector
from detect.errors import EngineError, MissingWeightsError, WeightsError
from detect.models.catalogue import find
from detect.runtime.onnx_detector import OnnxDetector, read_weights
from detect.runtime.sessions import (
    CHECKED_ON_BOTH,
    OWN_PRECISION,
    OnnxRuntimeSession,
    OpenVinoSession,
    Session,
    is_quantized,
    openvino_core,
)
from detect.tiling import LongDetector

__all__ = [
    "LoadedDetector",
    "SessionOptions",
    "choose",
    "find_weights",
    "is_safetensors",
    "load_detector",
    "start_session",
]

_NUDENET_FILE = "320n.onnx"
_NUDENET_SHA256 = find("320n").sha256
"""Of the 320n weights as distributed since nudenet 3.4.0."""

_MANY = 10_000_000_000
"""Pictures times bytes of the file from which OpenVINO's start should pay: 800 pictures for the 320n weights, fifty for
a ResNet-101. A network's work on a picture grows with its weights, if not in step."""

_FEW = 3
"""Pictures up to which onnxruntime had better load a network soon than run it fast. Of loading and two runs that takes
.03 s of .11 with the 320n weights, 1 s of 2.7 with a ResNet-101."""


class LoadedDetector(LongDetector):
    """What `load_detector` answers: a detector that says what runs it.

    Attributes:
        engine: ``onnxruntime``, ``openvino`` or ``torch``.
        precision: What the network computes in: ``f32``, ``bf16``, ``int8``, or ``mixed`` where nobody can say.
    """

    def __init__(self, detector: Detector, *, engine: str, precision: str) -> None:
        super().__init__(detector)
        self.engine = engine
        self.precision = precision


def load_detector(
    weights: str | Path | None = None,
    *,
    min_score: float = 0.05,
    iou_threshold: float = 0.45,
    threads: int = 0,
    streams: int = 0,
    engine: str = "auto",
    precision: str = "auto",
    provider: str = "cpu",
    pictures: int | None = None,
) -> LoadedDetector:
    """Load the detector that the caller names, else the one that is installed.

    Installed weights are those inside a `nudenet` distribution, whose SHA-256 is checked and whose code is never
    imported. Long, narrow pictures are looked at in stretches: see `LongDetector`.

    Args:
        weights: An ONNX file that describes itself; or a safetensors file as training writes it, which needs torch.
            None takes the installed weights.
        min_score: In [0, 1]; lower-scored boxes are not reported.
        iou_threshold: In [0, 1]; see `OnnxDetector`.
        threads: Threads for one run of the network; 0 takes every core. torch decides for itself.
        streams: Runs that go on at once, where several threads share the detector; 0 for as many as the cores have
            room for.
        engine: One of `ENGINES`; see `choose`. Safetensors weights run on torch, and want ``auto``.
        precision: One of `PRECISIONS`; see `choose`. For safetensors weights ``auto`` is bf16 on a CUDA device that
            computes in it, else f32.
        provider: One of `detect.runtime.sessions.PROVIDERS`: what onnxruntime runs on. All but ``cpu`` are another
            build of onnxruntime, and run on that alone. Safetensors weights take ``cuda`` too, which is torch's then.
        pictures: How many pictures the detector is for, if that is known; for one that is looked at and then no more,
            say 1. Decides the engine, see `choose`; onnxruntime is loaded sooner, and runs a little slower, for up to
            three.

    Raises:
        MissingWeightsError: No weights are named, and none are installed.
        WeightsError: The weights are unreadable, damaged, altered or foreign, or quantised where that was not asked
            for, or the reverse.
        EngineError: The engine is not installed, or does not compute in `precision` on this processor or device; or
            onnxruntime has no such provider, or could not start it; or torch finds no CUDA device.
        ValueError: An unknown engine, precision or provider, an engine that has not that precision or provider
            anywhere, or a number out of its range.
    """
    path, expected = find_weights(weights)
    model = _read_unaltered(path, expected)
    if is_safetensors(model):
        _check_names(engine, precision, provider)
        return _on_torch(path, engine, precision, provider, min_score=min_score, iou_threshold=iou_threshold)
    session = start_session(
        model,
        str(path),
        threads=threads,
        streams=streams,
        engine=engine,
        precision=precision,
        provider=provider,
        pictures=pictures,
    )
    detector = OnnxDetector(session, source=str(path), min_score=min_score, iou_threshold=iou_threshold)
    return LoadedDetector(detector, engine=session.engine, precision=session.precision)


class SessionOptions(TypedDict, total=False):
    """What `start_session` and all who call it take; each as `load_detector` says."""

    threads: int
    streams: int
    engine: str
    precision: str
    provider: str
    pictures: int | None


def start_session(model: bytes, source: str, **options: Unpack[SessionOptions]) -> Session:
    """Load an ONNX file into what shall run it.

    Args:
        model: The whole file.
        source: Where it came from; named in errors.
        options: See `load_detector`, where the defaults stand too.

    Raises:
        WeightsError: The file cannot be run, or is quantised where that was not asked for, or the reverse.
        EngineError: See `load_detector`.
        ValueError: See `load_detector`.
    """
    threads, pictures = options.get("threads", 0), options.get("pictures")
    provider, precision = options.get("provider", "cpu"), options.get("precision", "auto")
    engine = _engine_of(provider, options.get("engine", "auto"), precision)
    engine, precision = choose(model, source, engine=engine, precision=precision, pictures=pictures)
    if engine == "openvino":
        hint, streams = "bf16" if precision == "bf16" else "f32", options.get("streams", 0)
        return OpenVinoSession(model, source=source, threads=threads, streams=streams, precision=hint)
    brief = provider == "cpu" and pictures is not None and pictures <= _FEW
    return OnnxRuntimeSession(model, source=source, threads=threads, provider=provider, brief=brief)


def choose(
    model: bytes, source: str, *, engine: str = "auto", precision: str = "auto", pictures: int | None = None
) -> tuple[str, str]:
    """What runs an ONNX file, and in which precision.

    What is named is taken or refused, never replaced. What is left open depends on the file, the machine and the
    number of pictures, on nothing else. A quantised file runs in ``int8``, on OpenVINO where that is installed, the
    pictures are many and `detect.models.quantize` made the file, which looked at what it finds there. Any other runs in
    ``bf16`` on OpenVINO where that is installed, the processor has instructions for it and the pictures are many,
    because OpenVINO takes longer to start, and again for each shape of input; else in ``f32`` on onnxruntime.

    Args:
        model: The whole ONNX file.
        source: Where it came from; named in errors.
        engine: One of `ENGINES`.
        precision: One of `PRECISIONS`.
        pictures: How many pictures it is for; None for many.

    Returns:
        Engine and precision, neither of them ``auto``.

    Raises:
        WeightsError: The file is quantised and the precision another, or the reverse.
        ValueError: An unknown engine or precision, or an engine that has not that precision anywhere.
    """
    _check_names(engine, precision)
    if (engine, precision) == ("onnxruntime", "bf16"):
        raise ValueError("onnxruntime computes in f32 or int8; bf16 needs the engine openvino")
    quantized = is_quantized(model)
    if precision == "int8" and not quantized:
        raise WeightsError(f"{source}: not quantised, so it cannot run in int8; see: python -m detect quantize --help")
    if quantized and precision not in ("auto", "int8"):
        raise WeightsError(f"{source}: quantised, so it runs in int8, not in {precision}")
    if engine == "auto":
        many = pictures is None or pictures * len(model) >= _MANY
        pays = precision != "f32" and many and _openvino_is_installed() and _is_faster_there(model, quantized)
        engine = "openvino" if pays or precision == "bf16" else "onnxruntime"
    if precision == "auto":
        bf16 = engine == "openvino" and not quantized and _has_bf16()
        precision = "int8" if quantized else "bf16" if bf16 else "f32"
    return engine, precision


def find_weights(weights: str | Path | None = None) -> tuple[Path, str | None]:
    """Where `load_detector` takes its weights from, and the SHA-256 they must have, None where any will do.

    Raises:
        MissingWeightsError: No weights are named, and none are installed.
    """
    found = (Path(weights), None) if weights is not None else _installed_weights()
    if found is None:
        raise MissingWeightsError(
            "no detector weights: no file is named, and none is installed (the distribution nudenet brings one)"
        )
    return found


def _installed_weights() -> tuple[Path, str] | None:
    """The weights inside an installed distribution, and their SHA-256."""
    spec = importlib.util.find_spec("nudenet")  # finds the package without running its code
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / _NUDENET_FILE).exists():
            return path, _NUDENET_SHA256
    return None


def _read_unaltered(path: Path, expected: str | None) -> bytes:
    """A weights file's content, which must have this SHA-256."""
    model = read_weights(path)
    if expected is not None and (found := hashlib.sha256(model).hexdigest()) != expected:
        raise WeightsError(
            f"{path}: SHA-256 {found} is not that of the weights it should hold ({expected}); "
            "reinstall with: pip install --force-reinstall 'nsfw-censor[nudenet]'"
        )
    return model


def _check_names(engine: str, precision: str, provider: str = "cpu") -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if provider not in PROVIDERS:
        raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}, not {provider!r}")


def _engine_of(provider: str, engine: str, precision: str) -> str:
    """What runs an ONNX file, as far as the provider says: providers are onnxruntime's."""
    _check_names(engine, precision, provider)
    if provider == "cpu":
        return engine
    if engine == "openvino":
        raise ValueError(f"the provider {provider} is onnxruntime's, not {engine}'s")
    if provider in OWN_PRECISION and precision != "auto":
        raise ValueError(f"the provider {provider} rounds as it sees fit: {precision} cannot be promised")
    return "onnxruntime"


def _openvino_is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _is_faster_there(model: bytes, quantized: bool) -> bool:
    return CHECKED_ON_BOTH.encode() in model if quantized else _has_bf16()


def _has_bf16() -> bool:
    """Whether the processor computes in bfloat16 itself; where it does not say so, OpenVINO is asked."""
    if platform.system() == "Linux" and platform.machine() == "x86_64":  # importing OpenVINO takes longer than this
        flags = Path("/proc/cpuinfo").read_text()
        return "avx512_bf16" in flags or "amx_bf16" in flags
    try:
        return "BF16" in openvino_core("bf16").get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except EngineError:  # without it nobody would compute in bf16
        return False


def is_safetensors(model: bytes) -> bool:
    """The length of a JSON header in eight bytes, then that header; an ONNX file never has a brace there."""
    return model[8:9] == b"{" and int.from_bytes(model[:8], "little") <= len(model) - 8


def _on_torch(
    path: Path, engine: str, precision: str, provider: str, *, min_score: float, iou_threshold: float
) -> LoadedDetector:
    """What runs safetensors weights: torch, on the processor or on a CUDA device."""
    if engine != "auto" or precision == "int8" or provider not in ("cpu", "cuda"):
        raise WeightsError(
            f"{path}: safetensors weights run on torch in f32 or bf16, on cpu or cuda, "
            f"not on {engine} in {precision} on {provider}; export them with: python -m detect export"
        )
    if provider == "cpu" and precision == "bf16" and not _has_bf16():
        raise EngineError(f"{path}: this processor has no bfloat16 instructions; run it in f32")
    try:
        from detect.retinanet.detector import TorchDetector
        from detect.retinanet.inference import TorchSession
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{path}: safetensors weights need torch, and {error.name} is missing: pip install 'nsfw-censor[train]'; "
            "or export them where it is installed: python -m detect export"
        ) from error
    if provider == "cpu" and precision != "bf16":
        session = TorchSession(path)
        plain = OnnxDetector(session, source=str(path), min_score=min_score, iou_threshold=iou_threshold)
        return LoadedDetector(plain, engine=session.engine, precision=session.precision)
    detector = TorchDetector(
        path, device=provider, precision=precision, min_score=min_score, iou_threshold=iou_threshold
    )
    return LoadedDetector(detector, engine=detector.engine, precision=detector.precision)
