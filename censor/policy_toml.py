"""Policies as TOML files.

`[all]` holds what every label takes unless it says otherwise, `[labels.NAME]` holds what one
label takes, and the top level holds what goes for the whole picture::

    cells = 6                 # squares along the longer side of a region, 1..8
    color = "#000000"         # of solid regions, and beneath stickers
    sticker = "smile"         # a built-in sticker or an image file
    feather = 0.0             # soft edge outside a region, as a share of the box's shorter side

    [all]
    censor_at = 0.2

    [labels.FACE_FEMALE]
    effect = "blur"

    [picture]                 # what classifiers say of the picture as a whole
    review_at = 0.5

    [picture.labels.NSFL]     # something else that one can say
    review_at = 0.5

    [calibration.open_nsfw]   # what makes a classifier's scores probabilities
    method = "platt"
    slope = 1.3
    intercept = -0.4

A label that nobody knows, a key that does not exist and a value out of range are errors that name the line.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from censor.errors import PolicyError
from censor.policy import Policy, parse_color
from censor.rules import HOW, NSFW_REGION, PictureRule, Rule, check_number
from censor.text_files import read_text
from detect.labels import canonical

if TYPE_CHECKING:
    from detect.evaluation.calibration import Calibration

__all__ = ["PRESETS", "format_policy", "load_policy", "parse_policy"]

PRESETS = ("default", "strict", "boxes", "faces")
"""Policies that ship with the package."""

_LONGEST = 2**18
"""Bytes of a policy's file; one that names every label and gives every value has three thousand."""

_MOST_DOTS = 1_000
"""In a line: what tomllib takes for a dotted key grows with the square of its parts."""

_LONGEST_ERROR = 400
"""Characters; what is wrong may be a key or a number of any length."""


def load_policy(source: str | os.PathLike[str]) -> Policy:
    """A preset by its name, or a TOML file by its path.

    Raises:
        PolicyError: There is neither, or the file is not a valid policy.
    """
    name = os.fspath(source)
    if name in PRESETS:
        text = resources.files("censor").joinpath("policies", f"{name}.toml").read_text("utf-8")
        return parse_policy(text, source=name)
    path = Path(source)
    if not (path.suffix == ".toml" or os.path.exists(path)):  # noqa: PTH110  # false for what can be no path, too
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the presets are {', '.join(PRESETS)}"
        raise PolicyError(f"{name}: neither a preset nor a policy file; {hint}")
    text = read_text(name, what="a policy", longest=_LONGEST, error=PolicyError)
    return parse_policy(text, source=name)


def parse_policy(text: str, *, source: str = "policy") -> Policy:
    """Read a policy.

    Args:
        text: TOML; see the module's description.
        source: Named in errors. Its stem is the policy's name unless the text gives one.

    Raises:
        PolicyError: Not TOML, or a key, value or label that makes no sense; names the line.
    """
    data = _parsed(text, source)
    reader = _Reader(text, source)
    top = reader.known(
        data, "", {"name", "cells", "color", "sticker", "feather", "all", "labels", "picture", "calibration"}
    )
    shared, labels, picture = top.pop("all", {}), top.pop("labels", {}), top.pop("picture", {})
    calibration = top.pop("calibration", {})
    if not isinstance(top.setdefault("name", Path(source).stem), str):
        raise reader.error(f"name must be text, not {top['name']!r}", "", "name")
    if "color" in top:
        top["color"] = reader.within("", "color", lambda: parse_color(top["color"]))
    for table, value in (("all", shared), ("labels", labels), ("picture", picture), ("calibration", calibration)):
        if not isinstance(value, dict):
            raise reader.error(f"[{table}] must be a table", "", table)
    keys = {each.name for each in dataclasses.fields(Rule)}
    reader.known(shared, "all", keys)
    top["picture"] = _picture(picture, reader)
    top["calibrations"] = _calibrations(calibration, reader, top["picture"])
    rules: dict[str, Rule] = {}
    for label, own in labels.items():
        table = f"labels.{label}"
        if not isinstance(own, dict):
            raise reader.error(f"[{table}] must be a table", "labels", label)
        if label == NSFW_REGION:
            reader.known(own, table, set(HOW))
            inherited = {key: value for key, value in shared.items() if key in HOW}
            top["heat"] = reader.within(table, None, functools.partial(_rule, own, inherited))
            continue
        reader.known(own, table, keys)
        spelled = canonical(label)
        if spelled in rules:
            raise reader.error(f"label {spelled} is given twice", table)
        rules[spelled] = reader.within(table, None, functools.partial(_rule, own, shared))
    base = reader.within("all", None, functools.partial(_rule, {}, shared))
    _check_heat(top, reader)
    policy: Policy = reader.within("", None, lambda: Policy(rules=rules, base=base, **top))
    return policy


def _picture(values: dict[str, Any], reader: _Reader) -> PictureRule:
    given = reader.known(values, "picture", {each.name for each in dataclasses.fields(PictureRule)})
    labels = given.pop("labels", {})
    if not isinstance(labels, dict):
        raise reader.error("[picture.labels] must be a table", "picture", "labels")
    pairs = []
    for label, own in labels.items():
        table = f"picture.labels.{label}"
        if not isinstance(own, dict):
            raise reader.error(f"[{table}] must be a table", "picture.labels", label)
        reader.known(own, table, {"review_at"})
        if "review_at" not in own:
            raise reader.error("review_at is missing: nothing else is done about it", table)
        reader.within(table, None, functools.partial(check_number, "review_at", own["review_at"], 0, 1))
        pairs.append((label, own["review_at"]))
    made: PictureRule = reader.within(
        "picture", None, lambda: PictureRule(labels=tuple(pairs), **_without_false(given))
    )
    return made


def _calibrations(values: dict[str, Any], reader: _Reader, rule: PictureRule) -> dict[str, Calibration]:
    if not values:
        return {}
    from detect.errors import EvaluationError
    from detect.evaluation.calibration import calibration_from_data

    found: dict[str, Calibration] = {}
    for name, own in values.items():
        table = f"calibration.{name}"
        if not isinstance(own, dict):
            raise reader.error(f"[{table}] must be a table", "calibration", name)
        if not rule.counted([name]):
            raise reader.error(f"{name} does not count: {', '.join(rule.classifiers)} do", table)
        try:
            found[name] = calibration_from_data(own)
        except EvaluationError as error:
            raise reader.error(str(error), table) from error
    return found


def _check_heat(top: dict[str, Any], reader: _Reader) -> None:
    """As `Policy` does, which cannot know where it stands."""
    region = f"labels.{NSFW_REGION}"
    if top["picture"].hides and "heat" not in top:
        raise reader.error(f"hide_at needs [{region}]: how heat is hidden", "picture", "hide_at")
    if "heat" in top and not top["picture"].hides:
        raise reader.error("hide_at is missing in [picture]: heat is never hidden without", region)


def _parsed(text: str, source: str) -> dict[str, Any]:
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise PolicyError(f"{source}: more than {_MOST_DOTS:,} dots in a line, too many for a policy")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PolicyError(f"{source}: not valid TOML: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{source}: not valid TOML: {_shortened(str(error))}") from error
    except ValueError as error:  # Python's limit
        raise PolicyError(f"{source}: a number of too many digits") from error


def format_policy(policy: Policy) -> str:
    """The policy as a file that `parse_policy` reads back to an equal one, every value spelled out."""
    lines = [
        f"name = {_quoted(policy.name)}",
        f"cells = {policy.cells}",
        f'color = "#{bytes(policy.color).hex()}"',
        f"sticker = {_quoted(policy.sticker)}",
        f"feather = {policy.feather}",
    ]
    tables = {"all": dataclasses.asdict(policy.base)}
    tables |= {f"labels.{_key(label)}": dataclasses.asdict(rule) for label, rule in policy.rules.items()}
    if policy.heat is not None:
        tables[f"labels.{NSFW_REGION}"] = {key: getattr(policy.heat, key) for key in HOW}
    if policy.picture != PictureRule():
        tables["picture"] = dataclasses.asdict(policy.picture)
        labels = tables["picture"].pop("labels")
        tables |= {f"picture.labels.{_key(label)}": {"review_at": at} for label, at in labels}
    tables |= {f"calibration.{_key(name)}": each.to_data() for name, each in policy.calibrations.items()}
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(repr, value))}]"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return json.dumps(False if value is None else value)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"


def _key(label: str) -> str:
    return label if re.fullmatch(r"[A-Za-z0-9_-]+", label) else _quoted(label)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes, but for characters beyond U+FFFF (TOML has no surrogates) and U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _rule(own: dict[str, Any], shared: dict[str, Any]) -> Rule:
    """What a label says itself goes before what [all] says, of which nothing holds that makes no sense with it."""
    given = _without_false({**shared, **own})
    if given.get("nsfw_at") is None and given.get("confirm_at") is not None and "confirm_at" not in own:
        check_number("confirm_at", given.pop("confirm_at"), 0, 1)
    return Rule(**given)


def _without_false(values: dict[str, Any]) -> dict[str, Any]:
    """`false` in a file is a threshold that is not there: it takes back what [all] gives."""
    return {key: None if key.endswith("_at") and value is False else value for key, value in values.items()}


class _Reader:
    """Turns what is wrong in a policy's data into an error that names the line; tomllib keeps no positions."""

    def __init__(self, text: str, source: str) -> None:
        self._lines = text.splitlines()
        self._source = source

    def known(self, table: dict[str, Any], name: str, keys: set[str]) -> dict[str, Any]:
        for key in table:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(keys))}"
                raise self.error(f"unknown key {key!r}; {hint}", name, key)
        return dict(table)

    def within(self, table: str, key: str | None, make: Any) -> Any:
        try:
            return make()
        except (ValueError, TypeError, OverflowError) as error:
            # Our own checks begin with the key they are about.
            raise self.error(str(error), table, key or str(error).split(" ", 1)[0]) from error

    def error(self, what: str, table: str, key: str | None = None) -> PolicyError:
        line = self._line(table, key)
        where = f", [{table}]" if table else ""
        return PolicyError(f"{self._source}, line {line}{_shortened(where)}: {_shortened(what)}")

    def _line(self, table: str, key: str | None) -> int:
        """The line of a key, else of its value in [all], else of its table, counted from 1."""
        current, header = "", 1
        inherited = None
        for number, line in enumerate(self._lines, 1):
            if match := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
                current = match[1].replace('"', "").replace("'", "")
                header = number if current == table else header
                if key is not None and current == f"{table}.{key}".strip("."):
                    return number
            elif key is not None and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                if current == table:
                    return number
                inherited = number if current == "all" else inherited
        return inherited if inherited is not None and table.startswith("labels.") else header
