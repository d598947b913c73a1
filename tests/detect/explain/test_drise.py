from collections.abc import Sequence

import numpy as np
import pytest
from fakes import RED, Scripted
from numpy.typing import NDArray

from detect.detections import Detections
from detect.errors import ExplanationError
from detect.explain.drise import drise, random_mask, strongest, weight


class Warm:
    """Finds the one reddish square, if more than half of it is as red as it was: what masks leave of it."""

    names = ("FACE",)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [self._one(image) for image in images]

    def _one(self, image: NDArray[np.uint8]) -> Detections:
        seen = float((image[16:32, 40:56, 0] > 120).mean())
        if seen <= 0.5:
            return Detections.empty(self.names)
        return Detections(np.array([[40, 16, 56, 32]], np.float32), np.array([seen]), np.array([0]), self.names)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    pixels = np.zeros((64, 80, 3), np.uint8)
    pixels[16:32, 40:56] = RED
    return pixels


def boxes(*rows: tuple[list[float], float, int]) -> Detections:
    xyxy, scores, labels = zip(*rows, strict=True)
    return Detections(np.array(xyxy, np.float32), np.array(scores), np.array(labels), ("FACE", "FOOT"))


def test_the_box_is_where_the_map_is_hot(image: NDArray[np.uint8]) -> None:
    detector = Warm()
    *_, found = drise(image, detector, detector.detect([image])[0], masks=200, cells=8)
    assert (found.looks, found.total) == (200, 200)
    top, left = np.unravel_index(found.heat.argmax(), found.heat.shape)
    assert 16 <= top < 32
    assert 40 <= left < 56
    assert found.heat[16:32, 40:56].mean() > 1.3 * found.heat[40:].mean()


def test_the_seed_decides_the_masks(image: NDArray[np.uint8]) -> None:
    detector = Warm()
    box = detector.detect([image])[0]
    one, same, other = ([*drise(image, detector, box, masks=32, seed=seed)][-1].heat for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_mask_is_coarse_soft_and_as_large_as_the_picture() -> None:
    rng = np.random.default_rng(0)
    mask = np.stack([random_mask(50, 70, cells=5, keep=0.25, rng=rng) for _ in range(200)])
    assert mask.shape == (200, 50, 70)
    assert (mask.min(), mask.max()) == (0, 1)
    assert abs(mask.mean() - 0.25) < 0.02
    assert np.abs(np.diff(mask, axis=2)).max() < 0.15  # a cell is 14 columns


def test_the_weight_is_the_most_of_overlap_times_score_of_the_same_label() -> None:
    box = boxes(([0, 0, 10, 10], 0.9, 0))
    found = boxes(([0, 0, 10, 5], 0.8, 0), ([0, 0, 10, 10], 0.3, 0), ([0, 0, 10, 10], 1.0, 1))
    assert weight(found, box) == pytest.approx(0.5 * 0.8)
    assert weight(found[:0], box) == 0


def test_the_strongest_box_is_the_one_explained() -> None:
    found = boxes(([0, 0, 1, 1], 0.2, 0), ([0, 0, 2, 2], 0.7, 0), ([0, 0, 3, 3], 0.9, 1))
    assert strongest(found).xyxy[0, 2] == 3
    assert strongest(found, "FACE").xyxy[0, 2] == 2
    assert len(strongest(found[:0], "FACE")) == len(strongest(found[:2], "FOOT")) == 0


def test_what_is_not_one_box_of_the_detectors_is_refused(image: NDArray[np.uint8]) -> None:
    detector = Scripted(("FACE",), [])
    with pytest.raises(ExplanationError, match="explains one box of the detector's own, not 0"):
        drise(image, detector, Detections.empty(("FACE",)))
    with pytest.raises(ExplanationError, match="one box of the detector's own"):
        drise(image, detector, boxes(([0, 0, 1, 1], 0.2, 0)))


@pytest.mark.parametrize("wrong", [{"masks": 0}, {"cells": 0}, {"batch_size": 0}, {"keep": 1.0}])
def test_numbers_out_of_range_are_refused(image: NDArray[np.uint8], wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="need masks, cells, batch_size >= 1 and keep in"):
        drise(image, Warm(), Detections.empty(("FACE",)), **wrong)
