"""Which parts of a picture a score comes from, found by hiding all but a window, and by hiding a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.errors import ExplanationError
from detect.explain.target import GRAY, Heatmap, Score, batches

__all__ = ["Occlusion", "default_window", "occlusion"]

_SHARE = 64 / 224
"""A window's side, as a share of the picture's shorter one, that of a network of 224 pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Occlusion:
    """Both maps, as far as they have come.

    Attributes:
        shown: The score of a picture of which only a window is shown, averaged over all windows that show the pixel.
        hidden: 1 less the score of a picture of which a window is hidden, averaged over all windows that hide the
            pixel.
        score: Of the picture as it is.
        window: Side of the square windows, in pixels.
        stride: Steps between them.
        looks: How many pictures the network has been shown so far.
        total: How many it will have been shown for the last map.
    """

    shown: Heatmap
    hidden: Heatmap
    score: float
    window: int
    stride: int
    looks: int
    total: int


def default_window(height: int, width: int) -> tuple[int, int]:
    """Window and stride, in pixels, for a picture of so many rows and columns: steps of a quarter of a window."""
    window = max(1, round(min(height, width) * _SHARE))
    return window, max(1, window // 4)


def occlusion(
    image: RGBImage,
    score: Score,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: tuple[int, int, int] = GRAY,
    batch_size: int = 16,
) -> Iterator[Occlusion]:
    """Hide all but a window, and hide a window, at every place of a grid.

    Coarse to fine: the first maps come after steps of about a window, each later one with steps of half those before,
    all of whose looks it keeps. The last has the steps that were asked for, as if they had been taken at once.

    Args:
        image: uint8 (H, W, 3).
        score: What is explained.
        window: Side of the square, in pixels; by default that of `default_window`.
        stride: Steps in pixels, at most `window`; by default a quarter of it.
        fill: RGB of what is not shown.
        batch_size: Pictures that are shown to the network at once.

    Returns:
        Maps as they become finer, at least one.

    Raises:
        ExplanationError: The picture is smaller than a window.
        ValueError: `window` or `batch_size` below 1, or `stride` not in 1..window: pixels would be left out.

    Source:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (arXiv:1311.2901), § 4.2. They hide a
        window; that all else is hidden, and both are averaged over windows that overlap, is from work on NSFW
        classifiers after them.
    """
    height, width = image.shape[:2]
    window = default_window(height, width)[0] if window is None else window
    if window < 1 or batch_size < 1:
        raise ValueError(f"need window and batch_size of at least 1, not {window} and {batch_size}")
    stride = max(1, window // 4) if stride is None else stride
    if not 1 <= stride <= window:
        raise ValueError(f"stride must lie in 1..{window}, a window's side, not {stride}")
    if min(height, width) < window:
        raise ExplanationError(f"a picture of {width} x {height} pixels is smaller than a window of {window}")
    return _refine(image, score, window=window, stride=stride, fill=fill, batch_size=batch_size)


def _refine(
    image: RGBImage, score: Score, *, window: int, stride: int, fill: tuple[int, int, int], batch_size: int
) -> Iterator[Occlusion]:
    height, width = image.shape[:2]
    whole = float(score([image])[0])
    sums = np.zeros((2, height, width))
    counts = np.zeros((height, width))
    total = 1 + 2 * len(_corners(height, width, window, stride))
    seen: dict[tuple[int, int], None] = {}
    step = stride
    while 2 * step <= window:
        step *= 2
    while step >= stride:
        new = [corner for corner in _corners(height, width, window, step) if corner not in seen]
        seen |= dict.fromkeys(new)
        answers = [score(batch) for batch in batches(_views(image, new, window, fill), batch_size)]
        values = np.concatenate([np.empty(0), *answers]).reshape(-1, 2)
        for (top, left), (shown, hidden) in zip(new, values, strict=True):
            rows, columns = slice(top, top + window), slice(left, left + window)
            sums[0, rows, columns] += shown
            sums[1, rows, columns] += 1 - hidden
            counts[rows, columns] += 1
        maps = (sums / counts).astype(np.float32)
        yield Occlusion(
            shown=maps[0], hidden=maps[1], score=whole, window=window, stride=step, looks=1 + 2 * len(seen), total=total
        )
        step //= 2


def _corners(height: int, width: int, window: int, step: int) -> list[tuple[int, int]]:
    """Top and left of all windows: every step, and at the far edges, so that no pixel is left out."""
    tops, lefts = ([*range(0, side - window, step), side - window] for side in (height, width))
    return [(top, left) for top in tops for left in lefts]


def _views(
    image: RGBImage, corners: list[tuple[int, int]], window: int, fill: tuple[int, int, int]
) -> Iterator[NDArray[np.uint8]]:
    """For each window, the picture of which nothing else is shown, and the one that lacks it."""
    for top, left in corners:
        place = np.s_[top : top + window, left : left + window]
        alone = np.empty_like(image)
        alone[:] = fill
        alone[place] = image[place]
        yield alone
        without = image.copy()
        without[place] = fill
        yield without
