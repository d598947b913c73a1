"""Policies' files that are no TOML, or TOML that tomllib or Python chokes on: one line, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Censor

from censor.policy_toml import load_policy

RULE = "\n[labels.FACE_FEMALE]\ncensor_at = 0.2\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"), ("a = " + "{a=" * 3000, "nested too deeply"),
        ("cells = " + "9" * 10_000, "a number of too many digits"), ('name = "\0"', "Illegal character"),
        ("cells = 0x" + "f" * 100_000, "line 1: "), ("cells = inf", "line 1: cells must be a whole number"),
        ("feather = nan", "line 1: feather must be a number in [0, 1]"), ("k" * 100_000 + " = 1", "unknown key"),
        ("name = 1979-05-27", "name must be text, not datetime.date(1979, 5, 27)"), ("name = {}", "name must be"),
        ("color = 07:32:00", "color must be like"), ("color = [" + "9" * 400 + ", 0, 0]", "line 1: color must be"),
        ("color = [inf, 0, 0]", "line 1: color must be like"), ("sticker = 1979-05-27", "sticker must be a name"),
        ("[all]\ncensor_at = nan", "line 2, [all]: censor_at must be"), ("[all]\nexpand = inf", "expand must be"),
        ("[all]\ncensor_at = " + "9" * 400, "censor_at must be"), ("[all]\neffect = {}", "effect must be"),
        ("[all]\nrequired = 1979-05-27", "required must be"), ("labels = 1979-05-27", "[labels] must be a table"),
        ("#" * 300_000, "more than 262,144 bytes"), ("a" + ".a" * 90_000 + " = 1", "more than 1,000 dots in a line"),
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
def test_one_line_says_what_is_wrong(censor: Censor, tmp_path: Path, body: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(body + ("" if body.startswith("labels") else RULE))
    result = censor("policy", "check", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {path}")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) < 1000


def test_what_is_no_text_and_what_is_no_file(censor: Censor, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b'name = "\xff"')
    for source in (path, tmp_path, "a" * 5000, "/dev/null/x.toml"):
        result = censor("policy", "check", source)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xef\xbb\xbf" + RULE.encode())
    assert load_policy(path).name == "own"


def test_a_name_that_can_be_no_path_is_an_error_of_one_line(censor: Censor) -> None:
    for command in ("hide", "check"):
        result = censor(command, "a" * 5000)
        assert result.exit_code == 1
        assert result.stderr.endswith("cannot be read: File name too long\n")
