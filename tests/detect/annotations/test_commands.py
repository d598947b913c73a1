from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import click
import pytest

from detect import __main__ as entry
from detect.annotations import document as documents


def loaded(path: Path) -> Any:
    return documents.read_json(path)


def test_every_command_has_a_help_text(run: Callable[..., Any]) -> None:
    listing = run("--help").stdout
    for name in entry._COMMANDS:
        assert name in listing
        assert run(name, "--help").exit_code == 0


def test_an_unknown_command_and_no_command_are_usage_errors(run: Callable[..., Any]) -> None:
    assert run("nonsense").exit_code == 2
    assert run("check").exit_code == 2


def test_a_command_that_is_none(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.setitem(entry._COMMANDS, "json", "detect")
    monkeypatch.setattr("detect.json", json, raising=False)
    with pytest.raises(TypeError, match="no click command"):
        entry.main.get_command(click.Context(entry.main), "json")


@pytest.mark.parametrize(("missing", "extra"), [("imagehash", "annotations"), ("torch.nn", "train")])
def test_a_missing_extra_is_named(
    missing: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Any],
    write: Callable[..., Any],
    pictures: Path,
) -> None:
    def fail(*arguments: Any, **options: Any) -> Never:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr("detect.cli.annotations.read_json", fail)
    result = run("check", "a.json", "--images", pictures)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {missing} is not installed; install it with: pip install 'nsfw-censor[{extra}]'\n"


def test_a_missing_module_that_no_extra_brings_is_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], pictures: Path
) -> None:
    def fail(*arguments: Any, **options: Any) -> Never:
        raise ModuleNotFoundError("No module named 'gone'", name="gone")

    monkeypatch.setattr("detect.cli.annotations.read_json", fail)
    assert isinstance(run("check", "a.json", "--images", pictures).exception, ModuleNotFoundError)


def test_the_module_runs_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; import detect.cli.annotations; from detect.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'imagehash', 'censor'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    result = subprocess.run([sys.executable, "-m", "detect", "check"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: python -m detect check")


class TestCheck:
    def test_nothing_wrong(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        result = run("check", write(document), "--images", pictures)
        assert (result.exit_code, result.stdout) == (0, "problems: none\n")

    def test_problems_are_listed_and_counted(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        document["annotations"][0]["id"] = 0
        document["annotations"][1]["bbox"] = [0, 0, 0, 1]
        path, above = write(document), "a width and a height above 0.02 pixels"
        result = run("check", path, "--images", pictures)
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            f"{path}: id-below-one: annotations[0].id (id 0) is 0; expected a whole number from 1 up",
            f"{path}: zero-area: annotations[1].bbox (id 2) is [0, 0, 0, 1]; expected {above}",
            "problems: 1 id-below-one, 1 zero-area",
        ]
        assert result.stderr == ""

    def test_problems_as_json(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        document["annotations"][0]["iscrowd"] = 5
        path = write(document)
        result = run("check", path, "--images", pictures, "--json")
        assert json.loads(result.stdout) == {
            "problems": [
                {
                    "file": str(path),
                    "kind": "bad-value",
                    "id": 1,
                    "field": "annotations[0].iscrowd",
                    "value": "5",
                    "expected": "0 or 1",
                }
            ],
            "changes": [],
        }

    def test_categories_of_another_file(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        allowed = write({"categories": [{"name": "king"}]}, name="allowed.json")
        result = run("check", write(document), "--images", pictures, "--categories", allowed)
        assert result.exit_code == 1
        assert "unknown-category: categories[1].name" in result.stdout

    @pytest.mark.parametrize("wrong", [[], {}, {"categories": []}, {"categories": [{}]}, {"categories": [1]}])
    def test_a_category_file_without_categories(
        self,
        wrong: dict[Any, Any] | dict[str, Any] | list[Any],
        run: Callable[..., Any],
        document: dict[str, Any],
        pictures: Path,
        write: Callable[..., Any],
    ) -> None:
        allowed = write(wrong, name="allowed.json")
        result = run("check", write(document), "--images", pictures, "--categories", allowed)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {allowed}: categories is ")

    def test_a_truncated_file_is_one_line_on_stderr(
        self, run: Callable[..., Any], pictures: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "cut.json"
        path.write_text('{"images": [')
        result = run("check", path, "--images", pictures)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert (
            result.stderr == f"Error: {path}: truncated: ends too early at line 1, column 13; expected complete JSON\n"
        )

    def test_fix_writes_a_copy_and_lists_what_it_changed(
        self,
        run: Callable[..., Any],
        document: dict[str, Any],
        pictures: Path,
        write: Callable[..., Any],
        tmp_path: Path,
    ) -> None:
        document["annotations"][0]["id"] = 0
        path, fixed = write(document), tmp_path / "fixed.json"
        before = path.read_bytes()
        result = run("check", path, "--images", pictures, "--fix", fixed)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "changed annotations[0].id: 0 -> 4: each annotation needs an id of its own, from 1 up",
            "changes: 1; problems left: none",
        ]
        assert path.read_bytes() == before
        assert loaded(fixed)["annotations"][0]["id"] == 4
        assert run("check", fixed, "--images", pictures).exit_code == 0

    def test_fix_says_what_is_left(
        self,
        run: Callable[..., Any],
        document: dict[str, Any],
        pictures: Path,
        write: Callable[..., Any],
        tmp_path: Path,
    ) -> None:
        document["images"][1]["id"] = 1
        result = run("check", write(document), "--images", pictures, "--fix", tmp_path / "fixed.json")
        assert result.exit_code == 1
        assert "duplicate-id" in result.stdout
        assert "problems left: 1 duplicate-id" in result.stdout

    def test_fix_counts_what_it_took_out(
        self,
        run: Callable[..., Any],
        document: dict[str, Any],
        pictures: Path,
        write: Callable[..., Any],
        tmp_path: Path,
    ) -> None:
        (pictures / "a.png").unlink()
        document["annotations"].append({"id": 9, "image_id": 2, "category_id": 1, "bbox": [1, 1, 0, 0]})
        result = run("check", write(document), "--images", pictures, "--fix", tmp_path / "fixed.json")
        assert [line for line in result.stdout.splitlines() if line.startswith("removed")] == [
            "removed 1 boxes: its box has no area",
            "removed 2 boxes: its picture is not there",
            "removed 1 images: its picture is not there",
        ]

    def test_fix_never_overwrites_the_source(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        path = write(document)
        result = run("check", path, "--images", pictures, "--fix", path, "--overwrite")
        assert result.exit_code == 2
        assert "OUT must not be FILE" in result.stderr

    def test_fix_does_not_overwrite_another_file_unasked(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        other = write({}, name="other.json")
        assert run("check", write(document), "--images", pictures, "--fix", other).exit_code == 1
        assert loaded(other) == {}
        assert run("check", write(document), "--images", pictures, "--fix", other, "--overwrite").exit_code == 0
        assert loaded(other) == document

    def test_fix_of_what_cannot_be_mended(
        self, run: Callable[..., Any], pictures: Path, write: Callable[..., Any], tmp_path: Path
    ) -> None:
        path = write([])
        result = run("check", path, "--images", pictures, "--fix", tmp_path / "fixed.json")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {path}: cannot be mended")
        assert not (tmp_path / "fixed.json").exists()


class TestSample:
    def test_what_is_drawn_passes_the_check(self, run: Callable[..., Any], tmp_path: Path) -> None:
        out = tmp_path / "sample"
        result = run("sample", out, "--train", 4, "--val", 1, "--seed", 3)
        assert (result.exit_code, result.stdout) == (0, f"{out}: 4 pictures to train on, 1 to validate on\n")
        for part in ("train", "val"):
            assert run("check", out / f"{part}.json", "--images", out / part).exit_code == 0

    def test_a_folder_that_holds_something(self, run: Callable[..., Any], pictures: Path) -> None:
        result = run("sample", pictures)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"Error: {pictures}: is not empty; expected a new or an empty folder\n"

    def test_numbers_out_of_range(self, run: Callable[..., Any], tmp_path: Path) -> None:
        assert run("sample", tmp_path, "--train", 0).exit_code == 2


class TestStats:
    def test_a_table(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        result = run("stats", write(document), "--images", pictures)
        assert result.exit_code == 0
        assert [line.split() for line in result.stdout.splitlines()] == [
            ["3", "images,", "1", "without", "boxes"],
            ["class", "boxes", "crowds", "images", "size", "px", "share", "aspect"],
            ["king", "1", "1", "2", *["3.464"] * 3, *["0.11"] * 3, *["0.75"] * 3],
            ["ace", "1", "0", "1", *["22.36"] * 3, *["0.645"] * 3, *["0.8"] * 3],
        ]

    def test_json_and_picture(
        self,
        run: Callable[..., Any],
        document: dict[str, Any],
        pictures: Path,
        write: Callable[..., Any],
        tmp_path: Path,
    ) -> None:
        document["annotations"] = document["annotations"][2:]
        picture = tmp_path / "stats.png"
        result = run("stats", write(document), "--images", pictures, "--json", "--picture", picture)
        assert json.loads(result.stdout)["classes"][1] == {
            "name": "ace",
            "boxes": 0,
            "crowds": 0,
            "images": 0,
            "size": None,
            "share": None,
            "aspect": None,
        }
        assert picture.read_bytes().startswith(b"\x89PNG")

    def test_classes_without_boxes(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        document["annotations"] = document["annotations"][2:]
        assert run("stats", write(document), "--images", pictures).stdout.splitlines()[-1].split()[-3:] == ["-"] * 3

    def test_annotations_that_are_wrong_are_refused(
        self, run: Callable[..., Any], document: dict[str, Any], pictures: Path, write: Callable[..., Any]
    ) -> None:
        document["annotations"][0]["id"] = 0
        result = run("stats", write(document), "--images", pictures)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "id-below-one" in result.stderr


class TestSplit:
    @pytest.fixture
    def sampled(self, run: Callable[..., Any], tmp_path: Path) -> Path:
        run("sample", tmp_path / "s", "--train", 12, "--val", 1)
        return tmp_path / "s"

    def test_two_files_are_written(self, run: Callable[..., Any], sampled: Path, tmp_path: Path) -> None:
        arguments = ("split", sampled / "train.json", "--images", sampled / "train", "--share", 0.25)
        outputs = ("--train", tmp_path / "t.json", "--val", tmp_path / "v.json")
        result = run(*arguments, *outputs)
        assert result.exit_code == 0
        images = [len(loaded(tmp_path / name)["images"]) for name in ("t.json", "v.json")]
        assert sum(images) == 12
        assert result.stdout.startswith(f"{tmp_path / 't.json'}: {images[0]} images, ")
        result = run(*arguments, *outputs)
        assert result.exit_code == 1
        assert "exists already" in result.stderr
        assert run(*arguments, *outputs, "--overwrite").exit_code == 0

    def test_three_files_are_needed(self, run: Callable[..., Any], sampled: Path, tmp_path: Path) -> None:
        path = sampled / "train.json"
        result = run("split", path, "--images", sampled / "train", "--train", path, "--val", tmp_path / "v.json")
        assert result.exit_code == 2


class TestConvert:
    @pytest.fixture
    def labels(self, tmp_path: Path) -> Path:
        folder = tmp_path / "labels"
        folder.mkdir()
        (folder / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
        (folder / "names.txt").write_text("king\nace\n")
        return folder

    def test_a_coco_file_is_written(
        self, run: Callable[..., Any], labels: Path, pictures: Path, tmp_path: Path
    ) -> None:
        arguments = ("convert", "yolo", labels, "--images", pictures, "-o", tmp_path / "out.json")
        result = run(*arguments, "--yolo-names", labels / "names.txt")
        lines = ["2 taken for negatives: pictures without a text file", f"{tmp_path / 'out.json'}: 3 images, 1 boxes"]
        assert (result.exit_code, result.stdout.splitlines()) == (0, lines)
        assert run("check", tmp_path / "out.json", "--images", pictures).exit_code == 0

    def test_polygons_are_read_where_they_are_said_to_be(
        self, run: Callable[..., Any], labels: Path, pictures: Path, tmp_path: Path
    ) -> None:
        (labels / "a.txt").write_text("0 .1 .1 .5 .1 .5 .5 .1 .5")
        (labels / "names.txt").rename(labels / "classes.txt")
        arguments = ("convert", "yolo", labels, "--images", pictures, "-o", tmp_path / "out.json")
        assert "may be a polygon, a turned box or a pose" in run(*arguments).stderr
        assert run(*arguments, "--yolo-polygons").exit_code == 0
        assert loaded(tmp_path / "out.json")["annotations"][0]["bbox"] == [4, 3, 16, 12]

    def test_errors_are_one_line(self, run: Callable[..., Any], labels: Path, pictures: Path, tmp_path: Path) -> None:
        result = run("convert", "yolo", labels, "--images", pictures, "-o", tmp_path / "out.json")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert run("convert", "csv", labels, "--images", pictures, "-o", "x").exit_code == 2
