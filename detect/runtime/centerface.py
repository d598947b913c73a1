"""The head of CenterFace: a map of where faces are, and for each cell how large one would be and where exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError
from detect.runtime.head import Candidates, refuse_infinite

__all__ = ["CenterFaceHead", "decode_centerface"]

_CELL = 4
"""Pixels of the network's input from one cell to the next."""

_CHANNELS = (1, 2, 2, 10)
"""Of the maps of scores, sizes, offsets and landmarks, in the file's order."""


def decode_centerface(
    scores: NDArray[np.float32],
    sizes: NDArray[np.float32],
    offsets: NDArray[np.float32],
    *,
    min_score: float,
    top_k: int,
) -> Candidates:
    """Read one picture's candidates out of the head.

    Args:
        scores: (h, w), in [0, 1].
        sizes: (2, h, w): logarithms of a face's height and width in cells.
        offsets: (2, h, w): how far a face's centre lies below and right of the middle of the cell, in cells.
        min_score: In [0, 1]; cells that score less are dropped.
        top_k: At most this many cells are kept, the best ones.

    Returns:
        Candidates, best score first. They may reach beyond the input: what lies there is no reason to move a box.

    Source:
        Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point (arXiv:1911.03599), § 3.2.
    """
    row, column = np.nonzero(scores >= min_score)
    score = scores[row, column]
    order = np.argsort(-score, kind="stable")[:top_k]
    row, column, score = row[order], column[order], score[order]
    # A face that is larger than the picture is cut at its edge anyway: an exponential must not leave the finite.
    largest = np.float32(math.log(4 * max(scores.shape)))
    side = np.exp(np.minimum(sizes[::-1, row, column].T, largest)) * _CELL  # (N, 2), width first
    center = (np.stack([column, row], axis=1) + offsets[::-1, row, column].T + 0.5) * _CELL
    xyxy = np.concatenate([center - side / 2, center + side / 2], axis=1)
    return Candidates(xyxy.astype(np.float32), score.astype(np.float32), np.zeros(len(score), np.int64))


class CenterFaceHead:
    """A `Head`: four maps a quarter of the input's size, scores, sizes, offsets and landmarks; the last go unused."""

    square = False

    def __init__(self, *, source: str) -> None:
        """For a network that knows one label; `source` is named in errors."""
        self._source = source

    def prepare(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Head.prepare`; this network is trained on colours in [0, 255]."""
        return batch * np.float32(255)

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], shape: tuple[int, ...], *, min_score: float, top_k: int
    ) -> list[Candidates]:
        """See `Head.decode`."""
        cells: tuple[Any, ...] = (shape[2] // _CELL, shape[3] // _CELL)
        expected = [("float32", (shape[0], channels, *cells)) for channels in _CHANNELS]
        found = [(str(output.dtype), output.shape) for output in outputs]
        if found != expected:
            raise InferenceError(
                f"{self._source}: expected maps of shapes {expected} for an input of {shape}, "
                f"the network answered {found}"
            )
        refuse_infinite(outputs, self._source)
        scores, sizes, offsets = outputs[0][:, 0], outputs[1], outputs[2]
        if ((scores < 0) | (scores > 1)).any():
            raise InferenceError(
                f"{self._source}: the network answered scores outside [0, 1]: {scores.min()} to {scores.max()}"
            )
        if np.abs(offsets).max() > max(shape[2:]):
            raise InferenceError(f"{self._source}: the network answered faces that lie outside any picture")
        return [
            decode_centerface(*maps, min_score=min_score, top_k=top_k)
            for maps in zip(scores, sizes, offsets, strict=True)
        ]
