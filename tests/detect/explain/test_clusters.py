import numpy as np
import pytest

from detect.explain.clusters import features_of, hottest_patch, k_means


def test_points_that_lie_together_are_one_cluster_the_largest_first() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(at, 0.1, (count, 3)) for at, count in ((0, 4), (5, 9), (9, 2))])
    found = k_means(points.astype(np.float32), 3)
    assert found.tolist() == [1] * 4 + [0] * 9 + [2] * 2


def test_no_more_clusters_than_points_differ() -> None:
    assert k_means(np.ones((5, 2), np.float32), 3).tolist() == [0] * 5
    assert sorted(k_means(np.array([[0], [0], [1]], np.float32), 9).tolist()) == [0, 0, 1]


def test_no_more_clusters_than_it_takes_for_points_to_lie_near() -> None:
    points = np.array([[0], [1], [9], [10], [30]], np.float32)
    assert len(set(k_means(points, 9, within=2).tolist())) == 3
    assert len(set(k_means(points, 9, within=12).tolist())) == 2


@pytest.mark.parametrize(("count", "points"), [(0, 3), (2, 0)])
def test_nothing_to_put_together_is_refused(count: int, points: int) -> None:
    with pytest.raises(ValueError, match="need at least one point and one cluster"):
        k_means(np.zeros((points, 2), np.float32), count)


def test_the_hottest_patch_lies_in_the_picture() -> None:
    heat = np.zeros((10, 12), np.float32)
    heat[0, 11] = 1
    assert hottest_patch(heat, 4) == (0, 8, 4, 12)
    heat[5:9, 2:6] = 0.5
    assert hottest_patch(heat, 4) == (5, 2, 9, 6)
    with pytest.raises(ValueError, match=r"side must lie in 1\.\.10, not 11"):
        hottest_patch(heat, 11)


def test_features_tell_colors_and_where_they_are() -> None:
    left, right = np.zeros((2, 16, 16, 3), np.uint8)
    left[:, :8], right[:, 8:] = (255, 0, 0), (255, 0, 0)
    assert features_of(left).shape == (48,)
    assert np.linalg.norm(features_of(left) - features_of(right)) > 100
    assert np.array_equal(features_of(left), features_of(left))
