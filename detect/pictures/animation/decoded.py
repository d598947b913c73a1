"""A picture of a sequence as its decoder gives it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detect.pictures.cicp import Cicp

__all__ = ["Decoded"]


class Decoded(NamedTuple):
    """One picture, as it is stored.

    Attributes:
        readings: RGB or RGBA, uint8 (H, W, 3 or 4): what is shown, and then what other viewers show.
        colors: What its coded data say of its colours; None if nothing.
    """

    readings: list[NDArray[np.uint8]]
    colors: Cicp | None
