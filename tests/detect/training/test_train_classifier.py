"""The training script for classifiers: what it learns, writes and refuses, and that it goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from training_scripts import start_script, start_two

from detect.__main__ import main
from detect.errors import InferenceError
from detect.explain.torch_graph import GraphSession, load_graph
from detect.installed import load_classifiers, load_features
from detect.pictures.rgb import read_rgb
from detect.training.checkpoint import load_state
from detect.training.classifier.checkpoint import load_model
from detect.training.classifier.recipes import RECIPES

ROOT = Path(__file__).parents[3]
Shapes = Callable[..., Path]
SMALL = ["--architecture", "timm/test_resnet",
         "--nsfw", "disc", "--size", "32", "--batch-size", "4", "--warmup", "2", "--workers", "0", "--log-every", "1",
         "--device", "cpu", "--lr", "1e-3", "--ema", "0.9"]  # fmt: skip


@pytest.fixture(scope="module")
def data(shapes: Shapes) -> list[str]:
    """Eight pictures to learn from and four to be measured by, as options."""
    return ["--train", str(shapes(4)), "--val", str(shapes(2, seed=9))]


def curve(out: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [(row["loss"], row["gradient"]) for row in rows]


@pytest.fixture(scope="module")
def finished(data: list[str], script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps that nothing disturbed."""
    out = tmp_path_factory.mktemp("run") / "my run!"
    assert script.main([*SMALL, *data, "--out", str(out), "--epochs", "6", "--eval-every", "3"]) == 0
    return out


def test_a_run_leaves_weights_state_and_logs(finished: Path) -> None:
    assert len(curve(finished)) == 12
    metrics = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics] == [6, 12]
    about = load_model(finished / "last.safetensors")[1]
    assert (about.name, about.names, about.nsfw) == ("my-run", ("bar", "disc"), ("disc",))
    assert about.metrics["auc"] == metrics[-1]["auc"]
    assert about.config["epochs"] == 6
    best = load_model(finished / "best.safetensors")[1]
    assert best.metrics["loss"] == min(row["loss"] for row in metrics)
    assert load_state(finished / "state.safetensors")[2]["step"] == 12
    assert not list(finished.glob(".*"))  # no temporary file is left behind


def test_tensorboard_holds_curves_and_pictures(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/lr", "val/auc", "val/accuracy", "val/recall_disc"} <= set(tags["scalars"])
    assert {"val/roc", "val/precision_recall", "val/worst"} <= set(tags["images"])


def test_a_run_that_is_stopped_and_killed_comes_out_as_if_nothing_had_happened(
    data: list[str], finished: Path, tmp_path: Path, script: ModuleType
) -> None:
    out = tmp_path / "my run!"
    long = [*SMALL, *data, "--out", str(out), "--epochs", "6", "--eval-every", "3"]
    process = start_script("train_classifier", long, said=tmp_path / "said")
    deadline, file = time.monotonic() + 120, out / "losses.jsonl"
    while process.is_alive() and time.monotonic() < deadline:
        if file.exists() and '"step": 2,' in file.read_text():
            os.kill(process.pid or 0, signal.SIGTERM)
            break
        time.sleep(0.01)
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM
    assert 3 <= load_state(out / "state.safetensors")[2]["step"] < 12
    with file.open("a") as stream:
        stream.write('{"step": 9, "loss"')  # what a kill in the middle of a line leaves
    assert script.main(["--out", str(out), "--resume"]) == 0
    assert curve(out) == curve(finished)
    ours, theirs = (load_model(folder / "last.safetensors")[0].state_dict() for folder in (out, finished))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_two_processes_do_what_one_does(data: list[str], finished: Path, script: ModuleType, tmp_path: Path) -> None:
    # Frozen: BatchNorm would see halves of a batch.
    weights = ["--backbone-weights", str(finished / "best.safetensors"), "--epochs", "3", "--eval-every", "3"]
    assert script.main([*SMALL, *data, *weights, "--out", str(tmp_path / "one")]) == 0
    both = start_two("train_classifier", [*SMALL, *data, *weights, "--out", str(tmp_path / "two")], folder=tmp_path)
    for process in both:
        process.join(240)
    said = [(tmp_path / f"said{rank}").read_text() for rank in (0, 1)]
    assert [process.exitcode for process in both] == [0, 0], said
    np.testing.assert_allclose(curve(tmp_path / "two"), curve(tmp_path / "one"), rtol=5e-3)
    one, two = (json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=5e-3)
    assert [each.count("step 1/") for each in said] == [1, 0]  # the first process alone speaks


@pytest.fixture(scope="session")
def learnt(shapes: Shapes, script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """From scratch on drawn shapes to an ONNX file; gives the run's folder and that of pictures it has not learnt."""
    out, val = tmp_path_factory.mktemp("learnt"), shapes(8, seed=5)
    options = [*SMALL, "--size", "64", "--epochs", "8", "--batch-size", "8", "--eval-every", "8", "--ema", "0.8",
               "--lr", "4e-3"]  # fmt: skip
    assert script.main([*options, "--train", str(shapes(24)), "--val", str(val), "--out", str(out / "discs")]) == 0
    arguments = ["export", str(out / "discs" / "best.safetensors"), str(out / "discs.onnx"), "--images", str(val)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return out, val


def test_parts_add_up_to_the_whole_batch(
    data: list[str], learnt: tuple[Path, Path], script: ModuleType, tmp_path: Path
) -> None:
    weights = ["--backbone-weights", str(learnt[0] / "discs" / "best.safetensors"), "--size", "64", "--epochs", "2",
               "--eval-every", "2"]  # fmt: skip
    for name, more in (("whole", []), ("parts", ["--accumulate", "2", "--balance", "--no-balance"])):
        assert script.main([*SMALL, *data, *weights, "--out", str(tmp_path / name), *more]) == 0
    np.testing.assert_allclose(curve(tmp_path / "parts"), curve(tmp_path / "whole"), rtol=5e-3)
    # It began with the weights of the run before, its last layer too: that had learnt something.
    assert json.loads((tmp_path / "whole" / "losses.jsonl").read_text().splitlines()[0])["accuracy"] == 1


def test_it_learns_shapes_from_scratch_and_says_where_they_are(learnt: tuple[Path, Path]) -> None:
    out, val = learnt
    assert json.loads((out / "discs" / "metrics.jsonl").read_text())["auc"] >= 0.95
    (classifier,) = load_classifiers([out / "discs.onnx"], folder=None)
    assert (classifier.name, classifier.names) == ("discs", ("bar", "disc"))
    pictures = [read_rgb(path) for path in sorted((val / "disc").iterdir())]
    for picture, scores in zip(pictures, classifier.classify(pictures, heat=True), strict=True):
        assert scores.nsfw == ("disc",)
        assert scores.heat is not None
        assert scores.heat.shape == (3, 3)  # at 96 pixels; the network itself answers two by two at 64
        red = (picture[..., 0] > 200) & (picture[..., 2] < 60)
        assert red.any()


def test_what_is_exported_is_what_was_trained(learnt: tuple[Path, Path]) -> None:
    out, val = learnt
    model, about = load_model(out / "discs" / "best.safetensors")
    (classifier,) = load_classifiers([out / "discs.onnx"], folder=None, precision="f32")
    picture = read_rgb(next((val / "disc").iterdir()))
    square = np.ascontiguousarray(picture[:48, :48])
    square = np.kron(square[::3, ::3], np.ones((4, 4, 1), np.uint8))  # 64 pixels a side: nothing is resized
    with torch.no_grad():
        logits = model(about.input.normalized(torch.from_numpy(square.transpose(2, 0, 1).copy())[None]))
    found = classifier.classify([square])[0]
    np.testing.assert_allclose(found.values, logits.softmax(dim=1)[0].numpy(), atol=1e-5)


def test_features_and_explanations_read_the_exported_file(learnt: tuple[Path, Path]) -> None:
    out, val = learnt
    picture = read_rgb(next((val / "disc").iterdir()))
    assert load_features(out / "discs.onnx", folder=None).features([picture]).shape == (1, 96)
    session = GraphSession(load_graph((out / "discs.onnx").read_bytes(), source="discs.onnx"))
    batch = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    scores, heat = session.run(batch)
    assert (scores.shape, heat.shape) == ((1, 2), (1, 2, 2))
    said = {prop.key for prop in onnx.load(out / "discs.onnx", load_external_data=False).metadata_props}
    assert {"task", "name", "names", "nsfw", "imgsz", "heat_imgsz", "mean", "scale", "resize", "color"} <= said


def test_censor_check_uses_it(learnt: tuple[Path, Path], tmp_path: Path) -> None:
    out, val = learnt
    (tmp_path / "own.toml").write_text('[picture]\nclassifiers = ["discs"]\nnsfw_at = 0.5\nreview_at = 0.5\n')
    command = [sys.executable, "-m", "censor", "check", str(val), "--policy", str(tmp_path / "own.toml"), "--json",
               "--classifiers", str(out / "discs.onnx")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    right = [row["verdict"]["nsfw"] == ("/disc/" in row["file"]) for row in rows]
    assert len(right) == 16
    assert sum(right) >= 14
    assert all(set(row["classifiers"]) == {"discs"} for row in rows)


@pytest.mark.parametrize(("name", "size"), [("ms_ctc", 64), ("timm/test_vit", 32), ("timm/test_convnext", 32)])
def test_an_export_without_cells_has_no_heat_and_one_size(name: str, size: int, tmp_path: Path) -> None:
    from detect.training.classifier.architectures import build_network
    from detect.training.classifier.checkpoint import Description, Input, save_weights

    about = Description(
        name="j", names=("a", "b"), nsfw=("b",), architecture=name, size=size, resize="squash",
        input=Input.of(name),
    )  # fmt: skip
    save_weights(tmp_path / "j.safetensors", build_network(name, classes=2, size=size), about)
    done = CliRunner().invoke(main, ["export", str(tmp_path / "j.safetensors"), str(tmp_path / "j.onnx")])
    assert done.exit_code == 0, done.output
    (classifier,) = load_classifiers([tmp_path / "j.onnx"], folder=None)
    assert classifier.classify([np.zeros((10, 20, 3), np.uint8)], heat=True)[0].heat is None


def test_an_export_that_differs_is_not_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detect.training.classifier import export as export_module

    monkeypatch.setattr(export_module, "_convert", lambda *_, **__: b"")
    monkeypatch.setattr(export_module, "OnnxRuntimeSession", lambda *_, **__: None)
    for apart, message in ((0.5, "differ by 0.5, more than 0.001"), (float("nan"), "differ by nan")):
        monkeypatch.setattr(export_module, "_difference", lambda *_, apart=apart: apart)
        done = CliRunner().invoke(main, ["export", str(finished / "best.safetensors"), str(tmp_path / "m.onnx")])
        assert done.exit_code == 1
        assert message in done.output
    assert not (tmp_path / "m.onnx").exists()


def test_what_tracing_gets_wrong_is_exported_the_long_way(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detect.training.classifier import export as export_module

    ways: list[bool] = []

    def convert(*_: object, tracing: bool) -> bytes:
        ways.append(tracing)
        return b"traced" if tracing else b"exported"

    for fault in (float("nan"), 0.5, InferenceError("another size"), RuntimeError("cannot be traced")):
        answers = iter([fault, 1e-6])

        def difference(*_: object, answers: Iterator[float | Exception] = answers) -> float:
            if isinstance(answer := next(answers), Exception):
                raise answer
            return answer

        monkeypatch.setattr(export_module, "_convert", convert)
        monkeypatch.setattr(export_module, "OnnxRuntimeSession", lambda *_, **__: None)
        monkeypatch.setattr(export_module, "_difference", difference)
        assert export_module.export_classifier(finished / "best.safetensors", tmp_path / "m.onnx") == 1e-6
        assert (tmp_path / "m.onnx").read_bytes() == b"exported"
    assert ways == [True, False] * 4


def refused(script: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said of a run that does not begin: one line."""
    assert script.main([*SMALL, *arguments]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_bad_data_ends_in_one_line(
    shapes: Shapes, script: ModuleType, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    one = shapes(2, colors={"disc": (200, 0, 0)})
    assert "only one class: disc; expected two at least" in refused(script, capsys, *data, *out, "--train", str(one))
    folder = shapes(2)
    (folder / "empty").mkdir()
    assert 'class "empty" is empty' in refused(script, capsys, *data, *out, "--train", str(folder))
    (folder / "empty" / "a.png").write_bytes(b"nothing")
    (folder / "empty" / "b.png").write_bytes(b"nothing")
    said = refused(script, capsys, *out, "--train", str(folder), "--val", str(folder))
    assert 'none of the 2 pictures of class "empty" can be read; the first: ' in said
    assert "a.png" in said
    other = shapes(2, colors={"disc": (200, 0, 0), "star": (0, 200, 0)})
    assert 'class "star" is not one of bar, disc' in refused(script, capsys, *data, *out, "--val", str(other))
    for nsfw in ("nsfw", "bar,disc"):
        assert "--nsfw must name some of the classes bar, disc" in refused(script, capsys, *data, *out, "--nsfw", nsfw)
    assert "missing" in refused(script, capsys, *data, *out, "--train", str(tmp_path / "missing"))
    weights = tmp_path / "w.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, weights)
    said = refused(script, capsys, *data, *out, "--architecture", "resnet18", "--backbone-weights", str(weights))
    assert "w.pth: not the weights of a resnet18: 'bn1.weight' is missing" in said
    said = refused(script, capsys, *data, *out, "--architecture", "ms_ctc")
    assert "--size 32: ms_ctc cannot take pictures of 32 pixels a side" in said


def test_a_picture_that_is_damaged_behind_its_header_is_named(
    shapes: Shapes, script: ModuleType, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shapes(2)
    victim = folder / "disc" / "00.png"
    victim.write_bytes(victim.read_bytes()[:-300])
    for workers in ("0", "1"):  # what another process met comes as a traceback
        said = refused(
            script, capsys, *data, "--out", str(tmp_path / workers), "--train", str(folder), "--workers", workers
        )
        assert said.startswith(str(victim))


def test_a_run_goes_on_with_the_labels_it_began_with(
    data: list[str], script: ModuleType, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    moved = tmp_path / "train"
    shutil.copytree(data[1], moved)
    arguments = ["--out", str(out), "--resume", "--train", str(moved)]
    assert script.main(arguments) == 0  # the same pictures elsewhere
    capsys.readouterr()
    said = refused(script, capsys, *arguments, "--nsfw", "bar")
    assert "the run began with disc as what means NSFW, and now it is bar" in said
    (moved / "disc" / "00.png").rename(moved / "bar" / "x.png")
    assert "the pictures to learn from, or their labels, are not those" in refused(script, capsys, *arguments)
    (moved / "disc").rename(moved / "circle")
    arguments += ["--val", str(moved), "--nsfw", "circle"]
    assert "began with the labels bar, disc, and now they are bar, circle" in refused(script, capsys, *arguments)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "100"], "--size must be a multiple of 32"),
        (["--batch-size", "5", "--accumulate", "2"], "cannot be shared"),
        (["--frozen-norm", "yes"], "--frozen-norm needs --backbone-weights"),
        (["--dropout", "1"], "--dropout must lie in [0, 1)"),
        (["--architecture", "alexnet"], "--architecture must be one of thin_resnet50, resnet18, "),
        (["--architecture", "timm/hf-hub:a/b"], "or timm/NAME of a network that timm has, not 'timm/hf-hub:a/b'"),
    ],
)
def test_options_that_make_no_sense(
    script: ModuleType, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        script.main(["--out", str(tmp_path), *more])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_recipe_is_where_options_begin(
    script: ModuleType, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {field.name for field in dataclasses.fields(script.Config)}
    for name, recipe in RECIPES.items():
        assert set(recipe) <= names
        config = script.parse(["--out", str(tmp_path), "--recipe", name, "--lr", "0.5"])[0]
        assert dataclasses.asdict(config) == dataclasses.asdict(script.Config()) | dict(recipe) | {
            "out": str(tmp_path), "recipe": name, "lr": 0.5,
        }  # fmt: skip
    with pytest.raises(SystemExit):
        script.parse(["--out", str(finished), "--resume", "--recipe", "open_nsfw"])
    assert "this one began with plain" in capsys.readouterr().err


def test_the_script_can_be_read_in_one_go() -> None:
    assert len((ROOT / "train_classifier.py").read_text().splitlines()) <= 350
