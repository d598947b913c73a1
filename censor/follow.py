"""Following a thing by what it looks like, from a frame in which it was found to those in which it was not."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage

__all__ = ["LOOK_SIDE", "Gray", "Looks", "is_cut", "look_of", "walk"]

LOOK_SIDE = 160
"""Longer side of what is kept of each frame, in pixels."""

Gray = NDArray[np.uint8]


class Looks(Protocol):
    """Frames by their numbers: all of a list, or the last of a film."""

    def __getitem__(self, frame: int, /) -> Gray:
        """One of them."""
        ...


_LEAST = 6  # pixels a side: less has no look
_FOUND = 0.7  # normalised correlation
_RENEWED = 0.9
_REACH = 0.5  # of its own sides: how far it may go between two frames
_CUT = 45.0  # of 255: mean difference between neighbouring frames


def look_of(pixels: RGBImage) -> Gray:
    """A frame in grey, and small: uint8 (rows, columns), the longer of them `LOOK_SIDE` at most."""
    height, width = pixels.shape[:2]
    factor = min(1.0, LOOK_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY))


def is_cut(before: Gray, after: Gray) -> bool:
    """Whether one shot ends and another begins: nothing of a picture is where it was."""
    return float(cv2.absdiff(before, after).mean()) > _CUT


def walk(
    looks: Looks, start: int, box: NDArray[np.float64], shot: tuple[int, int], direction: int
) -> dict[int, NDArray[np.float64]]:
    """Follow what is in a box through neighbouring frames, until nothing there looks like it.

    Args:
        looks: The frames, those of the shot at least.
        start: Number of the frame that the box is of.
        box: xyxy in shares of the frame's width and height.
        shot: Numbers of the first frame that it may be followed to, and the one after the last.
        direction: 1 forwards, -1 backwards.

    Returns:
        Number of each frame that it was found in, to where: a box of the same size.
    """
    height, width = looks[start].shape
    x0, y0, x1, y1 = (box * [width, height, width, height]).round().astype(int).tolist()
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    if min(x1 - x0, y1 - y0) < _LEAST:
        return {}
    template = looks[start][y0:y1, x0:x1]
    found: dict[int, NDArray[np.float64]] = {}
    left, top = x0, y0
    last = shot[1] if direction > 0 else shot[0] - 1
    for frame in range(start + direction, last, direction):
        reach = int(_REACH * (x1 - x0)) + 1, int(_REACH * (y1 - y0)) + 1
        from_x, from_y = max(0, left - reach[0]), max(0, top - reach[1])
        window = looks[frame][from_y : top + (y1 - y0) + reach[1], from_x : left + (x1 - x0) + reach[0]]
        if float(template.std()) < 2 or window.shape[0] < template.shape[0] or window.shape[1] < template.shape[1]:
            break
        likeness = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
        _, best, _, (at_x, at_y) = cv2.minMaxLoc(likeness)
        if best < _FOUND:
            break
        left, top = from_x + at_x, from_y + at_y
        shift = np.array([left - x0, top - y0] * 2) / [width, height, width, height]
        found[frame] = box + shift
        if best > _RENEWED:  # it turns, and light changes: what it looks like now is what to look for next
            template = looks[frame][top : top + template.shape[0], left : left + template.shape[1]]
    return found
