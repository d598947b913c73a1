"""Working items off, and saying so: what is printed and counted; that nothing here decides how a command ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from censor.cli.console import Tally, singly, work_off
from censor.cli.groups import MessageOptions
from censor.cli.preparing import preparing
from censor.errors import CensorError, PolicyError
from censor.report import Outcome
from detect.errors import (
    DamagedImageError,
    EngineError,
    InferenceError,
    MissingWeightsError,
    ReadError,
    UnknownLabelError,
    WeightsError,
)

QUIET = MessageOptions(quiet=True, verbose=False)
LOUD = MessageOptions(quiet=False, verbose=True)


def numbered(number: int) -> Any:
    """A record by which the item is known again."""
    return {"n": number}


def done(number: int) -> Outcome:
    level = ("safe", "nsfw", None)[number % 3]
    return Outcome(file=str(number), record=numbered(number), line=f"line {number}", level=level, regions=number % 2)


def test_what_became_of_the_items_is_counted_and_returned(capsys: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> Outcome:
        return Outcome.failed(str(number), CensorError("no")) if number == 4 else done(number)

    tally = work_off(range(6), singly(work), workers=2, messages=LOUD, ignored=1)
    assert (tally.total, tally.reported, tally.failed, tally.hidden) == (6, 6, 1, 3)
    assert tally.levels == {"safe": 2, "nsfw": 1, None: 2}
    assert not tally.interrupted
    assert tally.unwritten is None
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"line {number}" for number in (0, 1, 2, 3, 5)]
    assert printed.err.splitlines() == [
        "4: no",
        "5 done, 3 with hidden regions, 2 with no verdict, 1 failed, 1 other file passed over",
    ]


def test_an_interruption_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> Outcome:
        if number == 2:
            raise KeyboardInterrupt
        return done(number)

    tally = work_off(range(4), singly(work), workers=1, messages=QUIET)
    assert (tally.interrupted, tally.reported) == (True, 2)
    assert capsys.readouterr().err == "interrupted; 2 of 4 reported, what was begun is finished\n"


def test_results_that_cannot_be_written_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", said)
    tally = work_off(range(4), singly(done), workers=1, messages=QUIET, report=Path("/dev/full"), overwrite=True)
    assert "No space left" in str(tally.unwritten)
    assert said.getvalue() == "Error: the results cannot be written: No space left on device\n"


def test_a_report_that_cannot_be_begun_is_usage(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"gone/r\.jsonl: cannot be written: No such file"):
        work_off([1], singly(done), workers=1, messages=QUIET, report=tmp_path / "gone" / "r.jsonl")
    (tmp_path / "r.jsonl").touch()
    with pytest.raises(click.UsageError, match="exists already; use --force"):
        work_off([1], singly(done), workers=1, messages=QUIET, report=tmp_path / "r.jsonl")


def test_a_new_tally_is_empty() -> None:
    tally = Tally(3)
    assert (tally.total, tally.reported, tally.failed, tally.hidden, tally.levels.total()) == (3, 0, 0, 0, 0)


def test_lines_of_a_report_that_replaces_another_appear_as_work_goes_on(face: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.jsonl"
    seen: list[int] = []
    report.write_text("old\n")

    def work(number: int) -> Outcome:
        seen.append(len(report.read_text().splitlines()))
        return Outcome(file=str(number), record=numbered(number), line="")

    messages = MessageOptions(quiet=True, verbose=False)
    tally = work_off(range(9), singly(work), workers=1, messages=messages, report=report, overwrite=True)
    assert (tally.reported, tally.failed, tally.interrupted) == (9, 0, False)
    assert seen[0] == 0
    assert seen[-1] > 0
    assert [json.loads(line)["n"] for line in report.read_text().splitlines()] == list(range(9))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WeightsError("w"), 1), (EngineError("e"), 1), (InferenceError("i"), 1),
        (MissingWeightsError("no detector weights"), 1),
        (PolicyError("p"), 2), (UnknownLabelError("u"), 2), (ValueError("v"), 2),
        (ReadError("of the sticker"), 2), (DamagedImageError("of the sticker"), 2),
    ],
)  # fmt: skip
def test_what_is_wrong_before_a_command_begins_ends_it(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    with pytest.raises(SystemExit) as end, preparing():
        raise error
    assert end.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert str(error) in said


def test_a_mistake_of_ours_is_no_usage() -> None:
    with pytest.raises(ZeroDivisionError), preparing():
        raise ZeroDivisionError
