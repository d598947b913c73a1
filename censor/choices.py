"""The names that a policy has for effects and shapes: alone, so that a help text need not wait for numpy."""

from __future__ import annotations

__all__ = ["CELL_EFFECTS", "EFFECTS", "SHAPES"]

EFFECTS = ("pixelate", "blur", "solid", "sticker")
"""What is shown in a region's place."""

CELL_EFFECTS = EFFECTS[:2]
"""Those that show means of cells; the others show nothing of the picture."""

SHAPES = ("box", "rounded", "ellipse")
"""What a region looks like."""
