"""The benchmark suite: its arithmetic by hand, and quick runs: of two sections and, slow, of all, with the peer."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect.detections import Detections

ROOT = Path(__file__).parent.parent
NAMES = ("FACE_FEMALE", "FACE_MALE")


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "bench.py", "--quick", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of `benchmarks/`, and forgets it afterwards."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("alternate", "suite"):
            del sys.modules[name]


def test_spread_and_ratios_by_hand(module: Any) -> None:
    alternate = module("alternate")
    assert alternate.spread([4, 1, 3, 2, 5]) == alternate.Spread(median=3, q1=2, q3=4)
    assert alternate.spread([4, 1, 3, 2, 5]).scaled(10) == alternate.Spread(median=30, q1=20, q3=40)
    # 6 / 1, 2 / 2, 9 / 3: the ratio of the medians would be 3 as well with 6 / 2, but not with its spread
    assert alternate.paired([6, 2, 9], [1, 2, 3]) == alternate.Spread(median=3, q1=2, q3=4.5)
    with pytest.raises(ValueError, match="no values"):
        alternate.spread([])
    with pytest.raises(ValueError, match="zip"):
        alternate.paired([1, 2], [1])


def test_sides_take_turns_and_each_comes_first(module: Any) -> None:
    calls: list[str] = []

    def side(name: str, seconds: float) -> Any:
        def run() -> float:
            calls.append(name)
            return seconds

        return run

    seconds = module("alternate").alternate({"a": side("a", 1.0), "b": side("b", 2.0)}, 3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"  # once uncounted, then three rounds
    assert seconds == {"a": [1.0] * 3, "b": [2.0] * 3}
    with pytest.raises(ValueError, match="at least 1, not 0"):
        module("alternate").alternate({}, 0)


def test_boxes_of_a_file_and_of_its_pixels_are_matched(module: Any) -> None:
    def found(*boxes: tuple[list[float], float, int]) -> Detections:
        xyxy, scores, labels = zip(*boxes, strict=True)
        return Detections(np.array(xyxy, np.float32), np.array(scores), np.array(labels), NAMES)

    whole = found(([0, 0, 10, 10], 0.9, 0), ([20, 0, 30, 10], 0.5, 0), ([40, 0, 50, 10], 0.1, 0))
    file = found(([0, 0, 10, 8], 0.75, 0), ([20, 0, 30, 10], 0.5, 1), ([40, 0, 50, 10], 0.125, 0))
    pairs = module("suite.scaled").compare(whole, file)
    assert pairs["whole_scores"] == pytest.approx([0.9])
    assert pairs["file_scores"] == [0.75]
    assert pairs["iou"] == pytest.approx([0.8])
    assert pairs["alone"] == [["pixels", "FACE_FEMALE", 0.5], ["file", "FACE_MALE", 0.5]]
    nothing = module("suite.scaled").compare(whole, Detections.empty(NAMES))
    assert [entry[0] for entry in nothing["alone"]] == ["pixels", "pixels"]


WHOLE = pytest.mark.slow  # a minute: everything is measured


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a quick run of everything."""
    out = tmp_path_factory.mktemp("bench") / "results"
    done = bench("--long", "--peers", out, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (out / "results.md").read_text() + "\n"
    return out


@WHOLE
def test_a_quick_run_measures_everything_beside_the_peer(quick: Path) -> None:
    results = json.loads((quick / "results.json").read_text())
    assert results["failed"] == {}
    assert results["options"] == {"quick": True, "rounds": 2, "own_photos": False}
    assert set(results["sections"]) == {
        "check", "censor", "codec", "judges", "networks", "peers", "start", "scaled", "megapixels", "pictures",
        "regions", "workers", "long",
    }  # fmt: skip
    for name in ("check", "censor"):
        section = results["sections"][name]
        for what, entry in section["data"].items():
            seconds = entry["seconds"]
            assert {"nudenet", "censor, one at a time"} <= set(seconds)
            assert all(len(values) == 2 and min(values) > 0 for values in seconds.values())
            (row,) = [row for row in section["rows"] if (row["what"], row["side"]) == (what, "censor, one at a time")]
            ratios = [a / b for a, b in zip(seconds["nudenet"], seconds[row["side"]], strict=True)]
            assert row["ratio"]["median"] == pytest.approx(statistics.median(ratios))
            median = statistics.median(seconds[row["side"]])
            assert row["value"]["median"] == pytest.approx(1000 * median / entry["pictures"])
            (target,) = [row for row in section["rows"] if row["what"] == what and row["target"]]
            assert target["side"] == entry["default"]
            assert target["met"] is (target["ratio"]["median"] >= entry["target"])


@WHOLE
def test_a_quick_run_says_what_it_ran_on(quick: Path) -> None:
    machine = json.loads((quick / "results.json").read_text())["machine"]
    assert set(machine) == {
        "processor", "architecture", "cores", "instructions", "system", "python", "packages", "load_at_start",
    }  # fmt: skip
    assert machine["packages"]["nudenet"] == "3.4.2"
    text = (quick / "results.md").read_text()
    assert text.startswith(machine["processor"])
    assert "Quick run" in text


@WHOLE
def test_a_quick_run_measures_what_things_cost(quick: Path) -> None:
    sections = json.loads((quick / "results.json").read_text())["sections"]
    points = {name: sections[name]["data"]["points"] for name in ("megapixels", "pictures", "regions", "workers")}
    assert [point["at"] for point in points["regions"]] == [0, 2]
    assert [point["at"] for point in points["pictures"]] == [2]
    for point in [*points["megapixels"], *points["pictures"], *points["workers"]]:
        assert 30 < point["peak_mb"]["censor"] < 2000
    solid = [statistics.median(point["seconds"]["solid"]) for point in points["regions"]]
    assert solid[1] > solid[0]
    long = sections["long"]["data"]
    assert long["pictures"] == list(range(1, 21))
    assert all(30 < rss < 2000 for rss in long["rss_mb"])


@WHOLE
def test_a_quick_run_draws_and_writes_a_table(quick: Path) -> None:
    sections = json.loads((quick / "results.json").read_text())["sections"]
    drawn = {path.stem for path in quick.glob("*.png")}
    assert drawn == {"check", "censor", "megapixels", "pictures", "regions", "workers", "start", "scaled", "long"}
    for path in quick.glob("*.png"):
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).min() < 100  # ink
            assert min(image.size) > 300
    text = (quick / "results.md").read_text()
    table = text.split("| measured |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(table) == sum(len(section["rows"]) for section in sections.values())
    assert all(line.count("|") == 7 for line in table)
    assert text.count("| workers |") == 1


@WHOLE
def test_a_missing_peer_is_named_with_the_way_to_install_it(quick: Path) -> None:
    assert (
        "deface is missing, so nothing was compared with it; install it: make .venv-peers"
        in (quick / "results.md").read_text()
    )


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(photos / "whole.jpg")
    (photos / "cut.jpg").write_bytes((photos / "whole.jpg").read_bytes()[:-900])
    done = bench("--only", "scaled", "regions", "--photos", photos, "--rounds", "1", "--out", tmp_path)
    assert done.returncode == 1
    assert "scaled failed: DamagedImageError" in done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert "cut.jpg" in results["failed"]["scaled"]
    assert list(results["sections"]) == ["regions"]
    assert "**scaled failed:**" in (tmp_path / "results.md").read_text()


def test_a_side_that_fails_in_its_process_fails_its_section(module: Any, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    sides = module("suite.sides")
    with sides.processes({"censor": (sides.ours, "check", tmp_path)}) as ready:
        side = ready["censor"].on([tmp_path / "cut.jpg"])
        with pytest.raises(RuntimeError, match=r"censor: DamagedImageError: .*cut\.jpg"):
            side()


def test_wrong_options_are_refused() -> None:
    assert "invalid choice: 'nonsense'" in bench("--only", "nonsense").stderr
    assert bench("--rounds", "0").returncode == 2


def test_a_side_that_cannot_be_prepared_or_dies_is_told(module: Any, tmp_path: Path) -> None:
    sides = module("suite.sides")
    nowhere = ("--weights", str(tmp_path / "none.onnx"))
    with (
        pytest.raises(RuntimeError, match=r"ours: RuntimeError: `censor check .*none\.onnx` ends with exit code 1"),
        sides.processes({"ours": (sides.ours, "check", tmp_path, nowhere)}),
    ):
        pass
    with pytest.raises(RuntimeError, match="ours: the process died"), sides.processes({"ours": (os._exit, 0)}):
        pass


def test_a_program_that_fails_is_told_with_its_last_words(module: Any) -> None:
    child = module("suite.child")
    assert child.run_python("print('well')").output == "well\n"
    with pytest.raises(RuntimeError, match="exit code 3: gone wrong"):
        child.run_python("import sys; print('gone wrong', file=sys.stderr); sys.exit(3)")


@pytest.mark.slow  # half a minute: all is compiled
def test_what_runs_on_a_gpu_is_rehearsed_on_the_processor(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "retinanet_speed.py", "--out", tmp_path, "--device", "cuda",
         "--rehearse", "--backbone", "resnet18", "--size", "64", "--rounds", "1", "--batches", "2",
         "--train-batch", "2"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == [
        *(f"{name}, batch 2" for name in ("torchvision f32, eager", "torchvision bf16, eager", "ours f32, eager",
                                          "ours bf16, eager")),
        *(f"{name}, training, batch 2" for name in ("torchvision f32, eager", "torchvision bf16, eager",
                                                    "ours bf16, compiled")),
    ]  # fmt: skip
    assert all(row["ms"] > 0 for row in rows)
    assert rows[0]["times"] == 1
