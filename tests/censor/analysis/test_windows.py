"""Windows of a shape: the largest that has room is found, wherever it lies, and no window meets what is blocked."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from censor.analysis.windows import Ratio, Window, coarse_windows, finer_windows, largest_window

BOX = st.tuples(st.integers(0, 11), st.integers(0, 9), st.integers(1, 6), st.integers(1, 6)).map(
    lambda given: Window(given[0], given[1], given[0] + given[2], given[1] + given[3])
)
RATIOS = [Ratio(1, 1), Ratio(16, 9), Ratio(2, 3), Ratio(7, 1)]


def by_trying(width: int, height: int, ratio: Ratio, blocked: list[Window]) -> int:
    """The longer side of the largest window, by looking at all of them."""
    for longer in range(ratio.longest(width, height), 0, -1):
        columns, rows = ratio.sides(longer)
        for x, y in itertools.product(range(width - columns + 1), range(height - rows + 1)):
            if not any(Window(x, y, x + columns, y + rows).meets(each) for each in blocked):
                return longer
    return 0


@settings(max_examples=40)
@given(st.integers(1, 13), st.integers(1, 11), st.sampled_from(RATIOS), st.lists(BOX, max_size=4))
def test_the_largest_window_is_as_large_as_the_largest_of_all(
    width: int, height: int, ratio: Ratio, blocked: list[Window]
) -> None:
    found, longest = largest_window(width, height, ratio, blocked), by_trying(width, height, ratio, blocked)
    assert (found.longer if found else 0) == longest
    if found:
        assert (found.x1 - found.x0, found.y1 - found.y0) == ratio.sides(longest)
        assert 0 <= found.x0 < found.x1 <= width
        assert 0 <= found.y0 < found.y1 <= height
        assert not any(found.meets(each) for each in blocked)


def test_windows_by_hand() -> None:
    assert largest_window(400, 300, Ratio(1, 1), []) == Window(50, 0, 350, 300)
    assert largest_window(400, 300, Ratio(16, 9), []) == Window(0, 37, 400, 262)
    assert largest_window(400, 300, Ratio(1, 1), [Window(0, 0, 200, 300)]) == Window(200, 50, 400, 250)
    assert largest_window(400, 300, Ratio(4, 3), [Window(0, 0, 400, 300)]) is None
    assert largest_window(400, 300, Ratio(1, 1), [Window(390, 0, 400, 300)]) == Window(50, 0, 350, 300)


@settings(max_examples=30)
@given(st.sampled_from(RATIOS), st.lists(BOX, max_size=3), st.floats(0.1, 1))
def test_coarse_windows_are_large_enough_get_smaller_and_meet_nothing(
    ratio: Ratio, blocked: list[Window], smallest: float
) -> None:
    found = list(coarse_windows(90, 60, ratio, blocked, smallest=smallest))
    longest = ratio.longest(90, 60)
    assert [each.longer for each in found] == sorted((each.longer for each in found), reverse=True)
    for window in found:
        assert window.longer >= smallest * longest
        assert (window.x1 - window.x0, window.y1 - window.y0) == ratio.sides(window.longer)
        assert 0 <= window.x0 < window.x1 <= 90
        assert 0 <= window.y0 < window.y1 <= 60
        assert not any(window.meets(each) for each in blocked)


def test_coarse_windows_reach_every_edge() -> None:
    found = list(coarse_windows(300, 200, Ratio(1, 1), [], smallest=0.5))
    assert found[0] == Window(50, 0, 250, 200)
    assert {each.x0 for each in found} >= {0}
    assert {each.x1 for each in found} >= {300}
    assert {each.y1 for each in found if each.longer < 200} >= {200}


def test_finer_windows_are_half_as_far_away_and_stay_in_the_picture() -> None:
    near = finer_windows(Window(100, 50, 200, 150), 300, 200, Ratio(1, 1), [], level=1, smallest=0.1)
    assert Window(125, 50, 225, 150) in near
    assert Window(88, 38, 213, 163) in near
    assert len(near) == 6
    edge = finer_windows(Window(0, 0, 200, 200), 300, 200, Ratio(1, 1), [], level=1, smallest=1)
    assert edge == [Window(50, 0, 250, 200)]
    assert not finer_windows(
        Window(0, 0, 200, 200), 300, 200, Ratio(1, 1), [Window(210, 0, 220, 9)], level=1, smallest=1
    )


@pytest.mark.parametrize("text", ["", "1", "1:0", "0:1", "-1:1", "1.5:1", "1:1:1", "a:b", "10000:1"])
def test_what_is_no_ratio_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a ratio is two whole numbers"):
        Ratio.parse(text)


def test_ratios_are_read_and_written() -> None:
    assert Ratio.parse(" 16:9 ") == Ratio(16, 9)
    assert str(Ratio(4, 5)) == "4:5"
    assert Ratio(1, 9999).sides(100) == (1, 100)
