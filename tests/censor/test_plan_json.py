"""The file that a plan is: exact, and refused in one line where it makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from censor import Plan, PlannedBox, PlannedThing, load_plan, save_plan
from censor.errors import OutputExistsError, PlanError
from censor.models_used import ModelUsed
from censor.plan_json import format_plan, parse_plan
from censor.policy_toml import PRESETS, load_policy

STILL = Plan(
    file="photo.jpg",
    sha256="0f" * 32,
    width=64,
    height=48,
    policy=load_policy("faces"),
    models=(ModelUsed(name="320n", sha256="ab" * 32), ModelUsed(name="own")),
    things=(
        PlannedThing(
            number=1, label="FACE", score=0.9070452451705933, effect="pixelate", shape="ellipse", expand=0.1,
            boxes=(PlannedBox(xyxy=(8.980209350585938, -2.5, 17.19541931152344, 1e-7)),),
        ),
        PlannedThing(
            number=2, label="NSFW_REGION", classifier="open_nsfw", rechecked=True,
            boxes=(PlannedBox(cells=("..#", ".##")),),
        ),
        PlannedThing(label="KEEP", hide=False, boxes=(PlannedBox(xyxy=(1, 2, 3, 4)),)),
    ),
    found=2,
)  # fmt: skip
MOVING = replace(
    STILL,
    things=(
        PlannedThing(
            number=1,
            boxes=(
                PlannedBox(first=0, end=2, xyxy=(1, 2, 3, 4)),
                PlannedBox(first=2, end=3, xyxy=(2, 2, 4, 4), effect="blur"),
            ),
        ),
    ),
    found=1,
    times=(Fraction(0), Fraction(1001, 30000), Fraction(1, 3)),
    end=Fraction(2, 3),
)


PAGED = replace(
    STILL,
    pages=((64, 48), (200, 100)),
    things=(
        PlannedThing(number=1, boxes=(PlannedBox(xyxy=(1, 2, 3, 4)),)),
        PlannedThing(number=2, boxes=(PlannedBox(first=1, end=2, xyxy=(100, 50, 180, 90)),)),
        PlannedThing(
            label="KEEP", hide=False,
            boxes=(PlannedBox(xyxy=(1, 2, 3, 4)), PlannedBox(first=1, end=2, xyxy=(1, 2, 3, 4))),
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize("plan", [STILL, MOVING, PAGED], ids=["still", "moving", "paged"])
@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_is_read_as_it_was(tmp_path: Path, plan: Plan, preset: str) -> None:
    plan = replace(plan, policy=load_policy(preset))
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan
    assert hash(load_plan(tmp_path / "plan.json")) == hash(plan)
    with pytest.raises(OutputExistsError):
        save_plan(plan, tmp_path / "plan.json")
    save_plan(STILL, tmp_path / "plan.json", overwrite=True)
    assert load_plan(tmp_path / "plan.json") == STILL


def test_a_box_is_a_line_and_the_text_is_ascii() -> None:
    text = format_plan(replace(STILL, file="Fête.jpg"))
    assert text.isascii()
    assert '"boxes": [{"cells": ["..#", ".##"]}]\n' in text
    assert '"file": "F\\u00eate.jpg",\n' in text
    assert max(len(line) for line in text.splitlines() if "toml" not in line) <= 120


def test_pages_have_numbers_from_one() -> None:
    data = json.loads(format_plan(PAGED))
    assert data["pages"] == [{"width": 64, "height": 48}, {"width": 200, "height": 100}]
    assert [each["boxes"][0]["page"] for each in data["things"]] == [1, 2, 1]
    assert "time" not in data

    def refused(change: Callable[[dict[str, Any]], object]) -> str:
        changed = json.loads(json.dumps(data))
        change(changed)
        with pytest.raises(PlanError) as caught:
            parse_plan(json.dumps(changed))
        return str(caught.value)

    def on(page: int) -> Callable[[dict[str, Any]], object]:
        return lambda changed: changed["things"][1]["boxes"][0].update(page=page)

    assert refused(on(3)).endswith("things[1].boxes[0]: page must be 2 at most, the number of pages, not 3")
    assert "page must be 1 or more" in refused(on(0))
    assert "lies wholly outside the picture of 64 x 48 pixels" in refused(on(1))
    assert "unknown key 'from'" in refused(lambda changed: changed["things"][0]["boxes"][0].update({"from": 0}))
    assert "must be one at least" in refused(lambda changed: changed.update(pages=[]))
    assert "the first of them is as large as the input" in refused(lambda changed: changed["pages"].reverse())
    assert "unknown key" in refused(lambda changed: changed.update(time={"frames": ["0"], "end": "1"}))


def test_times_are_frames_or_seconds() -> None:
    data = json.loads(format_plan(MOVING))
    for start, end, expected in (
        ("0", "1/3", (0, 2)),
        ("0.01", "9", (1, 3)),
        ("1001/30000", "0.34", (1, 3)),
        (1, 3, (1, 3)),
        ("0.1", 3, (2, 3)),
    ):
        data["things"][0]["boxes"] = [{"from": start, "to": end, "xyxy": [1, 2, 3, 4]}]
        (box,) = parse_plan(json.dumps(data)).things[0].boxes
        assert (box.first, box.end) == expected


def test_what_somebody_adds_needs_a_box_and_nothing_else() -> None:
    data = json.loads(format_plan(STILL))
    data["things"].append({"boxes": [{"xyxy": [1, 2, 3, 4]}]})
    added = parse_plan(json.dumps(data)).things[-1]
    assert added == PlannedThing(boxes=(PlannedBox(xyxy=(1, 2, 3, 4)),))
    assert (added.label, added.hide, added.effect, added.number) == ("ALSO", True, "solid", None)


Change = Callable[[dict[str, Any]], object]


def thing(**values: object) -> Change:
    return lambda data: data["things"][0].update(values)


def box(**values: object) -> Change:
    return lambda data: data["things"][0]["boxes"][0].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(format="other"), "format: must be 'censor-plan': this is no plan"),
        (lambda data: data.update(version=2), "version: must be 1, not 2: made by another release"),
        (lambda data: data.update(version=True), "version: must be 1, not True: made by another release"),
        (lambda data: data.pop("version"), "version: must be 1, not None: made by another release"),
        (lambda data: data.pop("models"), "models is missing"),
        (lambda data: data.update(thing=[]), "unknown key 'thing'; did you mean things?"),
        (lambda data: data.update(things={}), "things: must be a list, not {}"),
        (lambda data: data.update(found=3), 'thing 3 is missing: to show what was found, give it "hide": false'),
        (lambda data: data.update(found=1), "thing 2 is one of 1"),
        (lambda data: data["things"].pop(0), "thing 1 is missing: to show what was found"),
        (lambda data: data["things"].append(data["things"][0]), "number 1 is that of two things"),
        (lambda data: data["input"].update(sha256="ABC"), "sha256 must be 64 hexadecimal digits, not 'ABC'"),
        (lambda data: data["input"].update(width=0), "width and height must be 1 or more, not 0 and 48"),
        (lambda data: data["input"].update(width=-1), "input.width: must be a whole number from 0, not -1"),
        (lambda data: data["input"].update(width=64.0), "input.width: must be a whole number from 0, not 64.0"),
        (lambda data: data["policy"].update(toml="cells = 2\n"), "policy: is not the one that its sha256 is of"),
        (lambda data: data["models"][0].update(sha256="x"), "models[0]: sha256 must be 64 hexadecimal digits"),
        (thing(number=0), "things[0]: number must be 1 or more, not 0"),
        (thing(hide="no"), "things[0].hide: must be true or false, not 'no'"),
        (thing(hide=0), "things[0].hide: must be true or false, not 0"),
        (thing(label=""), "things[0]: label must be a text of 1 to 200 characters"),
        (thing(label=7), "things[0].label: must be a text"),
        (thing(score=1.5), "things[0]: score must be a number in [0, 1], not 1.5"),
        (thing(score=True), "things[0].score: must be a number, not True"),
        (thing(effect="melt"), "things[0]: effect must be one of pixelate, blur, solid, sticker, not 'melt'"),
        (thing(shape="star"), "things[0]: shape must be one of box, rounded, ellipse, not 'star'"),
        (thing(expand=-0.1), "things[0]: expand must be a number in [0, 10], not -0.1"),
        (thing(boxes=[]), 'things[0]: boxes must be one at least; to show a thing, give it "hide": false'),
        (thing(boxes=[[1, 2, 3, 4]]), "things[0].boxes[0]: must be an object, not [1, 2, 3, 4]"),
        (thing(hidden=True), "things[0]: unknown key 'hidden'; did you mean hide?"),
        (box(xyxy=[1, 2, 3]), "things[0].boxes[0].xyxy: must be four numbers, not 3"),
        (box(xyxy=[1, 2, 3, "4"]), "things[0].boxes[0].xyxy: must be a number, not '4'"),
        (box(xyxy=[5, 2, 3, 4]), "things[0].boxes[0]: xyxy must be four numbers x0, y0, x1, y1 with x0 <= x1"),
        (box(xyxy=[1, 2, 1e9, 4]), "things[0].boxes[0]: xyxy must be four numbers"),
        (box(xyxy=[1, 2, 1e308, 4]), "things[0].boxes[0].xyxy: must be a number, not 1e+308"),
        (box(xyxy=[99, 2, 120, 4]), "things[0].boxes[0]: xyxy 99,2,120,4 lies wholly outside the picture of 64 x 48"),
        (box(cells=["#"]), "things[0].boxes[0]: xyxy or cells must say where, one of them"),
        (box(effect="melt"), "things[0].boxes[0]: effect must be one of"),
        (box(**{"from": 0}), "things[0].boxes[0]: unknown key 'from'"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(change: Change, said: str) -> None:
    data = json.loads(format_plan(STILL))
    change(data)
    with pytest.raises(PlanError) as caught:
        parse_plan(json.dumps(data), source="plan.json")
    assert str(caught.value).startswith("plan.json: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (box(**{"from": 3, "to": 3}), "things[0].boxes[0]: from must be a frame before to, not 3 and 3"),
        (box(**{"from": "0.01", "to": "0.02"}), "things[0].boxes[0]: from must be a frame before to, not 1 and 1"),
        (box(**{"from": -1}), "things[0].boxes[0].from: must be a whole number from 0, not -1"),
        (box(**{"from": 0.5}), "things[0].boxes[0].from: must be a whole number from 0, not 0.5"),
        (box(**{"from": "soon"}), 'things[0].boxes[0].from: must be seconds like "6/5" or "1.25", not \'soon\''),
        (box(**{"from": "1/0"}), "things[0].boxes[0].from: must be seconds, not '1/0'"),
        (box(to=3), "things[0]: boxes must be in the order of time, each beginning where the one before has ended"),
        (lambda data: data["things"][0]["boxes"].reverse(), "things[0]: boxes must be in the order of time"),
        (lambda data: data["things"][0]["boxes"][1].update(to=4), "things[0].boxes[1]: to must be 3 at most"),
        (lambda data: data["things"][0]["boxes"][0].pop("to"), "things[0].boxes[0]: to is missing"),
        (lambda data: data["time"].update(frames=[]), "time.frames: must be one at least"),
        (lambda data: data["time"].update(frames=["0", "2", "1"]), "times must be in order, and none after the end"),
        (lambda data: data["time"].update(end="0"), "times must be in order, and none after the end"),
        (lambda data: data["time"].update(frames=[0]), 'time.frames[0]: must be seconds like "6/5" or "1.25", not 0'),
        (lambda data: data.pop("time"), "things[0].boxes[0]: unknown key 'from'"),
    ],
)
def test_times_that_make_no_sense_are_said_in_one_line(change: Change, said: str) -> None:
    data = json.loads(format_plan(MOVING))
    change(data)
    with pytest.raises(PlanError) as caught:
        parse_plan(json.dumps(data), source="plan.json")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "cells", [[], [""], ["..."], ["#", "##"], ["#x"], ["#" * 1025], ["#"] * 1025], ids=lambda cells: str(cells)[:12]
)
def test_cells_that_make_no_sense_are_refused(cells: list[str]) -> None:
    data = json.loads(format_plan(STILL))
    data["things"][1]["boxes"][0]["cells"] = cells
    with pytest.raises(PlanError, match=r"things\[1\].boxes\[0\]: cells must be rows of one length"):
        parse_plan(json.dumps(data))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON: Expecting value"),
        ("[]", "must be an object, not []"),
        ('{"a": NaN}', "not valid JSON: NaN is no number"),
        ('{"a": -Infinity}', "not valid JSON: -Infinity is no number"),
        ('{"a": 1, "a": 2}', "not valid JSON: key 'a' is given twice in one object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(text, source="plan.json")
    assert str(caught.value).startswith("plan.json: ")
    assert said in str(caught.value)


def test_numbers_that_json_can_say_and_nobody_means_are_refused() -> None:
    text = format_plan(STILL).replace("17.19541931152344", "1e999")
    with pytest.raises(PlanError, match=r"things\[0\].boxes\[0\].xyxy: must be a number, not inf"):
        parse_plan(text)


def test_a_policy_that_makes_no_sense_is_named_with_its_line() -> None:
    import hashlib

    data = json.loads(format_plan(STILL))
    toml = "[all]\ncensor_at = 3\n"
    data["policy"] = {"toml": toml, "sha256": hashlib.sha256(toml.encode()).hexdigest()}
    with pytest.raises(PlanError, match=r"plan.json, policy.toml, line 2, \[all\]: censor_at must be"):
        parse_plan(json.dumps(data), source="plan.json")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"gone.json: cannot be read: No such file"):
        load_plan(tmp_path / "gone.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match=r"bytes.json: cannot be read: 'utf-8' codec"):
        load_plan(tmp_path / "bytes.json")
    (tmp_path / "marked.json").write_text(format_plan(STILL), "utf-8-sig")
    assert load_plan(tmp_path / "marked.json") == STILL
