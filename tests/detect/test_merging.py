"""Several detectors as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detect import Detections, Detector, InferenceError
from detect.merging import MergedDetector


class Fixed:
    """Finds one box for each of its names in every picture: 10 pixels wide, from its place among them on."""

    def __init__(self, *names: str, start: float = 0.0, **said: object) -> None:
        self.names = names
        self._start = start
        vars(self).update(said)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        left = np.arange(len(self.names), dtype=np.float32) + self._start
        xyxy = np.stack([left, left * 0, left + 10, left * 0 + len(images)], axis=1)
        one = Detections(xyxy, np.full(len(left), 0.5), np.arange(len(left)), self.names)
        return [one for _ in images]


class Failing(Fixed):
    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        raise InferenceError("broken")


def test_each_reports_its_own_labels_for_each_picture() -> None:
    merged = MergedDetector([(Fixed("face"), ["face"]), (Fixed("face", "feet", "belly", start=50), ["belly", "feet"])])
    assert isinstance(merged, Detector)
    assert merged.names == ("face", "belly", "feet")
    found = merged.detect([np.zeros((4, 4, 3), np.uint8)] * 2)
    assert len(found) == 2
    for each in found:
        assert [(each.label(row), each.xyxy[row, 0]) for row in range(len(each))] == [
            ("face", 0),
            ("feet", 51),
            ("belly", 52),
        ]
    assert merged.detect([]) == []


def test_it_says_of_itself_what_the_neediest_says() -> None:
    one = Fixed("a", min_score=0.1, engine="onnxruntime", precision="f32", spare_factor=lambda height, width: 4.0)
    two = Fixed("b", min_score=0.3, engine="openvino", precision="f32", spare_factor=lambda height, width: 2.0)
    merged = MergedDetector([(one, ["a"]), (two, ["b"])])
    assert (merged.min_score, merged.engine, merged.precision) == (0.3, "onnxruntime, openvino", "f32")
    assert merged.spare_factor(100, 100) == 2
    silent = MergedDetector([(Fixed("a"), ["a"]), (one, ["a"])][:1])
    assert (silent.min_score, silent.engine, silent.spare_factor(9, 9)) == (0, "", 1)


def test_one_that_fails_fails_the_picture() -> None:
    merged = MergedDetector([(Fixed("a"), ["a"]), (Failing("b"), ["b"])])
    with pytest.raises(InferenceError, match="broken"):
        merged.detect([np.zeros((4, 4, 3), np.uint8)])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(Fixed("a"), [])],
        [(Fixed("a"), ["b"])],
        [(Fixed("a"), ["a"]), (Fixed("a"), ["a"])],
    ],
)
def test_labels_nobody_reports_or_two_do_are_refused(parts: Any) -> None:
    with pytest.raises(ValueError, match=r"report"):
        MergedDetector(parts)
