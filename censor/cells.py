"""The square cells of regions and their means: all that a mosaic or a blur knows of a picture.

Where regions overlap, two grids of cells over the same pixels would tell together what neither tells alone. So cells
that share a hidden pixel become one, with one mean, and cells that have a pixel of a region that shows nothing show
nothing. What is then shown is a function of what fewer regions would show, since of the pixels in a cell each is seen
elsewhere, or belongs to cells that are in it whole: adding a region never reveals more, whatever the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.masks import Region
from censor.policy import MAX_CELLS

__all__ = ["MAX_CELLS", "SMALLEST_CELL", "CellMeans", "Pixels", "cell_means", "merge_overlapping"]

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 3) RGB or (H, W, 4) RGBA."""

SMALLEST_CELL = 4
"""Pixels a side, and their square is the least that a cell holds, unless its region holds fewer. Without it one of
8 x 8 would keep every pixel as a cell of its own."""


class CellMeans(NamedTuple):
    """All that `pixelate` and `blur` know of a region.

    Attributes:
        colors: uint8 (rows, columns, 3): mean RGB of each square cell.
        side: A cell's rows and columns in pixels. The last ones may have half as many, or half as many more.
        down: Where the rows of cells begin and the last ends, from the window's first row: rows + 1 of them.
        across: The same for columns.
    """

    colors: Pixels
    side: int
    down: tuple[int, ...]
    across: tuple[int, ...]


def cell_means(image: Pixels, region: Region, *, cells: int = 6) -> CellMeans:
    """The means of the square cells of a region's window.

    Raises:
        ValueError: `cells` out of range.
    """
    if not 1 <= cells <= MAX_CELLS:
        raise ValueError(f"cells must lie in 1..{MAX_CELLS}, not {cells}")
    window = region.of(image)
    height, width = window.shape[:2]
    side = max(-(-max(height, width) // cells), SMALLEST_CELL, -(-(SMALLEST_CELL**2) // min(height, width)))
    down, across = _edges(height, side), _edges(width, side)
    sums = np.array(  # whole numbers, exact in float64
        [
            [cv2.sumElems(window[top:bottom, left:right])[:3] for left, right in pairwise(across)]
            for top, bottom in pairwise(down)
        ]
    )
    counts = np.outer(np.diff(down), np.diff(across))[..., None]
    return CellMeans(((sums.astype(np.int64) + counts // 2) // counts).astype(np.uint8), side, down, across)


def _edges(length: int, side: int) -> tuple[int, ...]:
    """Cells of `side`, and of what remains one more if that is at least half as large; or else it is the last cell's.

    The mean of a row or two of pixels would show more than others do, and that of a corner a pixel itself.
    """
    count, rest = divmod(length, side)
    if count == 0 or rest >= max(SMALLEST_CELL, side / 2):
        count += 1
    return (*range(0, count * side, side), length)


def merge_overlapping(
    image: Pixels | None,
    regions: Sequence[Region],
    means: Sequence[CellMeans],
    *,
    opaque: Sequence[Region] = (),
    color: tuple[int, int, int] = (0, 0, 0),
) -> list[CellMeans]:
    """Make one of all cells that share a hidden pixel: one that either's region covers wholly.

    A cell's mean is that of all its pixels, those outside the shape too. Where both show a pixel, both may tell of it.

    Args:
        image: The original; None where the cells' colours are not its own: then the mean of these is taken.
        regions: What is hidden by means.
        means: The cells of each.
        opaque: Regions that show nothing of the picture. A mean that is shown beside one would tell of the pixels under
            it, and the mean of the others more of these than the cell did.
        color: RGB of cells that have a pixel which one of these covers wholly.

    Returns:
        For each region its cells, with the colours that they may show.
    """
    overlapping = [pair for pair in combinations(range(len(regions)), 2) if _meet(*(regions[each] for each in pair))]
    covered = [(row, over) for row, each in enumerate(regions) for over in opaque if _meet(each, over)]
    if not overlapping and not covered:
        return list(means)
    cells = _Cells(regions, means)
    for one, other in overlapping:
        cells.join_regions(one, other)
    for row, over in covered:
        cells.cover(row, over)
    return cells.colored(image, color)


def _meet(one: Region, other: Region) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


class _Cells:
    """The cells of several regions as a disjoint-set forest; number 0 stands for showing nothing."""

    def __init__(self, regions: Sequence[Region], means: Sequence[CellMeans]) -> None:
        self._regions, self._means = regions, means
        self._down = [[region.y0 + edge for edge in each.down] for region, each in zip(regions, means, strict=True)]
        self._across = [[region.x0 + edge for edge in each.across] for region, each in zip(regions, means, strict=True)]
        self._numbers: list[NDArray[np.int64]] = []
        self._parents = [0]
        for each in means:
            rows, columns = each.colors.shape[:2]
            self._numbers.append(len(self._parents) + np.arange(rows * columns).reshape(rows, columns))
            self._parents.extend(self._numbers[-1].ravel().tolist())

    def join_regions(self, one: int, other: int) -> None:
        """Join the cells of two regions that share a pixel which either covers wholly."""
        regions = self._regions[one], self._regions[other]
        down, across = self._cuts(regions, (one, other))
        first, second = self._cells(one, down, across), self._cells(other, down, across)
        if len({self._root(number) for number in {*first.ravel().tolist(), *second.ravel().tolist()}}) == 1:
            return  # as soon happens where many overlap
        hidden = np.logical_or(*(_hidden(each, down, across) for each in regions))
        for pair in set(zip(first[hidden].tolist(), second[hidden].tolist(), strict=True)):
            self._join(pair)

    def cover(self, row: int, over: Region) -> None:
        """Let those cells of a region show nothing that have a pixel which another covers wholly."""
        down, across = self._cuts((self._regions[row], over), (row,))
        self._join([0, *self._cells(row, down, across)[_hidden(over, down, across)].tolist()])

    def _cuts(self, regions: tuple[Region, Region], grids: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Where the overlap of two regions is cut by the cells of grids, its edges among them: rows and columns."""
        first_row, last_row = max(each.y0 for each in regions), min(each.y1 for each in regions)
        first_column, last_column = max(each.x0 for each in regions), min(each.x1 for each in regions)
        down = {first_row, last_row, *(cut for each in grids for cut in self._down[each])}
        across = {first_column, last_column, *(cut for each in grids for cut in self._across[each])}
        return (
            sorted(cut for cut in down if first_row <= cut <= last_row),
            sorted(cut for cut in across if first_column <= cut <= last_column),
        )

    def _cells(self, region: int, down: Sequence[int], across: Sequence[int]) -> NDArray[np.int64]:
        """The cells of a region that hold the parts between cuts, (rows, columns)."""
        rows = np.searchsorted(self._down[region], down[:-1], side="right") - 1
        columns = np.searchsorted(self._across[region], across[:-1], side="right") - 1
        return self._numbers[region][np.ix_(rows, columns)]

    def colored(self, image: Pixels | None, color: tuple[int, int, int]) -> list[CellMeans]:
        """The regions' cells, those that were joined in the colour of their mean."""
        blocks: dict[int, list[tuple[int, int, int]]] = {}
        for region, numbers in enumerate(self._numbers):
            for (row, column), number in np.ndenumerate(numbers):
                blocks.setdefault(self._root(int(number)), []).append((region, row, column))
        colors = [each.colors.copy() for each in self._means]
        for root, members in blocks.items():
            if root != 0 and len(members) == 1:
                continue
            shown = color if root == 0 else self._mean(image, members) if image is not None else self._blend(members)
            for region, row, column in members:
                colors[region][row, column] = shown
        return [each._replace(colors=shown) for each, shown in zip(self._means, colors, strict=True)]

    def _mean(self, image: Pixels, members: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
        """Of the pixels that any of the cells has, each counted once."""
        boxes = [
            (
                self._across[region][column],
                self._down[region][row],
                self._across[region][column + 1],
                self._down[region][row + 1],
            )
            for region, row, column in members
        ]
        x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
        x1, y1 = max(box[2] for box in boxes), max(box[3] for box in boxes)
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for left, top, right, bottom in boxes:
            mask[top - y0 : bottom - y0, left - x0 : right - x0] = 1
        return tuple(int(mean + 0.5) for mean in cv2.mean(image[y0:y1, x0:x1], mask)[:3])

    def _blend(self, members: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
        """Of the colours of cells, each as often as it has pixels."""
        colors = [self._means[region].colors[row, column] for region, row, column in members]
        sizes = [
            (self._down[region][row + 1] - self._down[region][row])
            * (self._across[region][column + 1] - self._across[region][column])
            for region, row, column in members
        ]
        return tuple(int(mean + 0.5) for mean in np.average(np.array(colors, np.float64), axis=0, weights=sizes))

    def _join(self, numbers: Sequence[int]) -> None:
        roots = {self._root(number) for number in numbers}
        least = min(roots)  # 0 stays a root
        for root in roots:
            self._parents[root] = least

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number


def _hidden(region: Region, down: Sequence[int], across: Sequence[int]) -> NDArray[np.bool_]:
    """Whether a region covers a pixel wholly in each of the parts that its window is cut into: (rows, columns)."""
    if region.cover is None:
        return np.ones((len(down) - 1, len(across) - 1), np.bool_)
    down, across = [cut - region.y0 for cut in down], [cut - region.x0 for cut in across]
    middles = np.ix_(*([(first + last) // 2 for first, last in pairwise(cuts)] for cuts in (down, across)))
    hidden = region.cover[middles] == 255
    for row, column in np.argwhere(~hidden).tolist():  # few: most parts lie inside the shape
        part = region.cover[down[row] : down[row + 1], across[column] : across[column + 1]]
        hidden[row, column] = part.max() == 255
    return np.asarray(hidden)
