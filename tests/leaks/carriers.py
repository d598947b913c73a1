"""All pictures with a secret in a side channel."""

from __future__ import annotations

from leaks.carriers_boxed import AVIFS, HEICS, WEBPS
from leaks.carriers_jpeg import JPEGS
from leaks.carriers_plain import BMPS, GIFS, PNGS, TIFFS

__all__ = ["CARRIERS"]

CARRIERS = [*JPEGS, *PNGS, *WEBPS, *AVIFS, *HEICS, *TIFFS, *GIFS, *BMPS]
"""Each with a name of its own."""
