"""What the value of a field in a COCO file may be, whatever JSON put there."""

from __future__ import annotations

import json
import math
from typing import TypeGuard

__all__ = [
    "is_area",
    "is_box",
    "is_flag",
    "is_number",
    "is_score",
    "is_share_box",
    "is_size",
    "is_text",
    "is_whole",
    "shown",
]


def is_whole(value: object) -> TypeGuard[int]:
    """A whole number of 64 bits; ``true`` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_number(value: object) -> TypeGuard[float]:
    """A finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_size(value: object) -> TypeGuard[int]:
    """A width or height in pixels."""
    return is_whole(value) and value >= 1


def is_text(value: object) -> TypeGuard[str]:
    """A text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_box(value: object) -> TypeGuard[list[float]]:
    """Four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(is_number(number) for number in value)


def is_share_box(value: list[float], width: int, height: int) -> bool:
    """Fractions that lie within the first pixel of a larger image: shares of its sides, in all likelihood.

    ``[0, 0, 1, 1]`` may be all of an image or its first pixel, and is taken for the pixel.
    """
    inside = min(width, height) > 1 and all(0 <= number <= 1 for number in value)
    return inside and not all(float(number).is_integer() for number in value)


def is_flag(value: object) -> TypeGuard[int]:
    """0 or 1, or what JSON calls false and true."""
    return isinstance(value, int) and value in (0, 1)


def is_area(value: object) -> TypeGuard[float]:
    """A finite number, not below 0."""
    return is_number(value) and value >= 0


def is_score(value: object) -> TypeGuard[float]:
    """A number in [0, 1]."""
    return is_number(value) and 0 <= value <= 1


def shown(value: object) -> str:
    """A value as JSON on one line, shortened to 80 characters, safe to print."""
    try:
        text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python will write
        return "nothing that can be shown"
    return text if len(text) <= 80 else f"{text[:77]}..."
