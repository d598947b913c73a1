from collections.abc import Sequence

import numpy as np
import pytest
from fakes import RED, RedFinder
from numpy.typing import NDArray
from tiny_classifiers import Reds

from detect.errors import ExplanationError
from detect.explain.occlusion import default_window, occlusion
from detect.explain.target import classifier_score, detector_score


def reddest(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """How red the reddest pixel is: what a network does that needs one place alone."""
    return np.array([image[..., 0].max() / 255 for image in images])


def test_both_ways_by_hand_on_two_by_two() -> None:
    image = np.array([[[51, 0, 0], [102, 0, 0]], [[153, 0, 0], [255, 0, 0]]], np.uint8)
    (found,) = occlusion(image, reddest, window=1, stride=1, fill=(0, 0, 0))
    assert found.score == 1
    assert np.allclose(found.shown, [[0.2, 0.4], [0.6, 1.0]])
    assert np.allclose(found.hidden, np.array([[0, 0], [0, 0.4]]))  # only the reddest one is missed: .6 is left
    assert (found.looks, found.total) == (9, 9)


def test_windows_that_overlap_are_averaged() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[:, 2, 0] = 255
    *_, found = occlusion(image, reddest, window=2, stride=1, fill=(0, 0, 0))
    # Two windows: the left one shows no red (0) and hides none (1 - 1), the right one the reverse (1 - 0).
    assert np.allclose(found.shown, np.array([0, 0.5, 1]))
    assert np.allclose(found.hidden, np.array([0, 0.5, 1]))


def test_maps_become_finer_and_the_last_is_that_of_all_steps_at_once() -> None:
    image = np.random.default_rng(3).integers(0, 256, (37, 50, 3), np.uint8)
    finer = list(occlusion(image, reddest, window=16, stride=4))
    assert [each.stride for each in finer] == [16, 8, 4]
    assert finer[0].looks < finer[1].looks < finer[2].looks == finer[0].total
    sums, counts = np.zeros((2, 37, 50)), np.zeros((37, 50))
    for top in [0, 4, 8, 12, 16, 20, 21]:
        for left in [0, 4, 8, 12, 16, 20, 24, 28, 32, 34]:
            place = np.s_[top : top + 16, left : left + 16]
            alone, without = np.full_like(image, 128), image.copy()
            alone[place], without[place] = image[place], 128
            sums[0][place] += reddest([alone])[0]
            sums[1][place] += 1 - reddest([without])[0]
            counts[place] += 1
    assert np.allclose(np.stack([finer[-1].shown, finer[-1].hidden]), sums / counts, atol=1e-6)


def test_a_patch_that_a_detector_finds_is_hottest() -> None:
    image = np.full((64, 64, 3), 90, np.uint8)
    image[20:28, 40:48] = RED
    *_, found = occlusion(image, detector_score(RedFinder(), "FEMALE_BREAST_EXPOSED"), window=16, stride=8)
    for heat in (found.shown, found.hidden):
        assert heat[24, 44] == heat.max()
        assert heat[50, 10] == heat.min() < heat.max()


def test_a_classifiers_name_can_be_explained() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert classifier_score(Reds(), "sfw")([image]) == [1]
    assert classifier_score(Reds())([image]) == [0]
    with pytest.raises(ExplanationError, match=r"reds: says nothing of 'blue', only of sfw, red"):
        classifier_score(Reds(), "blue")
    with pytest.raises(ExplanationError, match="the detector does not find 'FACE', only FEMALE_BREAST_EXPOSED"):
        detector_score(RedFinder(), "FACE")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"window": 9}, ExplanationError, "a picture of 20 x 8 pixels is smaller than a window of 9"),
        ({"window": 4, "stride": 5}, ValueError, r"stride must lie in 1\.\.4"),
        ({"window": 4, "stride": 0}, ValueError, r"stride must lie in 1\.\.4"),
        ({"window": 0}, ValueError, "at least 1, not 0 and 16"),
        ({"window": 4, "batch_size": 0}, ValueError, "at least 1, not 4 and 0"),
    ],
)
def test_what_makes_no_map_is_refused_before_the_network_is_asked(
    options: dict[str, int], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        occlusion(np.zeros((8, 20, 3), np.uint8), reddest, **options)  # type: ignore[arg-type]  # what is wrong varies


def test_the_windows_are_those_of_64_pixels_where_the_picture_has_224() -> None:
    assert default_window(224, 300) == (64, 16)
    assert default_window(1, 1) == (1, 1)
