"""What a model file says of itself: Python or JSON literals in its metadata map."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from detect.errors import WeightsError
from detect.labels import canonical

__all__ = ["read_literal", "read_names", "read_size", "read_stride"]


def read_literal(metadata: Mapping[str, str], key: str, source: str) -> object:
    """The value of a key.

    Raises:
        WeightsError: The key is missing, or its value is no literal.
    """
    if key not in metadata:
        raise WeightsError(
            f"{source}: the model does not describe itself: metadata key {key!r} is missing "
            f"(found: {', '.join(sorted(metadata)) or 'none'})"
        )
    try:
        return ast.literal_eval(metadata[key])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise WeightsError(f"{source}: metadata key {key!r} is not readable: {metadata[key][:80]!r}") from error


def read_names(metadata: Mapping[str, str], source: str) -> tuple[str, ...]:
    """The labels, older spellings brought up to date.

    Raises:
        WeightsError: The key ``names`` is missing or does not list labels, each once.
    """
    value = read_literal(metadata, "names", source)
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise WeightsError(f"{source}: metadata key 'names' must number its labels 0..{len(value) - 1}: {value}")
        value = [value[position] for position in range(len(value))]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) and name for name in value):
        raise WeightsError(f"{source}: metadata key 'names' must list labels, found {value!r}")
    names = tuple(canonical(name) for name in value)
    if len(set(names)) != len(names):
        raise WeightsError(f"{source}: metadata key 'names' gives one label twice: {value}")
    return names


def read_size(metadata: Mapping[str, str], source: str) -> tuple[int, int]:
    """Rows and columns of the nominal input.

    Raises:
        WeightsError: The key ``imgsz`` is missing or is not one or two sizes.
    """
    value = read_literal(metadata, "imgsz", source)
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
        raise WeightsError(f"{source}: metadata key 'imgsz' must be one or two sizes in pixels, found {value!r}")
    return sides[0], sides[1]


def read_stride(metadata: Mapping[str, str], source: str) -> int:
    """What the sides of the input must be multiples of.

    Raises:
        WeightsError: The key ``stride`` is missing or is no number of pixels.
    """
    value = read_literal(metadata, "stride", source)
    if not isinstance(value, int) or value < 1:
        raise WeightsError(f"{source}: metadata key 'stride' must be a number of pixels, found {value!r}")
    return value
