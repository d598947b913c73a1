"""Patches that look alike: what pictures have in common where a network sees most."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.explain.target import Heatmap

__all__ = ["features_of", "hottest_patch", "k_means"]

_CELLS = 4
_ROUNDS = 50


def hottest_patch(heat: Heatmap, side: int) -> tuple[int, int, int, int]:
    """The square of so many pixels that holds most heat, wholly in the picture: top, left, bottom, right.

    Raises:
        ValueError: `side` is not in 1..the map's shorter side.
    """
    height, width = heat.shape
    if not 1 <= side <= min(height, width):
        raise ValueError(f"side must lie in 1..{min(height, width)}, not {side}")
    sums = cv2.integral(heat.astype(np.float64))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = divmod(int(inside.argmax()), inside.shape[1])
    return top, left, top + side, left + side


def features_of(patch: RGBImage) -> NDArray[np.float32]:
    """What a patch looks like, roughly: the means of lightness and colors in 4 x 4 cells, float32 (48,)."""
    lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(cv2.resize(lab, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32).ravel()


def k_means(points: NDArray[np.float32], count: int, *, within: float = 0, seed: int = 0) -> NDArray[np.int64]:
    """Put points into clusters around means.

    Args:
        points: (N, D), at least one.
        count: Clusters at most.
        within: No more of them than it takes for every point to lie so near a point that a mean began at.
        seed: Of the point to begin with; each further mean begins at the point that is farthest from all.

    Returns:
        Each point's cluster, int64 (N,): 0 is the largest, and so on.

    Raises:
        ValueError: No points, or `count` below 1.
    """
    if len(points) < 1 or count < 1:
        raise ValueError(f"need at least one point and one cluster, not {len(points)} and {count}")
    means = points[[int(np.random.default_rng(seed).integers(len(points)))]]
    while len(means) < count:
        gaps = _distances(points, means).min(axis=1)
        if gaps.max() <= within:  # of 0: no more points than that differ
            break
        means = np.concatenate([means, points[[gaps.argmax()]]])
    nearest = _distances(points, means).argmin(axis=1)
    for _ in range(_ROUNDS):
        means = np.stack([points[nearest == each].mean(axis=0) for each in np.unique(nearest)])
        moved = _distances(points, means).argmin(axis=1)
        if np.array_equal(moved, nearest):
            break
        nearest = moved
    kinds, sizes = np.unique(nearest, return_counts=True)
    place = np.empty(kinds.max() + 1, np.int64)
    place[kinds[np.argsort(-sizes, kind="stable")]] = np.arange(len(kinds))
    return np.asarray(place[nearest], np.int64)


def _distances(points: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(points[:, None] - means[None], axis=2), np.float32)
