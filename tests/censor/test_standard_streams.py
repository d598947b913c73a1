"""The command as a shell starts it: what follows `--`, streams that are closed or full, and a folder that is gone."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command import FACES, hidden

POLICY = shlex.join(FACES)


@pytest.fixture(autouse=True)
def _one_network(models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line starts the command anew, which loads whatever is there."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("320n", "centerface"):
        (folder / f"{name}.onnx").symlink_to(models_folder / f"{name}.onnx")
    monkeypatch.setenv("CENSOR_MODELS", str(folder))


def shell(line: str, folder: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `censor` is the command; no traceback, whatever happens."""
    start = f'censor() {{ {sys.executable} -c "from censor.cli import run; run()" "$@"; }}; '
    done = subprocess.run(["bash", "-c", start + line], cwd=folder, input=stdin, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.mark.parametrize("command", ["", "hide"])
def test_after_two_dashes_nothing_is_an_option(face: Path, command: str) -> None:
    before = face.read_bytes()
    odd = ("--in-place", "-", "--", "hide", "check", "--help", "-q")
    for name in odd:
        (face.parent / name).write_bytes(before)
    done = shell(f"censor {command} {POLICY} -o ../out -- *", face.parent)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (face.parent.parent / "out").iterdir()) == sorted(
        ["face.jpg", *(f"{name}.jpg" for name in odd)]
    )
    done = shell(f"censor {command} -- *", face.parent)
    assert done.returncode == 0, done.stderr
    assert all((face.parent / name).read_bytes() == before for name in (*odd, "face.jpg"))
    assert (face.parent / "--in-place.censored.jpg").exists()


def test_after_two_dashes_other_commands_take_files_too(face: Path) -> None:
    (face.parent / "--json").write_bytes(face.read_bytes())
    (face.parent / "-").write_bytes(face.read_bytes())
    assert shell("censor check -- --json", face.parent).stdout.startswith(b"safe ")
    assert shell("censor check -- * <&-", face.parent).stdout.count(b"safe ") == 3
    assert shell("censor check -- - <&-", face.parent).returncode == 0
    assert shell("censor -- --version", face.parent).stderr.startswith(b"--version: cannot be read")


def test_a_dash_alone_is_standard_input(face: Path) -> None:
    (face.parent / "-").write_bytes(b"not this")
    body = face.read_bytes()
    assert shell("censor check -", face.parent, body).returncode == 0
    assert shell("censor check ./-", face.parent, body).returncode == 1
    (face.parent / "-").unlink()
    assert shell("censor check -- -", face.parent, body).returncode == 0
    out = face.with_name("out.jpg")
    out.write_bytes(shell(f"censor -v {POLICY} -", face.parent, body).stdout)
    assert hidden(out, face)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("censor - < face.jpg >&-", "-: standard output: cannot be written: Bad file descriptor"),
        ("censor check face.jpg >&-", "Error: the results cannot be written: Bad file descriptor"),
        ("censor check --json face.jpg >&-", "Error: the results cannot be written: Bad file descriptor"),
        ("censor - -o y.jpg <&-", "-: <stdin>: cannot be read: Bad file descriptor"),
        ("censor check - <&-", "-: <stdin>: cannot be read: Bad file descriptor"),
        ("censor - < face.jpg > /dev/full", "-: standard output: cannot be written: No space left on device"),
        ("censor check face.jpg > /dev/full", "Error: the results cannot be written: No space left on device"),
        ("censor policy show > /dev/full", "Error: No space left on device"),
        ("censor --help > /dev/full", "Error: No space left on device"),
        ("(sleep .3; censor - < face.jpg) > >(true)", "-: standard output: cannot be written: Broken pipe"),
        ("(sleep .3; censor check face.jpg) > >(true)", "Error: the results cannot be written: Broken pipe"),
        ("censor face.jpg --json /dev/full --force", "Error: the results cannot be written: No space left on device"),
        ("censor check face.jpg <&- >&- 2>&-", ""), ("censor check gone.jpg 2> /dev/full", ""),
        ("censor check gone.jpg 2>&-", ""), ("censor --nonsense 2> /dev/full", ""),
    ],
)  # fmt: skip
def test_streams_that_cannot_be_used(face: Path, line: str, says: str) -> None:
    done = shell(line, face.parent)
    assert done.returncode == 1
    assert done.stderr.decode() == (f"{says}\n" if says else "")
    assert {path.name for path in face.parent.iterdir()} <= {"face.jpg", "face.censored.jpg"}


def test_errors_that_nobody_wants_to_see_do_not_matter(face: Path) -> None:
    assert shell(f"censor face.jpg {POLICY} 2>&- <&-", face.parent).returncode == 0
    assert hidden(face.with_name("face.censored.jpg"), face)
    assert shell("censor hide --nonsense 2>&-", face.parent).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    ["x.jpg", "check x.jpg", "../photos/face.jpg", "check ../photos", "{face} -o out", "{face} --json r.jsonl",
     "check {face} --policy own.toml", "{face} --weights w.onnx"],
)  # fmt: skip
def test_a_working_directory_that_is_gone(face: Path, arguments: str) -> None:
    given = arguments.format(face=face)
    done = shell(f"mkdir ../gone; cd ../gone; rmdir ../gone; censor {given}", face.parent)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1


def test_whole_paths_need_no_working_directory(face: Path) -> None:
    whole = shell(f"mkdir ../gone; cd ../gone; rmdir ../gone; censor check {face}; censor {face}", face.parent)
    assert whole.returncode == 0
