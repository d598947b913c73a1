"""Boxes that a user draws: what is to be hidden besides what is found, and what is to be left alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real

__all__ = ["Box", "as_text", "boxes_of", "meets", "parse_box"]

Box = tuple[float, float, float, float]
"""``x0, y0, x1, y1`` in pixels of the upright picture, half-open."""


def boxes_of(boxes: Iterable[Sequence[float]], name: str) -> tuple[Box, ...]:
    """Check the boxes that somebody gave.

    Args:
        boxes: Each of them four finite numbers, in the picture's pixels, the second edge beyond the first.
        name: What errors call the argument.

    Raises:
        ValueError: One that is no box, or something that is no list of boxes.
    """
    try:
        given = [tuple(box) for box in boxes]
    except TypeError:
        raise ValueError(f"{name} must be a list of boxes like (10, 20, 80, 90), not {boxes!r}") from None
    return tuple(_checked(box, name) for box in given)


def _checked(box: tuple[object, ...], name: str) -> Box:
    numbers = [float(each) for each in box if isinstance(each, Real) and not isinstance(each, bool)]
    if len(box) != 4 or len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name}: a box is four numbers, x0, y0, x1, y1, like 10,20,80,90; not {as_text(box)}")
    x0, y0, x1, y1 = numbers
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"{name}: a box needs x0 < x1 and y0 < y1, not {as_text(box)}")
    return x0, y0, x1, y1


def parse_box(text: str, name: str) -> Box:
    """A box from ``"10,20,80,90"``.

    Raises:
        ValueError: It is not one.
    """
    try:
        box = tuple(float(edge) for edge in text.split(","))
    except ValueError:
        box = ()
    return _checked(box, name) if box else _checked(tuple(text.split(",")), name)


def meets(box: Box, *, width: int, height: int) -> bool:
    """Whether any of a box lies in the picture."""
    x0, y0, x1, y1 = box
    return x0 < width and y0 < height and x1 > 0 and y1 > 0


def as_text(box: Sequence[object]) -> str:
    """A box as it is written on the command line."""
    return ",".join(f"{each:g}" if isinstance(each, float) else str(each) for each in box)
