"""From an ONNX file to one that computes in eight-bit whole numbers, calibrated on pictures."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect import boxes
from detect.classifier.onnx_classifier import OnnxClassifier
from detect.detections import Detections, RGBImage
from detect.errors import AnnotationsError, InferenceError, WeightsError
from detect.models.deviation import FAR, compare_classifiers
from detect.pictures.rgb import read_rgb
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import CHECKED_ON_BOTH, OnnxRuntimeSession, OpenVinoSession, Session, is_quantized
from detect.runtime.telemetry import import_quietly

__all__ = ["is_classifier", "quantize"]

_CHECKED = 32
"""At most so many pictures are looked at again."""

_SURE, _KEPT = 0.4, 0.9
"""Of the boxes that score this, at least this share must be found again with half of that score, and few others."""


_MOVED = 0.2
"""At most this share of the pictures may have another probability than before by more than `FAR`."""

_PER_CHANNEL = 13
"""The opset from which on scales may be those of one axis."""


def quantize(model: bytes, pictures: Sequence[Path], *, source: str) -> bytes:
    """Quantise a detector or a classifier after its training.

    The ranges of what the layers pass on are measured on pictures, fitted and normalised as production does it; so they
    should be like those it will see. The last convolutions before each output, and what follows them, are left out: a
    box's edge and a score near a threshold have to be finer than one in 256 of all they may be, and they are a small
    part of the work. Of a classifier only convolutions of all channels are quantised, and sums right behind them, and
    not the first: in attention and norms OpenVINO and onnxruntime round differently, by up to .6 of a probability, one
    filter a channel gains nothing, and what the first rounds goes through all others.

    Args:
        model: The whole ONNX file.
        pictures: At least one; some three hundred are enough.
        source: Where the file came from; named in errors.

    Returns:
        An ONNX file with the same inputs, outputs and metadata; where the pictures showed anything to compare, also the
        key ``quantised``, which says that what it finds was looked at on both engines.

    Raises:
        WeightsError: The file is neither detector nor classifier, is quantised already, or has no convolutions to
            quantise.
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
    session = OnnxRuntimeSession(model, source=source)
    classifies = session.metadata.get("task") == "classify"
    network = OnnxClassifier(session, source=source) if classifies else OnnxDetector(session, source=source)
    import onnx

    said = {prop.key: prop.value for prop in onnx.load_from_string(model).metadata_props}
    graph, kept = _graph_and_kept(model, source, classifies=classifies)
    name, batch = graph.graph.input[0].name, session.input_shape[0]

    def transform(path: Path) -> dict[str, NDArray[np.float32]]:
        return {name: _fed(network, read_rgb(path), batch)}

    result = _run_nncf(graph, transform, pictures, kept, narrow=classifies)
    onnx.helper.set_model_props(result, said)
    content = bytes(result.SerializeToString())
    if not is_quantized(content):
        raise InferenceError(f"{source}: nothing of it was quantised")
    few = pictures[:: max(1, len(pictures) // _CHECKED)][:_CHECKED]
    if not _finds_the_same(network, model, content, few, source):
        return content
    onnx.helper.set_model_props(result, {**said, "quantised": CHECKED_ON_BOTH})
    return bytes(result.SerializeToString())


def _finds_the_same(
    network: OnnxDetector | OnnxClassifier, model: bytes, content: bytes, pictures: Sequence[Path], source: str
) -> bool:
    """Refuse what finds other things than before; was there anything to find?"""
    if isinstance(network, OnnxDetector):
        return _check(network, content, pictures, source)
    _check_classifier(model, content, pictures, source)
    return True


def _graph_and_kept(model: bytes, source: str, *, classifies: bool) -> tuple[Any, set[str]]:
    """What is to be quantised, and the names of its nodes that are not."""
    import onnx

    graph = onnx.load_from_string(model)
    if classifies and _opset(graph) < _PER_CHANNEL:
        graph = onnx.version_converter.convert_version(graph, _PER_CHANNEL)
    kept = _after_last_convolutions(graph.graph)
    if classifies:
        kept |= _left_out(graph.graph.node)
    if not any(node.op_type == "Conv" and node.name not in kept for node in graph.graph.node):
        raise WeightsError(f"{source}: has no convolutions to quantise")
    return graph, kept


def is_classifier(model: bytes, *, source: str) -> bool:
    """Whether an ONNX file says of itself that it classifies.

    Raises:
        WeightsError: It is no ONNX file that onnxruntime can run.
    """
    return OnnxRuntimeSession(model, source=source).metadata.get("task") == "classify"


def _check_classifier(model: bytes, content: bytes, pictures: Sequence[Path], source: str) -> None:
    """Refuse what says other things than before of some pictures, whichever engine runs it."""
    for each in compare_classifiers(model, content, pictures, source=source):
        if each.moved > _MOVED:
            raise InferenceError(
                f"{source}: quantised and on {each.engine}, P(NSFW) would be off by more than {FAR:g} in "
                f"{each.moved:.0%} of {len(pictures)} pictures, by up to {each.largest:.2f}; "
                "calibrate on more pictures like those to come, or leave it as it is"
            )


def _fed(network: OnnxDetector | OnnxClassifier, image: RGBImage, batch: int | None) -> NDArray[np.float32]:
    return network.prepare([image] * (batch or 1)) if isinstance(network, OnnxClassifier) else network.prepare(image)


def _opset(model: Any) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))


def _left_out(nodes: Sequence[Any]) -> set[str]:
    """Names of all nodes but convolutions of all channels, without the first, and sums that take in what one makes."""
    dense = [
        node
        for node in nodes
        if node.op_type == "Conv" and not any(each.name == "group" and each.i > 1 for each in node.attribute)
    ]
    made = {output for node in dense for output in node.output}
    sums = [node for node in nodes if node.op_type == "Add" and made.intersection(node.input)]
    return {node.name for node in nodes} - {node.name for node in (*dense[1:], *sums)}


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


def _run_nncf(
    graph: Any, transform: Callable[[Path], Any], pictures: Sequence[Path], kept: set[str], *, narrow: bool
) -> Any:
    """Quantise; `narrow` weights take seven bits, which no processor's sums of products overflow."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # its bars belong there
        warnings.simplefilter(
            "ignore"
        )  # of its own and torch's deprecated calls; what matters is checked on the result
        nncf, onnxruntime = import_quietly("nncf"), import_quietly("onnxruntime")
        nncf.set_log_level(logging.ERROR)
        # Names of nodes that the graph does not have are an error to it, and shape arithmetic is not in its graph.
        scope = nncf.IgnoredScope(names=sorted(kept), validate=False)
        advanced = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE) if narrow else None
        data = nncf.Dataset(list(pictures), transform)
        onnxruntime.set_default_logger_severity(3)  # the file's traced shapes are guesses, of which it warns
        try:
            return nncf.quantize(
                graph, data, subset_size=len(pictures), ignored_scope=scope, advanced_parameters=advanced
            )
        finally:
            onnxruntime.set_default_logger_severity(2)  # as it comes
