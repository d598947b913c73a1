"""Pictures to measure on, made from photographs that scikit-image ships.

Imported late, for every side's process imports this module and none of them needs scikit-image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SAVED_AT", "grown", "make_large", "make_photos"]

SAVED_AT = 90
"""Quality of the JPEGs, with chroma at half the rows and columns."""

_SHIPPED = ("astronaut", "coffee", "chelsea", "rocket")


def make_photos(folder: Path, count: int, *, megapixels: float = 0.5) -> list[Path]:
    """JPEGs of different crops, the portrait being every fourth."""
    import cv2
    import skimage.data

    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        image = getattr(skimage.data, _SHIPPED[number % len(_SHIPPED)])()
        height, width = image.shape[:2]
        top, left = rng.integers(0, height // 8), rng.integers(0, width // 8)
        scale = (megapixels * 1e6 / ((height - top) * (width - left))) ** 0.5
        way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        resized = cv2.resize(image[top:, left:], None, fx=scale, fy=scale, interpolation=way)
        paths.append(folder / f"{number:04}.jpg")
        Image.fromarray(resized).save(paths[-1], quality=SAVED_AT)
    return paths


def make_large(folder: Path, count: int, *, megapixels: float = 12) -> list[Path]:
    """JPEGs of different crops of the portrait, each with its face, so that there is something to hide in all."""
    paths = []
    for number in range(count):
        paths.append(folder / f"large-{megapixels:g}-{number}.jpg")
        Image.fromarray(grown(megapixels, seed=number)).save(paths[-1], quality=SAVED_AT)
    return paths


def grown(megapixels: float, *, seed: int = 0) -> NDArray[np.uint8]:
    """A crop of the portrait at 4:3 with grain, which makes 12 megapixels as hard to code as the portrait itself.

    That is 2 bits a pixel as JPEG of quality 90; without grain an enlarged picture takes a fraction of it.

    Seed 0 is the widest crop; odd seeds are mirrored. The face is whole in all of them.
    """
    import cv2
    import skimage.data

    rng = np.random.default_rng(seed)
    wide = 512 - 16 * (seed % 8)
    left, top = (0, 0) if seed == 0 else (int(rng.integers(0, min(513 - wide, 64))), int(rng.integers(0, 32)))
    crop = skimage.data.astronaut()[top : top + wide * 3 // 4, left : left + wide]
    width, height = round((megapixels * 4e6 / 3) ** 0.5), round((megapixels * 3e6 / 4) ** 0.5)
    way = cv2.INTER_CUBIC if width > wide else cv2.INTER_AREA
    image = cv2.resize(crop[:, ::-1] if seed % 2 else crop, (width, height), interpolation=way).astype(np.int16)
    image += rng.integers(-8, 9, (height, width, 1), np.int16)  # of brightness: cameras smooth colour
    return np.asarray(np.clip(image, 0, 255), np.uint8)
