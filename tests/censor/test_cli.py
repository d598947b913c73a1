"""The rest of the command, with the real detector: check, labels, policies, usage and reports."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import FACES, Censor
from fakes import RedFinder

# --- check ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def face_policy(tmp_path: Path) -> Path:
    path = tmp_path / "house.toml"
    path.write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\nreview_at = 0.3\nnsfw_at = 0.6\n")
    return path


def test_check_exit_codes(censor: Censor, face: Path, face_policy: Path) -> None:
    assert censor("check", face).exit_code == 0
    nsfw = censor("check", face, "--policy", face_policy)
    assert nsfw.exit_code == 3
    assert nsfw.stdout.startswith("nsfw    0.8")
    assert f"{face}  (FACE_FEMALE 0.8" in nsfw.stdout
    assert ">= nsfw_at 0.6" in nsfw.stdout
    assert censor("check", face, "--policy", face_policy, "-t", "0.99").exit_code == 0
    (face.parent / "bad.jpg").write_bytes(b"x")
    assert censor("check", face.parent, "--policy", face_policy).exit_code == 1  # 1 wins over 3


def test_check_json_and_stdin(censor: Censor, face: Path, face_policy: Path) -> None:
    (face.parent / "bad.jpg").write_bytes(b"x")
    result = censor("check", face.parent, "--json", "--policy", face_policy)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert records[0]["error"]["type"] == "UnsupportedImageError"
    assert records[1]["verdict"]["nsfw"] is True
    assert records[1]["verdict"]["reasons"][0]["label"] == "FACE_FEMALE"
    assert "output" not in records[1]
    piped = censor("check", "-", "--policy", face_policy, stdin=face.read_bytes())
    assert piped.exit_code == 3
    assert piped.stdout.split()[2] == "-"
    assert result.stderr.splitlines()[-1] == "0 safe, 0 review, 1 nsfw, 1 failed"


def test_check_writes_nothing(censor: Censor, face: Path) -> None:
    censor("check", face.parent)
    assert [path.name for path in face.parent.iterdir()] == ["face.jpg"]


# --- labels and policies --------------------------------------------------------------------------------------------


def test_labels(censor: Censor) -> None:
    result = censor("labels")
    assert result.exit_code == 0
    assert "FEMALE_BREAST_EXPOSED     class 3; also F_BREAST, EXPOSED_BREAST_F" in result.stdout
    assert len(result.stdout.splitlines()) == 19
    assert "not reported" not in result.stdout


def test_labels_without_a_detector(censor: Censor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CENSOR_WEIGHTS", str(tmp_path / "none"))
    result = censor("labels")
    assert result.exit_code == 0
    assert result.stderr == "No detector is here; get one with: censor models add 320n\n"
    assert censor("labels", "--weights", tmp_path / "none").exit_code == 1
    assert censor("policy", "check", "default").stdout.startswith("default: valid; not checked against models: ")
    odd = tmp_path / "odd.toml"
    odd.write_text("[labels.queen]\ncensor_at = 0.2")
    assert censor("policy", "check", odd).exit_code == 2
    assert censor("policy", "check", odd, "--weights", tmp_path / "none").exit_code == 1


def test_policies(censor: Censor, tmp_path: Path) -> None:
    assert censor("policy", "list").stdout.split() == ["default", "strict", "boxes", "faces"]
    assert "[labels.BELLY_EXPOSED]" in censor("policy", "show", "strict").stdout
    own = tmp_path / "own.toml"
    assert censor("policy", "write", "strict", own).exit_code == 0
    assert censor("policy", "check", own).stdout == f"{own}: valid\n"
    assert censor("policy", "write", "strict", own).exit_code == 1
    assert censor("policy", "write", "faces", own, "--force").exit_code == 0
    own.write_text("[labels.FACE_FEMALES]\ncensor_at = 0.1\n")
    wrong = censor("policy", "check", own)
    assert wrong.exit_code == 2
    assert "unknown label 'FACE_FEMALES'; did you mean FACE_FEMALE" in wrong.stderr
    own.write_text("[labels.FACE_FEMALE]\ncensor_to = 0.1\n")
    broken = censor("policy", "check", own)
    assert broken.exit_code == 2
    assert (
        broken.stderr
        == f"Error: {own}, line 2, [labels.FACE_FEMALE]: unknown key 'censor_to'; did you mean censor_at?\n"
    )


# --- usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), ""), (("--in-place", "-o", "x"), "exclude each other"), (("-o", "x.odd"), "no known picture suffix"),
        (("-t", "2"), "must be a score in [0, 1]"), (("-t", "x=y"), "must be a score"),
        (("-t", "=0.5"), "no label before"), (("",), "must not be empty"), (("-o", ""), "'' is no path"),
        (("-o", "-"), "'-' is no path"),
        (("--label", "FACES"), "did you mean FACE"),
        (("-t", "NOSE=0.2"), "unknown label 'NOSE'"), (("--policy", "fases"), "did you mean faces?"),
        (("--color", "reddish"), "color must be"),
        (("--cells", "9"), "1<=x<=8"), (("--replacewith", "nothing"), "is not one of"),
        (("--sticker", "unicorn"), "cannot be read"),
        (("--mask-scale", "0.5"), "1<=x<=20"), (("--json", "gone/x.jsonl"), "cannot be written"),
    ],
)  # fmt: skip
def test_usage_errors(censor: Censor, face: Path, arguments: tuple[str, ...], says: str) -> None:
    result = censor(*((face, *FACES, *arguments) if arguments else ("hide",)))
    assert result.exit_code == 2
    assert says in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1
    assert [path.name for path in face.parent.iterdir()] == ["face.jpg"]


def test_one_output_file_takes_one_picture(censor: Censor, face: Path, tmp_path: Path) -> None:
    assert censor(face, face, "-o", tmp_path / "x.jpg").exit_code == 2
    assert censor(face.parent, "-o", tmp_path / "x.jpg").exit_code == 2
    assert censor("-", face).exit_code == 2
    assert censor("check", "-", face).exit_code == 2
    assert censor("-", "-o", tmp_path, stdin=b"x").exit_code == 2


def test_a_report_never_takes_the_place_of_a_picture(censor: Censor, face: Path, tmp_path: Path) -> None:
    before, target = face.read_bytes(), tmp_path / "x.jpg"
    policy = tmp_path / "own.toml"
    policy.write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\n")
    for report in (face, target, policy):
        result = censor(face, "-o", target, "--policy", policy, "--json", report, "--force")
        assert result.exit_code == 2
        assert "reads or writes a file of that name" in result.stderr
    assert face.read_bytes() == before
    assert not target.exists()


def test_checking_without_anything_to_judge_is_refused(censor: Censor, face: Path, tmp_path: Path) -> None:
    policy = tmp_path / "own.toml"
    policy.write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\n")
    result = censor("check", face, "--policy", policy)
    assert result.exit_code == 2
    assert "judges nothing" in result.stderr


def test_results_that_cannot_be_written(censor: Censor, face: Path) -> None:
    report = censor(face, "--json", "/dev/full", "--force", *FACES)
    assert report.exit_code == 1
    assert "the results cannot be written: No space left" in report.stderr
    command = [sys.executable, "-m", "censor", "check", str(face), "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: the results cannot be written: No space left on device\n"


def test_names_in_another_encoding(face: Path) -> None:
    (face.parent / "日本.jpg").write_bytes(face.read_bytes())
    for options in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "censor", "check", str(face.parent), *options],
            capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        )  # fmt: skip
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 2


def test_a_report_is_not_overwritten_unless_told(censor: Censor, face: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.jsonl"
    report.write_text("mine")
    assert censor(face, "--json", report, *FACES).exit_code == 2
    assert report.read_text() == "mine"
    assert censor(face, "--json", report, "--force", *FACES).exit_code == 0
    assert json.loads(report.read_text())["file"] == str(face)


def test_a_policy_that_the_detector_cannot_serve_is_usage(
    censor: Censor, tmp_path: Path, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("censor.loading.load_detectors", lambda *arguments, **options: RedFinder())
    policy = tmp_path / "own.toml"
    policy.write_text("[labels.FEMALE_GENITALIA_EXPOSED]\ncensor_at = 0.2\n")
    for arguments in (("policy", "check", policy), ("check", face, "--policy", policy)):
        result = censor(*arguments)
        assert result.exit_code == 2
        assert "the detector never reports FEMALE_GENITALIA_EXPOSED" in result.stderr


@pytest.mark.parametrize("there", ["a link", "a second name", "a link to nothing"])
def test_a_report_takes_a_name_and_leaves_alone_what_else_had_it(
    censor: Censor, face: Path, tmp_path: Path, there: str
) -> None:
    victim, report = tmp_path / "victim", tmp_path / "r.jsonl"
    victim.write_text("mine")
    victim.chmod(0o640)
    if there == "a second name":
        report.hardlink_to(victim)
    else:
        report.symlink_to(victim if there == "a link" else tmp_path / "nothing")
    assert censor(face, "--json", report, "--force", *FACES).exit_code == 0
    assert not report.is_symlink()
    assert json.loads(report.read_text())["file"] == str(face)
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nothing").exists()
    assert there != "a second name" or report.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("there", ["/dev/null", "standard output"])
def test_a_link_to_a_stream_is_not_replaced_by_a_report(face: Path, tmp_path: Path, there: str) -> None:
    report, printed = tmp_path / "r.jsonl", tmp_path / "printed"
    report.symlink_to("/proc/self/fd/1" if there == "standard output" else there)
    command = [sys.executable, "-m", "censor", str(face), "--json", str(report), "--force", *FACES]
    with printed.open("w") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "a link to something that is not a file of its own" in done.stderr
    assert report.is_symlink()
    assert printed.read_text() == ""


def test_version_and_help(censor: Censor) -> None:
    assert censor("--version").stdout.startswith("censor ")
    for arguments in (["--help"], ["hide", "-h"], ["check", "--help"], ["policy", "--help"], []):
        result = censor(*arguments)
        assert "Usage:" in result.output
        assert result.exit_code == (0 if arguments else 2)
    assert "Exit codes" in censor("--help").stdout
    assert io.StringIO(censor("--help").stdout).readline().startswith("Usage: main [OPTIONS] COMMAND")
