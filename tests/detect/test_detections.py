# mypy: disable-error-code="arg-type, union-attr, index"
# It takes what can be made into arrays, and promises none; rows may have masks or not.
from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detect import Detections, Detector
from detect.detections import HasEngine, HasMinScore, HasSpareFactor

NAMES = ("ace", "king", "queen")


def three() -> Detections:
    return Detections(
        np.array([[0, 0, 2, 3], [-4, 1, 5, 1], [10, 20, 30, 40]], np.float32),
        np.array([0.25, 1, 0.5], np.float32),
        np.array([2, 0, 2]),
        NAMES,
    )


def test_it_holds_what_it_was_given() -> None:
    found = three()
    assert len(found) == 3
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (
        np.dtype("f4"),
        np.dtype("f4"),
        np.dtype("i8"),
    )
    assert found.xyxy.tolist() == [[0, 0, 2, 3], [-4, 1, 5, 1], [10, 20, 30, 40]]
    assert found.scores.tolist() == [0.25, 1, 0.5]
    assert [found.label(row) for row in range(3)] == ["queen", "ace", "queen"]


def test_lists_and_other_number_types_become_the_promised_arrays() -> None:
    found = Detections([[0, 0, 1, 1]], [1], np.array([1], np.uint8), ["ace", "king"])
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (
        np.dtype("f4"),
        np.dtype("f4"),
        np.dtype("i8"),
    )
    assert found.names == ("ace", "king")


@pytest.mark.parametrize("nothing", [[], np.empty(0, np.float32), np.empty((0, 4), np.float32)])
def test_no_boxes_have_the_shape_of_boxes(nothing: NDArray[np.float32] | list[Any]) -> None:
    found = Detections(nothing, [], [], NAMES)
    assert found.xyxy.shape == (0, 4)
    assert found.scores.shape == found.labels.shape == (0,)
    assert found == Detections.empty(list(NAMES))
    assert len(found) == 0


def test_it_keeps_copies() -> None:
    xyxy, scores, labels = np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64)
    found = Detections(xyxy, scores, labels, NAMES)
    xyxy += 1
    scores += 1
    labels += 1
    assert found.xyxy.tolist() == [[0, 0, 0, 0]]
    assert found.scores.tolist() == [0]
    assert found.labels.tolist() == [0]


@pytest.mark.parametrize("field", ["xyxy", "scores", "labels"])
def test_nothing_in_it_can_be_changed(field: str) -> None:
    found = three()
    with pytest.raises(ValueError, match="read-only"):
        getattr(found, field)[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(found, field, 0)


def test_rows_that_were_picked_cannot_be_changed_either() -> None:
    with pytest.raises(ValueError, match="read-only"):
        three()[1:].xyxy[0] = 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"xyxy": np.zeros((3, 5))}, r"xyxy must have shape \(N, 4\), not \(3, 5\)"),
        ({"xyxy": np.zeros(4)}, r"xyxy must have shape \(N, 4\), not \(4,\)"),
        ({"xyxy": np.zeros((3, 4, 1))}, r"not \(3, 4, 1\)"),
        ({"xyxy": np.zeros((2, 4))}, r"2 boxes need 2 scores and 2 labels, not \(3,\) and \(3,\)"),
        ({"scores": np.zeros(2)}, r"3 boxes need 3 scores and 3 labels, not \(2,\) and \(3,\)"),
        ({"scores": np.zeros((3, 1))}, r"not \(3, 1\) and \(3,\)"),
        ({"labels": np.zeros(4, int)}, r"not \(3,\) and \(4,\)"),
        ({"labels": 0}, r"not \(3,\) and \(\)"),
        ({"xyxy": [[0] * 4, [0, 0, np.nan, 0], [0] * 4]}, r"xyxy must be finite; row 1 is \[0.0, 0.0, nan, 0.0\]"),
        ({"xyxy": [[0] * 4, [0] * 4, [-np.inf, 0, 0, 0]]}, r"xyxy must be finite; row 2 is \[-inf"),
        ({"xyxy": [[0] * 4, [2, 0, 1, 0], [2, 0, 1, 0]]}, r"x0 <= x1 and y0 <= y1; row 1 is \[2.0, 0.0, 1.0, 0.0\]"),
        ({"xyxy": [[0, 3, 9, 2], [0] * 4, [0] * 4]}, r"x0 <= x1 and y0 <= y1; row 0 is \[0.0, 3.0, 9.0, 2.0\]"),
        ({"scores": [0, 0.5, 1.5]}, r"scores must lie in \[0, 1\]; row 2 is 1.5"),
        ({"scores": [-0.5, 0, 0]}, r"scores must lie in \[0, 1\]; row 0 is -0.5"),
        ({"scores": [0, np.nan, 0]}, r"scores must lie in \[0, 1\]; row 1 is nan"),
        ({"labels": [0, 1, 3]}, "labels must be positions among 3 names; row 2 is 3"),
        ({"labels": [-1, 1, 2]}, "labels must be positions among 3 names; row 0 is -1"),
        ({"names": ()}, "labels must be positions among 0 names; row 0 is 2"),
        ({"labels": [0.5, 1, 2]}, "labels must be whole numbers, not float64"),
        ({"labels": [np.nan, 1, 2]}, "labels must be whole numbers, not float64"),
        ({"labels": [True, False, True]}, "labels must be whole numbers, not bool"),
        ({"names": ("ace", "king", "ace")}, r"names must not repeat: \('ace', 'king', 'ace'\)"),
    ],
)
def test_what_breaks_the_contract_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(three(), **changed)


floats = st.floats(width=32, min_value=-3, max_value=3) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(st.integers(0, 4).flatmap(lambda n: st.tuples(
    arrays(np.float32, (n, 4), elements=floats),
    arrays(np.float32, (n,), elements=floats),
    arrays(np.int64, (n,), elements=st.integers(-1, 3)),
)))  # fmt: skip
def test_it_is_made_exactly_when_every_row_is_right(
    rows: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]],
) -> None:
    right = all(
        np.isfinite(box).all() and box[0] <= box[2] and box[1] <= box[3] and 0 <= score <= 1 and 0 <= label < 3
        for box, score, label in zip(*rows, strict=True)
    )
    if right:
        found = Detections(*rows, NAMES)
        assert np.array_equal(found.xyxy, rows[0])
        assert np.array_equal(found.scores, rows[1])
        assert np.array_equal(found.labels, rows[2])
    else:
        with pytest.raises(ValueError, match="row"):
            Detections(*rows, NAMES)


def test_equality_is_by_content() -> None:
    assert three() == three()
    assert three() == copy.deepcopy(three())
    assert three() != three()[::-1]
    assert three() != dataclasses.replace(three(), names=("ace", "king", "jack"))
    assert three() != dataclasses.replace(three(), scores=[0.25, 1, 0.75])
    assert three() != dataclasses.replace(three(), labels=[2, 1, 2])
    assert three() != dataclasses.replace(three(), xyxy=np.zeros((3, 4)))
    assert three() != "three"
    with pytest.raises(TypeError, match="unhashable"):
        hash(three())


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (np.array([True, False, True]), [0, 2]),
        (np.array([2, 0]), [2, 0]),
        (np.array([1, 1]), [1, 1]),
        (slice(1, None), [1, 2]),
        (slice(0, 0), []),
        (np.zeros(3, bool), []),
    ],
)
def test_rows_are_picked_in_the_order_asked_for(
    index: NDArray[np.bool_] | NDArray[np.int64] | slice, rows: list[Any]
) -> None:
    found, picked = three(), three()[index]
    assert picked.xyxy.tolist() == [found.xyxy[row].tolist() for row in rows]
    assert picked.scores.tolist() == [found.scores[row] for row in rows]
    assert picked.labels.tolist() == [found.labels[row] for row in rows]
    assert picked.names == NAMES


def test_sorting_puts_the_best_first_and_keeps_the_order_of_equals() -> None:
    found = Detections([[x, 0, x, 0] for x in range(5)], [0.5, 0.25, 1, 0.5, 1], [0] * 5, NAMES)
    assert found.by_score().xyxy[:, 0].tolist() == [2, 4, 0, 3, 1]
    assert Detections.empty(NAMES).by_score() == Detections.empty(NAMES)


def test_parts_are_joined_in_order() -> None:
    joined = Detections.concatenate([three()[2:], Detections.empty(NAMES), three()[:2]])
    assert joined == three()[np.array([2, 0, 1])]
    assert Detections.concatenate([three()]) == three()


def test_parts_with_other_names_or_no_parts_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="must share one tuple of names"):
        Detections.concatenate([three(), Detections.empty(("ace",))])
    with pytest.raises(ValueError, match="must share one tuple of names"):
        Detections.concatenate([])


@given(st.lists(st.integers(0, 2), max_size=6), st.data())
def test_what_is_cut_in_two_and_joined_is_whole(rows: list[Any], data: st.DataObject) -> None:
    found = three()[np.array(rows, np.intp)]
    cut = data.draw(st.integers(0, len(rows)))
    assert Detections.concatenate([found[:cut], found[cut:]]) == found


def test_anything_with_names_and_detect_is_a_detector(installed_detector: Detector) -> None:
    class Blind:
        names = NAMES

        def detect(self, images: Any) -> Any:
            return [Detections.empty(self.names) for _ in images]

    assert isinstance(Blind(), Detector)
    assert isinstance(installed_detector, Detector)
    assert not isinstance(three(), Detector)


# --- as users of supervision expect ---------------------------------------------------------------------------------


def tracked() -> Detections:
    masks = np.zeros((3, 4, 5), bool)
    masks[0, 0, 0] = masks[1, 1, 1] = masks[2, 2, 2] = True
    return three().replace(masks=masks, track_ids=[7, 8, 7])


def test_it_yields_what_supervision_yields() -> None:
    rows = list(three())
    assert [xyxy.tolist() for xyxy, *_ in rows] == three().xyxy.tolist()
    assert [(float(score), int(label), data) for _, _, score, label, _, data in rows] == [
        (0.25, 2, {"class_name": "queen"}), (1, 0, {"class_name": "ace"}), (0.5, 2, {"class_name": "queen"}),
    ]  # fmt: skip
    assert all(mask is None and track_id is None for _, mask, _, _, track_id, _ in rows)
    of_tracked = list(tracked())
    assert [np.argwhere(row[1]).tolist() for row in of_tracked] == [[[0, 0]], [[1, 1]], [[2, 2]]]
    assert [row[4] for row in of_tracked] == [7, 8, 7]
    assert list(Detections.empty(NAMES)) == []


@pytest.mark.parametrize(("index", "rows"), [
    (0, [0]), (-1, [2]), (np.int64(1), [1]), ([2, 0], [2, 0]), ([], []), ([True, False, True], [0, 2]),
    (slice(None, None, -1), [2, 1, 0]), (np.array([False, True, False]), [1]),
])  # fmt: skip
def test_all_of_a_row_is_picked(index: Any, rows: list[Any]) -> None:
    found, picked = tracked(), tracked()[index]
    assert isinstance(picked, Detections)
    assert picked.xyxy.tolist() == [found.xyxy[row].tolist() for row in rows]
    assert picked.track_ids.tolist() == [found.track_ids[row] for row in rows]
    assert picked.masks.shape == (len(rows), 4, 5)
    assert (picked.masks == found.masks[rows]).all()


@pytest.mark.parametrize("index", [3, -4, [0, 3], np.array([True, False])])
def test_rows_that_there_are_not_cannot_be_picked(index: NDArray[np.bool_] | int | list[int]) -> None:
    with pytest.raises(IndexError):
        three()[index]


def test_it_says_whether_it_is_empty() -> None:
    assert Detections.empty(NAMES).is_empty()
    assert not three().is_empty()
    assert three()[three().scores > 1].is_empty()


def test_replacing_checks_and_leaves_the_rest() -> None:
    found = tracked().replace(scores=[0, 0, 1])
    assert found.scores.tolist() == [0, 0, 1]
    assert found == dataclasses.replace(tracked(), scores=[0, 0, 1])
    assert found.replace(masks=None, track_ids=None, scores=three().scores) == three()
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\]"):
        three().replace(scores=[0, 0, 2])
    with pytest.raises(TypeError, match="score"):
        three().replace(score=[0, 0, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masks": np.zeros((3, 4), bool)}, r"3 boxes need masks of shape \(3, H, W\), not \(3, 4\)"),
        ({"masks": np.zeros((2, 4, 5), bool)}, r"not \(2, 4, 5\)"),
        ({"masks": np.ones((3, 4, 5))}, "masks must be bool, not float64"),
        ({"masks": np.ones((3, 4, 5), np.uint8)}, "masks must be bool, not uint8"),
        ({"track_ids": [1, 2]}, r"3 boxes need 3 track_ids, not \(2,\)"),
        ({"track_ids": [[1, 2, 3]]}, r"not \(1, 3\)"),
        ({"track_ids": [1, 2, 0.5]}, "track_ids must be whole numbers, not float64"),
    ],
)
def test_masks_and_track_ids_are_checked_like_the_rest(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        three().replace(**changed)


def test_masks_and_track_ids_are_copied_and_cannot_be_changed() -> None:
    masks, track_ids = np.zeros((3, 4, 5), bool), np.array([1, 2, 3], np.int32)
    found = three().replace(masks=masks, track_ids=track_ids)
    masks[:], track_ids[:] = True, 0
    assert not found.masks.any()
    assert found.track_ids.tolist() == [1, 2, 3]
    assert found.track_ids.dtype == np.int64
    for values in (found.masks, found.track_ids):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_masks_and_track_ids_count_for_equality() -> None:
    assert tracked() == tracked()
    assert tracked() != three()
    assert three() != tracked()
    assert tracked() != tracked().replace(track_ids=[7, 8, 9])
    assert tracked() != tracked().replace(masks=np.zeros((3, 4, 5), bool))


def test_masks_and_track_ids_are_joined_where_all_have_them() -> None:
    assert Detections.concatenate([tracked()[2:], Detections.empty(NAMES), tracked()[:2]]) == tracked()[[2, 0, 1]]
    with pytest.raises(ValueError, match="must all have masks of one size, or none"):
        Detections.concatenate([tracked(), three()])
    with pytest.raises(ValueError, match="must all have track_ids of one size, or none"):
        Detections.concatenate([tracked().replace(masks=None), three()])
    with pytest.raises(ValueError, match="must all have masks of one size, or none"):
        Detections.concatenate([tracked(), tracked().replace(masks=np.zeros((3, 9, 9), bool))])


def test_a_detector_may_say_more_of_itself(installed_detector: Detector) -> None:
    class Blind:
        names = NAMES

        def detect(self, images: Any) -> Any:
            return [Detections.empty(self.names) for _ in images]

    for more in (HasMinScore, HasSpareFactor, HasEngine):
        assert isinstance(installed_detector, more)
        assert not isinstance(Blind(), more)
