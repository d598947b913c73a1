"""The head of YOLOv8-style networks: one tensor (B, 4 + classes, anchors), scores already squashed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidates", "decode_yolov8"]


class Candidates(NamedTuple):
    """Boxes of one picture before suppression, in pixels of the network's input: (N, 4), (N,), (N,)."""

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


def decode_yolov8(output: NDArray[np.float32], *, min_score: float, top_k: int) -> Candidates:
    """Read one picture's candidates out of the head.

    An anchor may count for several labels: their scores are independent, and dropping all but the best would hide from
    the policy that something is, say, .6 a male and .5 a female breast.

    Args:
        output: float32 of shape (4 + classes, anchors): centre x, centre y, width, height, then a score a class.
        min_score: Pairs of anchor and label below this are dropped.
        top_k: At most this many pairs are kept, the best ones.

    Returns:
        Candidates, best score first.

    Source:
        The export format of Ultralytics YOLOv8 detection models.
    """
    scores = output[4:]
    label, anchor = np.nonzero(scores >= min_score)
    score = scores[label, anchor]
    order = np.argsort(-score, kind="stable")[:top_k]
    label, anchor, score = label[order], anchor[order], score[order]
    centre, size = output[0:2, anchor].T, output[2:4, anchor].T
    xyxy = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return Candidates(xyxy.astype(np.float32), score.astype(np.float32), label.astype(np.int64))
