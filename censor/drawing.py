"""Lines, words and tints over a picture that can be read whatever the picture shows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Color", "Pen", "corners", "edges", "tint"]

Color = tuple[int, int, int]

_FONT, _BLACK, _WHITE = cv2.FONT_HERSHEY_SIMPLEX, (0, 0, 0), (255, 255, 255)
_HEAT, _STRENGTH = (255, 140, 0), 0.6
"""Orange, and how much of it there is where a map is 1."""


def corners(xyxy: Sequence[float]) -> list[NDArray[np.int32]]:
    """A box as a line around it, rounded to pixels."""
    x0, y0, x1, y1 = (round(edge) for edge in xyxy)
    return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.int32)]


def edges(mask: NDArray[np.bool_], x: int, y: int) -> list[NDArray[np.int32]]:
    """Lines around all parts of a mask, and around their holes.

    Args:
        mask: bool (h, w).
        x: The column of the picture where its first one lies.
        y: The row of the picture where its first one lies.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
    return [np.asarray(each, np.int32).reshape(-1, 2) for each in found]


def tint(canvas: NDArray[np.uint8], heat: Sequence[NDArray[np.float32]]) -> None:
    """Lay maps over a picture, in place: the hotter, the more orange; of several the hottest counts.

    Args:
        canvas: uint8 (H, W, 3).
        heat: Of each map its cells, (h, w), in [0, 1]; they lie over the whole picture.
    """
    if not heat:
        return
    height, width = canvas.shape[:2]
    weight = np.zeros((height, width), np.float32)
    for cells in heat:
        np.maximum(weight, cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), out=weight)
    weight *= _STRENGTH
    cv2.blendLinear(np.full_like(canvas, _HEAT), canvas, weight, 1 - weight, canvas)


class Pen:
    """Draws on a canvas, in place: colours on black, and no word over another."""

    def __init__(self, canvas: NDArray[np.uint8]) -> None:
        """Take uint8 (H, W, 3); the larger it is, the thicker are lines and letters."""
        longer = max(canvas.shape[:2])
        self._canvas, self._thick, self._size = canvas, max(1, round(longer / 400)), max(0.4, longer / 1600)
        self._written: list[tuple[int, int, int, int]] = []

    def outline(self, lines: Sequence[NDArray[np.int32]], color: Color) -> None:
        """Closed lines, each through points (N, 2) of x and y."""
        for ink, width in ((_BLACK, self._thick + 2), (color, self._thick)):
            cv2.polylines(self._canvas, list(lines), isClosed=True, color=ink, thickness=width)

    def write(self, text: str, at: tuple[int, int], color: Color = _WHITE) -> None:
        """A line of text above a point, or as near to that as there is room in the picture and among other texts."""
        (wide, tall), base = cv2.getTextSize(text, _FONT, self._size, self._thick)
        height, width = self._canvas.shape[:2]
        tall += 2 * base
        x = max(0, min(at[0], width - wide))
        y = max(0, min(at[1] - self._thick - 2, height) - tall)  # the line itself stays in sight
        while any(x < x1 and x0 < x + wide and y < y1 and y0 < y + tall for x0, y0, x1, y1 in self._written):
            y += tall
        self._written.append((x, y, x + wide, y + tall))
        cv2.rectangle(self._canvas, (x, y), (x + wide, y + tall), _BLACK, cv2.FILLED)
        place = (x, y + tall - base)
        cv2.putText(self._canvas, text, place, _FONT, self._size, color, self._thick, cv2.LINE_AA)
