"""The schema of plans: what is written fits it, and what does not fit it is never read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from animations import encoded
from click.testing import CliRunner
from film_files import RedSeer, blob
from hiding_films import policy
from jsonschema import Draft202012Validator
from test_plan_json import MOVING, PAGED, STILL, Change, box, thing

from censor import Censor, Plan
from censor.cli import main
from censor.errors import PlanError
from censor.plan_json import format_plan, parse_plan, plan_schema
from censor.policy_toml import PRESETS, load_policy

VALIDATOR = Draft202012Validator(plan_schema())
ODD: tuple[Any, ...] = (None, True, -1, 0, 1.5, 1e308, "", "x", "1/0", [], ["#"], {}, {"x": 1})


def fits(data: Any) -> bool:
    return bool(VALIDATOR.is_valid(data))


def is_read(data: Any) -> bool:
    try:
        parse_plan(json.dumps(data))
    except PlanError:
        return False
    return True


def test_it_is_a_schema_and_the_command_writes_it() -> None:
    Draft202012Validator.check_schema(plan_schema())
    done = CliRunner().invoke(main, ["plan", "--schema"])
    assert done.exit_code == 0
    assert json.loads(done.output) == plan_schema()


@pytest.mark.parametrize("plan", [STILL, MOVING, PAGED], ids=["still", "moving", "paged"])
@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_fits(plan: Plan, preset: str) -> None:
    VALIDATOR.validate(json.loads(format_plan(replace(plan, policy=load_policy(preset)))))


def test_what_the_program_plans_fits(tmp_path: Path) -> None:
    censor = Censor(policy(), detector=RedSeer(), classifiers=())
    path = tmp_path / "moving.webp"
    path.write_bytes(encoded([blob(8 * each) for each in range(4)]))
    plan = censor.plan(path, also=[(1, 2, 30, 40)], keep=[(100, 10, 120, 30)])
    assert len(plan.things) == 3
    VALIDATOR.validate(json.loads(format_plan(plan)))


def test_what_people_write_fits() -> None:
    data = json.loads(format_plan(MOVING))
    data["things"].append({"boxes": [{"from": "0.01", "to": "9", "xyxy": [1, 2, 3, 4]}]})
    assert is_read(data)
    VALIDATOR.validate(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(format="other"),
        lambda data: data.update(version=2),
        lambda data: data.pop("models"),
        lambda data: data.update(thing=[]),
        lambda data: data.update(time=None),
        lambda data: data.update(time={"frames": ["0"], "end": "1"}),
        lambda data: data["input"].update(sha256="ABC"),
        lambda data: data["input"].update(width=0),
        lambda data: data["models"][0].update(sha256="x"),
        thing(number=0),
        thing(hide="no"),
        thing(label=""),
        thing(label="x" * 201),
        thing(score=1.5),
        thing(score=True),
        thing(effect="melt"),
        thing(shape="star"),
        thing(expand=-0.1),
        thing(boxes=[]),
        thing(hidden=True),
        box(xyxy=[1, 2, 3]),
        box(xyxy=[1, 2, 3, "4"]),
        box(xyxy=[1, 2, 1e9, 4]),
        box(cells=["#"]),
        lambda data: data["things"][0]["boxes"][0].pop("xyxy"),
        lambda data: data["things"][1]["boxes"][0].update(cells=["..."]),
        lambda data: data["things"][1]["boxes"][0].update(cells=["#x"]),
        lambda data: data["things"][1]["boxes"][0].update(cells=["#" * 1025]),
        lambda data: data["things"][1]["boxes"][0].update(cells=["#"] * 1025),
        box(effect="melt"),
        box(**{"from": 0}),
    ],
)
def test_what_is_wrong_neither_fits_nor_is_read(change: Change) -> None:
    data = json.loads(format_plan(STILL))
    change(data)
    assert not fits(data)
    assert not is_read(data)


@pytest.mark.parametrize(
    "change",
    [
        box(**{"from": -1}),
        box(**{"from": 0.5}),
        box(**{"from": "soon"}),
        box(**{"from": "1/0"}),
        lambda data: data["things"][0]["boxes"][0].pop("to"),
        lambda data: data["time"].update(frames=[]),
        lambda data: data["time"].update(frames=[0]),
        lambda data: data.pop("time"),
    ],
)
def test_times_that_are_wrong_neither_fit_nor_are_read(change: Change) -> None:
    data = json.loads(format_plan(MOVING))
    change(data)
    assert not fits(data)
    assert not is_read(data)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that holds something, with its key or its row."""
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from places(data[key])


@pytest.mark.parametrize("plan", [STILL, MOVING], ids=["still", "moving"])
def test_what_is_read_fits_whatever_is_changed(plan: Plan) -> None:
    data = json.loads(format_plan(plan))
    misfits = 0
    for holder, key in list(places(data)):
        before = holder[key]
        for odd in ODD:
            holder[key] = odd
            if not fits(data):
                misfits += 1
                assert not is_read(data), (key, odd)
        holder[key] = before
    assert misfits > 300


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()

    def keys(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from schema.get("properties", {})
            for each in schema.values():
                yield from keys(each)
        elif isinstance(schema, list):
            for each in schema:
                yield from keys(each)

    found = set(keys(plan_schema()))
    assert {"input", "xyxy", "rechecked"} < found
    assert not {key for key in found if f"`{key}`" not in text}
