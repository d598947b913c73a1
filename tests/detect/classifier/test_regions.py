from __future__ import annotations

import numpy as np

from detect.classifier.regions import cell_box, cells_box, connected_cells


def test_a_grid_lies_over_the_whole_picture() -> None:
    assert cell_box(0, 0, (2, 4), width=100, height=10) == (0, 0, 25, 5)
    assert cell_box(1, 3, (2, 4), width=100, height=10) == (75, 5, 100, 10)
    assert cell_box(1, 1, (3, 3), width=10, height=10) == (10 / 3, 10 / 3, 20 / 3, 20 / 3)


def test_the_box_around_some_cells() -> None:
    cells = np.zeros((4, 5), np.bool_)
    cells[1, 3] = cells[2, 1] = True
    assert cells_box(cells, width=50, height=40) == (10, 10, 40, 30)


def test_cells_that_meet_at_a_corner_are_connected() -> None:
    one, other = connected_cells(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], np.bool_))
    assert one.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert other.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]
    assert connected_cells(np.zeros((2, 2), np.bool_)) == []
