"""What measures training: sets that are cut and drawn, tables by hand, and each script once at its smallest."""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training_scripts import single_threaded

from detect.annotations import load_coco
from detect.classifier.scores import Scores

ROOT = Path(__file__).parent.parent
MODULES = ("architectures", "finetune", "gpu_session", "retinanet_augmentations", "retinanet_rounds", "tree_tiles")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of `benchmarks/`, and forgets it afterwards."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    with single_threaded():
        yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def squares(module: Any, folder: Path) -> None:
    """A set as the benchmarks want it: in each split a picture with a white square, and one without."""
    pixels = np.random.default_rng(0).integers(90, 160, (64, 128, 3), np.uint8)
    pixels[20:40, 20:40] = 255
    for split in ("train", "test"):
        document = module("tree_tiles").cut(
            pixels, np.array([[20, 20, 40, 40]], np.float32), side=64, folder=folder / split
        )
        (folder / f"{split}.json").write_text(json.dumps(document))


def test_tiles_cover_a_photograph_and_a_boxs_remains_are_a_crowd(module: Any, tmp_path: Path) -> None:
    tiles = module("tree_tiles")
    assert tiles.starts(250, 100) == [0, 75, 150]
    assert tiles.starts(80, 100) == [0]
    pixels = np.random.default_rng(0).integers(0, 256, (100, 180, 3), np.uint8)
    boxes = np.array([[10, 20, 30, 40], [74, 0, 104, 30], [95, 50, 175, 60], [99, 80, 109, 90]], np.float32)
    (tmp_path / "set.json").write_text(json.dumps(tiles.cut(pixels, boxes, side=100, folder=tmp_path / "set")))
    left, right = load_coco(tmp_path / "set.json", tmp_path / "set").images
    with Image.open(right.path) as image:
        assert np.array_equal(np.asarray(image), pixels[:, 80:])
    # of the third box a sixteenth is left over, a crowd; of the last one column, which is passed over
    assert left.xyxy.tolist() == [[10, 20, 30, 40], [74, 0, 100, 30], [95, 50, 100, 60]]
    assert left.iscrowd.tolist() == [False, False, True]
    assert right.xyxy.tolist() == [[0, 0, 24, 30], [15, 50, 95, 60], [19, 80, 29, 90]]
    assert right.iscrowd.tolist() == [False, False, False]


def test_both_photographs_are_read_out_of_the_wheel(module: Any, tmp_path: Path) -> None:
    tiles = module("tree_tiles")
    box = "<object><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>12</xmax><ymax>23</ymax></bndbox></object>"
    with zipfile.ZipFile(tmp_path / "any.whl", "w") as wheel:
        for name in tiles.SPLITS.values():
            with wheel.open(f"deepforest/data/{name}.png", "w") as file:
                Image.new("RGB", (60, 50), "green").save(file, "PNG")
            wheel.writestr(f"deepforest/data/{name}.xml", f"<annotation>{box}</annotation>")
    assert tiles.prepare(tmp_path / "any.whl", tmp_path / "set", side=60) == {"train": (1, 1), "test": (1, 1)}
    (image,) = load_coco(tmp_path / "set" / "test.json", tmp_path / "set" / "test").images
    assert image.xyxy.tolist() == [[2, 3, 12, 23]]


def test_seeds_are_compared_one_by_one(module: Any) -> None:
    figures = [("full", 0, 0.25, 0.5), ("full", 1, 0.5, 0.5), ("flip", 0, 0.5, 0.5), ("flip", 1, 0.375, 0.75)]
    rows = [dict(zip(("variant", "seed", "ap", "ap50"), row, strict=True)) for row in figures]
    assert module("retinanet_augmentations").table(rows).splitlines()[2:] == [
        "| full | 2 | 0.375 (0.250 to 0.500) | 0.500 (0.500 to 0.500) |  |",
        "| flip | 2 | 0.438 (0.375 to 0.500) | 0.625 (0.500 to 0.750) | +0.250, -0.125 |",
    ]


def test_a_run_that_is_done_is_not_done_again(module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    squares(module, tmp_path)
    arguments = ["--data", tmp_path, "--out", tmp_path / "out", "--variants", "none", "--epochs", "1", "--threads", "1"]
    more = ["--", "--size", "64", "--batch-size", "1", "--channels", "64"]
    run = module("retinanet_augmentations").main
    first = run([*map(str, arguments), "--seeds", "0", *more])
    assert "step 2/2" in capsys.readouterr().out
    assert run([*map(str, arguments), "--seeds", "0", *more]) == first
    assert "step" not in capsys.readouterr().out
    assert [(row["variant"], row["seed"]) for row in first] == [("none", 0)]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == first


def test_the_drawn_task_is_told_apart_by_shape_alone(module: Any, tmp_path: Path) -> None:
    folder = module("architectures").draw_set(tmp_path, 40, seed=0)
    means = {}
    for name in ("disc", "bar"):
        pictures = [np.asarray(Image.open(file), np.float64) for file in sorted((folder / name).glob("*.png"))]
        assert len(pictures) == 40
        means[name] = np.mean(pictures, axis=(0, 1, 2))
    assert abs(means["disc"] - means["bar"]).max() < 6


def test_operations_and_weights_are_counted_by_hand(module: Any) -> None:
    import torch

    one = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
    assert module("architectures").count(one, 8) == {"gflops": 2 * 3 * 4 * 9 * 64 / 1e9, "parameters": 108 / 1e6}


def test_architectures_are_measured_tabled_and_drawn(module: Any, tmp_path: Path) -> None:
    names = ["squeezenet", "thin_resnet50"]
    rows = module("architectures").main(
        ["--out", str(tmp_path), "--only", *names, "--count", "3", "--epochs", "1", "--batch-size", "3", "--size", "32",
         "--rounds", "1"]
    )  # fmt: skip
    assert [row["name"] for row in rows] == names
    assert all(row["milliseconds"] > 0 and 0 <= row["accuracy"] <= 1 for row in rows)
    assert rows[0]["gflops"] < rows[1]["gflops"]
    table = (tmp_path / "architectures.md").read_text().splitlines()
    assert [line.split("`")[1] for line in table if "`" in line] == names
    with Image.open(tmp_path / "architectures.png") as image:
        assert np.asarray(image.convert("L")).min() < 100


def test_accuracy_and_area_by_hand(module: Any, tmp_path: Path) -> None:
    finetune = module("finetune")
    folder = module("architectures").draw_set(tmp_path, 2, seed=0)
    data = finetune.read_classes(folder)
    labels = [data.names[picture.label] for picture in data.pictures]
    of = {"bar": iter([0.25, 0.75]), "disc": iter([0.5, 1.0])}
    found = [Scores(np.array([1 - p, p]), ("sfw", "nsfw"), ("nsfw",)) for p in (next(of[name]) for name in labels)]
    assert finetune.figures(data, found, "disc") == {"accuracy": 0.75, "auc": 0.75, "pictures": 4}


def test_a_fine_tuned_network_is_measured_before_and_after(module: Any, models_folder: Path, tmp_path: Path) -> None:
    folder = module("architectures").draw_set(tmp_path / "classes", 6, seed=0)
    summary = module("finetune").main(
        [str(folder), "--nsfw", "disc", "--weights", str(models_folder / "open_nsfw.onnx"), "--out",
         str(tmp_path / "out"), "--epochs", "1", "--batch-size", "4", "--size", "64"]
    )  # fmt: skip
    assert summary["before"]["pictures"] == summary["after"]["pictures"] == summary["kept"]["val"] > 0
    assert summary["censor check right"].endswith(f"of {summary['kept']['val']}")
    with Image.open(tmp_path / "out" / "heat.png") as image:
        assert np.asarray(image.convert("L")).min() < 100


def rate(name: str, times: float) -> dict[str, Any]:
    return {"name": name, "ms": 2.0, "times": times, "of_matrix_rate": 0.25}


def test_what_a_gpu_reached_is_put_beside_what_is_hoped_for(module: Any, tmp_path: Path) -> None:
    session = module("gpu_session")
    rows = [
        rate("torchvision f32, eager, batch 1", 1), rate("ours bf16, eager, batch 1", 2.5),
        rate("ours bf16, compiled, batch 32", 4.5), rate("ours bf16, compiled, training, batch 16", 1.5),
    ]  # fmt: skip
    curve = [{"epoch": epoch, "ap": 0.5, "ap50": ap50, "memory_mib": 9} for epoch, ap50 in ((1.0, 0.97), (2.0, 0.95))]
    assert session.reached(rows, curve) == {
        "training, times torchvision": 1.5, "inference, times torchvision": 4.5, "AP50": 0.95,
    }  # fmt: skip
    assert session.reached([], []) == {}
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "cards" / "ours").mkdir(parents=True)
    metrics = tmp_path / "cards" / "ours" / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(row) + "\n" for row in curve[:1]) + json.dumps(curve[1])[:9])
    said = session.summary(tmp_path, {"speed": "done", "cards": "stopped"}, 9.6).splitlines()
    assert said[0] == "speed done, cards stopped, 10 s."
    assert "| training, times torchvision | 2 | 1.50 |" in said
    assert "| AP50 | 0.9 | 0.97 |" in said  # of the second line, only whole ones count
    assert "| ours bf16, compiled, batch 32 | 2.0 | 4.50 | 25% |" in said


def test_a_part_that_takes_too_long_ends_with_all_that_it_started(module: Any, tmp_path: Path) -> None:
    session = module("gpu_session")
    (tmp_path / "child.py").write_text(
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n"
        "    time.sleep(0.3)\n"
        "    pathlib.Path(sys.argv[1]).touch()\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "time.sleep(60)\n"
    )
    command = [str(tmp_path / "child.py"), str(tmp_path / "saved")]
    (tmp_path / "parent.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, *{command!r}])\n")
    (tmp_path / "fails.py").write_text("sys.exit(0)")
    log = tmp_path / "log"
    assert session.run([tmp_path / "parent.py"], seconds=1.5, log=log) == "stopped"
    assert (tmp_path / "saved").exists()
    assert session.run([tmp_path / "fails.py"], seconds=20, log=log) == "failed"
    assert "NameError" in log.read_text()


@pytest.mark.slow  # three processes import torch: half a minute
def test_all_that_a_gpu_is_needed_for_is_rehearsed(module: Any, tmp_path: Path) -> None:
    squares(module, tmp_path)
    said = module("gpu_session").main(
        ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--epochs", "1", "--rehearse"]
    )
    assert said.startswith("speed done, cards done")
    assert "ours bf16, eager, batch 2" in said
    assert "Training sees" in said
