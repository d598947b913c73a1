"""`censor evaluate`: what it writes, what it refuses, and that it goes on where it was stopped."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import Censor
from labeled_pictures import FACTS, labeled_folder, look_with
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import reds

from censor.finding import Networks

TABLES = {"scores.csv", "measures.csv", "curves.csv", "thresholds.csv", "reliability.csv", "agreement.csv"}
FILES = {"report.html", "report.json", "roc.png", "precision-recall.png", "reliability.png", *TABLES}


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    return labeled_folder(tmp_path / "labeled")


def test_a_folder_is_made_with_page_numbers_table_and_plots(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert done.stdout.startswith("policy default: ")
    assert done.stdout.endswith(f"{tmp_path / 'out' / 'report.html'}\n")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert not re.findall(r'(?:href|src)="(?!#|data:)', page)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]["nsfw"] == 10


def test_every_file_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text()
    table = text.split("## What `evaluate` writes")[1].split("\n## ")[0]
    assert {*re.findall(r"`([\w-]+\.(?:csv|json|png))`", table), "report.html"} == FILES


def test_nothing_uncensored_is_on_the_page(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red squares are found and hidden; of what people call NSFW nothing is seen at all."""
    look_with(monkeypatch, Networks(detector=faked.detector))  # what takes white for red refuses what hides in white
    censor("evaluate", labeled, "-o", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    shown = [
        (alt, np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))))
        for data, alt in re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', page)
    ]
    assert {alt.split(", ")[1] for alt, _ in shown} == {"censored", "hidden"}
    for alt, pixels in shown:
        if alt.endswith("hidden"):
            assert 110 < pixels.min() < pixels.max() < 160  # gray stripes
        else:
            square = pixels[10:22, 10:22].astype(int)
            assert not ((square[..., 0] > 200) & (square[..., 1] < 60)).any()


def test_a_table_with_groups_and_weights_is_read(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    lines = [
        f"labeled/{side}/{row:03}.png,{side.lower()},g{row // 2},{1 + row % 2}"
        for side in ("SAFE", "NSFW")
        for row in range(10)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group,weight", *lines]))
    done = censor("evaluate", tmp_path / "t.csv", "-o", tmp_path / "out", "-q", "--worst", 0)
    assert (done.exit_code, done.output) == (0, "")
    said = json.loads((tmp_path / "out" / "report.json").read_text())
    assert said["pictures"]["groups"] == 5
    assert sum(sum(level.values()) for level in said["policies"][0]["weights"].values()) == 30


def test_what_cannot_be_read_is_listed_and_never_scored(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    (labeled / "NSFW" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (labeled / "SAFE" / "notes.txt").write_text("no picture")
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 2
    said = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [Path(each["file"]).name for each in said["pictures"]["unreadable"]] == ["notes.txt", "cut.jpg"]
    assert said["pictures"]["nsfw"] == 10
    assert "cut.jpg" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "cut.jpg" not in (tmp_path / "out" / "scores.csv").read_text()


def test_a_folder_that_is_there_is_left_alone_unless_forced(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    done = censor("evaluate", labeled, "-o", out)
    assert done.exit_code == 2
    assert "exists already; use --force" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert censor("evaluate", labeled, "-o", out, "--force").exit_code == 0
    assert {path.name for path in out.iterdir()} == {*FILES, "mine.txt"}
    done = censor("evaluate", labeled, "-o", out / "mine.txt", "--force")
    assert done.exit_code == 2
    assert "name a folder" in done.stderr
    done = censor("evaluate", labeled, "-o", labeled / "report")
    assert done.exit_code == 2
    assert "outside of the labelled pictures" in done.stderr


def test_a_stopped_run_goes_on_from_its_cache(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    (judge,) = faked.classifiers
    seen: list[NDArray[np.uint8]] = judge.seen  # type: ignore[attr-defined]  # Reds
    classify = judge.classify

    def stopped(images: list[NDArray[np.uint8]], *, heat: bool = False) -> object:
        if len(seen) == 7:
            raise KeyboardInterrupt
        return classify(images, heat=heat)

    monkeypatch.setattr(judge, "classify", stopped)
    monkeypatch.setattr("censor.cli.labeled._at_once", lambda _: 1)  # of several, those under way would be lost
    done = censor("evaluate", labeled, "-o", tmp_path / "out", "--cache", tmp_path / "c")
    assert done.exit_code == 130
    assert done.stderr == "interrupted; 7 of 20 pictures looked at, what was found is kept\n"
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(judge, "classify", classify)
    done = censor("evaluate", labeled, "-o", tmp_path / "out", "--cache", tmp_path / "c", "--worst", 0)
    assert done.exit_code == 0
    assert len(seen) == 20
    before = (tmp_path / "out" / "scores.csv").read_text()
    censor("evaluate", labeled, "-o", tmp_path / "again", "--cache", tmp_path / "c", "--worst", 0)
    assert len(seen) == 20
    assert (tmp_path / "again" / "scores.csv").read_text() == before


def test_nothing_is_kept_unless_asked(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    censor("evaluate", labeled, "-o", "out")
    assert set(tmp_path.rglob("*")) - before - set((tmp_path / "out").iterdir()) == {tmp_path / "out"}


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "is empty"),
        ("path,label\n", "no picture is labelled SAFE"),
        ("path,label\na.png,nsfw\n", "no picture is labelled SAFE"),
        ("path,label\na.png,naked\n", 'label must be safe or nsfw, not "naked"'),
        ("path,label\na.png,safe\na.png,nsfw\n", "has two labels"),
        ("path,label\na.png,safe\nb.png,nsfw\n", "none of 2 pictures can be read"),
        ("path;label\na.png;safe\n", "columns are separated by semicolons; expected commas"),
        ("path\tlabel\na.png\tsafe\n", "columns are separated by tabs; expected commas"),
        ("label\nsafe\n", "column path is missing"),
        ("path,label,mood\na.png,safe,good\n", 'column "mood" is unknown'),
        ("path,label,weight\na.png,safe,nan\n", "weight must be a number"),
    ],
)
def test_bad_tables_end_in_one_line(censor: Censor, tmp_path: Path, faked: Networks, table: str, says: str) -> None:
    done = censor("evaluate", write(tmp_path / "t.csv", table), "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_table_may_come_from_a_spreadsheet(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    lines = [f"{side}/{row:03}.png,{side.lower()}" for side in ("SAFE", "NSFW") for row in range(3)]
    (labeled / "t.csv").write_bytes("\r\n".join(["\ufeffpath,label", *lines, ""]).encode())
    done = censor("evaluate", labeled / "t.csv", "-o", tmp_path / "out", "-q", "--worst", 0)
    assert (done.exit_code, done.output) == (0, "")


def test_a_label_of_which_nothing_can_be_read_is_named_with_the_reason(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks
) -> None:
    for path in (labeled / "NSFW").iterdir():
        path.write_bytes(b"no picture")
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert re.search(r"none of 10 nsfw pictures can be read; the first: .*000.png: ", done.stderr)


@pytest.mark.parametrize(
    "command", [["evaluate"], ["calibrate"], ["rank"], ["map", "--by", "open_nsfw"], ["mine"]], ids=lambda each: each[0]
)
def test_where_nothing_could_be_written_nothing_is_looked_at(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks, command: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    done = censor(*command, labeled, "-o", tmp_path / "file" / "out")
    assert done.exit_code == 1
    assert done.stderr == f"Error: {tmp_path}/file/out: cannot be written: {tmp_path}/file: Not a directory\n"
    assert faked.detector.calls == 0  # type: ignore[union-attr]  # RedFinder


def test_one_picture_under_two_labels_ends_it(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    shutil.copy(labeled / "SAFE" / "004.png", labeled / "NSFW" / "same.png")
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert re.search(r"has two labels: .*004.png is the same picture", done.stderr)


def test_other_bad_input_ends_in_one_line(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    no_metrics = tmp_path / "d"
    no_metrics.mkdir()
    cases: list[tuple[list[object], int, str]] = [
        (["--cache", write(tmp_path / "c", "no database")], 1, "cannot be used as a cache of scores"),
        (["--policy", "strikt"], 2, "did you mean strict?"),
        (["-t", "FACE=2"], 2, "must be a score in [0, 1]"),
        (["--detector-report", no_metrics], 2, "metrics.json: cannot be read"),
    ]
    for options, code, says in cases:
        done = censor("evaluate", labeled, "-o", tmp_path / "out", *options)
        assert done.exit_code == code
        assert says in done.stderr
        assert not (tmp_path / "out").exists()
    row = {"name": "BELLY_EXPOSED", "boxes": 4, "ap": 0.25, "ap50": 0.5, "ar": None, "ap75": 0.1}
    write(no_metrics / "metrics.json", json.dumps({"classes": [row]}))
    assert censor("evaluate", labeled, "-o", tmp_path / "ap", "--detector-report", no_metrics).exit_code == 0
    (said,) = json.loads((tmp_path / "ap" / "report.json").read_text())["detector"]
    assert said["source"] == str(no_metrics / "metrics.json")
    assert said["classes"][0]["ap50"] == 0.5
    assert "Boxes against boxes that people drew" in (tmp_path / "ap" / "report.html").read_text("utf-8")
    for content, says in [("{", "is no JSON"), ("[]", "is no metrics.json")]:
        write(no_metrics / "metrics.json", content)
        done = censor("evaluate", labeled, "-o", tmp_path / "out", "--detector-report", no_metrics)
        assert (done.exit_code, says in done.stderr) == (2, True)


def test_a_cache_of_another_model_says_nothing(
    censor: Censor, labeled: Path, tmp_path: Path, faked: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--cache", tmp_path / "c", "--worst", 0)
    censor("evaluate", labeled, "-o", tmp_path / "one", *arguments)
    other = {name: {"file": "another"} for name in FACTS}
    look_with(monkeypatch, faked, other)
    assert censor("evaluate", labeled, "-o", tmp_path / "two", *arguments).exit_code == 0
    said = json.loads((tmp_path / "two" / "report.json").read_text())
    assert said["seconds_per_picture"]["reds"]["pictures"] == 20


def test_names_that_are_no_text_do_no_harm(censor: Censor, labeled: Path, tmp_path: Path, faked: Networks) -> None:
    odd = os.fsdecode(b"\xff<b>.png")
    shutil.move(labeled / "NSFW" / "001.png", labeled / "NSFW" / odd)
    (labeled / "SAFE" / odd).write_bytes(b"no picture")
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    for name in ("report.html", "scores.csv", "report.json"):
        assert "\\udcff" in (tmp_path / "out" / name).read_text("utf-8")
    assert "<b>" not in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_missing_extra_is_said_before_anything_is_looked_at(
    censor: Censor, labeled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "jinja2" else find(name, *rest))
    done = censor("evaluate", labeled, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr == "Error: jinja2 is not installed; install it with: pip install 'nsfw-censor[analysis]'\n"


def test_the_models_that_are_installed_and_named_look(
    censor: Censor, tmp_path: Path, astronaut: NDArray[np.uint8], models_folder: Path
) -> None:
    for side, part in (("SAFE", astronaut[:256]), ("NSFW", astronaut[256:])):
        (tmp_path / "l" / side).mkdir(parents=True)
        Image.fromarray(np.ascontiguousarray(part)).save(tmp_path / "l" / side / "a.jpg")
    (tmp_path / "tiny.onnx").write_bytes(reds())
    named = ("--classifiers", "open_nsfw", "--classifiers", tmp_path / "tiny.onnx")
    arguments = (*named, "--cache", tmp_path / "c", "--worst", 0)
    done = censor("evaluate", tmp_path / "l", "-o", tmp_path / "out", *arguments)
    assert done.exit_code == 0, done.output
    said = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["name"] for each in said["judges"] if each["kind"] == "classifier"] == ["open_nsfw", "reds"]
    assert said["seconds_per_picture"]["open_nsfw"]["pictures"] == 2
    done = censor("evaluate", tmp_path / "l", "-o", tmp_path / "again", *arguments)
    assert json.loads((tmp_path / "again" / "report.json").read_text())["seconds_per_picture"] == {}
    done = censor("evaluate", tmp_path / "l", "-o", tmp_path / "none", "--classifiers", "open_nsfv")
    assert done.exit_code == 1
    assert "open_nsfv" in done.stderr


def test_the_rules_of_1996_are_compared_if_asked_for_and_never_judge(
    censor: Censor, tmp_path: Path, astronaut: NDArray[np.uint8], models_folder: Path
) -> None:
    for side, part in (("SAFE", astronaut[:256]), ("NSFW", astronaut[256:])):
        (tmp_path / "labeled" / side).mkdir(parents=True)
        Image.fromarray(part).save(tmp_path / "labeled" / side / "a.png")
    plain, compared = tmp_path / "plain", tmp_path / "compared"
    assert censor("evaluate", tmp_path / "labeled", "-o", plain).exit_code == 0
    done = censor("evaluate", tmp_path / "labeled", "-o", compared, "--classifiers", "skin1996")
    assert done.exit_code == 0, done.output
    before, after = ((folder / "scores.csv").read_text().splitlines() for folder in (plain, compared))
    assert "skin1996" not in before[0]
    assert "skin1996" in after[0]
    judges = {each["name"]: each for each in json.loads((compared / "report.json").read_text())["judges"]}
    assert (judges["skin1996"]["counts"], judges["open_nsfw"]["counts"]) == (False, True)
    levels = [[row.split(",")[rows[0].split(",").index("level default")] for row in rows] for rows in (before, after)]
    assert levels[0] == levels[1]
