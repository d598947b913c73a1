"""Whether a map can be believed: what the score does where the map is hot, and whether two maps are alike."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.explain.target import GRAY, Heatmap, Score, batches

__all__ = ["Curve", "deletion", "hottest_share", "insertion", "random_heat", "rank_correlation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """The score as more and more of a picture changes, the hottest pixels first.

    Attributes:
        shares: Of the pixels that have changed, float64 (N,), from 0 to 1.
        scores: float64 (N,), in [0, 1].
    """

    shares: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Below the curve, by trapezoids, in [0, 1]."""
        return float(((self.scores[1:] + self.scores[:-1]) / 2 * np.diff(self.shares)).sum())


def deletion(
    image: RGBImage, heat: Heatmap, score: Score, *, steps: int = 16, fill: tuple[int, int, int] = GRAY
) -> Curve:
    """Hide a picture, its hottest pixels first: the smaller the area, the better the map knew what matters.

    Args:
        image: uint8 (H, W, 3).
        heat: (H, W).
        score: What the map explains.
        steps: Into how many the picture is cut.
        fill: RGB of what is hidden.

    Raises:
        ValueError: `steps` below 1, or a map of another size.

    Source:
        Petsiuk et al., RISE (arXiv:1806.07421), § 4.1.
    """
    hidden = np.empty_like(image)
    hidden[:] = fill
    return _curve(image, hidden, heat, score, steps)


def insertion(image: RGBImage, heat: Heatmap, score: Score, *, steps: int = 16) -> Curve:
    """Show a blurred picture sharp, its hottest pixels first: the larger the area, the better the map.

    Args:
        image: uint8 (H, W, 3).
        heat: (H, W).
        score: What the map explains.
        steps: Into how many the picture is cut.

    Raises:
        ValueError: `steps` below 1, or a map of another size.

    Source:
        Petsiuk et al., RISE (arXiv:1806.07421), § 4.1.
    """
    sigma = max(image.shape[:2]) / 16
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    return _curve(blurred, image, heat, score, steps)


def random_heat(height: int, width: int, *, block: int, seed: int = 0) -> Heatmap:
    """A map that knows nothing, in squares of so many pixels: what curves of others are to be held against."""
    rows, columns = -(-height // block), -(-width // block)
    coarse = np.random.default_rng(seed).random((rows, columns), np.float32)
    return np.kron(coarse, np.ones((block, block), np.float32))[:height, :width]


def hottest_share(heat: Heatmap, share: float) -> NDArray[np.bool_]:
    """The hottest pixels of a map: so large a share of all, rounded; of equals the upper left ones first."""
    picked = np.zeros(heat.size, np.bool_)
    picked[_order(heat)[: round(share * heat.size)]] = True
    return picked.reshape(heat.shape)


def rank_correlation(one: Heatmap, other: Heatmap) -> float:
    """Spearman's correlation of two maps, in [-1, 1]; 0 where one of them is flat.

    Raises:
        ValueError: They differ in size.
    """
    if one.shape != other.shape:
        raise ValueError(f"maps must be of one size, not {one.shape} and {other.shape}")
    ranks = [_mean_ranks(heat) for heat in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(heat: Heatmap) -> NDArray[np.float64]:
    """Each value's place in order; equals share the mean of theirs."""
    _, place, counts = np.unique(heat.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], np.float64)


def _order(heat: Heatmap) -> NDArray[np.intp]:
    return np.argsort(-heat.ravel(), kind="stable")


def _curve(start: RGBImage, end: RGBImage, heat: Heatmap, score: Score, steps: int) -> Curve:
    """From one picture to the other, pixel by pixel in order of heat."""
    if steps < 1 or heat.shape != start.shape[:2]:
        raise ValueError(f"need steps >= 1 and a map of {start.shape[:2]}, not {steps} and one of {heat.shape}")
    order = _order(heat)
    ends = [round(len(order) * step / steps) for step in range(steps + 1)]

    def view(count: int) -> RGBImage:
        mixed = start.reshape(-1, 3).copy()
        mixed[order[:count]] = end.reshape(-1, 3)[order[:count]]
        return mixed.reshape(start.shape)

    scores = np.concatenate([score(batch) for batch in batches(map(view, ends), 16)])
    return Curve(shares=np.array(ends) / len(order), scores=scores)
