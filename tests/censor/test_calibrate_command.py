"""`censor calibrate`: a policy that `check` goes by, and refusals in one line."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from command import Censor
from labeled_pictures import save

from censor.finding import Networks
from censor.policy_toml import load_policy

POLICY = """
[labels.FEMALE_BREAST_EXPOSED]
nsfw_at = 0.95
[picture]
review_at = 0.5
"""


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    """Forty pictures of each kind, more red on the whole where they stand for NSFW ones."""
    save(tmp_path / "l" / "SAFE", [0.02 * row for row in range(40)])
    save(tmp_path / "l" / "NSFW", [0.2 + 0.02 * row for row in range(40)], seed=100)
    (tmp_path / "p.toml").write_text(POLICY)
    return tmp_path / "l"


def test_evaluate_calibrate_and_evaluate_again(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    shared = ("--policy", tmp_path / "p.toml", "--cache", tmp_path / "c")
    assert censor("evaluate", labeled, "-o", tmp_path / "one", "--worst", 0, *shared).exit_code == 0
    wanted = ("--miss-rate", 0.2, "--report", tmp_path / "own.html", "--held-back", 0.6)
    done = censor("calibrate", labeled, "-o", tmp_path / "own.toml", *wanted, *shared)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("reds: platt, calibration error ")
    assert "At most 20 % of the NSFW pictures are judged safe, with a confidence of 0.95" in done.stdout
    assert done.stdout.endswith(f"{tmp_path / 'own.toml'}\n")
    made = load_policy(tmp_path / "own.toml")
    assert set(made.calibrations) == {"reds"}
    assert "exchange" not in (tmp_path / "own.toml").read_text()
    assert (tmp_path / "own.toml").read_text().startswith("# Made by `censor calibrate`.\n# At most 20 %")
    done = censor("evaluate", labeled, "-o", tmp_path / "two", "--worst", 0, "--policy", tmp_path / "own.toml")
    assert done.exit_code == 0
    assert "reds, calibrated" in done.stdout
    assert "fair sample" in (tmp_path / "own.html").read_text("utf-8")


def test_on_pictures_that_nothing_was_chosen_on_check_keeps_the_promise(
    censor: Censor, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole path: measured, calibrated on one half by the command's own split, checked on pictures kept aside."""
    (tmp_path / "p.toml").write_text(POLICY)
    for side, low, seed in (("SAFE", 0.0, 0), ("NSFW", 0.3, 1000)):
        for folder, offset in (("known", 0), ("unseen", 500)):
            shares = [low + 0.6 * ((row * 37) % 80) / 80 for row in range(80)]
            save(tmp_path / folder / side, shares, seed=seed + offset)
    shared = ("--policy", tmp_path / "p.toml", "--cache", tmp_path / "c", "-q", "--worst", 0)
    assert censor("evaluate", tmp_path / "known", "-o", tmp_path / "before", *shared).exit_code == 0
    wanted = ("--miss-rate", 0.1, "--policy", tmp_path / "p.toml", "--cache", tmp_path / "c")
    assert censor("calibrate", tmp_path / "known", "-o", tmp_path / "own.toml", *wanted).exit_code == 0
    monkeypatch.setattr("censor.cli.preparing._load_networks", lambda *arguments: (faked.detector, faked.classifiers))

    def levels(side: str, policy: str) -> list[str]:
        done = censor("check", tmp_path / "unseen" / side, "--policy", tmp_path / policy, "--json")
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return [each["verdict"]["level"] for each in records]

    assert len(levels("NSFW", "own.toml")) == 80
    assert levels("NSFW", "p.toml").count("safe") > 8
    assert levels("NSFW", "own.toml").count("safe") <= 8
    assert levels("SAFE", "own.toml").count("safe") >= 20
    after = ("--policy", tmp_path / "own.toml", "-q", "--worst", 0)
    assert censor("evaluate", tmp_path / "unseen", "-o", tmp_path / "after", *after).exit_code == 0
    judges = {each["name"]: each for each in json.loads((tmp_path / "after" / "report.json").read_text())["judges"]}
    errors = [judges[name]["reliability"]["expected_calibration_error"] for name in ("reds", "reds, calibrated")]
    assert errors[1] < errors[0]


def test_methods_are_named_for_all_or_for_one(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    for number, (given, method) in enumerate(
        [((), "platt"), (("isotonic",), "isotonic"), (("none", "reds=temperature"), "temperature"), (("none",), None)]
    ):
        out = tmp_path / f"{number}.toml"
        options = [each for method_ in given for each in ("--method", method_)]
        done = censor("calibrate", labeled, "-o", out, "--policy", tmp_path / "p.toml", "-q", *options)
        assert (done.exit_code, done.output) == (0, "")
        found = tomllib.loads(out.read_text()).get("calibration", {})
        assert {name: each["method"] for name, each in found.items()} == ({} if method is None else {"reds": method})


def test_what_cannot_be_promised_or_done_ends_in_one_line(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    cases: list[tuple[list[object], int, str]] = [
        (["--miss-rate", 0.01], 1, "takes 299 independent positive (NSFW) pictures; there are 20, so 279 are missing"),
        (["--false-alarm-rate", 0.01], 1, "takes 299 independent negative (safe) pictures"),
        (["--miss-rate", 0], 2, "0 is not in the range"),
        (["--miss-rate", "nan"], 2, "must lie in (0, 1), not nan"),
        (["--method", "linear"], 2, "must be one of temperature, platt, isotonic, none"),
        (["--method", "open_nsfw=platt"], 2, "the classifiers that count are reds"),
        (["--report", tmp_path / "p.toml"], 2, "exists already; use --force"),
        (["--report", labeled / "r.html"], 2, "outside of the labelled pictures"),
        (["--report", tmp_path / "gone" / "r.html"], 1, "r.html: cannot be written: "),
        (["--held-back", 0.001], 1, "too few for two sides"),
    ]
    for options, code, says in cases:
        done = censor("calibrate", labeled, "-o", tmp_path / "own.toml", "--policy", tmp_path / "p.toml", *options)
        assert (done.exit_code, says in done.stderr) == (code, True), done.stderr
        assert not (tmp_path / "own.toml").exists()
    before = (tmp_path / "p.toml").read_text()
    done = censor("calibrate", labeled, "-o", tmp_path / "p.toml")
    assert done.exit_code == 2
    assert (tmp_path / "p.toml").read_text() == before


def test_the_documented_commands_run_one_after_another(
    censor: Censor, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text()
    (block,) = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    assert [command[:2] for command in commands] == [
        ["censor", name] for name in ("evaluate", "calibrate", "check", "evaluate")
    ]
    save(tmp_path / "labelled" / "SAFE", [0.005 * row for row in range(60)])
    save(tmp_path / "labelled" / "NSFW", [0.2 + 0.01 * row for row in range(60)], seed=100)
    (tmp_path / "labelled" / "SAFE" / "000.png").replace(tmp_path / "photo.jpg")
    given = (faked.detector, faked.classifiers)
    monkeypatch.setattr("censor.cli.preparing._load_networks", lambda *arguments: given)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        done = censor(*command[1:])
        assert done.exit_code == 0, done.output
    assert done.stdout.startswith("policy house: ")
    assert {"report", "after", "house.toml", "house.html", "scores.sqlite"} <= {
        each.name for each in tmp_path.iterdir()
    }
