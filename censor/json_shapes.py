"""What a value in a JSON file may be: each shape reads one, and says as a JSON Schema what it reads.

Source:
    JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

__all__ = [
    "Boolean",
    "Const",
    "Either",
    "ListOf",
    "Number",
    "Object",
    "Schema",
    "Seconds",
    "Shape",
    "ShapeError",
    "Text",
    "Whole",
    "nullable",
]

Schema = dict[str, Any]
"""A JSON Schema."""

_LARGEST, _MOST = 2**31, 1e300
_SECONDS = re.compile(r"-?[0-9]{1,18}(/[0-9]{1,18}|\.[0-9]{1,18})?")


class ShapeError(ValueError):
    """A value that is of another shape.

    Attributes:
        where: Its place, such as ``things[0].score``; empty for the whole.
        what: What was expected in its place.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}{': ' if where else ''}{what}")
        self.where, self.what = where, what


class Shape(Protocol):
    """What a value may be."""

    @property
    def schema(self) -> Schema:
        """The same as a schema; it may let pass what `read` does not, and never the other way."""
        ...

    def read(self, value: Any, where: str) -> Any:
        """The value.

        Args:
            value: As `json` gives it.
            where: Its place, for errors.

        Raises:
            ShapeError: It is of another shape.
        """
        ...


@dataclass(frozen=True)
class Const:
    """One value and no other; `why` says what another means."""

    value: str | int
    why: str

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"const": self.value}

    def read(self, value: Any, where: str) -> Any:
        """See `Shape`."""
        if value != self.value or isinstance(value, bool):
            raise ShapeError(
                where, f"must be {self.value!r}{_not(value) if isinstance(self.value, int) else ''}: {self.why}"
            )
        return value


@dataclass(frozen=True)
class Text:
    """A text of some length at most.

    Attributes:
        longest: Characters.
        more: What else holds of it, for the schema: whoever makes something of it checks that.
    """

    longest: int = 2**12
    more: Schema = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"type": "string", "maxLength": self.longest, **self.more}

    def read(self, value: Any, where: str) -> str:
        """See `Shape`."""
        if not isinstance(value, str) or len(value) > self.longest:
            raise ShapeError(where, f"must be a text of {self.longest} characters at most{_not(value)}")
        return value


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"type": "boolean"}

    def read(self, value: Any, where: str) -> bool:
        """See `Shape`."""
        if not isinstance(value, bool):
            raise ShapeError(where, f"must be true or false{_not(value)}")
        return value


@dataclass(frozen=True)
class Whole:
    """A whole number from 0; `more` as for `Text`."""

    more: Schema = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"type": "integer", "minimum": 0, "exclusiveMaximum": _LARGEST, **self.more}

    def read(self, value: Any, where: str) -> int:
        """See `Shape`."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
            raise ShapeError(where, f"must be a whole number from 0{_not(value)}")
        return value


@dataclass(frozen=True)
class Number:
    """A number; `more` as for `Text`."""

    more: Schema = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"type": "number", "exclusiveMinimum": -_MOST, "exclusiveMaximum": _MOST, **self.more}

    def read(self, value: Any, where: str) -> float:
        """See `Shape`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
            raise ShapeError(where, f"must be a number{_not(value)}")
        return float(value)


@dataclass(frozen=True)
class Seconds:
    """Seconds as a text, exactly: a fraction or a decimal fraction."""

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"type": "string", "pattern": f"^{_SECONDS.pattern}$", "not": {"pattern": "/0+$"}}

    def read(self, value: Any, where: str) -> Fraction:
        """See `Shape`."""
        if not isinstance(value, str) or not _SECONDS.fullmatch(value):
            raise ShapeError(where, f'must be seconds like "6/5" or "1.25"{_not(value)}')
        try:
            return Fraction(value)
        except ZeroDivisionError:
            raise ShapeError(where, f"must be seconds{_not(value)}") from None


@dataclass(frozen=True)
class Either:
    """One of two shapes, told apart by `first`: whether a value is meant for the first of them."""

    one: Shape
    other: Shape
    first: Callable[[Any], bool]

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        return {"anyOf": [self.one.schema, self.other.schema]}

    def read(self, value: Any, where: str) -> Any:
        """See `Shape`."""
        return (self.one if self.first(value) else self.other).read(value, where)


@dataclass(frozen=True)
class ListOf:
    """A list.

    Attributes:
        item: What each of it is.
        least: How many there are at least.
        most: How many there are at most; None for any number.
        said: What is said where there are more or fewer.
        counted: Whether errors say which of them is wrong.
        more: As for `Text`.
    """

    item: Shape
    least: int = 0
    most: int | None = None
    said: str = ""
    counted: bool = True
    more: Schema = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        most = {} if self.most is None else {"maxItems": self.most}
        return {"type": "array", "items": self.item.schema, "minItems": self.least, **most, **self.more}

    def read(self, value: Any, where: str) -> list[Any]:
        """See `Shape`."""
        if not isinstance(value, list):
            raise ShapeError(where, f"must be a list{_not(value)}")
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            raise ShapeError(where, f"{self.said}, not {len(value)}")
        return [self.item.read(each, f"{where}[{row}]" if self.counted else where) for row, each in enumerate(value)]


@dataclass(frozen=True)
class Object:
    """An object of these keys and no others.

    Attributes:
        needed: Those that must be there.
        usual: Those that may be.
        more: As for `Text`.
    """

    needed: Mapping[str, Shape]
    usual: Mapping[str, Shape] = field(default_factory=dict)
    more: Schema = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """See `Shape`."""
        properties = {key: shape.schema for key, shape in {**self.needed, **self.usual}.items()}
        return {
            "type": "object", "properties": properties, "required": [*self.needed], "additionalProperties": False,
            **self.more,
        }  # fmt: skip

    def read(self, value: Any, where: str) -> dict[str, Any]:
        """See `Shape`."""
        if not isinstance(value, dict):
            raise ShapeError(where, f"must be an object{_not(value)}")
        known = {**self.needed, **self.usual}
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
                raise ShapeError(where, f"unknown key {_short(key)}; {hint}")
        if missing := sorted({*self.needed} - {*value}):
            raise ShapeError(where, f"{missing[0]} is missing")
        return {key: known[key].read(each, f"{where}.{key}" if where else key) for key, each in value.items()}


@dataclass(frozen=True)
class _Null:
    @property
    def schema(self) -> Schema:
        return {"type": "null"}

    def read(self, value: Any, where: str) -> None:  # noqa: ARG002  # told apart before
        return None


def nullable(shape: Shape) -> Shape:
    """The same, or null."""
    return Either(_Null(), shape, first=lambda value: value is None)


def _short(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _not(value: Any) -> str:
    return f", not {_short(value)}"
