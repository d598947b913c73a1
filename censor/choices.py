"""The names that a policy has for effects and shapes: alone, so that a help text need not wait for numpy."""

from __future__ import annotations

__all__ = ["EFFECTS", "SHAPES"]

EFFECTS = ("pixelate", "blur", "solid", "sticker")
"""What is shown in a region's place."""

SHAPES = ("box", "rounded", "ellipse")
"""What a region looks like."""
