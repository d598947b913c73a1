"""`censor crop`: what it writes, and what it says where it writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import FACES, Censor
from PIL import Image


def test_a_face_is_in_no_crop(censor: Censor, face: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    done = censor("crop", face, "-o", out, "--ratio", "2:1", "--ratio", "1:2", *FACES)
    assert done.exit_code == 0, done.output
    assert sorted(each.name for each in out.iterdir()) == ["face.1x2.jpg", "face.2x1.jpg"]
    for name in ("face.1x2.jpg", "face.2x1.jpg"):
        assert censor("hide", out / name, "-o", tmp_path / name, *FACES, "-v").exit_code == 0
        assert Image.open(out / name).width != Image.open(out / name).height
    assert done.output.count("\n") == 2


def test_one_crop_may_be_a_file_of_another_format(censor: Censor, face: Path, tmp_path: Path) -> None:
    target = tmp_path / "crop.png"
    done = censor("crop", face, "-o", target, "--ratio", "1:1", "-q")
    assert (done.exit_code, done.output) == (0, "")
    assert Image.open(target).format == "PNG"
    again = censor("crop", face, "-o", target, "--ratio", "1:1")
    assert again.exit_code == 2
    assert "crop.png: exists already; use --force to overwrite it" in again.output
    assert censor("crop", face, "-o", target, "--ratio", "1:1", "--force").exit_code == 0


@pytest.mark.usefixtures("models_folder")
def test_a_classifier_may_choose(censor: Censor, face: Path, tmp_path: Path) -> None:
    done = censor("crop", face, "-o", tmp_path, "--ratio", "1:1", "--by", "image-safety-s", "--smallest", "0.9")
    assert done.exit_code == 0, done.output
    assert "image-safety-s 0.0" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--ratio", "0:1"], 2, "--ratio: a ratio is two whole numbers"),
        (["--ratio", "1:1", "--by", "nobody"], 1, "unknown model 'nobody'; known are"),
        (["--ratio", "1:1", "--by", "gone.onnx"], 1, "gone.onnx"),
        (["--ratio", "1:1", "--smallest", "1", *FACES], 1, "no crop 1:1 of at least 100%"),
        ([], 2, "Missing option '--ratio'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(
    censor: Censor, face: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = censor("crop", face, "-o", tmp_path / "crop.jpg", *arguments)
    assert done.exit_code == code, done.output
    assert said in done.output.splitlines()[-1]
    assert not (tmp_path / "crop.jpg").exists()


def test_outputs_that_make_no_sense_are_refused(censor: Censor, face: Path, tmp_path: Path) -> None:
    two = censor("crop", face, "-o", tmp_path / "crop.jpg", "--ratio", "1:1", "--ratio", "1:2")
    assert (two.exit_code, "one file cannot take 2 crops" in two.output) == (2, True)
    itself = censor("crop", face, "-o", face, "--ratio", "1:1", "--force")
    assert (itself.exit_code, "is the picture itself" in itself.output) == (2, True)
    (tmp_path / "text.jpg").write_text("no picture")
    text = censor("crop", tmp_path / "text.jpg", "-o", tmp_path, "--ratio", "1:1")
    assert (text.exit_code, "not a picture" in text.output) == (2, True)
