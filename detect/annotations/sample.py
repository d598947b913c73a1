"""A small sample set that the project draws itself: abstract shapes stand in for the six classes.

It lets training, evaluation and export be tried, and tested, without a picture of anybody. Each class has a geometric
shape of its own, turned and coloured at random, on a background of soft noise and stripes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detect.annotations.document import Document, write_document
from detect.detections import RGBImage
from detect.errors import AnnotationsError
from detect.labels import CLASSES

__all__ = ["SHAPES", "Drawing", "draw_picture", "draw_sample"]

Points = NDArray[np.float64]

_SIZES = ((160, 160), (176, 132), (132, 176))
_RADII = (16.0, 34.0)
_GAP = 4.0
_SUPERSAMPLING = 4
_MAX_SHAPES = 3
_NEGATIVE_EVERY = 10
_CONTRAST = 90.0
_LUMA = np.array([0.299, 0.587, 0.114])


def _around(count: int, *, radii: Sequence[float] = (1.0,), turn: float = 0.0) -> Points:
    """Points about the centre, their distances taken from `radii` in turn."""
    angles = turn + 2 * math.pi * np.arange(count) / count
    distances = np.resize(np.asarray(radii), count)
    return np.stack([distances * np.cos(angles), distances * np.sin(angles)], axis=1)


def _triangle() -> list[Points]:
    return [_around(3)]


def _star() -> list[Points]:
    return [_around(10, radii=(1.0, 0.42))]


def _hexagon() -> list[Points]:
    return [_around(6)]


def _ring() -> list[Points]:
    return [_around(64), 0.55 * _around(64)]


def _cross() -> list[Points]:
    arm = 0.3
    corner = [(1, arm), (arm, arm), (arm, 1), (-arm, 1), (-arm, arm), (-1, arm)]
    return [np.array([*corner, *((-x, -y) for x, y in corner)], np.float64)]


def _crescent() -> list[Points]:
    outer = np.linspace(0.3 * math.pi, 1.7 * math.pi, 48)
    x, y = math.cos(outer[0]), math.sin(outer[0])
    # The inner edge is an arc through the same two tips, about a centre further right.
    center = 0.55 + x
    inner_radius = math.hypot(center - x, y)
    half = math.atan2(y, x - center)
    inner = np.linspace(-half, -(2 * math.pi - half), 48)
    return [
        np.concatenate(
            [
                np.stack([np.cos(outer), np.sin(outer)], axis=1),
                np.stack([center + inner_radius * np.cos(inner), inner_radius * np.sin(inner)], axis=1),
            ]
        )
    ]


SHAPES: dict[str, Callable[[], list[Points]]] = dict(
    zip(CLASSES, (_crescent, _cross, _star, _hexagon, _ring, _triangle), strict=True)
)
"""Per class the outline of its shape within the unit circle; a second outline is a hole."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture and where its shapes are.

    Attributes:
        image: uint8 RGB, shape (H, W, 3).
        xyxy: float64, shape (N, 4), rounded to 1/100 pixel, touching the shape on every side.
        labels: Positions in `CLASSES`, N of them.
    """

    image: RGBImage
    xyxy: NDArray[np.float64]
    labels: tuple[int, ...]


def draw_picture(labels: Sequence[int], *, rng: np.random.Generator) -> Drawing:
    """Draw one picture with a shape for each label, none touching another or the border.

    Args:
        labels: Positions in `CLASSES`, at most 3.
        rng: Where chance comes from.

    Raises:
        ValueError: There are more labels than fit.
    """
    if len(labels) > _MAX_SHAPES:
        raise ValueError(f"at most {_MAX_SHAPES} shapes fit a picture, not {len(labels)}")
    width, height = _SIZES[int(rng.random() * len(_SIZES))]
    outlines = _place(labels, width=width, height=height, rng=rng)
    canvas = _background(width=width, height=height, rng=rng)
    for rings in outlines:
        _fill(canvas, rings, rng=rng)
    bounds = [np.concatenate([rings[0].min(axis=0), rings[0].max(axis=0)]) for rings in outlines]
    xyxy = np.array(bounds, np.float64).reshape(-1, 4).round(2)
    return Drawing(np.clip(canvas, 0, 255).round().astype(np.uint8), xyxy, tuple(labels))


def draw_sample(folder: Path, *, train: int = 60, val: int = 20, seed: int = 0) -> None:
    """Draw a training and a validation set: ``train.json``, ``train/``, ``val.json`` and ``val/`` in `folder`.

    Every class is drawn equally often, give or take one, and every tenth picture holds no shape. Equal arguments give
    equal annotations everywhere, and equal pictures where the JPEG encoder is the same.

    Args:
        folder: Made if it is not there; must be empty if it is.
        train: Number of pictures to train on, at least 1.
        val: Number of pictures to validate on, at least 1.
        seed: Of the generator of random numbers, not below 0.

    Raises:
        AnnotationsError: The folder holds something already or cannot be written.
        ValueError: A number is out of its range.
    """
    if train < 1 or val < 1 or seed < 0:
        raise ValueError(f"need train >= 1, val >= 1, seed >= 0: {train}, {val}, {seed}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise AnnotationsError(f"{folder}: is not empty; expected a new or an empty folder")
        for part, (name, count) in enumerate((("train", train), ("val", val))):
            (folder / name).mkdir()
            rng = np.random.default_rng([seed, part])
            write_document(folder / f"{name}.json", _draw_part(folder / name, count=count, rng=rng))
    except OSError as error:
        raise AnnotationsError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _draw_part(folder: Path, *, count: int, rng: np.random.Generator) -> Document:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    deck: list[int] = []
    for number in range(1, count + 1):
        wanted = 0 if number % _NEGATIVE_EVERY == 0 else 1 + int(rng.random() * _MAX_SHAPES)
        if len(deck) < wanted:  # a deck holds each class once, so that none is drawn more often than another
            deck += _shuffled(rng)
        labels, deck = deck[:wanted], deck[wanted:]
        drawing = draw_picture(labels, rng=rng)
        height, width = drawing.image.shape[:2]
        file_name = f"{number:03d}.jpg"
        Image.fromarray(drawing.image).save(folder / file_name, quality=85)
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for label, (x0, y0, x1, y1) in zip(drawing.labels, drawing.xyxy.tolist(), strict=True):
            bbox = [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": bbox,
                    "area": round(bbox[2] * bbox[3], 2),
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "Abstract shapes standing in for the six classes, drawn by `python -m detect sample`"},
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
        "images": images,
        "annotations": annotations,
    }


def _shuffled(rng: np.random.Generator) -> list[int]:
    return [int(label) for label in np.argsort(rng.random(len(CLASSES)))]


def _place(labels: Sequence[int], *, width: int, height: int, rng: np.random.Generator) -> list[list[Points]]:
    """Turn, size and move each shape until all are clear of one another, starting afresh when one finds no place."""
    while True:
        placed: list[tuple[float, float, float]] = []
        for _ in labels:
            for _ in range(50):
                radius = _RADII[0] + rng.random() * (_RADII[1] - _RADII[0])
                x, y = (radius + _GAP + rng.random() * (side - 2 * (radius + _GAP)) for side in (width, height))
                if all(math.hypot(x - other[0], y - other[1]) > radius + other[2] + _GAP for other in placed):
                    placed.append((x, y, radius))
                    break
        if len(placed) == len(labels):
            break
    outlines = []
    for label, (x, y, radius) in zip(labels, placed, strict=True):
        angle = 2 * math.pi * rng.random()
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        outlines.append([radius * ring @ turn + (x, y) for ring in SHAPES[CLASSES[label]]()])
    return outlines


def _background(*, width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour with soft blotches and faint stripes: enough for a detector to have to look, little for a JPEG to keep.

    Returns:
        Float RGB about 0 to 255, shape (H, W, 3).
    """
    color = 70 + 120 * rng.random(3)
    blotches = (70 * (rng.random((5, 5, 3)) - 0.5) + color).clip(0, 255).astype(np.uint8)
    soft = Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC)
    rows, columns = np.mgrid[:height, :width]
    angle, period = math.pi * rng.random(), 6 + 18 * rng.random()
    waves = np.sin(2 * math.pi * (columns * math.cos(angle) + rows * math.sin(angle)) / period)
    return np.asarray(np.asarray(soft, np.float64) + 9 * waves[..., None])


def _fill(canvas: NDArray[np.float64], rings: list[Points], *, rng: np.random.Generator) -> None:
    """Paint a shape, its edge smoothed, in a colour that differs enough in lightness from what lies beneath."""
    height, width = canvas.shape[:2]
    stencil = Image.new("L", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    for ring, level in zip(rings, (255, 0), strict=False):
        ImageDraw.Draw(stencil).polygon([tuple(point) for point in (ring * _SUPERSAMPLING).tolist()], fill=level)
    alpha = np.asarray(stencil.reduce(_SUPERSAMPLING), np.float64)[..., None] / 255
    beneath = float((canvas * alpha).sum(axis=(0, 1)) @ _LUMA / alpha.sum())
    while abs(float((color := 255 * rng.random(3)) @ _LUMA) - beneath) < _CONTRAST:
        pass
    canvas += alpha * (color - canvas)
