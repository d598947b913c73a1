r"""Plans as JSON files, which people read and change.

::

    {
      "format": "censor-plan",
      "version": 1,
      "input": {"file": "photo.jpg", "sha256": "…", "width": 512, "height": 512},
      "time": {"frames": ["0", "1/25", "2/25"], "end": "3/25"},          of what moves
      "pages": [{"width": 512, "height": 512}, …],                       of pages, whose boxes have {"page": 1, …}
      "policy": {"sha256": "…", "toml": "name = \"default\"\ncells = 6\n…"},
      "models": [{"name": "320n", "sha256": "…"}],
      "found": 1,
      "things": [
        {"number": 1, "hide": true, "label": "FACE", "score": 0.91, "effect": "pixelate", "shape": "ellipse",
         "expand": 0.1, "boxes": [{"from": 0, "to": 3, "xyxy": [150.2, 40.0, 260.9, 190.7]}]}
      ]
    }

Numbers are exact: what is written and read again is equal, to the last bit. A key that does not exist, one that is
given twice, a value out of range and a thing that was deleted are errors that name the place.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from censor.choices import EFFECTS, SHAPES
from censor.errors import PlanError, PolicyError
from censor.json_shapes import (
    Boolean,
    Const,
    Either,
    ListOf,
    Number,
    Object,
    Schema,
    Seconds,
    Shape,
    ShapeError,
    Text,
    Whole,
    nullable,
)
from censor.media.writing import write_atomic
from censor.models_used import SHA256, ModelUsed
from censor.plan import EXPANSIONS, FARTHEST, LONGEST, MOST_CELLS, SCORES, Plan, PlannedBox, PlannedThing
from censor.policy import Policy
from censor.policy_toml import format_policy, parse_policy
from censor.text_files import read_text
from detect.errors import UnknownLabelError

__all__ = ["FORMAT", "VERSION", "format_plan", "load_plan", "parse_plan", "plan_schema", "save_plan"]

FORMAT, VERSION = "censor-plan", 1
"""What a plan's file says it is; another version is refused."""

_T = TypeVar("_T")

_LONGEST = 256 * 2**20
"""Bytes of a plan's file."""

_WIDEST = 118
"""Characters of a line in which a list or an object stands whole."""

_OPTIONAL = {"classifier": None, "rechecked": False}
"""Keys of a thing that are left out where they say nothing."""


def load_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan's file.

    Raises:
        PlanError: It cannot be read, or is no valid plan; see `parse_plan`.
    """
    name = os.fspath(path)
    text = read_text(name, what="a plan", longest=_LONGEST, error=PlanError)
    return parse_plan(text, source=name)


def save_plan(plan: Plan, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a plan's file, whole or not at all.

    Raises:
        OutputExistsError: `path` is there, and `overwrite` is false.
        WriteError: It could not be written.
    """
    write_atomic(path, format_plan(plan).encode("ascii"), overwrite=overwrite)


def format_plan(plan: Plan) -> str:
    """The plan as a file that `parse_plan` reads back to an equal one: JSON in ASCII, a thing's box a line."""
    toml = format_policy(plan.policy)
    many: dict[str, Any] = {}
    if plan.moves:
        many = {"time": {"frames": [str(each) for each in plan.times], "end": str(plan.end)}}
    elif plan.pages:
        many = {"pages": [{"width": width, "height": height} for width, height in plan.pages]}
    data = {
        "format": FORMAT,
        "version": VERSION,
        "input": {"file": plan.file, "sha256": plan.sha256, "width": plan.width, "height": plan.height},
        **many,
        "policy": {"sha256": _digest(toml), "toml": toml},
        "models": [{"name": each.name, "sha256": each.sha256} for each in plan.models],
        "found": plan.found,
        "things": [_thing_data(each, _kind(many)) for each in plan.things],
    }
    return "".join(_lines(data, "")) + "\n"


def parse_plan(text: str, *, source: str = "plan") -> Plan:
    """Read a plan.

    Args:
        text: JSON; see the module's description.
        source: Named in errors.

    Raises:
        PlanError: Not JSON, of another format or version, or a key or value that makes no sense; names the place.
    """
    data = _parsed(text, source)
    try:
        if isinstance(data, dict):  # of another format or version, keys mean nothing
            for key, shape in _HEAD.items():
                shape.read(data.get(key), key)
        return _plan(_SHAPES[_kind(data)].read(data, ""), source)
    except ShapeError as error:
        raise PlanError(f"{source}: {error}") from error


def plan_schema() -> Schema:
    """What `parse_plan` takes, as a JSON Schema (draft 2020-12).

    It says what each value may be. That times are in order, that no thing that was found is missing, that boxes lie in
    the picture and that policy and input are those of the hashes, no schema says: `parse_plan` does.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A plan of what censor hides",
        "if": {"required": ["time"]},
        "then": {"$ref": "#/$defs/moving"},
        "else": {
            "if": {"required": ["pages"]},
            "then": {"$ref": "#/$defs/paged"},
            "else": {"$ref": "#/$defs/still"},
        },
        "$defs": {kind: shape.schema for kind, shape in _SHAPES.items()},
    }


def _kind(data: Any) -> str:
    """Of what a plan is: of what moves, of pages, or of a still."""
    known = data if isinstance(data, dict) else {}
    return "moving" if "time" in known else "paged" if "pages" in known else "still"


def _parsed(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise PlanError(f"{source}: not valid JSON: nested too deeply") from None
    except ValueError as error:  # JSONDecodeError is one
        raise PlanError(f"{source}: not valid JSON: {error}") from error


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} is given twice in one object")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _thing_data(thing: PlannedThing, kind: str) -> dict[str, Any]:
    number = {} if thing.number is None else {"number": thing.number}
    data = {
        "hide": thing.hide,
        "label": thing.label,
        "score": thing.score,
        "effect": thing.effect,
        "shape": thing.shape,
        "expand": thing.expand,
    }
    more = {key: getattr(thing, key) for key, usual in _OPTIONAL.items() if getattr(thing, key) != usual}
    return {**number, **data, **more, "boxes": [_box_data(each, kind) for each in thing.boxes]}


def _box_data(box: PlannedBox, kind: str) -> dict[str, Any]:
    when = {"moving": {"from": box.first, "to": box.end}, "paged": {"page": box.end}}.get(kind, {})
    effect = {} if box.effect is None else {"effect": box.effect}
    where = {"xyxy": list(box.xyxy)} if box.xyxy is not None else {"cells": list(box.cells or ())}
    return {**when, **effect, **where}


_HEAD: dict[str, Shape] = {
    "format": Const(FORMAT, "this is no plan"),
    "version": Const(VERSION, "made by another release"),
}

_SHA256 = Text(more={"pattern": f"^{SHA256.pattern}$", "maxLength": 64})
_ONE, _NAME = {"minimum": 1}, Text(more={"minLength": 1, "maxLength": LONGEST})
_EFFECT = Text(more={"enum": [*EFFECTS]})
_FRAME = Either(Seconds(), Whole(), first=lambda value: isinstance(value, str))


_WHEN: dict[str, dict[str, Shape]] = {
    "moving": {"from": _FRAME, "to": _FRAME},
    "paged": {"page": Whole(_ONE)},
    "still": {},
}


def _box_shape(kind: str) -> Shape:
    edge = Number({"minimum": -FARTHEST, "maximum": FARTHEST})
    row = Text(more={"pattern": "^[#.]+$", "maxLength": MOST_CELLS})
    rows = {"minItems": 1, "maxItems": MOST_CELLS, "contains": {"pattern": "#"}}
    return Object(
        _WHEN[kind],
        {
            "xyxy": ListOf(edge, least=4, most=4, said="must be four numbers", counted=False),
            "cells": ListOf(row, counted=False, more=rows),
            "effect": _EFFECT,
        },
        {"oneOf": [{"required": ["xyxy"]}, {"required": ["cells"]}]},
    )


def _plan_shape(kind: str) -> Shape:
    thing = Object(
        {"boxes": ListOf(_box_shape(kind), more=_LEAST_ONE)},
        {
            "number": Whole(_ONE),
            "hide": Boolean(),
            "label": _NAME,
            "score": Number(_between(SCORES)),
            "effect": _EFFECT,
            "shape": Text(more={"enum": [*SHAPES]}),
            "expand": Number(_between(EXPANSIONS)),
            "classifier": nullable(_NAME),
            "rechecked": Boolean(),
        },
    )
    size: dict[str, Shape] = {"width": Whole(_ONE), "height": Whole(_ONE)}
    many: dict[str, dict[str, Shape]] = {
        "moving": {"time": Object({"frames": ListOf(Seconds(), **_SOME), "end": Seconds()})},
        "paged": {"pages": ListOf(Object(size), **_SOME)},
        "still": {},
    }
    return Object(
        {
            **_HEAD,
            "input": Object({"file": Text(), "sha256": _SHA256, **size}),
            **many[kind],
            "policy": Object({"sha256": _SHA256, "toml": Text(longest=2**18)}),
            "models": ListOf(Object({"name": Text(), "sha256": nullable(_SHA256)})),
            "found": Whole(),
            "things": ListOf(thing),
        }
    )


def _between(bounds: tuple[float, float]) -> Schema:
    return {"minimum": bounds[0], "maximum": bounds[1]}


_LEAST_ONE = {"minItems": 1}
_SOME: dict[str, Any] = {"least": 1, "said": "must be one at least"}
_SHAPES = {kind: _plan_shape(kind) for kind in _WHEN}


def _plan(data: dict[str, Any], source: str) -> Plan:
    """A plan of data of the right shape."""
    times = tuple(data["time"]["frames"]) if "time" in data else ()
    things = [_thing(each, f"things[{row}]", times) for row, each in enumerate(data["things"])]
    models = [_made(f"models[{row}]", ModelUsed, **each) for row, each in enumerate(data["models"])]
    return _made(
        "",
        Plan,
        **data["input"],
        policy=_policy(data["policy"], source),
        models=tuple(models),
        things=tuple(things),
        found=data["found"],
        times=times,
        end=data["time"]["end"] if times else Fraction(0),
        pages=tuple((each["width"], each["height"]) for each in data.get("pages", ())),
    )


def _policy(given: dict[str, Any], source: str) -> Policy:
    if given["sha256"] != _digest(given["toml"]):
        raise ShapeError("policy", "is not the one that its sha256 is of: plan anew under another policy")
    try:
        return parse_policy(given["toml"], source=f"{source}, policy.toml")
    except (PolicyError, UnknownLabelError) as error:
        raise PlanError(str(error)) from error


def _thing(given: dict[str, Any], where: str, times: Sequence[Fraction]) -> PlannedThing:
    boxes = tuple(_box(each, f"{where}.boxes[{row}]", times) for row, each in enumerate(given["boxes"]))
    return _made(where, PlannedThing, **{**given, "boxes": boxes})


def _box(given: dict[str, Any], where: str, times: Sequence[Fraction]) -> PlannedBox:
    when = {}
    if times:
        when = {"first": _frame(given["from"], times), "end": _frame(given["to"], times)}
    elif "page" in given:
        if given["page"] < 1:
            raise ShapeError(where, f"page must be 1 or more, not {given['page']}")
        when = {"first": given["page"] - 1, "end": given["page"]}
    rest = {key: tuple(given[key]) for key in ("xyxy", "cells") if key in given}
    return _made(where, PlannedBox, **when, **rest, effect=given.get("effect"))


def _frame(value: int | Fraction, times: Sequence[Fraction]) -> int:
    """The number of a frame; of seconds, that of the first frame that is shown then or later."""
    return bisect_left(times, value) if isinstance(value, Fraction) else value


def _made(where: str, make: Callable[..., _T], **values: Any) -> _T:
    try:
        return make(**values)
    except ShapeError:
        raise
    except ValueError as error:
        raise ShapeError(where, str(error)) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _lines(value: Any, indent: str, room: int = 0) -> list[str]:
    """JSON text in parts: what fits stands in one line, like a box; what does not has a line for each of its items."""
    whole = json.dumps(value)
    if not isinstance(value, dict | list) or not value or len(indent) + room + len(whole) <= _WIDEST:
        return [whole]
    is_object = isinstance(value, dict)
    inner, parts = indent + "  ", ["{" if is_object else "["]
    for place, item in enumerate(value.items() if isinstance(value, dict) else value):
        key = f"{json.dumps(item[0])}: " if is_object else ""
        parts += [",\n" if place else "\n", inner, key, *_lines(item[1] if is_object else item, inner, len(key) + 1)]
    return [*parts, "\n", indent, "}" if is_object else "]"]
