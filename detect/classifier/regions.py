"""From a classifier's map to regions of the picture that it is laid over.

A map is a grid laid over the whole picture, so that its cells have edges between pixels, too.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_box", "cells_box", "connected_cells"]

_Box = tuple[float, float, float, float]


def cell_box(row: int, column: int, grid: tuple[int, ...], *, width: int, height: int) -> _Box:
    """One cell of a grid of (rows, columns) laid over a whole picture: x0, y0, x1, y1 in pixels and parts of them."""
    rows, columns = grid
    return column * width / columns, row * height / rows, (column + 1) * width / columns, (row + 1) * height / rows


def cells_box(cells: NDArray[np.bool_], *, width: int, height: int) -> _Box:
    """The box around those cells of a map that are true, of which there must be one: x0, y0, x1, y1 in pixels."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    first = cell_box(int(rows[0]), int(columns[0]), cells.shape, width=width, height=height)
    last = cell_box(int(rows[-1]), int(columns[-1]), cells.shape, width=width, height=height)
    return first[0], first[1], last[2], last[3]


def connected_cells(hot: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The true cells of a map (h, w), each connected region by itself, from the top down; corners connect."""
    count, numbers = cv2.connectedComponents(hot.astype(np.uint8), connectivity=8)
    return [numbers == each for each in range(1, count)]
