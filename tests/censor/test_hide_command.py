"""`censor hide`, with the real detector and faces for body parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

import pytest
from command import FACES, Censor, hidden
from PIL import Image

from censor.records import CensoredRecord
from detect.pictures.still import decode


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
    frames[0].save(photos / "moves.avif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "pages.tif", save_all=True, append_images=frames[1:])
    report = tmp_path / "report.jsonl"
    result = censor(photos, "-o", out, "--json", report, *FACES)
    assert result.exit_code == 1
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "face.jpg",
        "moves.avif",
        "pages.tif",
        "sub/copy.JPG",
    ]
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        f"{photos}/cut.jpg: the picture is damaged or cut short (Premature end of JPEG file)",
        f"{photos}/empty.png: the file is empty",
    ]
    assert lines[2:] == ["4 done, 2 with hidden regions, 2 failed, 1 other file passed over"]
    assert result.stdout == ""
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert [Path(record["file"]).name for record in records] == [
        "cut.jpg", "empty.png", "face.jpg", "moves.avif", "pages.tif", "copy.JPG",
    ]  # fmt: skip
    assert records[0]["error"]["type"] == "DamagedImageError"
    done = records[2]
    assert done["output"] == str(out / "face.jpg")
    assert done["verdict"]["level"] == "safe"
    assert done["hidden"][0]["label"] == "FACE_FEMALE"
    assert {box["label"] for box in done["boxes"]} >= {"FACE_FEMALE"}
    assert set(done["seconds"]) == {"decode", "detect", "hide", "recheck", "encode", "write"}
    assert set(done) == get_type_hints(CensoredRecord).keys()


def test_outputs_are_not_overwritten_unless_told(censor: Censor, face: Path) -> None:
    copy = face.with_name("face.censored.jpg")
    copy.write_text("mine")
    refused = censor(face, *FACES)
    assert refused.exit_code == 1
    assert refused.stderr == f"{face}: {copy} exists already; use --force to overwrite it\n"
    assert copy.read_text() == "mine"
    assert censor(face, "--force", *FACES).exit_code == 0
    assert hidden(copy, face)


def test_a_source_is_not_overwritten_unless_told(censor: Censor, face: Path) -> None:
    before = face.read_bytes()
    refused = censor(face, "-o", face.parent, "--force", *FACES)
    assert (refused.exit_code, face.read_bytes()) == (1, before)
    assert refused.stderr == f"{face}: its output {face} would overwrite a source; use --in-place\n"


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


def test_solid_and_color_reach_the_pixels(censor: Censor, face: Path, tmp_path: Path) -> None:
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
