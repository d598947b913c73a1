"""`censor rank`, `censor map` and `censor mine`: what they write, and what bad input gets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command import Censor
from labeled_pictures import save
from PIL import Image
from tiny_classifiers import means

from censor.finding import Networks
from detect.annotations.check import check_document


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    save(folder, [row / 8 for row in range(8)], boxes=[2])
    (folder / "below").mkdir()
    Image.open(folder / "003.png").resize((128, 96)).save(folder / "below" / "copy.png")
    (folder / "note.txt").write_text("no picture")
    return folder


def test_rank_writes_a_page_and_tables(censor: Censor, photos: Path, tmp_path: Path, faked: Networks) -> None:
    done = censor("rank", photos, "-o", tmp_path / "out", "--by", "verdict", "--policy", "boxes")
    assert (done.exit_code, done.output) == (0, f"9 pictures  {tmp_path / 'out' / 'rank.html'}\n")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["rank.csv", "rank.html", "rank.json"]
    with (tmp_path / "out" / "rank.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["path"]).name for row in rows[:1]] == ["002.png"]
    assert rows[0]["level"] == "nsfw"
    assert "<script" not in (tmp_path / "out" / "rank.html").read_text()


def test_what_cannot_be_read_is_said_and_has_no_score(
    censor: Censor, photos: Path, tmp_path: Path, faked: Networks
) -> None:
    (photos / "cut.png").write_bytes((photos / "000.png").read_bytes()[:60])
    (photos / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    done = censor("rank", photos, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert done.output.count("cut.png") == done.output.count("film.mp4") == 1
    assert "9 pictures, 2 not read" in done.output
    record = json.loads((tmp_path / "out" / "rank.json").read_text())
    assert len(record["unreadable"]) == 2
    assert "film" not in (tmp_path / "out" / "rank.csv").read_text()


def test_outputs_in_the_folder_itself_are_not_taken_for_pictures(
    censor: Censor, photos: Path, monkeypatch: pytest.MonkeyPatch, faked: Networks, tmp_path: Path
) -> None:
    (photos / "out").mkdir()
    Image.new("RGB", (9, 9)).save(photos / "out" / "map.png")
    assert "9 pictures" in censor("rank", photos, "-o", photos / "out").output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["photos/note.txt"], 1, "note.txt: not a picture"),
        (["empty"], 1, "empty: no pictures in this folder"),
        (["missing"], 1, "missing: cannot be read: No such file"),
        (["photos", "--by", "nobody"], 2, "unknown label 'nobody'"),
        (["photos", "--by", "FEET_EXPOSED"], 1, "the detector never reports FEET_EXPOSED"),
        (["photos", "-o", "taken"], 2, "exists already; use --force"),
        (["out", "-o", "out"], 2, "is the folder of the pictures itself"),
        (["outer", "-o", "outer/out"], 1, "no pictures but those in -o outer/out"),
        (["photos", "--cache", "photos/000.png"], 1, "000.png"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    censor: Censor,
    photos: Path,
    tmp_path: Path,
    faked: Networks,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "taken", "out", "outer/out"):
        Path(name).mkdir(parents=True)
    Path("taken/rank.csv").write_text("mine")
    for name in ("out", "outer/out"):
        Image.new("RGB", (9, 9)).save(f"{name}/old.png")
    named = ["-o", "new"] if "-o" not in arguments else []
    done = censor("rank", *arguments, *named)
    assert done.exit_code == code, done.output
    assert said in done.output.splitlines()[-1]
    assert not Path("new").exists()
    assert Path("taken/rank.csv").read_text() == "mine"


def test_a_map_is_made_from_a_classifier_of_ones_own_and_again_from_the_cache(
    censor: Censor, photos: Path, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.onnx").write_bytes(means())  # it calls itself what the fake does
    arguments = ("map", photos, "--by", tmp_path / "mine.onnx", "--cache", tmp_path / "c")
    first = censor(*arguments, "-o", tmp_path / "one")
    assert first.exit_code == 0, first.output
    assert sorted(each.name for each in (tmp_path / "one").iterdir()) == ["map.csv", "map.html", "map.png"]
    assert np.asarray(Image.open(tmp_path / "one" / "map.png")).shape == (1600, 1600, 3)
    monkeypatch.setattr("detect.classifier.features.FeatureExtractor.features", None)  # nothing is asked again
    monkeypatch.setattr("censor.pipeline.Censor.apply_known", None)
    again = censor(*arguments, "-o", tmp_path / "two")
    assert again.exit_code == 0, again.output
    for name in ("map.csv", "map.html", "map.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_map_needs_a_classifier_with_features(
    censor: Censor, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path / "none"))
    none = censor("map", photos, "-o", tmp_path / "out")
    assert (none.exit_code, "no classifier has been added" in none.output) == (1, True)
    (tmp_path / "mine.onnx").write_bytes(b"no model")
    wrong = censor("map", photos, "-o", tmp_path / "out", "--by", tmp_path / "mine.onnx")
    assert (wrong.exit_code, "mine.onnx" in wrong.output) == (1, True)
    assert not (tmp_path / "out").exists()


def test_mine_names_what_is_worth_a_label_and_copies_nothing(
    censor: Censor, photos: Path, tmp_path: Path, faked: Networks
) -> None:
    done = censor("mine", photos, "--policy", "boxes", "-o", tmp_path / "out", "--safe")
    assert done.exit_code == 0, done.output
    assert f"2 of 9 pictures, below {photos}" in done.output
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["mined.csv", "mined.json"]
    with (tmp_path / "out" / "mined.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["file_name"]: row["reason"] for row in rows} == {
        "002.png": "false alarm",
        "007.png": "detector against classifier",
    }
    document = json.loads((tmp_path / "out" / "mined.json").read_text())
    assert check_document(document, file="mined.json", images_dir=photos) == []
    assert len(document["annotations"]) == 1


def test_mined_pictures_are_copied_where_that_is_asked_for(
    censor: Censor, photos: Path, tmp_path: Path, faked: Networks
) -> None:
    done = censor("mine", photos, "--policy", "boxes", "-o", tmp_path / "out", "--copy", "--most", "1", "--safe")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "pictures" / "002.png").read_bytes() == (photos / "002.png").read_bytes()
    again = censor("mine", photos, "--policy", "boxes", "-o", tmp_path / "out", "--copy")
    assert (again.exit_code, "exists already; use --force" in again.output) == (2, True)
    assert censor("mine", photos, "--policy", "boxes", "-o", tmp_path / "out", "--copy", "--force").exit_code == 0


def test_where_nothing_is_worth_a_label_the_files_are_empty(censor: Censor, tmp_path: Path, faked: Networks) -> None:
    save(tmp_path / "dull", [0.3])
    done = censor("mine", tmp_path / "dull", "--policy", "boxes", "-o", tmp_path / "out", "-q")
    assert (done.exit_code, done.output) == (0, "")
    assert json.loads((tmp_path / "out" / "mined.json").read_text())["images"] == []
