"""What is reported of a picture: the fields that there are, those that there really are, and the documents' table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest
from fakes import finder
from numpy.typing import NDArray

from censor.pipeline import Censor
from censor.records import CensoredRecord, CheckedRecord, FailedRecord, OneOf, OutcomeLine, VerdictRecord
from censor.report import Outcome, as_json, log_line
from censor.verdict import Level
from detect.errors import DamagedImageError

ROOT = Path(__file__).parent.parent.parent
KINDS = (CheckedRecord, CensoredRecord, FailedRecord)


def fields(record: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of each field, those of what it holds after it."""
    for name, hint in get_type_hints(record, include_extras=True).items():
        text = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, str)), "")
        yield before + name, text
        inner = hint.__origin__ if get_origin(hint) is Annotated else hint
        for each in (inner, *get_args(inner)):
            if is_typeddict(each):
                yield from fields(each, f"{before}{name}{'[]' if get_origin(inner) is list else ''}.")


def paths(value: Any, before: str = "") -> set[str]:
    """Paths of all that there is in a record."""
    if isinstance(value, list):
        return set().union(*(paths(each, f"{before}[]") for each in value), set())
    if not isinstance(value, dict) or before == "seconds":
        return set()
    names = {f"{before}.{key}" if before else key: each for key, each in value.items()}
    return set(names).union(*(paths(each, name) for name, each in names.items()))


def test_a_record_has_the_fields_that_are_told_and_no_others(scene: NDArray[np.uint8]) -> None:
    censor = Censor("boxes", detector=finder())
    checked = Outcome.of("a.png", censor.check(scene)).record
    assert paths(checked) == {path for path, _ in fields(CheckedRecord)}
    censored = Outcome.of("a.png", censor.apply(scene, keep=[(0, 0, 1, 1)]), "b.png").record
    assert paths(censored) == {path for path, _ in fields(CensoredRecord)} - {
        "kept[].label", "kept[].score", "kept[].xyxy",
    }  # fmt: skip
    whole = censor.apply(scene, keep=[(0, 0, scene.shape[1], scene.shape[0])])
    assert {"kept[].label", "kept[].score", "kept[].xyxy"} <= paths(Outcome.of("a.png", whole, "b.png").record)
    failed = Outcome.failed("a.png", DamagedImageError("a.png: cut\nshort")).record
    assert paths(failed) == {path for path, _ in fields(FailedRecord)}
    assert failed == {"file": "a.png", "error": {"type": "DamagedImageError", "message": "a.png: cut short"}}


def test_levels_are_those_of_verdicts() -> None:
    level = get_type_hints(VerdictRecord, include_extras=True)["level"]
    choices = [each for each in level.__metadata__ if isinstance(each, OneOf)]
    assert [each.texts for each in choices] == [tuple(Level)]


def test_every_field_is_documented_in_its_own_words() -> None:
    text = (ROOT / "docs" / "command.md").read_text().split("## What is reported of a picture")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == {path: said for kind in KINDS for path, said in fields(kind)} | {
        "verdict": "The judgement on the picture as it came; null where the policy has no rule for one."
    }
    assert all(rows.values())


def test_a_log_line_has_the_fields_that_are_told(scene: NDArray[np.uint8]) -> None:
    done = Censor("boxes", detector=finder()).apply(scene)
    line = log_line(done, "b.png")
    assert line.keys() == OutcomeLine.__annotations__.keys()
    assert (line["output"], line["level"], line["regions"]) == ("b.png", "nsfw", len(done.redactions))
    (example,) = re.findall(r'^\{.*"event": "censored".*\}$', (ROOT / "docs" / "watch.md").read_text(), re.MULTILINE)
    assert json.loads(example).keys() == {"time", "event", "upload"} | line.keys()


@pytest.mark.parametrize(("name", "read"), [("a\udcff", "a\\udcff"), ("ä", "ä")])
def test_json_is_text_for_every_parser(name: str, read: str) -> None:
    assert json.loads(as_json({name: [name, {"k": (name, 1.5, None)}]})) == {read: [read, {"k": [read, 1.5, None]}]}
