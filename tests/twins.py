"""Pictures of which some are copies of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save_twins(folder: Path) -> Path:
    """Four pictures of noise, 0 to 3; of the first a resized JPEG, 4, of the second a mirrored copy, 5."""
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = Image.fromarray((rng.random((6, 6, 3)) * 255).astype(np.uint8))
        noise.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    with Image.open(folder / "0.png") as picture:
        picture.resize((60, 60)).save(folder / "4.jpg", quality=70)
    with Image.open(folder / "1.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "5.png")
    return folder
