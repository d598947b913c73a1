"""What several detectors found in one picture, as one list of boxes that says who saw what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect.boxes import iou
from detect.detections import Detections
from detect.labels import KINDS, canonical, serves

__all__ = ["Fused", "finds", "fuse", "weighted_box_fusion"]

IOU = 0.55
"""Boxes of one label that overlap by more are one thing: the paper's best on COCO."""


@dataclass(frozen=True)
class Fused:
    """One thing that some detectors found.

    Attributes:
        label: As the class table spells it.
        xyxy: The mean of its boxes, weighted by their scores, in pixels.
        score: In [0, 1]: the mean of their scores, times the share of the detectors that saw it among those that could.
        votes: The best score that each detector gave it, 0 where it found nothing there; none of those that do not know
            the label.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    score: float
    votes: Mapping[str, float]


def weighted_box_fusion(
    xyxy: NDArray[np.float32], scores: NDArray[np.float32], *, voters: int, iou_threshold: float = IOU
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Fuse boxes of one label, whoever found them.

    The best box founds a cluster; each next one joins the cluster whose fused box it overlaps most, if by more than the
    threshold, or founds another. Unlike non-maximum suppression, every box moves the result.

    Args:
        xyxy: All boxes of all detectors, (N, 4).
        scores: Theirs, (N,).
        voters: How many detectors could have found such a box; at least 1.
        iou_threshold: In [0, 1].

    Returns:
        Boxes (M, 4) and scores (M,) of the clusters, best score first, and each given box's place among them, (N,).

    Raises:
        ValueError: `voters` is below 1.

    Source:
        Solovyev, Wang, Gabruseva 2021 (arXiv 1910.13302), section 3, with all detectors of one weight.
    """
    if voters < 1:
        raise ValueError(f"voters must be at least 1, not {voters}")
    clusters: list[list[int]] = []
    fused = np.empty((0, 4), np.float32)
    for row in np.argsort(-scores, kind="stable").tolist():
        overlaps = iou(xyxy[row : row + 1], fused)[0]
        best = int(overlaps.argmax()) if len(overlaps) else 0
        if len(overlaps) and overlaps[best] > iou_threshold:
            clusters[best].append(row)
            fused[best] = _mean_box(xyxy[clusters[best]], scores[clusters[best]])
        else:
            clusters.append([row])
            fused = np.concatenate([fused, xyxy[row : row + 1].astype(np.float32)])
    share = [np.mean(scores[rows], dtype=np.float64) * min(len(rows), voters) / voters for rows in clusters]
    order = np.argsort(-np.array(share, np.float64), kind="stable")
    places = np.empty(len(scores), np.int64)
    for place, cluster in enumerate(order.tolist()):
        places[clusters[cluster]] = place
    return fused[order], np.array(share, np.float32)[order], places


def finds(label: str, names: Collection[str]) -> bool:
    """Whether a detector with these names would have a box where a label is: it knows it, all its kinds, or less of it.

    A detector of ``FACE`` has a box where a woman's face is, and one of women's and men's faces where a face is.
    """
    return serves(label, names) or any(label in kinds and general in names for general, kinds in KINDS.items())


def fuse(
    found: Mapping[str, Detections], *, names: Sequence[str] | None = None, iou_threshold: float = IOU
) -> list[Fused]:
    """Fuse what several detectors found in one picture, label by label.

    A label that says less than another detector's (``FACE``, where that says ``FACE_FEMALE``) becomes that of the
    surest box that it overlaps by more than the threshold.

    Args:
        found: Each detector's boxes, by what the detector is called.
        names: The labels that are wanted, as the class table spells them; kinds of one count as it. None takes all.
        iou_threshold: In [0, 1]; boxes of one label that overlap by more are one thing.

    Returns:
        Best score first.
    """
    known = {who: tuple(canonical(name) for name in boxes.names) for who, boxes in found.items()}
    said = {who: _specified(who, found, known, iou_threshold) for who in found}
    who_of = np.array([at for at, who in enumerate(found) for _ in said[who]], np.int64)
    labels = np.array([_wanted(label, names) for who in found for label in said[who]], object)
    xyxy = np.concatenate([np.empty((0, 4), np.float32), *(boxes.xyxy for boxes in found.values())])
    scores = np.concatenate([np.empty(0, np.float32), *(boxes.scores for boxes in found.values())])
    fused = []
    for label in dict.fromkeys(label for label in labels if label is not None):
        rows = np.flatnonzero(labels == label)
        able = [who for who, own in known.items() if finds(label, own)]
        boxes, means, places = weighted_box_fusion(
            xyxy[rows], scores[rows], voters=len(able), iou_threshold=iou_threshold
        )
        for place, box in enumerate(boxes.tolist()):
            votes = dict.fromkeys(able, 0.0)
            for row in rows[places == place]:
                who = list(found)[who_of[row]]
                votes[who] = max(votes[who], float(scores[row]))
            fused.append(Fused(label, (box[0], box[1], box[2], box[3]), float(means[place]), votes))
    return sorted(fused, key=lambda one: -one.score)


def _mean_box(xyxy: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny)  # all of them may be 0
    return np.asarray(weights @ xyxy.astype(np.float64) / weights.sum(), np.float64)


def _specified(
    who: str, found: Mapping[str, Detections], known: Mapping[str, Sequence[str]], iou_threshold: float
) -> list[str]:
    """A detector's labels, row by row, those that say less than another detector's made the other's."""
    own = found[who]
    labels = [known[who][label] for label in own.labels]
    others = [
        (known[other][label], boxes.xyxy[row], float(boxes.scores[row]))
        for other, boxes in found.items()
        if other != who
        for row, label in enumerate(boxes.labels)
    ]
    for row, label in enumerate(labels):
        kinds = [each for each in others if each[0] in KINDS.get(label, ())]
        if kinds:
            overlaps = iou(own.xyxy[row : row + 1], np.stack([box for _, box, _ in kinds]))[0]
            there = [each for each, overlap in zip(kinds, overlaps, strict=True) if overlap > iou_threshold]
            # Not the nearest: one of a man's face and one of a woman's at the same place differ in nothing but this.
            labels[row] = max(there, key=lambda each: each[2], default=(label,))[0]
    return labels


def _wanted(label: str, names: Sequence[str] | None) -> str | None:
    """What a label counts as, None where nobody wants it."""
    if names is None or label in names:
        return label
    return next((name for name in names if label in KINDS.get(name, ())), None)
