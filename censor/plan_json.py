r"""Plans as JSON files, which people read and change.

::

    {
      "format": "censor-plan",
      "version": 1,
      "input": {"file": "photo.jpg", "sha256": "…", "width": 512, "height": 512},
      "time": {"frames": ["0", "1/25", "2/25"], "end": "3/25"},          of what moves
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

import difflib
import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from censor.errors import PlanError, PolicyError
from censor.media.writing import write_atomic
from censor.models_used import ModelUsed
from censor.plan import Plan, PlannedBox, PlannedThing
from censor.policy import Policy
from censor.policy_toml import format_policy, parse_policy
from censor.text_files import read_text
from detect.errors import UnknownLabelError

__all__ = ["FORMAT", "VERSION", "format_plan", "load_plan", "parse_plan", "save_plan"]

FORMAT, VERSION = "censor-plan", 1
"""What a plan's file says it is; another version is refused."""

_T = TypeVar("_T")

_LONGEST = 256 * 2**20
"""Bytes of a plan's file."""

_WIDEST = 118
"""Characters of a line in which a list or an object stands whole."""

_SECONDS = re.compile(r"-?\d{1,18}(/\d{1,18}|\.\d{1,18})?")

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
    moving = {"time": {"frames": [str(each) for each in plan.times], "end": str(plan.end)}} if plan.moves else {}
    data = {
        "format": FORMAT,
        "version": VERSION,
        "input": {"file": plan.file, "sha256": plan.sha256, "width": plan.width, "height": plan.height},
        **moving,
        "policy": {"sha256": _digest(toml), "toml": toml},
        "models": [{"name": each.name, "sha256": each.sha256} for each in plan.models],
        "found": plan.found,
        "things": [_thing_data(each, moves=plan.moves) for each in plan.things],
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
    reader = _Reader(source)
    data = reader.object(_parsed(text, source), "")
    if data.get("format") != FORMAT:
        raise reader.error("format", f"must be {FORMAT!r}: this is no plan")
    if data.get("version") != VERSION or isinstance(data["version"], bool):
        raise reader.error("version", f"must be {VERSION}, not {_short(data.get('version'))}: made by another release")
    wanted = {"format", "version", "input", "policy", "models", "found", "things"}
    reader.keys(data, "", wanted, {"time"})
    given = reader.object(data["input"], "input")
    reader.keys(given, "input", {"file", "sha256", "width", "height"})
    times, end = _time(reader, data.get("time"))
    things = [
        _thing(reader, each, f"things[{row}]", times) for row, each in enumerate(reader.list(data["things"], "things"))
    ]
    models = [_model(reader, each, f"models[{row}]") for row, each in enumerate(reader.list(data["models"], "models"))]
    return reader.made(
        "",
        lambda: Plan(
            file=reader.text(given["file"], "input.file"),
            sha256=reader.text(given["sha256"], "input.sha256"),
            width=reader.whole(given["width"], "input.width"),
            height=reader.whole(given["height"], "input.height"),
            policy=_policy(reader, data["policy"]),
            models=tuple(models),
            things=tuple(things),
            found=reader.whole(data["found"], "found"),
            times=times,
            end=end,
        ),
    )


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


def _time(reader: _Reader, value: Any) -> tuple[tuple[Fraction, ...], Fraction]:
    if value is None:
        return (), Fraction(0)
    given = reader.object(value, "time")
    reader.keys(given, "time", {"frames", "end"})
    frames = reader.list(given["frames"], "time.frames")
    if not frames:
        raise reader.error("time.frames", "must be one at least")
    times = [reader.seconds(each, f"time.frames[{row}]") for row, each in enumerate(frames)]
    return tuple(times), reader.seconds(given["end"], "time.end")


def _policy(reader: _Reader, value: Any) -> Policy:
    given = reader.object(value, "policy")
    reader.keys(given, "policy", {"sha256", "toml"})
    toml = reader.text(given["toml"], "policy.toml", longest=2**18)
    if given["sha256"] != _digest(toml):
        raise reader.error("policy", "is not the one that its sha256 is of: plan anew under another policy")
    try:
        return parse_policy(toml, source=f"{reader.source}, policy.toml")
    except (PolicyError, UnknownLabelError) as error:
        raise PlanError(str(error)) from error


def _model(reader: _Reader, value: Any, where: str) -> ModelUsed:
    given = reader.object(value, where)
    reader.keys(given, where, {"name", "sha256"})
    name, digest = reader.text(given["name"], f"{where}.name"), given["sha256"]
    digest = None if digest is None else reader.text(digest, f"{where}.sha256")
    return reader.made(where, lambda: ModelUsed(name=name, sha256=digest))


def _thing_data(thing: PlannedThing, *, moves: bool) -> dict[str, Any]:
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
    return {**number, **data, **more, "boxes": [_box_data(each, moves=moves) for each in thing.boxes]}


def _box_data(box: PlannedBox, *, moves: bool) -> dict[str, Any]:
    when = {"from": box.first, "to": box.end} if moves else {}
    effect = {} if box.effect is None else {"effect": box.effect}
    where = {"xyxy": list(box.xyxy)} if box.xyxy is not None else {"cells": list(box.cells or ())}
    return {**when, **effect, **where}


def _thing(reader: _Reader, value: Any, where: str, times: Sequence[Fraction]) -> PlannedThing:
    given = reader.object(value, where)
    usual = {"number", "hide", "label", "score", "effect", "shape", "expand", *_OPTIONAL}
    reader.keys(given, where, {"boxes"}, usual)
    read: dict[str, Callable[[Any, str], Any]] = {
        "number": reader.whole,
        "hide": reader.boolean,
        "label": reader.text,
        "score": reader.number,
        "effect": reader.text,
        "shape": reader.text,
        "expand": reader.number,
        "classifier": lambda value, place: None if value is None else reader.text(value, place),
        "rechecked": reader.boolean,
    }
    values = {key: read[key](each, f"{where}.{key}") for key, each in given.items() if key != "boxes"}
    rows = reader.list(given["boxes"], f"{where}.boxes")
    boxes = tuple(_box(reader, each, f"{where}.boxes[{row}]", times) for row, each in enumerate(rows))
    return reader.made(where, lambda: PlannedThing(boxes=boxes, **values))


def _box(reader: _Reader, value: Any, where: str, times: Sequence[Fraction]) -> PlannedBox:
    given = reader.object(value, where)
    reader.keys(given, where, {"from", "to"} if times else set(), {"xyxy", "cells", "effect"})
    first = reader.frame(given["from"], f"{where}.from", times) if times else 0
    end = reader.frame(given["to"], f"{where}.to", times) if times else 1
    xyxy, cells, effect = None, None, None
    if "xyxy" in given:
        edges = reader.list(given["xyxy"], f"{where}.xyxy")
        if len(edges) != 4:
            raise reader.error(f"{where}.xyxy", f"must be four numbers, not {len(edges)}")
        x0, y0, x1, y1 = (reader.number(each, f"{where}.xyxy") for each in edges)
        xyxy = (x0, y0, x1, y1)
    if "cells" in given:
        rows = reader.list(given["cells"], f"{where}.cells")
        cells = tuple(reader.text(each, f"{where}.cells", longest=2**12) for each in rows)
    if "effect" in given:
        effect = reader.text(given["effect"], f"{where}.effect")
    return reader.made(where, lambda: PlannedBox(first=first, end=end, xyxy=xyxy, cells=cells, effect=effect))


class _Reader:
    """Turns what is wrong in a plan's data into an error that names the place."""

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, where: str, what: str) -> PlanError:
        return PlanError(f"{self.source}: {where}{': ' if where else ''}{what}")

    def made(self, where: str, make: Callable[[], _T]) -> _T:
        try:
            return make()
        except ValueError as error:
            raise self.error(where, str(error)) from error

    def keys(self, given: dict[str, Any], where: str, wanted: set[str], usual: set[str] | None = None) -> None:
        known = wanted | (usual or set())
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
                raise self.error(where, f"unknown key {_short(key)}; {hint}")
        if missing := sorted(wanted - set(given)):
            raise self.error(where, f"{missing[0]} is missing")

    def object(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(where, f"must be an object, not {_short(value)}")
        return value

    def list(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.error(where, f"must be a list, not {_short(value)}")
        return value

    def text(self, value: Any, where: str, *, longest: int = 2**12) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise self.error(where, f"must be a text of {longest} characters at most, not {_short(value)}")
        return value

    def boolean(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise self.error(where, f"must be true or false, not {_short(value)}")
        return value

    def whole(self, value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise self.error(where, f"must be a whole number from 0, not {_short(value)}")
        return value

    def number(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise self.error(where, f"must be a number, not {_short(value)}")
        return float(value)

    def seconds(self, value: Any, where: str) -> Fraction:
        if not isinstance(value, str) or not _SECONDS.fullmatch(value):
            raise self.error(where, f'must be seconds like "6/5" or "1.25", not {_short(value)}')
        try:
            return Fraction(value)
        except ZeroDivisionError:
            raise self.error(where, f"must be seconds, not {_short(value)}") from None

    def frame(self, value: Any, where: str, times: Sequence[Fraction]) -> int:
        """The number of a frame; of seconds, that of the first frame that is shown then or later."""
        return bisect_left(times, self.seconds(value, where)) if isinstance(value, str) else self.whole(value, where)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


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
