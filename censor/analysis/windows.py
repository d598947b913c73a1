"""Windows of one shape in a picture: the largest that meets no box, and all sizes and places from coarse to fine."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ratio", "Window", "coarse_windows", "finer_windows", "largest_window"]

_RATIO = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")
_SHRINK = 0.7
"""How much shorter windows of the next size are, at most."""

_STEP = 0.5
"""By how much of its own side a window is moved."""


@dataclass(frozen=True, order=True)
class Ratio:
    """Width to height.

    Attributes:
        width: At least 1.
        height: At least 1.
    """

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Ratio:
        """From ``16:9``.

        Raises:
            ValueError: It is something else.
        """
        if (found := _RATIO.fullmatch(text.strip())) is None:
            raise ValueError(f"a ratio is two whole numbers from 1 to 9999, such as 16:9, not {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.width}:{self.height}"

    def sides(self, longer: int) -> tuple[int, int]:
        """Columns and rows, rounded, of a window whose longer side has so many pixels."""
        shorter = max(1, round(longer * min(self.width, self.height) / max(self.width, self.height)))
        return (longer, shorter) if self.width >= self.height else (shorter, longer)

    def longest(self, width: int, height: int) -> int:
        """The longer side, in pixels, of the largest window in a picture of so many columns and rows; 0 for none."""
        low, high = 0, max(width, height)
        while low < high:
            middle = (low + high + 1) // 2
            columns, rows = self.sides(middle)
            low, high = (middle, high) if columns <= width and rows <= height else (low, middle - 1)
        return low


@dataclass(frozen=True)
class Window:
    """Whole pixels of a picture: columns x0 to x1, rows y0 to y1, the ends not among them."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def longer(self) -> int:
        """Pixels along the longer side."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the window's pixels."""
        return np.ascontiguousarray(pixels[self.y0 : self.y1, self.x0 : self.x1])

    def meets(self, other: Window) -> bool:
        """Whether they share a pixel."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


def largest_window(width: int, height: int, ratio: Ratio, blocked: Sequence[Window]) -> Window | None:
    """The largest window of a shape that meets none of some others; of several, the one nearest to the middle.

    Of a window that has room every smaller one of its shape has, so that halving finds the largest. A window that has
    room can be pushed towards the middle until it is there in x, or touches something, and likewise in y: only such
    places are looked at, and none is missed.

    Args:
        width: The picture's columns.
        height: Its rows.
        ratio: The shape; sides are rounded to whole pixels.
        blocked: What it must not meet.

    Returns:
        None where there is no room for a single pixel of it.
    """
    low, high, best = 0, ratio.longest(width, height), None
    while low < high:
        middle = (low + high + 1) // 2
        found = _nearest_to_middle(width, height, ratio.sides(middle), blocked)
        low, high, best = (middle, high, found) if found else (low, middle - 1, best)
    return best


def coarse_windows(
    width: int, height: int, ratio: Ratio, blocked: Sequence[Window], *, smallest: float
) -> Iterator[Window]:
    """Windows of a shape in all sizes and places, on a coarse grid.

    Args:
        width: The picture's columns.
        height: Its rows.
        ratio: The shape.
        blocked: What they must not meet.
        smallest: In (0, 1]: how long their longer side is at least, as a share of the longest possible.

    Yields:
        Larger ones first; of one size, those near the middle first.
    """
    longest = ratio.longest(width, height)
    sizes = max(1, math.ceil(math.log(smallest) / math.log(_SHRINK)))
    for longer in dict.fromkeys(math.ceil(longest * smallest ** (size / sizes)) for size in range(sizes + 1)):
        columns, rows = ratio.sides(longer)
        if not longest or columns > width or rows > height:
            continue
        places = [(x, y) for y in _starts(height, rows) for x in _starts(width, columns)]
        middle = ((width - columns) / 2, (height - rows) / 2)
        for x, y in sorted(places, key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2):
            window = Window(x, y, x + columns, y + rows)
            if not any(window.meets(each) for each in blocked):
                yield window


def finer_windows(
    window: Window, width: int, height: int, ratio: Ratio, blocked: Sequence[Window], *, level: int, smallest: float
) -> list[Window]:
    """A window's neighbours in place and size, half as far away at each level.

    Args:
        window: Of this shape.
        width: The picture's columns.
        height: Its rows.
        ratio: The shape.
        blocked: What they must not meet.
        level: 1 for half as far as `coarse_windows` lie from one another, and so on.
        smallest: See `coarse_windows`.
    """
    longest, share = ratio.longest(width, height), _STEP / 2**level
    columns, rows = window.x1 - window.x0, window.y1 - window.y0
    middle = ((window.x0 + window.x1) / 2, (window.y0 + window.y1) / 2)
    found = []
    for across, down, grown in ((1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1), (0, 0, 1 + share), (0, 0, 1 - share)):
        longer = min(longest, max(1, round(window.longer * grown)))
        if longer < smallest * longest:
            continue
        wide, high = ratio.sides(longer)
        x = round(middle[0] + across * share * columns - wide / 2)
        y = round(middle[1] + down * share * rows - high / 2)
        x, y = min(max(0, x), width - wide), min(max(0, y), height - high)
        near = Window(x, y, x + wide, y + high)
        if near != window and not any(near.meets(each) for each in blocked):
            found.append(near)
    return list(dict.fromkeys(found))


def _starts(length: int, side: int) -> list[int]:
    """Where windows begin along one axis: from edge to edge, evenly."""
    steps = max(2, math.ceil((length - side) / max(1.0, side * _STEP)))  # the middle is one of the places
    return sorted({round((length - side) * step / steps) for step in range(steps + 1)})


def _nearest_to_middle(width: int, height: int, sides: tuple[int, int], blocked: Sequence[Window]) -> Window | None:
    columns, rows = sides
    xs = _places(width - columns, [each.x1 for each in blocked], [each.x0 - columns for each in blocked])
    ys = _places(height - rows, [each.y1 for each in blocked], [each.y0 - rows for each in blocked])
    free = np.ones((len(ys), len(xs)), np.bool_)
    for each in blocked:
        across = (xs < each.x1) & (xs + columns > each.x0)
        down = (ys < each.y1) & (ys + rows > each.y0)
        free &= ~(down[:, None] & across[None])
    if not free.any():
        return None
    away = (ys - (height - rows) / 2)[:, None] ** 2 + (xs - (width - columns) / 2)[None] ** 2
    row, column = np.unravel_index(np.where(free, away, np.inf).argmin(), free.shape)
    x, y = int(xs[column]), int(ys[row])
    return Window(x, y, x + columns, y + rows)


def _places(last: int, *touching: Sequence[int]) -> NDArray[np.int64]:
    """Where a window may begin along one axis, if it begins in the middle, at an edge or where it touches something."""
    places = np.unique([0, last, last // 2, *(at for each in touching for at in each)])
    return places[(places >= 0) & (places <= last)].astype(np.int64)
