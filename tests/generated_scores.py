"""Scores that tests measure: seeded, with ties and weights where asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from detect.evaluation.scored import Scored


def drawn(seed: int, count: int = 200, *, decimals: int | None = None, weighted: bool = False) -> Scored:
    """Scores in [0, 1], positives higher on the whole; few decimals make ties."""
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < 0.4
    labels[:2] = (True, False)
    scores = 1 / (1 + np.exp(-rng.normal(np.where(labels, 1.0, -1.0), 1.5)))
    weights = rng.choice([0.0, 0.5, 1.0, 3.25], count) if weighted else np.ones(count)
    weights[:2] = 1
    return Scored(labels, scores if decimals is None else scores.round(decimals), weights=weights)


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Few pictures with whatever ties, weights and orders make trouble."""
    count = draw(st.integers(2, 12))
    rows = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 6), st.sampled_from([0.0, 0.25, 1.0, 7.5])),
            min_size=count,
            max_size=count,
        )
    )
    labels, scores, weights = (list(column) for column in zip(*rows, strict=True))
    return Scored(
        [True, False, *labels], [draw(st.integers(0, 6)) / 6, 0.5, *(s / 6 for s in scores)], weights=[1, 1, *weights]
    )
