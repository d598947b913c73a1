from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detect import boxes

THRESHOLDS = st.sampled_from([0.0, 0.2, 0.45, 0.5, 0.9, 1.0])


def xyxy_of(*rows: Any) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


@st.composite
def scenes(
    draw: Callable[..., Any], labels: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]] | None:
    """Boxes on a small grid, so that they touch, coincide, contain one another and are empty now and then."""
    side = st.integers(0, 8)
    rows = draw(st.lists(st.tuples(side, side, side, side, st.integers(0, 4), st.integers(0, labels - 1)), max_size=10))
    xyxy = xyxy_of(*((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d, _, _ in rows))
    return xyxy, np.array([row[4] / 4 for row in rows], np.float32), np.array([row[5] for row in rows], np.int64)


def cells(box: NDArray[np.float32] | tuple[int, int, int, int]) -> set[Any]:
    """The unit squares of a box with whole coordinates: areas by counting."""
    x0, y0, x1, y1 = (int(edge) for edge in box)
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def test_areas_are_width_times_height() -> None:
    found = boxes.area(xyxy_of([0, 0, 2, 3], [-1.5, -1, 1, 1], [4, 4, 4, 9]))
    assert found.tolist() == [6, 5, 0]
    assert found.dtype == np.float32
    assert boxes.area(xyxy_of()).shape == (0,)


def test_clipping_moves_only_the_edges_that_lie_outside() -> None:
    found = boxes.clip(
        xyxy_of([-5, 2, 4, 6], [3, -2, 15, 30], [1, 1, 2, 2], [-9, -9, -3, -3], [30, 5, 40, 6]), width=10, height=20
    )
    assert found.tolist() == [[0, 2, 4, 6], [3, 0, 10, 20], [1, 1, 2, 2], [0, 0, 0, 0], [10, 5, 10, 6]]
    assert found.dtype == np.float32


@given(scenes(), st.integers(1, 6), st.integers(1, 6), st.integers(-4, 4), st.integers(-4, 4))
def test_clipping_leaves_exactly_what_lies_in_the_picture(
    scene: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]], width: int, height: int, dx: int, dy: int
) -> None:
    moved = scene[0] + np.array([dx, dy, dx, dy], np.float32)
    picture = cells((0, 0, width, height))
    clipped = boxes.clip(moved, width=width, height=height)
    assert [cells(box) for box in clipped] == [cells(box) & picture for box in moved]
    assert np.array_equal(boxes.clip(clipped, width=width, height=height), clipped)


def test_clipping_leaves_its_argument_alone() -> None:
    given_boxes = xyxy_of([-5, -5, 50, 50])
    boxes.clip(given_boxes, width=10, height=10)
    assert given_boxes.tolist() == [[-5, -5, 50, 50]]


def test_iou_by_hand() -> None:
    a = xyxy_of([0, 0, 4, 4], [0, 0, 0, 0])
    b = xyxy_of([0, 0, 4, 4], [2, 0, 6, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 3, 3], [0, 0, 0, 0])
    found = boxes.iou(a, b)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[1, 8 / 24, 4 / 28, 0, 4 / 16, 0], [0] * 6]), abs=1e-7)
    assert boxes.iou(a, xyxy_of()).shape == (2, 0)
    assert boxes.iou(xyxy_of(), b).shape == (0, 6)


def test_overlap_of_smaller_by_hand() -> None:
    a = xyxy_of([0, 0, 4, 4], [1, 1, 1, 9])
    b = xyxy_of([0, 0, 4, 4], [2, 0, 6, 4], [1, 1, 3, 3], [3, 3, 5, 4], [5, 5, 9, 9], [-9, -9, 9, 9])
    found = boxes.overlap_of_smaller(a, b)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[1, 0.5, 1, 0.5, 0, 1], [0] * 6]), abs=1e-7)


@given(scenes())
def test_both_overlaps_are_what_counting_cells_gives(
    scene: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]],
) -> None:
    xyxy = scene[0]
    squares = [cells(box) for box in xyxy]
    iou = [[len(a & b) / len(a | b) if a | b else 0 for b in squares] for a in squares]
    of_smaller = [[len(a & b) / min(len(a), len(b)) if a and b else 0 for b in squares] for a in squares]
    assert boxes.iou(xyxy, xyxy) == pytest.approx(np.array(iou).reshape(len(xyxy), len(xyxy)), abs=1e-6)
    assert boxes.overlap_of_smaller(xyxy, xyxy) == pytest.approx(
        np.array(of_smaller).reshape(len(xyxy), len(xyxy)), abs=1e-6
    )


@given(st.lists(st.lists(st.floats(0, 1e4, width=32), min_size=4, max_size=4), min_size=1, max_size=6))
def test_overlaps_are_symmetric_and_lie_between_nothing_and_all(rows: list[list[float]]) -> None:
    xyxy = xyxy_of(*rows)
    xyxy = np.concatenate([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])], axis=1)
    for overlap in (boxes.iou(xyxy, xyxy), boxes.overlap_of_smaller(xyxy, xyxy)):
        assert np.array_equal(overlap, overlap.T)
        assert overlap.min() >= 0
        assert overlap.max() <= 1
        assert np.array_equal(np.diag(overlap) == 1, boxes.area(xyxy) > 0)


def test_nms_by_hand() -> None:
    xyxy = xyxy_of([0, 0, 4, 4], [0, 0, 4, 5], [0, 0, 4, 4], [4, 0, 8, 4], [0, 0, 4, 8])
    scores = np.array([0.5, 0.9, 0.4, 0.3, 0.2], np.float32)
    kept = boxes.nms(xyxy, scores, np.array([0, 0, 1, 0, 0]), iou_threshold=0.7)
    assert kept.tolist() == [1, 2, 3, 4]  # the first falls to the second (IoU .8), the last (IoU .625) stays


def test_nms_drops_a_box_only_above_the_threshold() -> None:
    xyxy, scores, labels = xyxy_of([0, 0, 4, 4], [0, 0, 4, 2]), np.array([1, 0.5], np.float32), np.zeros(2, np.int64)
    assert boxes.nms(xyxy, scores, labels, iou_threshold=0.5).tolist() == [0, 1]
    assert boxes.nms(xyxy, scores, labels, iou_threshold=0.49).tolist() == [0]


def test_nms_keeps_the_first_of_equals_and_answers_positions() -> None:
    xyxy = np.repeat(xyxy_of([0, 0, 4, 4]), 3, axis=0)
    kept = boxes.nms(xyxy, np.full(3, 0.5, np.float32), np.zeros(3, np.int64), iou_threshold=0.5)
    assert kept.tolist() == [0]
    nothing = boxes.nms(xyxy_of(), np.empty(0, np.float32), np.empty(0, np.int64), iou_threshold=0.5)
    assert nothing.dtype == np.intp
    assert nothing.shape == (0,)


def test_a_box_that_was_dropped_drops_no_other() -> None:
    xyxy = xyxy_of([0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10])
    kept = boxes.nms(xyxy, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64), iou_threshold=0.4)
    assert kept.tolist() == [0, 2]


@given(scenes(), THRESHOLDS)
def test_nms_keeps_rivals_apart_and_drops_only_for_a_better_rival(
    scene: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]], threshold: float
) -> None:
    xyxy, scores, labels = scene
    kept = boxes.nms(xyxy, scores, labels, iou_threshold=threshold)
    overlap = boxes.iou(xyxy, xyxy)
    assert len(set(kept.tolist())) == len(kept)
    assert np.array_equal(scores[kept], np.sort(scores[kept])[::-1])
    for row in range(len(xyxy)):
        rivals = [k for k in kept if labels[k] == labels[row] and overlap[k, row] > threshold and k != row]
        if row in kept:
            assert not rivals
        else:
            assert any(scores[k] >= scores[row] for k in rivals)
    for label in set(labels.tolist()):
        assert scores[kept][labels[kept] == label].max() == scores[labels == label].max()


@pytest.mark.parametrize("count", [64, 65, 128, 400])
def test_nms_of_crowds_is_that_of_one_box_after_the_other(count: int) -> None:
    """Many boxes are compared at once; those in one batch must drop those in all later ones."""
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 100, (count, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], axis=1).astype(np.float32)
    scores, labels = (rng.integers(0, 30, count) / 30).astype(np.float32), rng.integers(0, 2, count)
    expected, waiting = [], np.argsort(-scores, kind="stable")
    while waiting.size:
        best, rest = waiting[0], waiting[1:]
        expected.append(best)
        close = boxes.iou(xyxy[best : best + 1], xyxy[rest])[0] > 0.3
        waiting = rest[~(close & (labels[rest] == labels[best]))]
    assert 10 < len(expected) < count
    assert boxes.nms(xyxy, scores, labels, iou_threshold=0.3).tolist() == expected


@given(scenes(), THRESHOLDS)
def test_nms_treats_each_label_as_if_it_were_alone(
    scene: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]], threshold: float
) -> None:
    xyxy, scores, labels = scene
    kept = boxes.nms(xyxy, scores, labels, iou_threshold=threshold)
    for label in set(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        alone = boxes.nms(xyxy[rows], scores[rows], labels[rows], iou_threshold=threshold)
        assert rows[alone].tolist() == [k for k in kept if labels[k] == label]


def test_merge_joins_the_halves_of_one_thing() -> None:
    xyxy, scores, labels = boxes.merge(
        xyxy_of([0, 0, 6, 4], [3, 1, 9, 5], [20, 20, 30, 30], [0, 0, 6, 4]),
        np.array([0.25, 0.75, 0.5, 1.0], np.float32),
        np.array([0, 0, 0, 1]),
        overlap_threshold=0.3,
    )
    assert xyxy.tolist() == [[0, 0, 6, 4], [0, 0, 9, 5], [20, 20, 30, 30]]
    assert scores.tolist() == [1.0, 0.75, 0.5]
    assert labels.tolist() == [1, 0, 0]


def test_merge_joins_only_above_the_threshold() -> None:
    halves = xyxy_of([0, 0, 4, 4], [2, 0, 6, 4]), np.array([1, 0.5], np.float32), np.zeros(2, np.int64)
    assert len(boxes.merge(*halves, overlap_threshold=0.5)[0]) == 2
    assert boxes.merge(*halves, overlap_threshold=0.49)[0].tolist() == [[0, 0, 6, 4]]


def test_merge_looks_again_with_a_box_that_grew() -> None:
    # The best box reaches the third only once it has taken in the second, and then the one that was passed over.
    xyxy = xyxy_of([20, 0, 30, 10], [0, 0, 10, 10], [8, 0, 18, 10], [16, 0, 26, 10])
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    joined, best, _ = boxes.merge(xyxy, scores, np.zeros(4, np.int64), overlap_threshold=0.15)
    assert joined.tolist() == [[0, 0, 30, 10]]
    assert best.tolist() == scores[:1].tolist()


def test_merge_leaves_its_arguments_alone() -> None:
    xyxy, scores, labels = xyxy_of([0, 0, 4, 4], [0, 0, 8, 8]), np.array([0.5, 1], np.float32), np.zeros(2, np.int64)
    boxes.merge(xyxy, scores, labels, overlap_threshold=0.5)
    assert xyxy.tolist() == [[0, 0, 4, 4], [0, 0, 8, 8]]
    assert scores.tolist() == [0.5, 1]


@given(scenes(), THRESHOLDS)
def test_merge_covers_everything_and_leaves_nothing_to_join(
    scene: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]], threshold: float
) -> None:
    xyxy, scores, labels = scene
    joined, best, kinds = boxes.merge(xyxy, scores, labels, overlap_threshold=threshold)
    assert np.array_equal(best, np.sort(best)[::-1])
    for box, score, label in zip(xyxy, scores, labels, strict=True):
        around = (joined[:, :2] <= box[:2]).all(axis=1) & (joined[:, 2:] >= box[2:]).all(axis=1) & (kinds == label)
        assert (around & (best >= score)).any()
    for label in set(labels.tolist()):
        same = joined[kinds == label]
        overlap = boxes.overlap_of_smaller(same, same) - np.eye(len(same), dtype=np.float32)
        assert (overlap <= threshold).all()
        assert best[kinds == label].max() == scores[labels == label].max()
        # Nothing is invented: every edge is an edge of a part.
        for side in range(4):
            assert set(same[:, side].tolist()) <= set(xyxy[labels == label, side].tolist())
    again = boxes.merge(joined, best, kinds, overlap_threshold=threshold)
    assert np.array_equal(again[0], joined)
    assert np.array_equal(again[1], best)
    assert np.array_equal(again[2], kinds)
