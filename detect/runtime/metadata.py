"""What a model file says of itself: Python or JSON literals in its metadata map."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from detect.errors import WeightsError
from detect.labels import canonical

__all__ = [
    "MAX_SIDE",
    "MODEL_NAME",
    "check_input",
    "read_choice",
    "read_literal",
    "read_names",
    "read_numbers",
    "read_size",
    "read_stride",
]

MAX_SIDE = 4096
"""Pixels of a side of a network's input. Detectors are trained at 320 to 1536. A picture is enlarged to what the file
asks for, and eight at this size take 1.6 GB before the network has computed anything."""

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model can be called in policies and reports."""

_MAX_PIXELS = 8 * MAX_SIDE**2
"""Of a whole batch."""

_LARGEST = 1e6
"""What a colour may be multiplied by, or have taken from it."""

_LONGEST = 1_000_000
"""Characters of a value; a thousand labels take thirty thousand."""

_PARSING = threading.Lock()
"""Python 3.11 counts the depth of a parse once for all threads, and two parses that cross end in a SystemError
(https://github.com/python/cpython/issues/106905); models are loaded in several threads."""


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
    if len(metadata[key]) > _LONGEST:
        raise WeightsError(f"{source}: metadata key {key!r} has more than {_LONGEST:,} characters")
    try:
        with _PARSING:
            return ast.literal_eval(metadata[key])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise WeightsError(f"{source}: metadata key {key!r} is not readable: {metadata[key][:80]!r}") from error


def read_choice(
    metadata: Mapping[str, str], key: str, choices: Sequence[str], source: str, *, default: str | None = None
) -> str:
    """A word, which stands as it is and not as a literal.

    Args:
        metadata: What the file says.
        key: Of the word.
        choices: What it may be.
        source: Where the network came from; named in errors.
        default: What a file means that says nothing; None where it must say something.

    Raises:
        WeightsError: The key is missing and has no default, or its word is another.
    """
    value = metadata.get(key, default)
    if value is None or value not in choices:
        found = "nothing" if value is None else repr(value[:80])
        raise WeightsError(f"{source}: metadata key {key!r} must be {' or '.join(map(repr, choices))}, found {found}")
    return value


def read_numbers(
    metadata: Mapping[str, str], key: str, count: int, source: str, *, default: float
) -> tuple[float, ...]:
    """So many numbers; a single one stands for as many.

    Raises:
        WeightsError: The value is something else.
    """
    value: Any = read_literal(metadata, key, source) if key in metadata else default
    given = list(value) if isinstance(value, list | tuple) else [value] * count
    numbers = [float(number) for number in given if type(number) in (int, float) and abs(number) < _LARGEST]
    if len(numbers) != count or len(given) != count:
        raise WeightsError(
            f"{source}: metadata key {key!r} must hold {count} numbers below {_LARGEST:g}, found {metadata[key][:80]!r}"
        )
    return tuple(numbers)


def read_names(metadata: Mapping[str, str], source: str, *, key: str = "names") -> tuple[str, ...]:
    """The labels under a key, older spellings brought up to date.

    Raises:
        WeightsError: The key is missing or does not list labels, each once.
    """
    value = read_literal(metadata, key, source)
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise WeightsError(f"{source}: metadata key {key!r} must number its labels 0..{len(value) - 1}: {value}")
        value = [value[position] for position in range(len(value))]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) and name for name in value):
        raise WeightsError(f"{source}: metadata key {key!r} must list labels, found {value!r}")
    names = tuple(canonical(name) for name in value)
    if len(set(names)) != len(names):
        raise WeightsError(f"{source}: metadata key {key!r} gives one label twice: {value}")
    return names


def read_size(metadata: Mapping[str, str], source: str, *, key: str = "imgsz") -> tuple[int, int]:
    """Rows and columns of the input: under ``imgsz`` the nominal ones.

    Raises:
        WeightsError: The key is missing or is not one or two sizes of at most `MAX_SIDE`.
    """
    value = read_literal(metadata, key, source)
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(map(_is_side, sides)):
        raise WeightsError(
            f"{source}: metadata key {key!r} must be one or two sizes of 1 to {MAX_SIDE} pixels, "
            f"found {metadata[key][:80]}"
        )
    return sides[0], sides[1]


def read_stride(metadata: Mapping[str, str], source: str) -> int:
    """What the sides of the input must be multiples of.

    Raises:
        WeightsError: The key ``stride`` is missing or is no number of pixels, at most `MAX_SIDE`.
    """
    value = read_literal(metadata, "stride", source)
    if not isinstance(value, int) or not _is_side(value):
        raise WeightsError(
            f"{source}: metadata key 'stride' must be a number of 1 to {MAX_SIDE} pixels, "
            f"found {metadata['stride'][:80]}"
        )
    return value


def check_input(shape: Sequence[int | None], source: str) -> None:
    """Refuse a network whose input no machine should make room for.

    Args:
        shape: (B, 3, H, W), None where the network takes any.
        source: Where the network came from; named in the error.

    Raises:
        WeightsError: A side is longer than `MAX_SIDE`, or a batch larger than eight such pictures.
    """
    batch, _, rows, columns = (1 if side is None else side for side in shape)
    if max(rows, columns) > MAX_SIDE or batch * rows * columns > _MAX_PIXELS:
        raise WeightsError(
            f"{source}: the network wants {batch} pictures of {columns} x {rows} pixels; at most {MAX_SIDE} a side and "
            f"{_MAX_PIXELS:,} in all are given"
        )


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIDE
