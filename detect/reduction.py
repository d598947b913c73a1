"""Making pictures smaller before networks see them, for those that would shrink them anyway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.detections import HasSpareFactor, RGBImage

__all__ = ["FACTORS", "MARGIN", "halved", "least_reduction", "reduced", "reduction", "spare_factor"]

FACTORS = (8, 4, 2, 1)
"""What pictures may be reduced by: those factors that JPEG decoders know how to skip work for."""

MARGIN = 1.25
"""What is left after reduction has this many times the rows and columns that the detector looks at. Decoders shrink by
other filters than averages: what the detector then shrinks itself evens that out. With 1.25 scores moved no more than
with 1.5, with 1 more than twice as much."""


def spare_factor(network: object, height: int, width: int) -> float:
    """By how much a network shrinks a picture itself: what its method `spare_factor` says, 1 if it has none.

    Args:
        network: A detector or a classifier, which will look at the picture.
        height: The picture's rows.
        width: Its columns.
    """
    return float(network.spare_factor(height, width)) if isinstance(network, HasSpareFactor) else 1.0


def reduction(network: object, height: int, width: int) -> int:
    """How many times fewer rows and columns will do for a network, one of `FACTORS`.

    Args:
        network: A detector or a classifier, which will look at the picture.
        height: The picture's rows.
        width: Its columns.
    """
    spare = spare_factor(network, height, width)
    return next((factor for factor in FACTORS if factor * MARGIN <= spare), 1)


def least_reduction(networks: Iterable[object], height: int, width: int) -> int:
    """How many times fewer rows and columns will do for all who look at one picture: what the neediest can spare.

    Args:
        networks: Detectors and classifiers; without any nothing is reduced.
        height: The picture's rows.
        width: Its columns.
    """
    return min((reduction(network, height, width) for network in networks), default=1)


def reduced(image: RGBImage, factor: int) -> RGBImage:
    """A picture with `factor` times fewer rows and columns, rounded up: `halved` as often as it takes.

    Raises:
        ValueError: `factor` is not one of `FACTORS`.
    """
    if factor not in FACTORS:
        raise ValueError(f"factor must be one of {', '.join(map(str, FACTORS))}, not {factor}")
    while factor > 1:
        image, factor = halved(image), factor // 2
    return image


def halved(image: RGBImage) -> RGBImage:
    """Means of squares of two by two pixels: several times faster than any other way of shrinking by averages.

    The last row of an odd number, and the last column, is averaged with the one before, which counts twice.

    Args:
        image: uint8 (H, W, C), at least one pixel.

    Returns:
        uint8 of shape (ceil(H / 2), ceil(W / 2), C).
    """
    height, width = image.shape[:2]
    if height == 1 or width == 1:
        return halved(image.repeat(2 if height == 1 else 1, axis=0).repeat(2 if width == 1 else 1, axis=1))
    even = image[: height // 2 * 2, : width // 2 * 2]
    small: NDArray[Any] = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    if height % 2:
        small = np.concatenate([small, halved(image[-2:, : width // 2 * 2])])
    if width % 2:
        small = np.concatenate([small, halved(image[:, -2:])], axis=1)
    return small
