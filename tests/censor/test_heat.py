from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike, NDArray

from censor.heat import heat_wanted, hot_regions, hottest
from censor.masks import Region, union
from censor.rules import PictureRule
from detect.classifier.regions import cell_box
from detect.classifier.scores import Scores
from detect.pictures.blocks import BlockGrid

ANY = PictureRule(hide_at=0.5, heat_at=0.5)
BOTH = PictureRule(hide_at=0.5, hide_votes=2, sure_at=0.9, heat_at=0.5)


def said(probability: float, heat: ArrayLike | None = None) -> Scores:
    values = np.array([1 - probability, probability], np.float32)
    return Scores(values, ("sfw", "nsfw"), ("nsfw",), None if heat is None else np.array(heat, np.float32))


def test_where_it_is_hottest() -> None:
    assert hottest(said(0.9), width=100, height=10) is None
    heat = [[0.1, 0.2], [0.8, 0.8]]
    assert hottest(said(0.9, heat), width=100, height=10) == (0, 5, 50, 10)


def test_connected_cells_are_one_region() -> None:
    heat = [[0.9, 0.1, 0.1, 0.1], [0.1, 0.5, 0.1, 0.6], [0.1, 0.1, 0.1, 0.6]]
    one, other = hot_regions({"a": said(0.7, heat)}, ANY)
    assert one.cells.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]  # they meet at a corner
    assert other.cells.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert (one.classifier, one.score) == ("a", float(np.float32(0.7)))
    assert one.bounds(width=40, height=30) == (0, 0, 20, 20)
    assert other.bounds(width=40, height=30) == (30, 10, 40, 30)


def test_who_does_not_vote_hides_nothing() -> None:
    hot = [[0.9]]
    assert hot_regions({"a": said(0.49, hot)}, ANY) == []
    assert hot_regions({"a": said(0.8, hot), "b": said(0.4, hot)}, BOTH) == []
    assert [each.classifier for each in hot_regions({"a": said(0.95, hot), "b": said(0.4, hot)}, BOTH)] == ["a"]
    assert [each.classifier for each in hot_regions({"a": said(0.6, hot), "b": said(0.6, hot)}, BOTH)] == ["a", "b"]
    assert hot_regions({"a": said(1.0)}, ANY) == []  # does not say where
    assert hot_regions({"a": said(1.0, hot)}, PictureRule(nsfw_at=0.5)) == []
    assert heat_wanted({"a": said(0.95), "b": said(0.4)}, BOTH) == ("a",)
    first = PictureRule(nsfw_at=0.5, hide_at=0.5, heat_at=0.5, hide_first=("a",))
    scores = {"a": said(0.1, hot), "b": said(0.8, hot)}
    assert heat_wanted(scores, first) == ("a", "b")
    assert [each.classifier for each in hot_regions(scores, first)] == ["a"]
    assert [each.classifier for each in hot_regions(scores, first, alone=True)] == ["a", "b"]


def test_maps_are_asked_for_where_a_plan_or_a_reason_goes_by_them() -> None:
    rule = PictureRule(review_at=0.3, nsfw_at=0.5, votes=2, hide_at=0.8, heat_at=0.5, classifiers=("a", "b", "c"))
    given = {"a": said(0.9), "b": said(0.4), "c": said(0.2), "d": said(1.0)}
    assert heat_wanted(given, rule) == ("a", "b")  # b has a reason, c has none, d does not count
    assert heat_wanted(given, rule, again=True) == ("a",)
    votes = PictureRule(nsfw_at=0.3, votes=2)
    assert heat_wanted(given, votes) == ("a", "b", "d")
    assert heat_wanted({"a": said(0.9)}, votes) == ()


def test_the_hottest_cell_of_a_picture_that_is_suspected_is_hidden_however_cool_it_is() -> None:
    cool = [[0.1, 0.3], [0.2, 0.2]]
    (region,) = hot_regions({"a": said(0.6, cool)}, ANY)
    assert region.cells.tolist() == [[0, 1], [0, 0]]
    any_picture = PictureRule(review_at=0.2, hide_at=0.0, heat_at=0.5)
    assert hot_regions({"a": said(0.1, cool)}, any_picture) == []
    assert len(hot_regions({"a": said(0.1, [[0.1, 0.5]])}, any_picture)) == 1
    assert hot_regions({"a": said(0.1, [[0.1, 0.5]])}, any_picture, again=True) == []


def test_more_is_half_as_hot_and_the_cells_around() -> None:
    heat = np.zeros((5, 5), np.float32)
    heat[2, 2], heat[2, 1], heat[0, 4] = 0.9, 0.25, 0.24
    (first,) = hot_regions({"a": said(0.9, heat)}, ANY)
    assert np.argwhere(first.cells).tolist() == [[2, 2]]
    (more,) = hot_regions({"a": said(0.9, heat)}, ANY, more=True)
    assert more.cells[1:4, 0:4].all()
    assert more.cells.sum() == 12


def covered(area: Region, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.bool_)
    area.mark(mask)
    return mask


def test_the_union_of_cells_is_no_box_around_them() -> None:
    area = union([(0, 0, 10, 10), (10, 10, 20, 20)], width=30, height=30)
    assert area is not None
    assert (area.x0, area.y0, area.x1, area.y1) == (0, 0, 20, 20)
    mask = covered(area, 30, 30)
    assert mask[:10, :10].all()
    assert mask[10:20, 10:20].all()
    assert mask.sum() == 200


def test_cells_with_edges_between_pixels_go_outwards() -> None:
    area = union([(10 / 3, 10 / 3, 20 / 3, 20 / 3)], width=10, height=10)
    assert area is not None
    assert (area.x0, area.y0, area.x1, area.y1, area.cover) == (3, 3, 7, 7, None)


def test_blocks_are_covered_whole_and_the_soft_edge_begins_beyond() -> None:
    area = union([(9, 9, 10, 10), (17, 9, 18, 10)], width=40, height=40, feather=1.0, blocks=BlockGrid(8, 8))
    assert area is not None
    assert area.cover is not None
    mask = covered(area, 40, 40)
    assert mask[8:16, 8:24].all()
    assert mask.sum() == 128
    assert (area.x0, area.y0, area.x1, area.y1) == (7, 7, 25, 17)
    assert 0 < area.cover[0, 5] < 255


def test_what_lies_outside_the_picture_has_no_pixels() -> None:
    assert union([(50, 0, 60, 5)], width=40, height=40) is None
    assert union([], width=40, height=40) is None
    area = union([(50, 0, 60, 5), (0, 0, 4, 4)], width=40, height=40)
    assert area is not None
    assert (area.x1, area.y1) == (4, 4)


@settings(max_examples=60)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(0, 1, width=32)),
    st.integers(1, 60), st.integers(1, 60), st.sampled_from(["box", "rounded", "ellipse"]),
    st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.5]), st.sampled_from([None, BlockGrid(8, 8, 3, 2)]),
)  # fmt: skip
def test_every_pixel_that_a_hot_cell_touches_is_covered_wholly(
    heat: NDArray[np.float32], width: int, height: int, shape: str, expand: float, feather: float,
    blocks: BlockGrid | None,
) -> None:  # fmt: skip
    mask = np.zeros((height, width), np.bool_)
    for hot in hot_regions({"a": said(0.9, heat)}, ANY):
        boxes = [
            cell_box(row, column, heat.shape, width=width, height=height)
            for row, column in np.argwhere(hot.cells).tolist()
        ]
        area = union(boxes, width=width, height=height, shape=shape, expand=expand, feather=feather, blocks=blocks)
        assert area is not None
        area.mark(mask)
    rows = np.minimum((np.arange(height) + 0.5) * heat.shape[0] / height, heat.shape[0] - 1e-6).astype(int)
    columns = np.minimum((np.arange(width) + 0.5) * heat.shape[1] / width, heat.shape[1] - 1e-6).astype(int)
    assert mask[(heat >= 0.5)[np.ix_(rows, columns)]].all()
    assert mask.any()
