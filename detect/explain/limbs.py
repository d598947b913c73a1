"""Elongated regions of a mask, and those of them that may be limbs and trunks: geometry alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Segment", "joined_limbs", "limbs_on_trunk", "segments_of"]

_RADII = (2, 4, 8, 16, 32)
"""Half the least width of the parts that a mask is cut into, in pixels: each twice as wide as the one before."""

_ELONGATED = 1.5
"""Length over width from which a region is elongated."""

_FILLED = 0.65
"""Share of its rectangle that a straight region fills at least; one that bends is cut in two."""

_LIKE = 2.0
"""Of two widths, how many times one may be the other for them to be alike."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """An elongated region: the rectangle around it, in whatever direction it lies.

    Attributes:
        center: x and y, in pixels.
        length: In pixels.
        width: In pixels.
        angle: Of its length against the x axis, in degrees, growing as y does.
    """

    center: tuple[float, float]
    length: float
    width: float
    angle: float

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The middles of its short sides."""
        x, y = np.cos(np.radians(self.angle)) * self.length / 2, np.sin(np.radians(self.angle)) * self.length / 2
        return (self.center[0] - x, self.center[1] - y), (self.center[0] + x, self.center[1] + y)

    @property
    def corners(self) -> NDArray[np.float32]:
        """(4, 2), in order around it."""
        return np.asarray(cv2.boxPoints((self.center, (self.length, self.width), self.angle)), np.float32)


def segments_of(mask: NDArray[np.bool_]) -> tuple[Segment, ...]:
    """Cut a mask into straight parts of like width, and keep those that are longer than wide.

    Args:
        mask: bool (H, W).

    Returns:
        Thick ones last.
    """
    found: list[Segment] = []
    opened = [_opened(mask, radius) for radius in _RADII]
    for number, part in enumerate(opened):
        thicker = opened[number + 1] if number + 1 < len(opened) else np.zeros_like(mask)
        count, numbers = cv2.connectedComponents((part & ~thicker).astype(np.uint8), connectivity=8)
        for each in range(1, count):
            pixels = np.argwhere(numbers == each)[:, ::-1].astype(np.float32)  # x and y
            found += _straight(pixels, least=(2 * _RADII[number] + 1) ** 2)
    return tuple(each for each in found if each.length >= _ELONGATED * each.width)


def joined_limbs(segments: tuple[Segment, ...]) -> tuple[tuple[int, int], ...]:
    """Pairs of segments of like width of which an end of one lies at an end of the other: upper and lower limbs.

    Returns:
        Positions in `segments`.
    """
    return tuple(
        (one, other)
        for one, other in combinations(range(len(segments)), 2)
        if _alike(segments[one], segments[other]) and _meet(segments[one], segments[other])
    )


def limbs_on_trunk(segments: tuple[Segment, ...]) -> tuple[tuple[int, int], ...]:
    """Segments with a thinner one at one of their ends: trunks, and a limb on each.

    Returns:
        Positions in `segments`, the trunk's first.
    """
    return tuple(
        (trunk, limb)
        for trunk, limb in permutations(range(len(segments)), 2)
        if segments[trunk].width >= _LIKE * segments[limb].width
        and segments[trunk].length >= segments[limb].width
        and _meet(segments[trunk], segments[limb])
    )


def _opened(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """What of a mask a disc can cover without leaving it; nor the picture, so that it is padded."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    padded = np.pad(mask.astype(np.uint8), radius + 1)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, disc)
    inner = opened[radius + 1 : -radius - 1, radius + 1 : -radius - 1]
    return np.asarray(inner > 0, np.bool_)


def _straight(pixels: NDArray[np.float32], *, least: int) -> list[Segment]:
    """A region's pixels (N, 2) as the rectangle around it, or, where it bends, around each half, and so on."""
    if len(pixels) < least:
        return []
    center, (length, width), angle = cv2.minAreaRect(pixels)
    length, width = length + 1, width + 1  # from the middles of pixels to their edges
    if len(pixels) < _FILLED * length * width and len(pixels) >= 2 * least:
        halves = _halves(pixels)
        return [segment for half in halves for segment in _straight(half, least=least)]
    if length < width:
        length, width, angle = width, length, angle + 90
    return [Segment(center=(float(center[0]), float(center[1])), length=length, width=width, angle=float(angle))]


def _halves(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two parts of like size, by two means that begin at pixels far from one another."""
    one = pixels[np.hypot(*(pixels - pixels.mean(axis=0)).T).argmax()]
    other = pixels[np.hypot(*(pixels - one).T).argmax()]
    for _ in range(8):
        nearer = np.hypot(*(pixels - one).T) <= np.hypot(*(pixels - other).T)
        one, other = pixels[nearer].mean(axis=0), pixels[~nearer].mean(axis=0)
    return pixels[nearer], pixels[~nearer]


def _alike(one: Segment, other: Segment) -> bool:
    return max(one.width, other.width) < _LIKE * min(one.width, other.width)


def _meet(one: Segment, other: Segment) -> bool:
    """Whether two ends are no farther apart than the wider of the two is wide."""
    nearest = min(np.hypot(a[0] - b[0], a[1] - b[1]) for a in one.ends for b in other.ends)
    return bool(nearest <= max(one.width, other.width))
