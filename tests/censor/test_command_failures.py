"""What goes wrong around the command: files, disks, permissions, signals, names and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import FACES, Censor, hidden

from censor.verdict import judge

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [("gone.jpg", None, "cannot be read: No such file"), ("empty.jpg", b"", "the file is empty"),
     ("text.jpg", b"hello", "not a picture"), ("movie.mp4", b"\0\0\0\x18ftypmp42", "the film is damaged or cut short")],
)  # fmt: skip
def test_files_that_are_no_pictures(censor: Censor, tmp_path: Path, name: str, body: bytes | None, says: str) -> None:
    if body is not None:
        (tmp_path / name).write_bytes(body)
    for command in ("hide", "check"):
        result = censor(command, tmp_path / name)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"{tmp_path / name}: {says}")
        assert len(result.stderr.splitlines()) == 1


def test_a_system_without_descriptors_of_folders_is_told_at_once(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())  # as on Windows
    result = censor("check", face)
    assert result.exit_code == 1
    assert result.stderr == "Error: censor needs Linux or another Unix: there is no other way to be sure of folders\n"


def test_caps(censor: Censor, face: Path) -> None:
    assert "over the cap of 99" in censor(face, "--max-pixels", 99).stderr
    assert "more than 99 bytes" in censor("check", face, "--max-bytes", 99).stderr
    assert [path.name for path in face.parent.iterdir()] == ["face.jpg"]


@pytest.mark.parametrize("body", [b"", b"not onnx at all", None, "cut"])
def test_weights_that_are_none(censor: Censor, face: Path, tmp_path: Path, body: bytes | str | None) -> None:
    from detect.load import find_weights

    weights = tmp_path / "w.onnx"
    if body == "cut":
        weights.write_bytes(find_weights()[0].read_bytes()[:50_000])
    elif isinstance(body, bytes):
        weights.write_bytes(body)
    result = censor(face, "--weights", weights)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {weights}: ")
    assert len(result.stderr.splitlines()) == 1


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights: root reads and writes everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_permission_to_read_or_write(censor: Censor, face: Path, tmp_path: Path) -> None:
    assert censor(face, "-o", tmp_path / "warm.jpg").exit_code == 0  # everything is imported with root's rights
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    locked, closed = face.with_name("locked.jpg"), tmp_path / "closed"
    locked.write_bytes(face.read_bytes())
    locked.chmod(0)
    closed.mkdir(mode=0o555)
    with as_nobody():
        unread = censor(locked, "-o", closed / "x.jpg")
        unwritten = censor(face, "-o", closed / "x.jpg")
    assert unread.exit_code == unwritten.exit_code == 1
    assert unread.stderr == f"{locked}: cannot be read: Permission denied\n"
    assert unwritten.stderr == f"{face}: {closed / 'x.jpg'}: cannot be written: Permission denied\n"
    assert not list(closed.iterdir())


def test_a_full_disk(face: Path, tmp_path: Path) -> None:
    """A limit on file size gives the write error that a full disk gives, half way through a file."""
    out = tmp_path / "out"
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "from censor.cli import main\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, str(face), "-o", str(out), *FACES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{face}: {out / 'face.jpg'}: cannot be written: File too large\n"
    assert not list(out.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_interrupting_leaves_no_half_file(face: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    photos, out = tmp_path / "many", tmp_path / "out"
    photos.mkdir()
    for index in range(400):
        (photos / f"{index:03}.jpg").write_bytes(face.read_bytes())
    # A shell starts what it runs in the background with SIGINT ignored, and its children inherit that.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from censor.cli import main"
    )
    command = [sys.executable, "-c", f"{program}; main(sys.argv[1:])", str(photos), "-o", str(out), *FACES]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (out.exists() and any(out.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert "interrupted; " in stderr
    assert "Traceback" not in stderr
    written = sorted(out.iterdir())
    assert 0 < len(written) < 400
    assert all(path.suffix == ".jpg" for path in written)
    for path in written:
        assert hidden(path, face)


def test_names_cannot_play_tricks_on_a_terminal(censor: Censor, tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[2Jname\n.jpg"
    path.write_bytes(b"x")
    result = censor(path)
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr
    assert "evil\\x1b[2Jname" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_names_that_are_not_unicode(censor: Censor, face: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(str(face.parent)) + b"/\xff.jpg")
    Path(odd).write_bytes(face.read_bytes())
    report = tmp_path / "r.jsonl"
    result = censor(face.parent, "-v", "--json", report, *FACES)
    assert result.exit_code == 0
    assert len(report.read_text().splitlines()) == 2
    assert Path(os.fsdecode(os.fsencode(str(face.parent)) + b"/\xff.censored.jpg")).exists()


def test_a_bug_in_one_picture_does_not_stop_the_others(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from censor import censoring

    (face.parent / "other.jpg").write_bytes(face.read_bytes())
    calls = iter([ZeroDivisionError("oops"), None])

    def trap(*arguments: object, **options: object) -> object:
        if error := next(calls):
            raise error
        return original(*arguments, **options)  # type: ignore[arg-type]

    original = judge
    monkeypatch.setattr(censoring, "judge", trap)
    result = censor(face.parent, "--workers", 1, *FACES)
    assert result.exit_code == 1
    assert f"{face}: ZeroDivisionError: oops" in result.stderr
    assert face.with_name("other.censored.jpg").exists()
    assert not face.with_name("face.censored.jpg").exists()


def test_a_bar_on_a_terminal_and_none_in_a_pipe(face: Path, tmp_path: Path) -> None:
    import pty

    for index in range(6):
        (face.parent / f"{index}.jpg").write_bytes(face.read_bytes())
    command = [sys.executable, "-m", "censor", str(face.parent), "-o", str(tmp_path / "out"), *FACES]
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, stderr=follower, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait() == 0
    assert b"7/7" in shown
    assert b"/s" in shown
    assert b"7 done, 7 with hidden regions, 0 failed" in shown
    piped = subprocess.run([*command, "--force"], capture_output=True, check=True)
    assert piped.stderr == b"7 done, 7 with hidden regions, 0 failed\n"


def test_without_weights_the_command_says_how_to_get_some(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)  # as if it were not installed
    monkeypatch.setenv("CENSOR_WEIGHTS", "")  # as good as unset
    monkeypatch.setenv("CENSOR_MODELS", str(face.parent / "none"))
    says = (ROOT / "docs" / "install.md").read_text().split("```text\n")[1].split("```")[0]
    assert "censor models add all" in says
    for arguments in ([face], ["check", face], ["serve"]):
        result = censor(*arguments)
        assert (result.exit_code, result.stderr) == (1, says)


def test_the_weights_that_the_environment_names(
    censor: Censor, face: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CENSOR_WEIGHTS", str(tmp_path / "gone.onnx"))
    for arguments in ([face], ["check", face], ["serve"]):
        result = censor(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {tmp_path / 'gone.onnx'}: cannot read the weights")
    from detect.load import find_weights

    assert censor(face, "--weights", find_weights()[0], "--policy", "faces").exit_code == 0
