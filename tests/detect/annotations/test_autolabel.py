from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from detect import Detections
from detect.annotations import check_document
from detect.annotations.autolabel import CANDIDATE, autolabel, hot_candidates
from detect.annotations.fusion import Fused
from detect.classifier.scores import Scores
from detect.errors import AnnotationsError


class Fixed:
    """Answers the same boxes for every picture, and keeps what it was shown."""

    names = ("ace", "EXPOSED_BELLY")

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.shapes += [image.shape for image in images]
        boxes = [[-3, -3, 5, 5.004], [1, 2, 3, 4], [100, 100, 110, 110], [0, 0, 9, 9]]
        found = Detections(np.array(boxes), np.array([0.5, 0.91239, 0.9, 0.1]), np.array([0, 1, 0, 0]), self.names)
        return [found for _ in images]


def test_boxes_are_cut_and_ordered_and_have_scores(pictures: Path) -> None:
    detector = Fixed()
    document, failures = autolabel(pictures, {"one": detector})
    assert failures == []
    assert detector.shapes == [(30, 40, 3), (8, 8, 3), (50, 20, 3)]
    assert document["categories"] == [{"id": 1, "name": "ace"}, {"id": 2, "name": "BELLY_EXPOSED"}]
    assert [image["file_name"] for image in document["images"]] == ["a.png", "empty.png", "sub/b.jpg"]
    assert document["annotations"][:2] == [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 2, 2], "area": 4, "score": 0.9124, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "score": 0.5, "iscrowd": 0},
    ]
    assert len(document["annotations"]) == 6  # the third box lies outside, the fourth is below the score
    assert check_document(document, file="c.json", images_dir=pictures) == []


def test_names_choose_labels_and_their_ids(pictures: Path) -> None:
    document, _ = autolabel(pictures, {"one": Fixed()}, names=("BELLY_EXPOSED",), min_score=0)
    assert document["categories"] == [{"id": 1, "name": "BELLY_EXPOSED"}]
    assert {item["category_id"] for item in document["annotations"]} == {1}
    with pytest.raises(AnnotationsError, match="does not know queen; it knows ace, BELLY_EXPOSED"):
        autolabel(pictures, {"one": Fixed()}, names=("queen", "ace"))


def test_a_picture_that_cannot_be_decoded_is_named_and_the_rest_goes_on(pictures: Path) -> None:
    (pictures / "a.png").write_text("text")
    document, failures = autolabel(pictures, {"one": Fixed()})
    assert [image["id"] for image in document["images"]] == [1, 2]
    assert len(failures) == 1
    assert "a.png: not a picture" in failures[0]


def test_no_picture_at_all(pictures: Path, tmp_path: Path) -> None:
    for path in pictures.rglob("*.*"):
        path.write_text("text")
    with pytest.raises(AnnotationsError, match=r"no picture could be decoded; the first: .*a\.png"):
        autolabel(pictures, {"one": Fixed()})


def test_a_score_out_of_range_is_misuse(pictures: Path) -> None:
    with pytest.raises(ValueError, match="min_score must lie in"):
        autolabel(pictures, {"one": Fixed()}, min_score=1.1)


def test_no_detector_is_misuse(pictures: Path) -> None:
    with pytest.raises(ValueError, match="there must be a detector"):
        autolabel(pictures, {})


class Breasts:
    """Finds a breast in the same place of each picture that is wider than high, with one score or another."""

    names = ("FEMALE_BREAST_EXPOSED",)

    def __init__(self, score: float, *, shift: int = 0) -> None:
        self.score, self.shift = score, shift

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        box, score, label = np.array([[2, 2, 22, 12]]) + self.shift, np.array([self.score]), np.array([0])
        wide = [image.shape[1] > image.shape[0] for image in images]
        return [Detections(box, score, label, self.names) if each else Detections.empty(self.names) for each in wide]


class Eye:
    """Finds every picture NSFW, with one hot cell."""

    name, names = "eye", ("sfw", "nsfw")

    def __init__(self, probability: float, heat: list[list[float]] | None = None) -> None:
        self.scores = said(probability, heat)

    def classify(self, images: Sequence[NDArray[np.uint8]], *, heat: bool = False) -> list[Scores]:
        assert heat
        return [self.scores for _ in images]


def said(probability: float, heat: list[list[float]] | None) -> Scores:
    values = np.array([1 - probability, probability], np.float32)
    return Scores(values, ("sfw", "nsfw"), ("nsfw",), None if heat is None else np.array(heat, np.float32))


def test_several_detectors_are_fused_and_what_they_disagree_about_comes_first(pictures: Path) -> None:
    (pictures / "a.png").rename(pictures / "z.png")  # the one that is wider than high, last by its name
    document, _ = autolabel(pictures, {"one": Breasts(0.75), "two": Breasts(0.25, shift=0)})
    first, *others = document["images"]
    assert first == {
        "id": 1, "file_name": "z.png", "width": 40, "height": 30, "disagreement": 0.1887,
        "reason": "FEMALE_BREAST_EXPOSED at 2, 2, 22, 12: one 0.75, two 0.25",
    }  # fmt: skip
    assert [(each["file_name"], each["disagreement"], each["reason"]) for each in others] == [
        ("empty.png", 0, ""), ("sub/b.jpg", 0, ""),
    ]  # fmt: skip
    assert document["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 20, 10], "area": 200, "score": 0.5,
         "votes": {"one": 0.75, "two": 0.25}, "iscrowd": 0},
    ]  # fmt: skip
    assert check_document(document, file="c.json", images_dir=pictures) == []


def test_a_box_that_one_detector_is_sure_of_is_kept_whatever_the_others_say(pictures: Path) -> None:
    document, _ = autolabel(pictures, {"one": Breasts(0.5), "two": Breasts(0.5, shift=12)}, min_score=0.5)
    assert [each["score"] for each in document["annotations"]] == [0.25, 0.25]
    assert autolabel(pictures, {"one": Breasts(0.5), "two": Breasts(0.5)}, min_score=0.51)[0]["annotations"] == []


def test_what_classifiers_alone_see_is_a_candidate(pictures: Path) -> None:
    hot = [[0.1, 0.1], [0.1, 0.9]]
    document, _ = autolabel(pictures, {"one": Breasts(0.5)}, classifiers=[Eye(0.75, hot)])
    assert [each["name"] for each in document["categories"]] == ["FEMALE_BREAST_EXPOSED", CANDIDATE]
    found = [(each["image_id"], each["category_id"], each["bbox"]) for each in document["annotations"]]
    assert found == [(1, 2, [4, 4, 4, 4]), (2, 2, [10, 25, 10, 25]), (3, 1, [2, 2, 20, 10]), (3, 2, [20, 15, 20, 15])]
    assert document["images"][0]["reason"] == "the whole picture: eye 0.75, one 0.00"
    assert document["images"][2]["reason"] == "the whole picture: eye 0.75, one 0.50"
    assert check_document(document, file="c.json", images_dir=pictures) == []
    named, _ = autolabel(pictures, {"one": Breasts(0.5)}, classifiers=[Eye(0.75, hot)], names=["FEMALE_BREAST_EXPOSED"])
    assert named["categories"] == document["categories"]


def test_nobody_suspects_and_nobody_says_where(pictures: Path) -> None:
    for eye in (Eye(0.49, [[0.9]]), Eye(0.9)):
        document, _ = autolabel(pictures, {"one": Breasts(0.5)}, classifiers=[eye])
        assert [each["name"] for each in document["categories"]] == ["FEMALE_BREAST_EXPOSED"]
        assert len(document["annotations"]) == 1


class TestHotCandidates:
    HOT: ClassVar = [[0.9, 0.6, 0.1, 0.1], [0.1, 0.1, 0.1, 0.5]]

    def candidates(self, *explained: Fused, **classified: Scores) -> list[tuple[float, ...]]:
        found = hot_candidates(classified, explained, width=40, height=20)
        assert all(each.label == CANDIDATE for each in found)
        return [(*each.xyxy, each.score) for each in found]

    def test_connected_cells_are_one_region(self) -> None:
        assert self.candidates(eye=said(0.5, self.HOT)) == [(0, 0, 20, 10, 0.5), (30, 10, 40, 20, 0.5)]

    def test_a_box_over_the_hottest_cell_explains_its_region(self) -> None:
        over, beside = Fused("x", (4, 4, 6, 6), 1, {}), Fused("x", (11, 1, 19, 9), 1, {})
        assert len(self.candidates(beside, eye=said(0.5, self.HOT))) == 2
        assert self.candidates(over, eye=said(0.5, self.HOT)) == [(30, 10, 40, 20, 0.5)]

    def test_of_a_map_without_hot_cells_the_hottest_is_one(self) -> None:
        assert self.candidates(eye=said(0.5, [[0.2, 0.4, 0.1, 0.1]])) == [(10, 0, 20, 20, 0.5)]

    def test_regions_of_several_classifiers_are_fused(self) -> None:
        two = {"eye": said(0.75, [[0.9, 0.1]]), "other": said(0.5, [[0.9, 0.1]])}
        assert self.candidates(**two) == [(0, 0, 20, 20, 0.625)]
        assert self.candidates(**two | {"other": said(0.25, [[0.9, 0.1]])}) == [(0, 0, 20, 20, 0.375)]
        assert self.candidates(**two | {"other": said(0.25, None)}) == [(0, 0, 20, 20, 0.75)]

    def test_nobody_asked(self) -> None:
        assert self.candidates() == []
