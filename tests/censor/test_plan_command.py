"""`censor plan` and `censor apply`: what they write, and what they say where they write nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Censor, hidden
from PIL import Image

FACES = ("--policy", "faces")


@pytest.fixture
def plan(censor: Censor, face: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    done = censor("plan", face, "-o", path, *FACES)
    assert (done.exit_code, done.output) == (0, f"{face} -> {path}  (1 thing to hide)\n")
    return path


def change(plan: Path, **values: object) -> None:
    data = json.loads(plan.read_text())
    data["things"][0].update(values)
    plan.write_text(json.dumps(data))


def test_applied_as_it_is_it_gives_what_hiding_gives(censor: Censor, face: Path, plan: Path, tmp_path: Path) -> None:
    assert censor("hide", face, "-o", tmp_path / "once.jpg", *FACES).exit_code == 0
    done = censor("apply", plan)
    assert (done.exit_code, done.output.count("\n")) == (0, 1)
    assert "(1 region hidden, no verdict)" in done.output
    assert (face.parent / "face.censored.jpg").read_bytes() == (tmp_path / "once.jpg").read_bytes()
    assert censor("apply", plan, "-o", tmp_path / "new" / "folder").exit_code == 0
    assert (tmp_path / "new" / "folder" / "face.jpg").read_bytes() == (tmp_path / "once.jpg").read_bytes()
    data = json.loads(plan.read_text())
    assert data["input"]["file"] == "photos/face.jpg"
    assert [each["sha256"] is None for each in data["models"]] == [False]


def test_what_is_removed_is_shown_and_reported_as_kept(censor: Censor, face: Path, plan: Path, tmp_path: Path) -> None:
    change(plan, hide=False)
    report = tmp_path / "report.jsonl"
    done = censor("apply", plan, "-o", tmp_path / "out.png", "--json", report, "-q")
    assert (done.exit_code, done.output) == (0, "")
    assert not hidden(tmp_path / "out.png", face)
    (line,) = report.read_text().splitlines()
    assert [each["label"] for each in json.loads(line)["kept"]] == ["FACE"]


def test_what_the_plan_forgot_is_hidden_and_said(censor: Censor, face: Path, plan: Path, tmp_path: Path) -> None:
    change(plan, boxes=[{"xyxy": [0, 0, 20, 20]}])
    done = censor("apply", plan, face, "-o", tmp_path / "out.png")
    assert done.exit_code == 0
    assert done.output.endswith("; hidden besides the plan, since the look at the output found it: 1\n")
    assert hidden(tmp_path / "out.png", face)


def test_an_animation_is_planned_and_applied(censor: Censor, face: Path, tmp_path: Path) -> None:
    whole = Image.open(face)
    frames = [whole.crop((shift, 20, shift + 160, 200)) for shift in (50, 54)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[100, 60], lossless=True)
    done = censor("plan", tmp_path / "a.webp", "-o", tmp_path / "a.json", *FACES)
    assert done.output.endswith("a.json  (1 thing to hide in 2 frames)\n")
    assert json.loads((tmp_path / "a.json").read_text())["time"] == {"frames": ["0", "1/10"], "end": "4/25"}
    assert censor("apply", tmp_path / "a.json").exit_code == 0
    assert censor("hide", tmp_path / "a.webp", "-o", tmp_path / "once.webp", *FACES).exit_code == 0
    assert (tmp_path / "a.censored.webp").read_bytes() == (tmp_path / "once.webp").read_bytes()


def test_options_make_the_plan(censor: Censor, face: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    options = ("--replacewith", "solid", "--color", "red", "--shape", "box", "--also", "1,2,3,4", "--keep", "0,0,5,5")
    assert censor("plan", face, "-o", out, *FACES, *options, "-q").output == ""
    things = json.loads(out.read_text())["things"]
    assert [(each["label"], each["hide"]) for each in things] == [("FACE", True), ("ALSO", True), ("KEEP", False)]
    assert [(each["effect"], each["shape"]) for each in things[:2]] == [("solid", "box")] * 2
    assert censor("apply", out, "-o", tmp_path / "out.png").exit_code == 0
    assert Image.open(tmp_path / "out.png").getpixel((128, 128)) == (255, 0, 0)


def test_a_sheet_shows_what_is_planned(censor: Censor, face: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "plan.json", tmp_path / "plan.html"
    done = censor("plan", face, "-o", out, "--sheet", sheet, *FACES)
    assert done.exit_code == 0, done.output
    assert "1 FACE" in sheet.read_text("utf-8")
    assert "photos/face.jpg" in sheet.read_text("utf-8")
    for arguments, said in (
        (("-o", tmp_path / "more.json", "--sheet", sheet), "plan.html: exists already; use --force to overwrite it"),
        (("-o", out, "--sheet", out, "--force"), "one file cannot be both the plan and its sheet"),
        (("-o", out, "--sheet", face, "--force"), "face.jpg: is the picture itself, which is never overwritten"),
    ):
        done = censor("plan", face, *arguments, *FACES)
        assert done.exit_code == 2
        assert said in done.output
    assert not (tmp_path / "more.json").exists()


def test_other_models_are_refused_unless_they_are_meant(censor: Censor, plan: Path, tmp_path: Path) -> None:
    text = plan.read_text()
    digest = json.loads(text)["models"][0]["sha256"]
    plan.write_text(text.replace(digest, "0" * 64))
    done = censor("apply", plan)
    assert done.exit_code == 1
    assert "the plan was made by other models than look here: " in done.output
    assert done.output.endswith("; use --other-models to look again with these\n")
    assert censor("apply", plan, "--other-models", "-o", tmp_path / "out.jpg").exit_code == 0


def test_what_cannot_be_applied_is_said_in_one_line(censor: Censor, face: Path, plan: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.png", tmp_path / "out.png"
    Image.open(face).save(other)
    for arguments, code, said in (
        ((plan, other), 1, "other.png: not what the plan is of: its SHA-256 is"),
        ((plan, tmp_path / "gone.png"), 1, "gone.png: cannot be read: No such file"),
        ((tmp_path / "gone.json",), 1, "gone.json: cannot be read: No such file"),
        ((face,), 1, "face.jpg: cannot be read: 'utf-8' codec"),
        ((plan, "--json", plan), 2, "this run reads a file of that name"),
    ):
        done = censor("apply", *arguments, "-o", out)
        assert done.exit_code == code, done.output
        assert said in done.output.splitlines()[-1]
    assert not out.exists()
    face.rename(tmp_path / "moved.jpg")
    done = censor("apply", plan)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {plan}: its picture {face} is not there; name it: censor apply")
    assert censor("apply", plan, tmp_path / "moved.jpg", "-o", out).exit_code == 0
    done = censor("apply", plan, tmp_path / "moved.jpg", "-o", out)
    assert done.exit_code == 1
    assert "out.png exists already; use --force to overwrite it" in done.output
    assert censor("apply", plan, tmp_path / "moved.jpg", "-o", out, "--force").exit_code == 0


def test_what_cannot_be_planned_is_said_in_one_line(censor: Censor, face: Path, plan: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(face.read_bytes()[:-500])
    out = tmp_path / "out.json"
    for arguments, code, said in (
        ((face, "-o", plan), 2, "plan.json: exists already; use --force to overwrite it"),
        ((face, "-o", face), 2, "face.jpg: exists already; use --force to overwrite it"),
        ((face, "-o", face, "--force"), 2, "face.jpg: is the picture itself, which is never overwritten"),
        ((tmp_path / "gone.jpg", "-o", out), 1, "gone.jpg: cannot be read: No such file"),
        ((tmp_path / "cut.jpg", "-o", out), 1, "cut.jpg: the picture is damaged or cut short"),
        ((face, "-o", tmp_path / "no" / "plan.json"), 1, "plan.json: cannot be written: No such file"),
        ((face, "-o", out, "--also", "900,900,910,910"), 1, "also 900,900,910,910 lies wholly outside"),
        ((face, "-o", out, "--keep", "1,2,3"), 2, "--keep: a box is four numbers"),
    ):
        done = censor("plan", *arguments, *FACES)
        assert done.exit_code == code, (arguments, done.output)
        assert said in done.output.splitlines()[-1]
    assert not out.exists()
