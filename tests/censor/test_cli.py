"""The command, with the real detector and faces for body parts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from censor.cli import main
from censor.images import decode

FACES = ("--policy", "faces")
Censor = Callable[..., Result]


@pytest.fixture
def censor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Censor]:
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(each) for each in arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def face(astronaut: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "face.jpg"
    path.parent.mkdir()
    Image.fromarray(astronaut[:256, 100:356]).save(path, quality=95)
    return path


def hidden(path: Path, source: Path) -> bool:
    """Whether the middle of the face differs from the source and the corners do not (much)."""
    shown, original = decode(path).pixels.astype(int), decode(source).pixels.astype(int)
    assert shown.shape == original.shape
    corner = np.abs(shown[-40:, -40:] - original[-40:, -40:]).mean()
    assert corner < 4
    return bool(np.abs(shown[90:170, 85:165] - original[90:170, 85:165]).mean() > 8)


def test_a_photo_gets_a_censored_neighbour(censor: Censor, face: Path) -> None:
    result = censor(face, *FACES)
    assert result.exit_code == 0
    copy = face.with_name("face.censored.jpg")
    assert hidden(copy, face)
    assert result.stdout == f"{face} -> {copy}  (1 region hidden, safe)\n"
    assert result.stderr == ""
    assert sorted(path.name for path in face.parent.iterdir()) == ["face.censored.jpg", "face.jpg"]


def test_a_tree_is_mirrored_and_one_bad_file_does_not_stop_it(censor: Censor, face: Path, tmp_path: Path) -> None:
    photos, out = face.parent, tmp_path / "out"
    (photos / "sub").mkdir()
    (photos / "sub" / "copy.JPG").write_bytes(face.read_bytes())
    (photos / "cut.jpg").write_bytes(face.read_bytes()[:-900])
    (photos / "empty.png").touch()
    (photos / "notes.txt").write_text("x")
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    report = tmp_path / "report.jsonl"
    result = censor(photos, "-o", out, "--json", report, *FACES)
    assert result.exit_code == 1
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "face.jpg",
        "sub/copy.JPG",
    ]
    lines = result.stderr.splitlines()
    assert lines[:3] == [
        f"{photos}/cut.jpg: the picture is damaged or cut short (Premature end of JPEG file)",
        f"{photos}/empty.png: the file is empty",
        f"{photos}/moving.gif: several frames or pages; only still pictures are taken",
    ]
    assert lines[3:] == ["2 done, 2 with hidden regions, 3 failed, 1 other file passed over"]
    assert result.stdout == ""
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert [Path(record["file"]).name for record in records] == [
        "cut.jpg", "empty.png", "face.jpg", "moving.gif", "copy.JPG",
    ]  # fmt: skip
    assert records[0]["error"]["type"] == "DamagedImageError"
    done = records[2]
    assert done["output"] == str(out / "face.jpg")
    assert done["verdict"]["level"] == "safe"
    assert done["hidden"][0]["label"] == "FACE_FEMALE"
    assert {box["label"] for box in done["boxes"]} >= {"FACE_FEMALE"}
    assert set(done["seconds"]) == {"decode", "detect", "hide", "recheck", "encode", "write"}
    assert set(done) == {"file", "width", "height", "verdict", "boxes", "seconds", "output", "hidden"}


def test_outputs_are_not_overwritten_unless_told(censor: Censor, face: Path) -> None:
    copy = face.with_name("face.censored.jpg")
    copy.write_text("mine")
    refused = censor(face, *FACES)
    assert refused.exit_code == 1
    assert refused.stderr == f"{face}: {copy} exists already; use --force to overwrite it\n"
    assert copy.read_text() == "mine"
    assert censor(face, "--force", *FACES).exit_code == 0
    assert hidden(copy, face)


def test_in_place(censor: Censor, face: Path, tmp_path: Path) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(face.read_bytes())
    liar = face.with_name("liar.png")
    liar.write_bytes(face.read_bytes())
    assert censor(face.parent, "--in-place", *FACES).exit_code == 0
    assert hidden(face, original)
    assert hidden(liar, original)
    assert decode(liar).format == "JPEG"  # the content's format, whatever the name says
    assert sorted(path.name for path in face.parent.iterdir()) == ["face.jpg", "liar.png"]


def test_the_suffix_of_the_output_decides(censor: Censor, face: Path, tmp_path: Path) -> None:
    assert censor(face, "-o", tmp_path / "x.png", *FACES).exit_code == 0
    assert decode(tmp_path / "x.png").format == "PNG"


def test_standard_input_to_standard_output(censor: Censor, face: Path, tmp_path: Path) -> None:
    result = censor("-", *FACES, stdin=face.read_bytes())
    assert result.exit_code == 0
    out = tmp_path / "out.jpg"
    out.write_bytes(result.stdout_bytes)
    assert hidden(out, face)
    assert censor("-", "-o", tmp_path / "named.png", *FACES, stdin=face.read_bytes()).exit_code == 0
    assert hidden(tmp_path / "named.png", face)
    bad = censor("-", *FACES, stdin=b"nonsense")
    assert bad.exit_code == 1
    assert bad.stdout_bytes == b""
    assert bad.stderr == "-: stream: not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--replacewith", "blur"), ("--replacewith", "solid", "--color", "#102030"), ("--sticker", "star"),
        ("--shape", "box", "--feather", "0.2"), ("--mask-scale", "1.5"), ("--cells", "3"),
        ("--tile", "--tile-size", "128"),
        ("--flip",), ("--no-recheck",), ("-t", "0.5"), ("-t", "FACE_F=0.5"), ("--label", "face female"),
        ("--workers", "1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_change_how_but_not_whether(censor: Censor, face: Path, options: tuple[str, ...]) -> None:
    result = censor(face, *FACES, *options)
    assert result.exit_code == 0, result.stderr
    assert hidden(face.with_name("face.censored.jpg"), face)


def test_thresholds_and_labels_decide_what_is_hidden(censor: Censor, face: Path, tmp_path: Path) -> None:
    cases = [("-t", "0.99"), ("--label", "FACE_MALE", "-t", "0.5"), ("--policy", "default")]
    for number, options in enumerate(cases):
        target = tmp_path / f"{number}.jpg"
        assert censor(face, "-o", target, *FACES, *options).exit_code == 0
        assert not hidden(target, face)


def test_solid_and_colour_reach_the_pixels(censor: Censor, face: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    censor(face, "-o", target, *FACES, "--replacewith", "solid", "--color", "10,20,30")
    assert (decode(target).pixels[130, 125] == (10, 20, 30)).all()


def test_boxes_are_drawn_elsewhere_on_the_censored_picture(censor: Censor, face: Path, tmp_path: Path) -> None:
    out, boxes = tmp_path / "out", tmp_path / "debug"
    assert censor(face, "-o", out, "--boxes", boxes, *FACES).exit_code == 0
    assert [path.name for path in out.iterdir()] == ["face.jpg"]
    drawn, published = decode(boxes / "face.jpg.boxes.png").pixels, decode(out / "face.jpg").pixels
    assert hidden(boxes / "face.jpg.boxes.png", face)
    assert (drawn == (230, 40, 40)).all(axis=2).any()
    assert not (published == (230, 40, 40)).all(axis=2).any()
    for place, target in ((out, out), (out / "below", out), (out, out / "single.jpg"), (tmp_path, out / "single.jpg")):
        refused = censor(face, "-o", target, "--boxes", place, *FACES, "--force")
        assert (refused.exit_code == 2) == (place != tmp_path)
    assert censor(face.parent, "--boxes", face.parent / "b", *FACES).exit_code == 2
    again = censor(face, "-o", tmp_path / "out2", "--boxes", boxes, *FACES)
    assert "face.jpg.boxes.png exists already" in again.stderr
    assert not (tmp_path / "out2").exists()


def test_quiet_and_verbose(censor: Censor, face: Path, tmp_path: Path) -> None:
    other = face.with_name("other.jpg")
    other.write_bytes(face.read_bytes())
    loud = censor(face.parent, "-o", tmp_path / "a", "-v", *FACES)
    assert len(loud.stdout.splitlines()) == 2
    silent = censor(face.parent, "-o", tmp_path / "b", "-q", *FACES)
    assert (silent.stdout, silent.stderr) == ("", "")


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
    assert len(result.stdout.splitlines()) == 18


def test_labels_without_a_detector(censor: Censor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CENSOR_WEIGHTS", str(tmp_path / "none"))
    result = censor("labels")
    assert result.exit_code == 0
    assert "No detector is installed" in result.stderr
    assert censor("labels", "--weights", tmp_path / "none").exit_code == 1
    assert censor("policy", "check", "default").stdout == (
        "default: valid; not checked against a detector, since none is installed\n"
    )
    odd = tmp_path / "odd.toml"
    odd.write_text("[labels.queen]\ncensor_at = 0.2")
    assert censor("policy", "check", odd).exit_code == 1
    assert censor("policy", "check", odd, "--weights", tmp_path / "none").exit_code == 1


def test_policies(censor: Censor, tmp_path: Path) -> None:
    assert censor("policy", "list").stdout.split() == ["default", "strict", "faces"]
    assert "[labels.BELLY_EXPOSED]" in censor("policy", "show", "strict").stdout
    own = tmp_path / "own.toml"
    assert censor("policy", "write", "strict", own).exit_code == 0
    assert censor("policy", "check", own).stdout == f"{own}: valid\n"
    assert censor("policy", "write", "strict", own).exit_code == 1
    assert censor("policy", "write", "faces", own, "--force").exit_code == 0
    own.write_text("[labels.FACE_FEMALES]\ncensor_at = 0.1\n")
    wrong = censor("policy", "check", own)
    assert wrong.exit_code == 1
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
        (("--label", "FACE"), "did you mean FACE_"),
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


def test_in_place_on_a_link_censors_what_it_points_to(censor: Censor, face: Path, tmp_path: Path) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(face.read_bytes())
    (face.parent / "a-link.jpg").symlink_to(face)
    assert censor(face.parent, "--in-place", *FACES).exit_code == 0
    assert (face.parent / "a-link.jpg").is_symlink()
    assert hidden(face, original)


def test_one_label_s_threshold_wins_over_the_general_one(censor: Censor, face: Path) -> None:
    assert censor(face, *FACES, "-t", "FACE_FEMALE=0.1", "-t", "0.95").exit_code == 0
    assert hidden(face.with_name("face.censored.jpg"), face)


def test_checking_without_anything_to_judge_is_refused(censor: Censor, face: Path, tmp_path: Path) -> None:
    policy = tmp_path / "own.toml"
    policy.write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\n")
    result = censor("check", face, "--policy", policy)
    assert result.exit_code == 2
    assert "judges nothing" in result.stderr


def test_hiding_without_anything_to_judge_is_not_called_safe(censor: Censor, face: Path, tmp_path: Path) -> None:
    policy, report = tmp_path / "own.toml", tmp_path / "report.jsonl"
    policy.write_text("[labels.FACE_FEMALE]\ncensor_at = 0.2\n")
    result = censor(face, "--policy", policy, "--json", report)
    assert result.exit_code == 0
    assert result.stdout.endswith("(1 region hidden, no verdict)\n")
    assert json.loads(report.read_text())["verdict"] is None
    (face.parent / "face2.jpg").write_bytes(face.read_bytes())
    result = censor(face, face.with_name("face2.jpg"), "--policy", policy, "-o", tmp_path / "out")
    assert result.stderr == "2 done, 2 with hidden regions, 2 with no verdict, 0 failed\n"
    assert "safe" not in result.output + report.read_text()


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


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [("gone.jpg", None, "cannot be read: No such file"), ("empty.jpg", b"", "the file is empty"),
     ("text.jpg", b"hello", "not a picture"), ("movie.mp4", b"\0\0\0\x18ftypmp42", "not a picture")],
)  # fmt: skip
def test_files_that_are_no_pictures(censor: Censor, tmp_path: Path, name: str, body: bytes | None, says: str) -> None:
    if body is not None:
        (tmp_path / name).write_bytes(body)
    for command in ("hide", "check"):
        result = censor(command, tmp_path / name)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"{tmp_path / name}: {says}")
        assert len(result.stderr.splitlines()) == 1


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
    from censor import pipeline

    (face.parent / "other.jpg").write_bytes(face.read_bytes())
    calls = iter([ZeroDivisionError("oops"), None])

    def trap(*arguments: object, **options: object) -> object:
        if error := next(calls):
            raise error
        return original(*arguments, **options)  # type: ignore[arg-type]

    original = pipeline.judge
    monkeypatch.setattr(pipeline, "judge", trap)
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


def test_version_and_help(censor: Censor) -> None:
    assert censor("--version").stdout.startswith("censor ")
    for arguments in (["--help"], ["hide", "-h"], ["check", "--help"], ["policy", "--help"], []):
        result = censor(*arguments)
        assert "Usage:" in result.output
        assert result.exit_code == (0 if arguments else 2)
    assert "Exit codes" in censor("--help").stdout
    assert io.StringIO(censor("--help").stdout).readline().startswith("Usage: main [OPTIONS] COMMAND")
