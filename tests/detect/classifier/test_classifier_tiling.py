"""Looking closer with classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_classifiers import Reds

from detect.classifier.scores import Classifier, Scores, maps_of
from detect.classifier.tiling import LongClassifier, TiledClassifier, most_suspicious

WHOLE = (0.0, 0.0, 1.0, 1.0)


def picture(height: int, width: int, red: Any) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    image[red] = (255, 0, 0)
    return image


@pytest.mark.parametrize("wrap", [LongClassifier, TiledClassifier])
def test_a_wrapped_classifier_is_one_and_says_what_the_other_does(wrap: type[LongClassifier | TiledClassifier]) -> None:
    classifier = wrap(Reds())
    assert isinstance(classifier, Classifier)
    assert (classifier.name, classifier.names) == ("reds", ("sfw", "red"))
    assert classifier.classify([]) == []


def test_pictures_that_are_not_long_are_looked_at_once_and_as_they_are() -> None:
    inner = Reds()
    images = [picture(100, 250, np.s_[:, :125]), picture(30, 20, np.s_[:])]
    found = LongClassifier(inner).classify(images, heat=True)
    assert [scores.probability for scores in found] == [0.5, 1]
    assert [one is other for one, other in zip(inner.seen, images, strict=True)] == [True, True]


def test_the_most_suspicious_stretch_counts_and_long_pictures_keep_their_place() -> None:
    long = picture(2000, 100, np.s_[1680:])
    found = LongClassifier(Reds()).classify([picture(9, 9, np.s_[:0]), long, picture(9, 9, np.s_[:])])
    assert [scores.probability for scores in found] == [0, 1, 1]


def test_the_maps_of_stretches_lie_where_the_stretches_lie() -> None:
    (scores,) = LongClassifier(Reds()).classify([picture(3200, 320, np.s_[1600:1760, :160])], heat=True)
    assert scores.heat is not None
    rows, columns = scores.heat.shape
    share = np.array([[row / rows, column / columns] for row, column in np.argwhere(scores.heat == 1)])
    assert share.min(axis=0) == pytest.approx([0.5, 0], abs=0.005)
    assert share.max(axis=0) == pytest.approx([0.55, 0.5], abs=0.03)
    assert scores.heat[: int(0.49 * rows)].max() == scores.heat[int(0.56 * rows) :].max() == 0


def test_tiles_find_what_is_small_and_the_whole_is_looked_at_too() -> None:
    inner = Reds()
    (scores,) = TiledClassifier(inner, tile=64, overlap=0).classify([picture(128, 192, np.s_[64:, 128:])], heat=True)
    assert len(inner.seen) == 7
    assert inner.seen[0].shape == (128, 192, 3)
    assert scores.probability == 1
    assert scores.heat is not None
    expected = np.zeros(scores.heat.shape)
    expected[scores.heat.shape[0] // 2 :, scores.heat.shape[1] * 2 // 3 :] = 1
    assert (scores.heat == expected).all()


def test_a_picture_no_larger_than_a_tile_is_looked_at_once() -> None:
    inner = Reds()
    TiledClassifier(inner, tile=64).classify([picture(64, 64, np.s_[:0])])
    assert len(inner.seen) == 1


def test_only_what_is_looked_at_whole_can_be_reduced() -> None:
    assert TiledClassifier(Reds()).spare_factor(1000, 1000) == 1
    assert LongClassifier(Reds()).spare_factor(1000, 1000) == 4
    assert LongClassifier(Reds()).spare_factor(1000, 100) == 1


def test_what_several_looks_say_by_hand() -> None:
    names, nsfw = ("gore", "nude", "porn", "fine"), ("nude", "porn")
    looks = [
        Scores(np.array([0.1, 0.3, 0.1, 0.5], np.float32), names, nsfw),
        Scores(np.array([0.5, 0.0, 0.3, 0.2], np.float32), names, nsfw),
    ]
    found = most_suspicious(looks, [WHOLE, WHOLE])
    # Nudity and pornography as the first saw them, which is worse; gore as the second did.
    assert found.values.tolist() == pytest.approx([0.5, 0.3, 0.1, 0.5])
    assert found.probability == pytest.approx(0.4)


@pytest.mark.parametrize("maps", [True, False])
def test_maps_alone_are_those_that_come_with_scores(maps: bool) -> None:
    images = [picture(9, 9, np.s_[:]), picture(2000, 100, np.s_[1680:]), picture(64, 48, np.s_[:20])]
    for classifier in (LongClassifier(Reds(maps=maps)), TiledClassifier(Reds(maps=maps), tile=40), Reds(maps=maps)):
        for found, said in zip(maps_of(classifier, images), classifier.classify(images, heat=True), strict=True):
            assert (found is None) is (said.heat is None) is not maps
            np.testing.assert_array_equal(found, said.heat)


def test_a_map_that_one_look_lacks_all_lack() -> None:
    values = np.array([0.5, 0.5], np.float32)
    one = Scores(values, ("sfw", "nsfw"), ("nsfw",), np.zeros((2, 2), np.float32))
    assert most_suspicious([one, Scores(values, one.names, one.nsfw)], [WHOLE, WHOLE]).heat is None
    (scores,) = TiledClassifier(Reds(maps=False), tile=8).classify([picture(16, 16, np.s_[:])], heat=True)
    assert scores.heat is None


def test_a_stitched_map_of_very_many_looks_has_not_as_many_cells() -> None:
    (scores,) = LongClassifier(Reds()).classify([picture(16000, 20, np.s_[8000:8100])], heat=True)
    assert scores.heat is not None
    assert scores.heat.shape[0] == 512
    assert scores.heat[256].max() == 1
    assert scores.heat[:250].max() == 0


@pytest.mark.parametrize("wrong", [{"tile": 0}, {"overlap": 1}, {"overlap": -0.1}])
def test_tiles_out_of_range_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="tile >= 1 and overlap in"):
        TiledClassifier(Reds(), **wrong)


@pytest.mark.parametrize("wrong", [{"ratio": 1.4}, {"shortest": 0}])
def test_stretches_out_of_range_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"ratio >= 1\.5 and shortest >= 1"):
        LongClassifier(Reds(), **wrong)
