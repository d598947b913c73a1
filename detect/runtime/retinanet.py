"""The head of RetinaNet without torch: anchors, deltas and logits in, candidates out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError, WeightsError
from detect.runtime.head import Candidates, refuse_infinite
from detect.runtime.metadata import read_literal

__all__ = ["MAX_LOG_RATIO", "AnchorGrid", "RetinaNetHead", "decode_retinanet", "refuse_nonsense"]

MAX_LOG_RATIO = math.log(1000 / 16)
"""Deltas of width and height are cut here, so that an untrained network's boxes stay finite."""

_LARGEST_DELTA = 1e6
"""No box is further than this many anchors away; far beyond, coordinates would not be finite."""


@dataclass(frozen=True)
class AnchorGrid:
    """The boxes that a RetinaNet measures its answers against.

    Attributes:
        sizes: For each level, the square roots of its anchors' areas in pixels of the network's input.
        ratios: Height over width, the same for every level.
        strides: For each level, the pixels from one cell to the next.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    strides: tuple[int, ...]

    @classmethod
    def standard(cls, smallest: int = 32) -> Self:
        """Levels P3 to P7, three sizes and three ratios each.

        Args:
            smallest: Size of the smallest anchor in pixels; each level's are twice the ones below.

        Source:
            Lin et al., Focal Loss for Dense Object Detection (arXiv:1708.02002), section 4; the sizes are whole
            numbers, as torchvision has them.
        """
        bases = [smallest * 2**level for level in range(5)]
        sizes = tuple((float(b), float(int(b * 2 ** (1 / 3))), float(int(b * 2 ** (2 / 3)))) for b in bases)
        return cls(sizes, (0.5, 1.0, 2.0), (8, 16, 32, 64, 128))

    def check(self, source: str) -> None:
        """Refuse what a file named by `source` says of its anchors if no network can have been trained on it.

        Raises:
            WeightsError: Levels without a stride or with other sizes than the rest have; numbers that are not finite or
                not above 0; or more boxes than pixels.
        """
        if len(self.sizes) != len(self.strides) or len({len(level) for level in self.sizes}) != 1:
            raise WeightsError(f"{source}: metadata key 'anchors' needs one stride and as many sizes for each level")
        flat = [*(size for level in self.sizes for size in level), *self.ratios, *self.strides]
        if not self.per_cell or not all(math.isfinite(value) and value > 0 for value in flat):
            raise WeightsError(f"{source}: metadata key 'anchors' needs finite sizes, ratios and strides above 0")
        if sum(self.per_cell / stride**2 for stride in self.strides) > 1:
            raise WeightsError(f"{source}: metadata key 'anchors' means more boxes than an input has pixels")

    @property
    def per_cell(self) -> int:
        """Anchors of one cell."""
        return len(self.sizes[0]) * len(self.ratios)

    def boxes(self, height: int, width: int) -> NDArray[np.float32]:
        """Every anchor for an input of `height` x `width` pixels, read-only; see `_anchors` for the order."""
        return _anchors(self, height, width)


@lru_cache(maxsize=32)
def _anchors(grid: AnchorGrid, height: int, width: int) -> NDArray[np.float32]:
    """Anchors as ``xyxy`` (N, 4): level by level, row by row, cell by cell, then ratio by ratio, size by size.

    Source:
        torchvision `AnchorGenerator`, but for the distance of cells: a level's true stride, where torchvision divides
        the input's side by the level's. The two differ where a side is no multiple of 128, and only the true stride
        keeps an anchor over what its cell sees when a network meets inputs of another size.
    """
    levels = []
    for sizes, stride in zip(grid.sizes, grid.strides, strict=True):
        tall = np.sqrt(np.array(grid.ratios, np.float32))[:, None]
        side = np.array(sizes, np.float32)[None, :]
        w, h = (side / tall).ravel(), (side * tall).ravel()
        base = np.round(np.stack([-w, -h, w, h], axis=1) / 2)  # (A, 4), around the origin
        x = np.arange(-(-width // stride), dtype=np.float32) * stride
        y = np.arange(-(-height // stride), dtype=np.float32) * stride
        shift_y, shift_x = (axis.ravel() for axis in np.meshgrid(y, x, indexing="ij"))
        shifts = np.stack([shift_x, shift_y, shift_x, shift_y], axis=1)
        levels.append((shifts[:, None] + base[None]).reshape(-1, 4))  # (rows * columns * A, 4)
    anchors = np.concatenate(levels).astype(np.float32)
    anchors.flags.writeable = False  # the cache hands the same array to everyone
    return anchors


def decode_retinanet(
    logits: NDArray[np.float32],
    deltas: NDArray[np.float32],
    anchors: NDArray[np.float32],
    *,
    min_score: float,
    top_k: int,
) -> Candidates:
    """Read one picture's candidates out of the head.

    Args:
        logits: (N, classes), before the sigmoid.
        deltas: (N, 4): how far the box's centre lies from the anchor's in anchor sides, and the logarithms of width
            and height over the anchor's.
        anchors: (N, 4) ``xyxy``.
        min_score: In [0, 1]; pairs of anchor and label below this are dropped.
        top_k: At most this many pairs are kept, the best ones.

    Returns:
        Candidates, best score first.

    Source:
        Ren et al., Faster R-CNN (arXiv:1506.01497), equation 2, for the deltas.
    """
    pair = np.flatnonzero(logits >= _logit(min_score))  # only what may be kept goes through the sigmoid
    anchor, label = np.divmod(pair, logits.shape[1])
    score = 1 / (1 + np.exp(-logits[anchor, label].astype(np.float64)))
    order = np.argsort(-score, kind="stable")[:top_k]
    anchor, label, score = anchor[order], label[order], score[order]
    base, delta = anchors[anchor], deltas[anchor]
    side = base[:, 2:] - base[:, :2]
    center = base[:, :2] + side / 2 + delta[:, :2] * side
    side = side * np.exp(np.minimum(delta[:, 2:], np.float32(MAX_LOG_RATIO)))
    xyxy = np.concatenate([center - side / 2, center + side / 2], axis=1)
    return Candidates(xyxy.astype(np.float32), score.astype(np.float32), label.astype(np.int64))


class RetinaNetHead:
    """A `Head`: two outputs, logits (B, N, classes) and deltas (B, N, 4)."""

    # Without the padding it was trained with, a small network's AP50 fell from .96 to .74 on the sample set.
    square = True

    def __init__(
        self, *, classes: int, grid: AnchorGrid, mean: Sequence[float], std: Sequence[float], source: str
    ) -> None:
        """Take what the metadata says.

        Args:
            classes: Labels that the network knows.
            grid: Its anchors.
            mean: Of each colour in [0, 1], taken from a picture before the network sees it.
            std: What each colour is divided by after that.
            source: Where the network came from; named in errors.
        """
        self._classes = classes
        self._grid = grid
        self._mean = np.array(mean, np.float32).reshape(1, 3, 1, 1)
        self._std = np.array(std, np.float32).reshape(1, 3, 1, 1)
        self._source = source

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, classes: int, source: str) -> Self:
        """Read ``anchors`` and ``normalisation``.

        Raises:
            WeightsError: Either is missing or malformed.
        """
        anchors = _numbers(metadata, "anchors", ("sizes", "ratios", "strides"), source)
        normalization = _numbers(metadata, "normalisation", ("mean", "std"), source)
        try:
            sizes, ratios, strides = anchors["sizes"], anchors["ratios"], anchors["strides"]
            levels = tuple(tuple(float(size) for size in level) for level in sizes)
            grid = AnchorGrid(levels, tuple(float(r) for r in ratios), tuple(int(s) for s in strides))
            mean, std = ([float(value) for value in normalization[key]] for key in ("mean", "std"))
        except (TypeError, ValueError, OverflowError) as error:  # the last: an infinite stride
            raise WeightsError(f"{source}: metadata keys 'anchors' and 'normalisation' must hold numbers") from error
        grid.check(source)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or not all(map(math.isfinite, [*mean, *std])):
            raise WeightsError(f"{source}: metadata needs 3 means and 3 deviations, all finite, deviations above 0")
        return cls(classes=classes, grid=grid, mean=mean, std=std, source=source)

    def prepare(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Head.prepare`."""
        return np.asarray((batch - self._mean) / self._std, np.float32)

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], shape: tuple[int, ...], *, min_score: float, top_k: int
    ) -> list[Candidates]:
        """See `Head.decode`."""
        anchors = self._grid.boxes(*shape[2:])
        found = [(str(output.dtype), output.shape) for output in outputs]
        wide = (shape[0], len(anchors))
        if found != (expected := [("float32", (*wide, self._classes)), ("float32", (*wide, 4))]):
            raise InferenceError(
                f"{self._source}: expected logits and deltas of shapes {expected} for an input of {shape}, "
                f"the network answered {found}"
            )
        refuse_nonsense(outputs[0], outputs[1], self._source)
        return [
            decode_retinanet(logits, deltas, anchors, min_score=min_score, top_k=top_k)
            for logits, deltas in zip(outputs[0], outputs[1], strict=True)
        ]


def refuse_nonsense(logits: NDArray[np.float32], deltas: NDArray[np.float32], source: str) -> None:
    """Raise where a network, named by `source`, answered values that cannot be boxes.

    Args:
        logits: All of them, or the greatest absolute value.
        deltas: All of them, or the greatest absolute value.
        source: Named in the error.

    Raises:
        InferenceError: Some are not finite, or mean boxes absurdly far away.
    """
    refuse_infinite([logits, deltas], source)
    if np.abs(deltas).max() > _LARGEST_DELTA:
        raise InferenceError(f"{source}: the network answered boxes that lie {_LARGEST_DELTA:g} anchors away")


def _logit(score: float) -> float:
    if score <= 0:
        return -math.inf
    return math.inf if score >= 1 else math.log(score / (1 - score))


def _numbers(metadata: Mapping[str, str], key: str, fields: Sequence[str], source: str) -> dict[str, list[Any]]:
    value = read_literal(metadata, key, source)
    if not isinstance(value, dict) or not all(isinstance(value.get(field), list) and value[field] for field in fields):
        raise WeightsError(f"{source}: metadata key {key!r} must hold lists {', '.join(fields)}, found {value!r}")
    return value
