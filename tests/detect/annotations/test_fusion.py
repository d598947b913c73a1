from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detect import Detections
from detect.annotations.fusion import finds, fuse, weighted_box_fusion

Boxes = NDArray[np.float32]


def array(*values: object) -> Boxes:
    return np.array(values, np.float32)


def found(names: tuple[str, ...], *rows: tuple[list[float], float, str]) -> Detections:
    boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in rows], np.float32)
    return Detections(boxes, scores, np.array([names.index(label) for *_, label in rows], np.int64), names)


class TestWeightedBoxFusion:
    def test_two_boxes_by_hand(self) -> None:
        # IoU 90 / 110. Each edge is (.75 first + .25 second) / 1, the score (.75 + .25) / 2.
        xyxy = array([0, 0, 10, 10], [1, 0, 11, 10])
        boxes, scores, places = weighted_box_fusion(xyxy, array(0.75, 0.25), voters=2)
        np.testing.assert_allclose(boxes, [[0.25, 0, 10.25, 10]])
        assert scores.tolist() == [0.5]
        assert places.tolist() == [0, 0]

    def test_what_fewer_saw_counts_less(self) -> None:
        xyxy = array([0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 60, 60])
        boxes, scores, places = weighted_box_fusion(xyxy, array(0.75, 0.5, 0.5), voters=4)
        assert boxes.tolist() == [[50, 50, 60, 60], [0, 0, 10, 10]]  # .5 x 2 / 4 before .75 x 1 / 4
        assert scores.tolist() == [0.25, 0.1875]
        assert places.tolist() == [1, 0, 0]

    def test_more_boxes_than_voters_count_no_more(self) -> None:
        assert weighted_box_fusion(array(*[[0, 0, 9, 9]] * 3), array(0.5, 0.5, 0.5), voters=2)[1].tolist() == [0.5]

    def test_a_box_joins_the_fused_box_and_not_the_first(self) -> None:
        # The third overlaps the first by 70 / 130 = .538, and the mean of the first two, 1.25 .. 11.25, by .702.
        xyxy = array([0, 0, 10, 10], [2.5, 0, 12.5, 10], [3, 0, 13, 10])
        _, scores, _ = weighted_box_fusion(xyxy, array(0.5, 0.5, 0.5), voters=3)
        assert len(scores) == 1
        assert len(weighted_box_fusion(xyxy[[0, 2]], array(0.5, 0.5), voters=3)[1]) == 2

    def test_a_box_joins_what_it_overlaps_most(self) -> None:
        xyxy = array([0, 0, 10, 10], [4, 0, 14, 10], [3, 0, 13, 10])
        boxes, _, places = weighted_box_fusion(xyxy, array(0.9, 0.8, 0.7), voters=1, iou_threshold=0.5)
        assert places.tolist() == [0, 1, 1]
        np.testing.assert_allclose(boxes[1], [(4 * 0.8 + 3 * 0.7) / 1.5, 0, (14 * 0.8 + 13 * 0.7) / 1.5, 10], rtol=1e-6)

    def test_the_threshold_itself_is_too_little(self) -> None:
        xyxy = array([0, 0, 10, 10], [0, 0, 5, 10])
        assert len(weighted_box_fusion(xyxy, array(0.5, 0.5), voters=1, iou_threshold=0.5)[1]) == 2
        assert len(weighted_box_fusion(xyxy, array(0.5, 0.5), voters=1, iou_threshold=0.49)[1]) == 1

    def test_scores_of_nothing_fuse_too(self) -> None:
        boxes, scores, _ = weighted_box_fusion(array([0, 0, 10, 10], [1, 0, 11, 10]), array(0, 0), voters=2)
        np.testing.assert_allclose(boxes, [[0.5, 0, 10.5, 10]])
        assert scores.tolist() == [0]

    def test_no_boxes_and_no_voters(self) -> None:
        boxes, scores, places = weighted_box_fusion(np.empty((0, 4), np.float32), np.empty(0, np.float32), voters=1)
        assert (boxes.shape, scores.shape, places.shape) == ((0, 4), (0,), (0,))
        with pytest.raises(ValueError, match="voters must be at least 1, not 0"):
            weighted_box_fusion(boxes, scores, voters=0)

    boxes = st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2, st.integers(0, 8))

    @given(rows=st.lists(boxes, min_size=1, max_size=12), voters=st.integers(1, 4))
    def test_every_box_has_a_place_and_lies_about_it(self, rows: list[tuple[int, ...]], voters: int) -> None:
        xyxy = array(*[[x, y, x + w, y + h] for x, y, w, h, _ in rows])
        given_scores = array(*[score / 8 for *_, score in rows])
        boxes, scores, places = weighted_box_fusion(xyxy, given_scores, voters=voters)
        assert set(places.tolist()) == set(range(len(boxes)))
        assert (np.diff(scores) <= 0).all()
        for place, box in enumerate(boxes):
            members = xyxy[places == place]
            assert (members.min(axis=0) - 1e-4 <= box).all()
            assert (box <= members.max(axis=0) + 1e-4).all()
            share = min(len(members), voters) / voters
            assert scores[place] == pytest.approx(float(given_scores[places == place].mean()) * share, abs=1e-6)
        # The score of each is the same wherever the picture lies, and whoever is listed first among different scores.
        moved = weighted_box_fusion(xyxy + 64, given_scores, voters=voters)
        np.testing.assert_allclose(moved[0], boxes + 64, atol=1e-3)
        if len(set(given_scores.tolist())) == len(rows):
            np.testing.assert_allclose(weighted_box_fusion(xyxy[::-1], given_scores[::-1], voters=voters)[0], boxes)


class TestFuse:
    def test_boxes_say_who_saw_them(self) -> None:
        one = found(("ace", "king"), ([0, 0, 10, 10], 0.75, "ace"), ([50, 50, 60, 60], 0.5, "king"))
        two = found(("king", "ace"), ([0, 0, 10, 10], 0.25, "ace"))
        three = found(("queen",))
        first, second = fuse({"one": one, "two": two, "three": three})
        assert (first.label, first.xyxy, first.score) == ("ace", (0, 0, 10, 10), 0.5)
        assert first.votes == {"one": 0.75, "two": 0.25}  # the third knows no aces
        assert (second.label, second.score, second.votes) == ("king", 0.25, {"one": 0.5, "two": 0.0})

    def test_labels_are_never_fused_with_one_another(self) -> None:
        one = found(("FACE_FEMALE", "FEMALE_BREAST_EXPOSED"), ([0, 0, 9, 9], 0.9, "FACE_FEMALE"))
        two = found(("FACE_FEMALE", "FEMALE_BREAST_EXPOSED"), ([0, 0, 9, 9], 0.9, "FEMALE_BREAST_EXPOSED"))
        assert {box.label for box in fuse({"one": one, "two": two})} == {"FACE_FEMALE", "FEMALE_BREAST_EXPOSED"}

    def test_older_spellings_are_one_label(self) -> None:
        one = found(("EXPOSED_BELLY",), ([0, 0, 9, 9], 0.5, "EXPOSED_BELLY"))
        two = found(("BELLY_EXPOSED",), ([0, 0, 9, 9], 0.5, "BELLY_EXPOSED"))
        (box,) = fuse({"one": one, "two": two})
        assert (box.label, box.score) == ("BELLY_EXPOSED", 0.5)

    def test_a_face_is_a_womans_where_another_says_so(self) -> None:
        kinds = found(("FACE_FEMALE", "FACE_MALE"), ([0, 0, 10, 10], 0.5, "FACE_FEMALE"))
        faces = found(("FACE",), ([0, 0, 10, 10], 0.75, "FACE"), ([50, 50, 60, 60], 0.5, "FACE"))
        woman, other = fuse({"kinds": kinds, "faces": faces})
        assert (woman.label, woman.votes) == ("FACE_FEMALE", {"kinds": 0.5, "faces": 0.75})
        assert (other.label, other.score, other.votes) == ("FACE", 0.25, {"kinds": 0.0, "faces": 0.5})

    def test_a_face_is_a_womans_where_another_is_surer_of_that(self) -> None:
        kinds = found(
            ("FACE_FEMALE", "FACE_MALE"), ([0, 0, 10, 9], 0.8, "FACE_FEMALE"), ([0, 0, 10, 10], 0.125, "FACE_MALE")
        )
        faces = found(("FACE",), ([0, 0, 10, 10], 0.9, "FACE"))
        woman, man = fuse({"kinds": kinds, "faces": faces})
        assert (woman.label, [*woman.votes]) == ("FACE_FEMALE", ["kinds", "faces"])
        assert (man.label, man.votes) == ("FACE_MALE", {"kinds": 0.125, "faces": 0.0})

    def test_wanted_labels_take_their_kinds_and_leave_others(self) -> None:
        kinds = found(("FACE_FEMALE", "FACE_MALE", "ace"), ([0, 0, 9, 9], 0.5, "FACE_MALE"), ([0, 0, 9, 9], 0.9, "ace"))
        (box,) = fuse({"kinds": kinds}, names=("FACE",))
        assert (box.label, box.score) == ("FACE", 0.5)

    def test_no_boxes(self) -> None:
        assert fuse({"one": found(("ace",))}) == []


def test_who_could_have_a_box_there() -> None:
    assert finds("FACE", ("FACE",))
    assert finds("FACE", ("FACE_MALE", "FACE_FEMALE"))
    assert finds("FACE_FEMALE", ("FACE",))
    assert not finds("FACE", ("FACE_MALE",))
    assert not finds("ace", ("king", "FACE"))
