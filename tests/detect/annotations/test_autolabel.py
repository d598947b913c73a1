from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detect import Detections
from detect.annotations import check_document
from detect.annotations.autolabel import autolabel
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
    document, failures = autolabel(pictures, detector)
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
    document, _ = autolabel(pictures, Fixed(), names=("BELLY_EXPOSED",), min_score=0)
    assert document["categories"] == [{"id": 1, "name": "BELLY_EXPOSED"}]
    assert {item["category_id"] for item in document["annotations"]} == {1}
    with pytest.raises(AnnotationsError, match="does not know queen; it knows ace, BELLY_EXPOSED"):
        autolabel(pictures, Fixed(), names=("queen", "ace"))


def test_a_picture_that_cannot_be_decoded_is_named_and_the_rest_goes_on(pictures: Path) -> None:
    (pictures / "a.png").write_text("text")
    document, failures = autolabel(pictures, Fixed())
    assert [image["id"] for image in document["images"]] == [1, 2]
    assert len(failures) == 1
    assert "a.png: not a picture" in failures[0]


def test_no_picture_at_all(pictures: Path, tmp_path: Path) -> None:
    for path in pictures.rglob("*.*"):
        path.write_text("text")
    with pytest.raises(AnnotationsError, match=r"no picture could be decoded; the first: .*a\.png"):
        autolabel(pictures, Fixed())


def test_a_score_out_of_range_is_misuse(pictures: Path) -> None:
    with pytest.raises(ValueError, match="min_score must lie in"):
        autolabel(pictures, Fixed(), min_score=1.1)
