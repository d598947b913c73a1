"""Split annotations into what is trained on and what is held back, so that the score means something.

Near-duplicates (frames of one film, a picture and its resized or mirrored copy) stay on one side: a detector that has
seen the twin of a test picture is not tested by it. Within that, each class is divided in the share asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.annotations.document import Document
from detect.duplicates import group_duplicates
from detect.errors import AnnotationsError

__all__ = ["split_document"]


def split_document(
    document: Document, *, images_dir: Path, held_back: float = 0.2, max_distance: int = 6, seed: int = 0
) -> tuple[Document, Document]:
    """Split a COCO document in two.

    Args:
        document: One that `detect.annotations.check.check_document` finds nothing wrong with.
        images_dir: Where the pictures are; each is decoded once.
        held_back: Share to hold back of each class and of the negatives, in (0, 1).
        max_distance: Pictures whose perceptual hashes differ in at most so many of 64 bits stay together.
        seed: Of the order in which equal choices are made, not below 0.

    Returns:
        What to train on and what is held back: images and annotations in their order, with their ids, and everything
        else of the document in both. Equal arguments give equal parts.

    Raises:
        AnnotationsError: All pictures are near-duplicates of one another.
        ReadError: A picture cannot be read.
        ImageError: A picture is refused, as production refuses it.
        ValueError: `held_back`, `max_distance` or `seed` is out of its range.
    """
    if not 0 < held_back < 1 or not 0 <= max_distance <= 64 or seed < 0:
        raise ValueError(
            f"need held_back in (0, 1), max_distance in [0, 64], seed >= 0: {held_back}, {max_distance}, {seed}"
        )
    images = document["images"]
    groups = group_duplicates([images_dir / image["file_name"] for image in images], max_distance=max_distance)
    counts = _counts(document, groups)
    back = _choose(counts, held_back=held_back, rng=np.random.default_rng(seed))[groups]
    if back.all() or not back.any():
        raise AnnotationsError(
            f"{images_dir}: {len(images)} pictures make {groups.max() + 1} groups of near-duplicates, too few for two "
            "sides; lower the distance, or hold back pictures of another origin"
        )
    return _part(document, ~back), _part(document, back)


def _counts(document: Document, groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """Boxes of each category, then negatives, then images, that each group holds."""
    column = {category["id"]: place for place, category in enumerate(document["categories"])}
    row = {image["id"]: int(group) for image, group in zip(document["images"], groups, strict=True)}
    counts = np.zeros((int(groups.max()) + 1, len(column) + 2))
    empty = dict(row)
    for annotation in document["annotations"]:
        counts[row[annotation["image_id"]], column[annotation["category_id"]]] += 1
        empty.pop(annotation["image_id"], None)
    for group in empty.values():
        counts[group, -2] += 1
    counts[:, -1] = np.bincount(groups)
    return counts


def _choose(counts: NDArray[np.float64], *, held_back: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which groups to hold back, so that little is missing or over of any class.

    Groups are taken in an order by chance, so that no kind of them is preferred, while that brings the classes nearer
    to their shares; then single groups change sides as long as that still does.
    """
    totals = counts.sum(axis=0)
    wanted, weight = held_back * totals, 1 / np.maximum(totals, 1)

    def misfit(held: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((weight * (held - wanted) ** 2).sum(axis=-1))

    back = np.zeros(len(counts), np.bool_)
    for group in rng.permutation(len(counts)):
        held = counts[back].sum(axis=0)
        back[group] = misfit(held + counts[group]) < misfit(held)
    while True:
        held = counts[back].sum(axis=0)
        changed = misfit(held + np.where(back, -1, 1)[:, None] * counts)
        best = int(np.argmin(changed))
        if changed[best] >= misfit(held) - 1e-9:
            return back
        back[best] = not back[best]


def _part(document: Document, kept: NDArray[np.bool_]) -> Document:
    images = [image for image, keep in zip(document["images"], kept, strict=True) if keep]
    ids = {image["id"] for image in images}
    annotations: list[dict[str, Any]] = [item for item in document["annotations"] if item["image_id"] in ids]
    return {**document, "images": images, "annotations": annotations}
