"""Stickers to lay over a region: four that the project draws, or any image file."""

from __future__ import annotations

import functools
import math
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detect.pictures.still import decode

__all__ = ["STICKERS", "load_sticker"]

STICKERS: dict[str, str] = {"smile": "🙂", "star": "⭐", "heart": "❤", "stop": "🚫"}
"""Name of each built-in sticker, and the emoji that means the same."""

_SIZE = 512  # drawn at twice this, since Pillow's shapes have hard edges


def load_sticker(sticker: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """A built-in sticker by its name or emoji, or an image file.

    Returns:
        uint8 RGBA.

    Raises:
        CensorError: The file cannot be read or is no still picture; see `detect.pictures.still.decode`.
    """
    name = os.fspath(sticker)
    plain = name.removesuffix("\N{VARIATION SELECTOR-16}")
    for known, emoji in STICKERS.items():
        if plain in (known, emoji):
            return _draw(known)
    pixels = decode(name).pixels
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


@functools.cache
def _draw(name: str) -> NDArray[np.uint8]:
    size = 2 * _SIZE
    image = Image.new("RGBA", (size, size))
    _DRAWINGS[name](ImageDraw.Draw(image), size)
    drawn = np.array(image.resize((_SIZE, _SIZE), Image.Resampling.BOX))
    drawn.flags.writeable = False
    return drawn


def _smile(draw: ImageDraw.ImageDraw, size: int) -> None:
    unit = size / 100
    draw.ellipse(
        [2 * unit, 2 * unit, 98 * unit, 98 * unit], fill=(255, 204, 51), outline=(214, 158, 20), width=size // 50
    )
    for x in (33, 67):
        draw.ellipse([(x - 6) * unit, 30 * unit, (x + 6) * unit, 48 * unit], fill=(92, 64, 20))
    draw.arc([25 * unit, 30 * unit, 75 * unit, 76 * unit], 20, 160, fill=(92, 64, 20), width=size // 18)


def _star(draw: ImageDraw.ImageDraw, size: int) -> None:
    points = []
    for corner in range(10):
        radius = size * (0.49 if corner % 2 == 0 else 0.2)
        angle = math.pi * (corner / 5 - 0.5)
        points.append((size / 2 + radius * math.cos(angle), size * 0.52 + radius * math.sin(angle)))
    draw.polygon(points, fill=(255, 200, 40))


def _heart(draw: ImageDraw.ImageDraw, size: int) -> None:
    points = []
    for step in range(200):
        angle = 2 * math.pi * step / 200
        x = 16 * math.sin(angle) ** 3
        y = 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle) - math.cos(4 * angle)
        points.append((size * (0.5 + x / 34), size * (0.46 - y / 34)))
    draw.polygon(points, fill=(226, 45, 66))


def _stop(draw: ImageDraw.ImageDraw, size: int) -> None:
    edge, width = size * 0.03, size // 9
    draw.ellipse([edge, edge, size - edge, size - edge], fill=(255, 255, 255), outline=(214, 40, 40), width=width)
    near, far = size * 0.2, size * 0.8
    draw.line([(near, near), (far, far)], fill=(214, 40, 40), width=width)


_DRAWINGS = {"smile": _smile, "star": _star, "heart": _heart, "stop": _stop}
