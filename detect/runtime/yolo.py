"""The head of YOLOv8-style networks: one tensor (B, 4 + classes, anchors), scores already squashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError
from detect.runtime.head import Candidates, refuse_infinite

__all__ = ["YoloV8Head", "decode_yolov8"]


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
    center, size = output[0:2, anchor].T, output[2:4, anchor].T
    xyxy = np.concatenate([center - size / 2, center + size / 2], axis=1)
    return Candidates(xyxy.astype(np.float32), score.astype(np.float32), label.astype(np.int64))


class YoloV8Head:
    """A `Head`: the first output is (B, 4 + classes, anchors)."""

    square = False

    def __init__(self, *, classes: int, source: str) -> None:
        """For a network that knows `classes` labels; `source` is named in errors."""
        self._classes = classes
        self._source = source

    def prepare(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Head.prepare`; these networks are trained on colours in [0, 1]."""
        return batch

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], shape: tuple[int, ...], *, min_score: float, top_k: int
    ) -> list[Candidates]:
        """See `Head.decode`."""
        output, expected = outputs[0], (shape[0], 4 + self._classes)
        if output.dtype != np.float32 or output.ndim != 3 or output.shape[:2] != expected:
            raise InferenceError(
                f"{self._source}: expected a float32 YOLOv8 head of shape ({expected[0]}, {expected[1]}, anchors) "
                f"for {self._classes} names, the network answered {output.dtype} {output.shape}"
            )
        if output.shape[2] > shape[2] * shape[3]:
            raise InferenceError(f"{self._source}: the network answered {output.shape[2]:,} boxes, more than pixels")
        refuse_infinite([output], self._source)
        scores = output[:, 4:]
        if ((scores < 0) | (scores > 1)).any():  # logits: whatever lies below zero would pass for nothing found
            raise InferenceError(
                f"{self._source}: the network answered scores outside [0, 1]: {scores.min()} to {scores.max()}"
            )
        if (output[:, 2:4] < 0).any():
            raise InferenceError(f"{self._source}: the network answered boxes of negative width or height")
        return [decode_yolov8(picture, min_score=min_score, top_k=top_k) for picture in output]
