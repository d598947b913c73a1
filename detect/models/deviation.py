"""How far a quantised classifier is from what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.pictures.rgb import read_rgb
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession, Session

__all__ = ["FAR", "Deviation", "compare_classifiers"]

FAR = 0.1
"""Of a probability: a picture that is off by more has moved."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """What one engine makes of a quantised classifier: absolute differences in P(NSFW) over some pictures.

    Attributes:
        engine: What ran it.
        median: Of the differences, in [0, 1] like the rest.
        nine_in_ten: Nine pictures in ten are off by no more.
        largest: Of all.
        moved: Share of the pictures that are off by more than `FAR`.
    """

    engine: str
    median: float
    nine_in_ten: float
    largest: float
    moved: float


def compare_classifiers(exact: bytes, quantized: bytes, pictures: Sequence[Path], *, source: str) -> list[Deviation]:
    """Look at pictures with a classifier, and with what was quantised of it on onnxruntime and on OpenVINO.

    Args:
        exact: The whole file that the other was made of.
        quantized: The whole quantised file.
        pictures: At least one.
        source: Where the file came from; named in errors.

    Returns:
        One entry an engine.

    Raises:
        DetectError: A file cannot be run, a picture cannot be read, or OpenVINO is not installed.
        ValueError: No pictures.
    """
    if not pictures:
        raise ValueError("need at least one picture")
    sessions: list[Session] = [kind(quantized, source=source) for kind in (OnnxRuntimeSession, OpenVinoSession)]
    judges = [OnnxClassifier(each, source=source) for each in (OnnxRuntimeSession(exact, source=source), *sessions)]
    said = np.array([[judge.classify([image])[0].probability for judge in judges] for image in map(read_rgb, pictures)])
    off = np.abs(said[:, 1:] - said[:, :1])
    return [
        Deviation(
            engine=session.engine,
            median=float(np.median(column)),
            nine_in_ten=float(np.quantile(column, 0.9)),
            largest=float(column.max()),
            moved=float((column > FAR).mean()),
        )
        for session, column in zip(sessions, off.T, strict=True)
    ]
