"""What the formats have in common: a canvas, and still pictures that are laid on it one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

__all__ = ["Disposal", "Patch", "Patches"]


class Disposal(Enum):
    """What becomes of a patch's rectangle before the next one is laid."""

    KEEP = auto()
    CLEAR = auto()
    RESTORE = auto()


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One step of an animation.

    Attributes:
        still: A file of one picture, of the animation's format: the patch.
        left: Where it lies on the canvas, in pixels.
        top: The same, downwards.
        width: Its columns.
        height: Its rows.
        seconds: How long the canvas is shown after it was laid, not below 0.
        blend: Whether it is laid over what is there, or takes its place, transparency and all.
        disposal: What comes before the next one.
    """

    still: bytes
    left: int
    top: int
    width: int
    height: int
    seconds: Fraction
    blend: bool
    disposal: Disposal


@dataclass(frozen=True, kw_only=True)
class Patches:
    """An animation, taken apart.

    Attributes:
        width: The canvas's columns.
        height: Its rows.
        plays: How many times it is to be shown; 0 for without end.
        each: The patches, which are made as they are asked for.
    """

    width: int
    height: int
    plays: int
    each: Iterator[Patch]
