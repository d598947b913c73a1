"""From a detector's ONNX file to one that computes in eight-bit whole numbers, calibrated on pictures."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect import boxes
from detect.detections import Detections
from detect.errors import AnnotationsError, InferenceError, WeightsError
from detect.pictures.rgb import read_rgb
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import CHECKED_ON_BOTH, OnnxRuntimeSession, OpenVinoSession, Session, is_quantized
from detect.runtime.telemetry import import_quietly

__all__ = ["quantize"]

_CHECKED = 32
"""At most so many pictures are looked at again."""

_SURE, _KEPT = 0.4, 0.9
"""Of the boxes that score this, at least this share must be found again with half of that score, and few others."""


def quantize(model: bytes, pictures: Sequence[Path], *, source: str) -> bytes:
    """Quantise a detector after its training.

    The ranges of what the layers pass on are measured on pictures, fitted and normalised as the detector does it; so
    they should be like those it will see. The last convolutions before each output, and what follows them, are left
    out: a box's edge and a score near a threshold have to be finer than one in 256 of all they may be, and they are a
    small part of the work.

    Args:
        model: The whole ONNX file.
        pictures: At least one; some three hundred are enough.
        source: Where the file came from; named in errors.

    Returns:
        An ONNX file with the same inputs, outputs and metadata; where the pictures showed anything to compare, also the
        key ``quantised``, which says that what it finds was looked at on both engines.

    Raises:
        WeightsError: The file is no detector, is quantised already, or has no convolutions to quantise.
        AnnotationsError: There are no pictures.
        ReadError: A picture cannot be read.
        ImageError: A picture is refused, as production refuses it.
        InferenceError: The result finds other things than the file did, on onnxruntime or on OpenVINO. (So do the 320n
            weights on OpenVINO 2026.4, which finds nothing at all with them.)
        EngineError: OpenVINO is not installed: nobody could say what the result finds there.

    Source:
        Jacob et al., Quantization and Training of Neural Networks (arXiv:1712.05877); done by NNCF, which
        corrects biases as in Nagel et al. (arXiv:1906.04721).
    """
    if is_quantized(model):
        raise WeightsError(f"{source}: is quantised already; start from the file that it was made of")
    if not pictures:
        raise AnnotationsError(f"{source}: no pictures to calibrate on")
    detector = OnnxDetector(OnnxRuntimeSession(model, source=source), source=source)
    import onnx

    graph = onnx.load_from_string(model)
    kept = _after_last_convolutions(graph.graph)
    if not any(node.op_type == "Conv" and node.name not in kept for node in graph.graph.node):
        raise WeightsError(f"{source}: has no convolutions to quantise")
    name = graph.graph.input[0].name
    result = _run_nncf(graph, lambda path: {name: detector.prepare(read_rgb(path))}, pictures, kept)
    said = {prop.key: prop.value for prop in graph.metadata_props}
    onnx.helper.set_model_props(result, said)
    content = bytes(result.SerializeToString())
    if not is_quantized(content):
        raise InferenceError(f"{source}: nothing of it was quantised")
    if not _check(detector, content, pictures[:: max(1, len(pictures) // _CHECKED)][:_CHECKED], source):
        return content
    onnx.helper.set_model_props(result, {**said, "quantised": CHECKED_ON_BOTH})
    return bytes(result.SerializeToString())


def _check(exact: OnnxDetector, content: bytes, pictures: Sequence[Path], source: str) -> bool:
    """Refuse what finds other things than before on some pictures, whichever engine runs it; was there anything?"""
    sessions: list[Session] = [OnnxRuntimeSession(content, source=source), OpenVinoSession(content, source=source)]
    expected, seen = _look(exact, pictures), False
    for session in sessions:
        found = _look(OnnxDetector(session, source=source), pictures)
        for some, others, fault in ((expected, found, "lost"), (found, expected, "made up")):
            sure = again = 0
            for one, other in zip(some, others, strict=True):
                mine = one[one.scores >= _SURE]
                alike = (boxes.iou(mine.xyxy, other.xyxy) >= 0.5) & (mine.labels[:, None] == other.labels)
                sure, again = sure + len(mine), again + int((alike & (other.scores >= _SURE / 2)).any(axis=1).sum())
            seen = seen or sure > 0
            if again < _KEPT * sure:
                raise InferenceError(
                    f"{source}: quantised and on {session.engine}, {sure - again} of {sure} boxes would be {fault}; "
                    "calibrate on more pictures like those to come, or leave it as it is"
                )
    return seen


def _look(detector: OnnxDetector, pictures: Sequence[Path]) -> list[Detections]:
    return [detector.detect([read_rgb(path)])[0] for path in pictures]  # one large picture in memory at a time


def _after_last_convolutions(graph: Any) -> set[str]:
    """Names of the last convolutions on every way to an output, and of all nodes behind them."""
    for number, node in enumerate(graph.node):
        node.name = node.name or f"node_{number}"
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [output.name for output in graph.output]
    kept: set[str] = set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in kept:
            continue
        kept.add(node.name)
        if node.op_type != "Conv":
            waiting += node.input
    return kept


def _run_nncf(graph: Any, transform: Any, pictures: Sequence[Path], kept: set[str]) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # its bars belong there
        warnings.simplefilter(
            "ignore"
        )  # of its own and torch's deprecated calls; what matters is checked on the result
        nncf, onnxruntime = import_quietly("nncf"), import_quietly("onnxruntime")
        nncf.set_log_level(logging.ERROR)
        # Names of nodes that the graph does not have are an error to it, and shape arithmetic is not in its graph.
        scope = nncf.IgnoredScope(names=sorted(kept), validate=False)
        data = nncf.Dataset(list(pictures), transform)
        onnxruntime.set_default_logger_severity(3)  # the file's traced shapes are guesses, of which it warns
        try:
            return nncf.quantize(graph, data, subset_size=len(pictures), ignored_scope=scope)
        finally:
            onnxruntime.set_default_logger_severity(2)  # as it comes
