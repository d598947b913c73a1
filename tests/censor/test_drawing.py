"""Lines, words and tints over a picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from censor.drawing import Pen, corners, edges, tint

RED = (230, 40, 40)


def grey(height: int = 60, width: int = 200, value: int = 128) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def inked(canvas: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((canvas == color).all(axis=2))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_line_has_a_dark_side_on_any_picture(value: int) -> None:
    canvas = grey(value=value)
    Pen(canvas).outline(corners((10.4, 5.2, 49.6, 30.4)), RED)
    line = inked(canvas, RED)
    assert line[5, 10:51].all()
    assert line[5:31, [10, 50]].all()
    assert line.sum() == 2 * (41 + 26) - 4
    assert inked(canvas, (0, 0, 0))[4, 10:50].all()


def test_lines_go_around_holes_too() -> None:
    mask = np.ones((9, 9), np.bool_)
    mask[3:6, 3:6] = False
    outer, inner = edges(mask, 20, 10)
    assert (outer.min(axis=0).tolist(), outer.max(axis=0).tolist()) == ([20, 10], [28, 18])
    assert (inner.min(axis=0).tolist(), inner.max(axis=0).tolist()) == ([22, 12], [26, 16])


def test_no_word_lies_over_another_or_outside() -> None:
    once, thrice = grey(), grey()
    Pen(once).write("word", (195, 0), RED)
    pen = Pen(thrice)
    for _ in range(3):
        pen.write("word", (195, 0), RED)
    written = (once != 128).any(axis=2)
    rows, columns = np.flatnonzero(written.any(axis=1)), np.flatnonzero(written.any(axis=0))
    assert (rows[0], columns[-1]) == (0, 199)
    assert columns[0] > 100
    tall = rows[-1]
    for number in range(3):
        assert (thrice[number * tall : number * tall + tall - 1] == once[: tall - 1]).all()


def test_the_hotter_the_more_orange_and_the_hottest_map_counts() -> None:
    canvas = grey(4, 4)
    tint(canvas, [np.array([[0.0, 0.5]], np.float32), np.array([[0.0, 0.2], [0.0, 1.0]], np.float32)])
    assert (canvas[:, :2] == 128).all()
    assert (canvas[:2, 2:] == canvas[0, 3]).all()
    assert (canvas[2:, 2:] == canvas[3, 3]).all()
    assert 128 < canvas[0, 3, 0] < canvas[3, 3, 0]
    assert canvas[0, 3, 2] > canvas[3, 3, 2]
    before = grey()
    tint(before, [])
    assert (before == 128).all()
