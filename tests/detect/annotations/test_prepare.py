"""Making a set to train on: shrunk, readable, each picture once, and what is said of the others."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from detect.__main__ import main
from detect.annotations.classes import read_classes
from detect.annotations.prepare import prepare_classes
from detect.errors import AnnotationsError
from detect.pictures.rgb import read_rgb

Save = Callable[..., None]


def picture(seed: int, *, side: int = 96) -> NDArray[np.uint8]:
    """Soft shapes, which their perceptual hashes tell apart."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((side * 3 // 2, side), Image.Resampling.BICUBIC))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, pixels: NDArray[np.uint8], **options: Any) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name, **options)

    return write


@pytest.fixture
def two(save: Save, tmp_path: Path) -> Path:
    """Six pictures to learn from and four to measure by, of which some are there twice."""
    for number in range(3):
        save(f"train/cat/{number}.png", picture(number, side=400))
        save(f"train/dog/{number}.png", picture(10 + number))
        save(f"val/cat/{number}.png", picture(20 + number))
        save(f"val/dog/{number}.png", picture(30 + number))
    save("train/cat/again.png", picture(0, side=400))  # the same pixels
    save("train/cat/small.jpg", picture(0, side=200), quality=70)
    save("train/dog/mirrored.png", picture(31)[:, ::-1])  # of what is measured by
    save("train/dog/cat.png", picture(2, side=120))  # with another label
    (tmp_path / "train" / "dog" / "text.png").write_bytes(b"text")
    return tmp_path


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_each_picture_stays_once_and_the_rest_is_told(two: Path) -> None:
    splits = {name: read_classes(two / name) for name in ("train", "val")}
    done = prepare_classes(splits, two / "out")
    assert done.kept == {"train": 5, "val": 6}
    told = {(each["split"], Path(each["path"]).name, each["why"], Path(each["like"]).name)
            for each in rows(two / "out" / "dropped.csv") if each["why"] != "unreadable"}  # fmt: skip
    assert told == {
        ("train", "again.png", "exact", "0.png"),
        ("train", "small.jpg", "near", "0.png"),
        ("train", "mirrored.png", "near", "1.png"),
        ("train", "cat.png", "contradiction", "2.png"),
        ("train", "2.png", "contradiction", "cat.png"),
    }
    (unreadable,) = [each for each in done.dropped if each.why == "unreadable"]
    assert unreadable.path.name == "text.png"
    assert "text.png" in unreadable.like
    written = read_classes(two / "out" / "train.csv")
    assert written.names == ("cat", "dog")
    assert read_classes(two / "out" / "train").counts() == written.counts() == {"cat": 2, "dog": 3}
    cats = [each for each in rows(two / "out" / "train.csv") if each["label"] == "cat"]
    sources = {Path(each["source"]).name: each["path"] for each in cats}
    assert read_rgb(two / "out" / sources["0.png"]).shape == (213, 320, 3)
    whole = read_rgb(two / "out" / rows(two / "out" / "val.csv")[0]["path"])
    assert np.abs(whole.astype(int) - picture(20)).mean() < 3  # what is small already stays as large as it is


def test_equal_inputs_give_equal_files(two: Path) -> None:
    splits = {name: read_classes(two / name) for name in ("train", "val")}
    for name in ("one", "two"):
        prepare_classes(splits, two / name)
    assert (two / "one" / "train.csv").read_bytes() == (two / "two" / "train.csv").read_bytes()


def test_the_command_says_what_was_dropped(two: Path) -> None:
    arguments = ["prepare", str(two / "train"), "--val", str(two / "val"), "-o", str(two / "out"), "--side", "64"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1  # one could not be read
    assert "train.csv: 5 pictures; dropped: 2 contradiction, 1 exact, 2 near, 1 unreadable" in done.output
    assert "val.csv: 6 pictures; dropped: none" in done.output
    assert "Error: " in done.output
    assert max(read_rgb(path).shape[1] for path in (two / "out").rglob("*.jpg")) == 64
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    assert CliRunner().invoke(main, [*arguments, "--overwrite"]).output == done.output


def test_a_share_is_held_back_where_there_is_nothing_to_measure_by(two: Path) -> None:
    done = CliRunner().invoke(main, ["prepare", str(two / "val"), "-o", str(two / "out"), "--share", "0.34"])
    assert done.exit_code == 0, done.output
    assert read_classes(two / "out" / "train.csv").counts() == {"cat": 2, "dog": 2}
    assert read_classes(two / "out" / "val.csv").counts() == {"cat": 1, "dog": 1}


def test_ranks_become_a_set(save: Save, tmp_path: Path) -> None:
    lines = ["path,score,followers"]
    for number in range(9):
        save(f"{number}.png", picture(number))
        lines.append(f"{number}.png,{number % 3},{100 * (number // 3)}")
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    arguments = ["prepare", str(tmp_path / "scores.csv"), "--rank-within", "followers", "--rank-size", "3"]
    done = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out"), "--share", "0.3"])
    assert done.exit_code == 0, done.output
    assert "6 pictures in two halves, 3 in the middle left out" in done.output
    kept = [*rows(tmp_path / "out" / "train.csv"), *rows(tmp_path / "out" / "val.csv")]
    said = {int(Path(each["source"]).stem): each["label"] for each in kept}
    assert said == {number: ("lower", "", "upper")[number % 3] for number in range(9) if number % 3 != 1}
    done = CliRunner().invoke(
        main, [*arguments, "-o", str(tmp_path / "both"), "--val", str(tmp_path / "scores.csv"), "--distance", "0"]
    )
    assert (done.exit_code, "class 'lower' of train has no picture left" in done.output) == (1, True)


def test_what_cannot_be_prepared(two: Path) -> None:
    data = read_classes(two / "val")
    wrongs: list[dict[str, Any]] = [{"side": 0}, {"max_distance": 65}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="need side >= 1"):
            prepare_classes({"train": data}, two / "out", **wrong)
    (two / "file").write_text("")
    with pytest.raises(AnnotationsError, match=r"cannot be written"):
        prepare_classes({"train": data}, two / "file")
