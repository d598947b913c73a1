from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detect.runtime.head import Candidates
from detect.runtime.yolo import decode_yolov8

# Three anchors, two classes: rows are centre x, centre y, width, height, and a score for each class.
HEAD = np.array(
    [
        [10, 50, 30],
        [20, 60, 30],
        [4, 10, 0],
        [6, 20, 0],
        [0.9, 0.1, 0.3],
        [0.5, 0.7, 0.04],
    ],
    np.float32,
)


def rows(found: Candidates) -> list[tuple[float, ...]]:
    return [
        (*map(float, box), round(float(score), 4), int(label)) for box, score, label in zip(*found, strict=True)
    ]  # fmt: skip


def test_a_head_is_read_by_hand() -> None:
    found = decode_yolov8(HEAD, min_score=0.3, top_k=100)
    assert rows(found) == [
        (8, 17, 12, 23, 0.9, 0),
        (45, 50, 55, 70, 0.7, 1),
        (8, 17, 12, 23, 0.5, 1),  # the first anchor once more: it may be both
        (30, 30, 30, 30, 0.3, 0),
    ]
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (
        np.dtype("f4"),
        np.dtype("f4"),
        np.dtype("i8"),
    )


def test_a_score_at_the_threshold_counts() -> None:
    assert decode_yolov8(HEAD, min_score=0.7, top_k=9).scores == pytest.approx([0.9, 0.7])
    assert decode_yolov8(HEAD, min_score=np.nextafter(np.float32(0.7), 1), top_k=9).scores == pytest.approx([0.9])


def test_only_the_best_are_kept() -> None:
    assert decode_yolov8(HEAD, min_score=0, top_k=2).scores == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize("head", [HEAD[:, :0], np.zeros((6, 3), np.float32), HEAD[:4]])
def test_nothing_found_has_the_shape_of_boxes(head: NDArray[np.float32]) -> None:
    found = decode_yolov8(head, min_score=0.05, top_k=10)
    assert found.xyxy.shape == (0, 4)
    assert found.scores.shape == found.labels.shape == (0,)
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (
        np.dtype("f4"),
        np.dtype("f4"),
        np.dtype("i8"),
    )


def test_equal_scores_keep_the_order_of_labels_then_anchors() -> None:
    head = np.zeros((6, 2), np.float32)
    head[0], head[4:] = [10, 20], 0.5
    assert rows(decode_yolov8(head, min_score=0.5, top_k=3)) == [
        (10, 0, 10, 0, 0.5, 0),
        (20, 0, 20, 0, 0.5, 0),
        (10, 0, 10, 0, 0.5, 1),
    ]


@given(
    arrays(np.float32, st.tuples(st.integers(5, 8), st.integers(0, 7)), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
    st.integers(1, 60),
)
def test_all_pairs_at_or_above_the_threshold_come_best_first(
    head: NDArray[np.float32], min_score: float, top_k: int
) -> None:
    found = decode_yolov8(head, min_score=min_score, top_k=top_k)
    wanted = sorted((float(s) for s in head[4:].ravel() if s >= np.float32(min_score)), reverse=True)
    assert found.scores.tolist() == wanted[:top_k]
    for box, score, label in zip(*found, strict=True):
        center, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        near = np.abs(head[:4].T - [*center, *size]).max(axis=1) < 1e-5
        assert score in head[4 + label, near]
