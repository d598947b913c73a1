"""What is shown of a picture never grows with what is hidden in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from censor import cells, redact
from censor.evidence import Evidence
from censor.masks import Region, region
from censor.policy import Policy, Rule
from censor.redact import Frame, Redaction, kept, paint, plan
from detect.detections import Detections

WIDTH, HEIGHT = 56, 48
STAMP = np.random.default_rng(1).integers(0, 256, (9, 7, 4), np.uint8)
NOTHING = -1


def policy(**values: object) -> Policy:
    return Policy(name="p", rules={"a": Rule(censor_at=0.1)}, color=(1, 2, 3), **values)  # type: ignore[arg-type]


def redaction(box: Sequence[float], effect: str = "pixelate", *, shape: str = "box", feather: float = 0.0) -> Redaction:
    area = region(box, width=WIDTH, height=HEIGHT, shape=shape, feather=feather)
    assert area is not None
    x0, y0, x1, y1 = box
    return Redaction(label="a", score=1, xyxy=(x0, y0, x1, y1), effect=effect, rechecked=False, region=area)


def noise(channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)


def painted(image: NDArray[np.uint8], redactions: Sequence[Redaction], rules: Policy) -> NDArray[np.uint8]:
    shown = image.copy()
    paint(shown, redactions, rules, sticker=STAMP)
    return shown


def covered(area: Region) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    area.mark(mask)
    return mask


def rectangles(area: Region, count: int) -> list[tuple[slice, slice]]:
    """A region's cells as parts of the picture."""
    means = cells.cell_means(noise(), area, cells=count)
    return [
        (slice(area.y0 + top, area.y0 + bottom), slice(area.x0 + left, area.x0 + right))
        for top, bottom in pairwise(means.down)
        for left, right in pairwise(means.across)
    ]


def classes(redactions: Sequence[Redaction], count: int) -> NDArray[np.int64]:
    """Number of what may be known of each hidden pixel: of those with the same number their mean, of NOTHING nothing.

    The slow way: of all cells that have a hidden pixel the numbers are made the least, until nothing changes any more.
    """
    hidden = np.logical_or.reduce([covered(each.region) for each in redactions])
    numbers = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    parts = []
    for each in redactions:
        if each.effect in ("solid", "sticker"):
            numbers[covered(each.region)] = NOTHING
        else:
            parts.extend(rectangles(each.region, count))
    before = None
    while before is None or (before != numbers).any():
        before = numbers.copy()
        for part in parts:
            if hidden[part].any():
                numbers[part][hidden[part]] = numbers[part][hidden[part]].min()
    return numbers


def not_told_apart(image: NDArray[np.uint8], redactions: Sequence[Redaction], count: int) -> NDArray[np.uint8]:
    """Another picture that looks the same once these are painted: what cannot be seen of it is shuffled."""
    rng = np.random.default_rng(7)
    hidden = np.logical_or.reduce([covered(each.region) for each in redactions])
    numbers = np.where(hidden, classes(redactions, count), -2)
    other = image.copy()
    for number in np.unique(numbers[hidden]):
        where = numbers == number
        other[where] = noise(image.shape[2], 9)[where] if number == NOTHING else rng.permutation(image[where])
    return other


boxes = st.tuples(st.integers(-5, 50), st.integers(-5, 42), st.integers(1, 40), st.integers(1, 40)).map(
    lambda box: (max(box[0], 1 - box[2]), max(box[1], 1 - box[3]), box[0] + box[2] + 5, box[1] + box[3] + 5)
)
redactions_of_any_kind = st.builds(
    redaction,
    boxes,
    st.sampled_from(["pixelate", "pixelate", "blur", "solid", "sticker"]),
    shape=st.sampled_from(["box", "rounded", "ellipse"]),
    feather=st.sampled_from([0.0, 0.4]),
)


@settings(max_examples=50)
@given(
    st.lists(redactions_of_any_kind, min_size=1, max_size=3),
    redactions_of_any_kind,
    st.integers(1, 8),
    st.sampled_from([3, 4]),
    st.integers(0, 9),
)
def test_one_more_never_reveals_more(
    some: list[Redaction], more: Redaction, count: int, channels: int, at: int
) -> None:
    """Two originals that some redactions make equal stay equal with one more, wherever it stands in their order."""
    rules = policy(cells=count)
    one = noise(channels)
    other = not_told_apart(one, some, count)
    assert (painted(one, some, rules) == painted(other, some, rules)).all()
    at %= len(some) + 1
    all_of_them = [*some[:at], more, *some[at:]]
    assert (painted(one, all_of_them, rules) == painted(other, all_of_them, rules)).all()


@settings(max_examples=50)
@given(st.lists(st.builds(redaction, boxes), min_size=2, max_size=4), st.integers(1, 8))
def test_no_region_has_more_colors_than_cells_of_its_own(some: list[Redaction], count: int) -> None:
    shown = painted(noise(), some, policy(cells=count))
    for each in some:
        colors = np.unique(each.region.of(shown).reshape(-1, 3), axis=0)
        assert len(colors) <= len(rectangles(each.region, count))


@settings(max_examples=50)
@given(st.lists(redactions_of_any_kind, min_size=1, max_size=4), st.sampled_from([3, 4]))
def test_outside_all_regions_nothing_changes(some: list[Redaction], channels: int) -> None:
    image = noise(channels)
    touched = np.zeros((HEIGHT, WIDTH), np.bool_)
    for each in some:
        each.region.of(touched)[each.region.cover > 0 if each.region.cover is not None else slice(None)] = True  # type: ignore[arg-type]
    shown = painted(image, some, policy())
    assert (shown[~touched] == image[~touched]).all()
    for each in some:
        assert channels == 3 or (shown[covered(each.region)][:, 3] == 255).all()


@pytest.mark.parametrize("order", [1, -1])
def test_a_fine_mosaic_over_a_coarse_one_shows_no_finer_cells(order: int) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, ::2] = 100
    image[20:28, 20:28] = 200  # 16 cells of the small region
    coarse, fine = redaction((0, 0, 48, 48)), redaction((20, 20, 36, 36))
    shown = painted(image, [coarse, fine][::order], policy(cells=4))  # cells of 12 and of 4
    block = shown[12:36, 12:36].reshape(-1, 3)  # the coarse cells that the fine ones meet
    assert (block == block[0]).all()
    alone = painted(image, [coarse], policy(cells=4))
    assert (shown[:12] == alone[:12]).all()
    assert (shown[36:] == alone[36:]).all()


def test_the_same_region_twice_shows_what_it_shows_once() -> None:
    one, again = (redaction((3, 4, 40, 30), effect, shape="ellipse") for effect in ("pixelate", "blur"))
    assert (painted(noise(), [one, again], policy()) == painted(noise(), [one], policy())).all()


@pytest.mark.parametrize("effect", ["solid", "sticker"])
def test_no_mean_tells_of_what_lies_under_solid_color(effect: str) -> None:
    mosaic, solid = redaction((0, 0, 48, 24)), redaction((20, 6, 30, 20), effect)
    one, other = noise(), noise()
    other[6:20, 20:30] = 255
    shown = painted(one, [mosaic, solid], policy())
    assert (shown == painted(other, [mosaic, solid], policy())).all()
    assert (shown[:24, 16:20] == (1, 2, 3)).all()  # cells of 8 that the solid region meets
    assert (shown[:24, :16] == painted(one, [mosaic], policy())[:24, :16]).all()


def test_a_soft_edge_mixes_nothing_back() -> None:
    hard, soft = redaction((4, 4, 30, 40), "blur"), redaction((34, 10, 44, 30), feather=1.0)
    assert soft.region.cover is not None
    under = covered(hard.region)
    edge = np.zeros((HEIGHT, WIDTH), np.uint8)
    soft.region.of(edge)[:] = soft.region.cover
    assert (under & (edge > 0)).any()  # the soft edge lies over pixels that are hidden
    one = noise()
    other = not_told_apart(one, [hard], 6)
    assert (other[under] != one[under]).any()
    for pair in ([hard, soft], [soft, hard]):
        assert (painted(one, pair, policy()) == painted(other, pair, policy())).all()


@pytest.mark.parametrize(
    ("box", "effect"),
    [((4, 4, 4, 4), "solid"), ((4, 4, 6, 11), "solid"), ((4, 4, 8, 8), "pixelate"), ((0, 5, 56, 6), "pixelate")],
)
def test_regions_too_small_for_a_mean_are_solid(box: tuple[float, ...], effect: str) -> None:
    rule = Rule(censor_at=0.1, expand=0, shape="box")
    found = Detections(np.array([box], np.float32), np.array([0.9]), np.array([0]), ("a",))
    (only,) = plan(Evidence(boxes=found), Policy(name="p", rules={"a": rule}), Frame(width=WIDTH, height=HEIGHT))
    assert only.effect == effect


def test_every_effect_has_its_place_in_the_order() -> None:
    from censor.policy import EFFECTS

    assert sorted(redact._SHOWS_LESS) == sorted(EFFECTS)


# --- boxes that a user drew -----------------------------------------------------------------------------------------

drawn = st.lists(boxes, max_size=3).map(tuple)
found_boxes = st.lists(st.tuples(boxes, st.floats(-0.5, 0.5)), max_size=4).map(
    lambda some: Evidence(
        boxes=Detections(
            np.array(
                [
                    [edge + (shift if edge == x0 else 0) for edge in (x0, y0, x1, y1)]
                    for (x0, y0, x1, y1), shift in some
                ],
                np.float32,
            ).reshape(-1, 4),
            np.full(len(some), 0.9, np.float32),
            np.zeros(len(some), np.int64),
            ("a",),
        )
    )
)
ruled = st.builds(
    lambda effect, shape, base: Policy(
        name="p", rules={"a": Rule(censor_at=0.1, effect=effect, shape=shape)}, base=Rule(effect=base), color=(1, 2, 3)
    ),
    st.sampled_from(["pixelate", "blur", "solid", "sticker"]),
    st.sampled_from(["box", "rounded", "ellipse"]),
    st.sampled_from(["pixelate", "solid"]),
)


def framed(also: Sequence[Sequence[float]] = (), keep: Sequence[Sequence[float]] = ()) -> Frame:
    return Frame(width=WIDTH, height=HEIGHT, also=tuple(also), keep=tuple(keep))  # type: ignore[arg-type]


def touched(box: Sequence[float]) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    x0, y0, x1, y1 = box
    mask[max(0, math.floor(y0)) : max(0, math.ceil(y1)), max(0, math.floor(x0)) : max(0, math.ceil(x1))] = True
    return mask


@settings(max_examples=100)
@given(found_boxes, ruled, drawn)
def test_keep_uncovers_nothing_that_reaches_beyond(evidence: Evidence, rules: Policy, keep: tuple[Any, ...]) -> None:
    """What is planned with boxes to keep is what is planned without, but for finds that lie in one of these."""
    without = plan(evidence, rules, framed())
    left = plan(evidence, rules, framed(keep=keep))
    inside = [each for each in without if any((~touched(box) & touched(each.xyxy)).sum() == 0 for box in keep)]
    assert [each.xyxy for each in left] == [each.xyxy for each in without if each not in inside]
    assert len(kept(evidence, rules, framed(keep=keep))) + len(left) == len(without)
    of = {each.xyxy: each for each in without}
    for each in left:
        assert each.effect == of[each.xyxy].effect
        assert (covered(each.region) == covered(of[each.xyxy].region)).all()
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
    allowed = np.logical_or.reduce([nothing, *map(touched, keep)])
    hidden = np.logical_or.reduce([nothing, *(covered(each.region) for each in left)])
    for each in without:
        assert hidden[touched(each.xyxy) & ~allowed].all()


@settings(max_examples=50)
@given(found_boxes, ruled, st.lists(boxes, min_size=1, max_size=3), drawn, st.integers(1, 8))
def test_also_never_reveals_more(
    evidence: Evidence, rules: Policy, also: list[Any], keep: tuple[Any, ...], count: int
) -> None:
    """Two originals that look the same without these boxes look the same with them, and the boxes are hidden."""
    rules = dataclasses.replace(rules, cells=count)
    some = plan(evidence, rules, framed(keep=keep))
    more = plan(evidence, rules, framed(also=also, keep=keep))
    hidden = np.logical_or.reduce([covered(each.region) for each in more])
    for box in also:
        assert hidden[touched(box)].all()
    one = noise()
    other = not_told_apart(one, some, count) if some else one
    assert (painted(one, some, rules) == painted(other, some, rules)).all()
    assert (painted(one, more, rules) == painted(other, more, rules)).all()
