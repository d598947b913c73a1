"""A picture as a detector is shown it: what training, calibration, evaluation and export read."""

from __future__ import annotations

import os

import numpy as np

from detect.detections import RGBImage
from detect.pictures.alpha import over
from detect.pictures.still import Picture, decode

__all__ = ["on_white", "read_rgb"]


def read_rgb(path: str | os.PathLike[str]) -> RGBImage:
    """Decode a picture file to the pixels that a detector is shown of it in production.

    With transparency there are several such views; this is the one on a white page.

    Returns:
        uint8 (H, W, 3), upright, in the numbers that `detect.pictures.still.decode` gives. The caller's own.

    Raises:
        ReadError: The file is missing or may not be read.
        ImageError: It is refused, as production refuses it: not one still picture of a kind that is taken, damaged, or
            over a cap.
    """
    pixels = on_white(decode(path))
    return pixels if pixels.flags.writeable else np.array(pixels)


def on_white(picture: Picture) -> RGBImage:
    """What a decoded picture looks like on a white page.

    Returns:
        uint8 (H, W, 3); the picture's own pixels, which may be read-only, where nothing is transparent.
    """
    return over(picture.pixels, 255) if picture.pixels.shape[2] == 4 else picture.pixels
