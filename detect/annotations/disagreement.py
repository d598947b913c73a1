"""How much several models disagree about a picture: where a person's look teaches most."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from detect.annotations.fusion import Fused, finds

__all__ = ["NSFW_LABELS", "disagreement", "divergence"]

NSFW_LABELS = (
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_EXPOSED",
)
"""What makes a picture NSFW to a classifier, as far as a detector can see it."""

_WHOLE = "the whole picture"


def divergence(votes: Sequence[float]) -> float:
    """How far apart some judges are, each of whom says how likely one thing is.

    Args:
        votes: Probabilities, each in [0, 1]; at least one.

    Returns:
        In [0, 1] bit: 0 where all say the same, 1 where one half is certain of it and the other of the opposite.

    Source:
        The Jensen-Shannon divergence of their answers (Lin 1991), which is what a committee's choice between two would
        tell: Houlsby et al. 2011 (arXiv 1112.5745), equation 2.
    """
    mean = math.fsum(votes) / len(votes)
    return max(0.0, _entropy(mean) - math.fsum(_entropy(vote) for vote in votes) / len(votes))


def disagreement(
    boxes: Iterable[Fused],
    classified: Mapping[str, float],
    *,
    detectors: Mapping[str, Collection[str]],
) -> tuple[float, str]:
    """The most that the models disagree about one thing in a picture, and what that is.

    Looked at are every box, as far as more than one detector could have found it; and the picture as a whole, of which
    each classifier gives its probability of NSFW, and each detector the best score that it has for `NSFW_LABELS`.

    Args:
        boxes: What the detectors found, fused.
        classified: Each classifier's probability of NSFW, by its name.
        detectors: Each detector's labels, as the class table spells them, by its name.

    Returns:
        The largest `divergence`, and in words what the models say of that place; 0 and no words where none disagree.
    """
    boxes = list(boxes)
    questions = [(f"{box.label} at {', '.join(f'{edge:.0f}' for edge in box.xyxy)}", box.votes) for box in boxes]
    if classified:
        best = {name: 0.0 for name, names in detectors.items() if any(finds(label, names) for label in NSFW_LABELS)}
        for box in boxes:
            if box.label in NSFW_LABELS:
                for name in best.keys() & box.votes.keys():
                    best[name] = max(best[name], box.votes[name])
        questions.append((_WHOLE, {**classified, **best}))
    worst, why = 0.0, ""
    for what, votes in questions:
        if len(votes) > 1 and (apart := divergence(list(votes.values()))) > worst:
            worst, why = apart, f"{what}: {', '.join(f'{name} {vote:.2f}' for name, vote in votes.items())}"
    return worst, why


def _entropy(probability: float) -> float:
    """Of a choice between two, in bits."""
    return -math.fsum(part * math.log2(part) for part in (probability, 1 - probability) if part > 0)
