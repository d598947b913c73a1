"""Box arithmetic: pure functions over ``xyxy`` arrays (see `detect.detections` for the coordinates)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["area", "clip", "iou", "merge", "nms", "overlap_of_smaller"]

Boxes = NDArray[np.float32]

_BLOCK = 64
"""Boxes that `nms` compares with all others at once: numpy takes longer to be asked than to compare one with many."""


def area(xyxy: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, shape (N,)."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def clip(xyxy: Boxes, *, width: int, height: int) -> Boxes:
    """Cut boxes to a picture, each edge by itself, so that a box across the border loses what lies outside and no more.

    A box wholly outside collapses onto the border, with no area.
    """
    limits = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(xyxy, 0, limits), np.float32)


def _intersection(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(high - low, 0, None)  # (N, M, 2)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every pair, shape (len(a), len(b)), in [0, 1]; 0 where both boxes are empty."""
    inter = _intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0), np.float32)


def overlap_of_smaller(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over the smaller box of every pair, in [0, 1]: 1 where one box lies inside the other."""
    inter = _intersection(a, b)
    smaller = np.minimum(area(a)[:, None], area(b)[None, :])
    return np.asarray(np.divide(inter, smaller, out=np.zeros_like(inter), where=smaller > 0), np.float32)


def nms(
    xyxy: Boxes, scores: NDArray[np.float32], labels: NDArray[np.int64], *, iou_threshold: float
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each label, so that a face never suppresses a breast.

    Args:
        xyxy: (N, 4).
        scores: (N,).
        labels: (N,).
        iou_threshold: A box is dropped when its IoU with a better one of its label is greater than this.

    Returns:
        Positions of the boxes kept, best score first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(order), bool)
    for label in sorted(set(labels.tolist())):
        waiting = order[labels[order] == label]
        while waiting.size:
            best, rest = waiting[:_BLOCK], waiting[_BLOCK:]
            best = best[_greedy(iou(xyxy[best], xyxy[best]) > iou_threshold)]
            kept[best] = True
            waiting = rest[~(iou(xyxy[best], xyxy[rest]) > iou_threshold).any(axis=0)]
    return order[kept[order]]


def _greedy(close: NDArray[np.bool_]) -> list[int]:
    """Rows that are kept when each, in turn, drops those after it that it is close to, (N, N)."""
    kept, dropped = [], np.zeros(len(close), bool)
    for row, others in enumerate(close):
        if not dropped[row]:
            kept.append(row)
            dropped |= others
    return kept


def merge(
    xyxy: Boxes, scores: NDArray[np.float32], labels: NDArray[np.int64], *, overlap_threshold: float
) -> tuple[Boxes, NDArray[np.float32], NDArray[np.int64]]:
    """Join boxes of one label that cover much of one another, as the halves that two tiles saw of one thing do.

    Unlike `nms` nothing is thrown away: the joined box encloses all its parts, so that what was seen stays hidden.
    Joining goes on until no two boxes of a label overlap by more than the threshold.

    Args:
        xyxy: (N, 4).
        scores: (N,).
        labels: (N,).
        overlap_threshold: Boxes are joined when their overlap, as a share of the smaller one, is greater than this.

    Returns:
        Boxes, scores (the best among the parts) and labels, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    xyxy, scores, labels = xyxy[order].copy(), scores[order], labels[order]
    row = 0
    while row < len(xyxy):
        others = np.arange(len(xyxy)) != row
        close = overlap_of_smaller(xyxy[row : row + 1], xyxy)[0] > overlap_threshold
        joined = others & close & (labels == labels[row])
        if not joined.any():
            row += 1
            continue
        joined[row] = True
        xyxy[row, :2] = xyxy[joined, :2].min(axis=0)
        xyxy[row, 2:] = xyxy[joined, 2:].max(axis=0)
        joined[row] = False
        xyxy, scores, labels = xyxy[~joined], scores[~joined], labels[~joined]
        row = 0  # a box that grew may now reach one that was passed over
    return xyxy, scores, labels
