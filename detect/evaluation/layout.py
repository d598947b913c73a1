"""Pictures laid out on a plane, so that those lie close in which a network sees the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEED", "lay_out"]

SEED = 13
"""What the layout begins from where nobody says: the same pictures always make the same map."""

_AXES = 50
"""Of the features' own axes, so many of the widest are kept: less noise, and as much room as neighbours need."""

_FEWEST = 5
"""Below this many pictures there are no neighbourhoods to be kept."""


def lay_out(features: NDArray[np.float32], *, perplexity: float = 30.0, seed: int = SEED) -> NDArray[np.float64]:
    """Give each picture a place by t-SNE; needs the extra `analysis`.

    Args:
        features: (N, C), finite; their directions count, not their lengths.
        perplexity: About how many neighbours each keeps, above 0; never more than a third of the others.
        seed: The same gives the same layout on the same machine.

    Returns:
        float64, (N, 2) in [0, 1], x to the right and y downwards: the middle of what is laid out lies at a half, and
        the longer of its sides reaches from 0 to 1.

    Raises:
        ValueError: The features have another shape or are not finite, or the perplexity is not above 0.

    Source:
        van der Maaten and Hinton, Visualizing Data using t-SNE (JMLR 9, 2008). Kobak and Berens, The art of using t-SNE
        for single-cell transcriptomics (Nat. Commun. 10, 2019): the beginning from the two widest axes, which keeps
        what is far apart far apart. Cosines instead of distances, since brighter pictures have longer features.
    """
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ValueError(f"features must be finite and of shape (N, C), not {features.shape}")
    if not perplexity > 0:
        raise ValueError(f"perplexity must be above 0, not {perplexity}")
    axes = _widest(features)
    places = np.zeros((len(features), 2))
    wide = min(2, axes.shape[1])
    places[:, :wide] = axes[:, :wide]
    if len(features) >= _FEWEST and np.ptp(places) > 0:
        places = _neighbors_kept(axes, places, perplexity=min(perplexity, (len(features) - 1) / 3), seed=seed)
    return _in_unit_square(places)


def _widest(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features of length 1 along their own widest axes, the widest first; the sign of an axis is settled."""
    rows = features.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    if not rows.size:
        return rows[:, :0]
    rows -= rows.mean(axis=0)
    left, lengths, _ = np.linalg.svd(rows, full_matrices=False)
    axes: NDArray[np.float64] = (left * lengths)[:, :_AXES]
    farthest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    axes *= np.where(farthest < 0, -1, 1)
    axes[np.abs(axes) < 1e-9] = 0  # rounding is no direction
    return axes


def _neighbors_kept(
    axes: NDArray[np.float64], start: NDArray[np.float64], *, perplexity: float, seed: int
) -> NDArray[np.float64]:
    import openTSNE

    tsne = openTSNE.TSNE(
        perplexity=perplexity,
        initialization=start / start.std(axis=0)[0] * 1e-4,
        neighbors="exact",
        random_state=seed,
        n_jobs=1,  # sums in another order would end elsewhere
    )
    return np.asarray(tsne.fit(axes), np.float64)


def _in_unit_square(places: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    side = float((high - low).max()) or 1.0
    within: NDArray[np.float64] = (places - (low + high) / 2) / side + 0.5
    return within.clip(0, 1)
