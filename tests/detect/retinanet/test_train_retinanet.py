"""The training script: what it writes, that it goes on exactly where it stopped, and that processes share one run."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from training_scripts import start_script, start_two

from detect import load_detector
from detect.annotations import load_coco
from detect.evaluation.coco import evaluate
from detect.retinanet.checkpoint import load_model
from detect.retinanet.inference import predict_dataset
from detect.training.checkpoint import load_state

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
Squares = Callable[..., tuple[Path, Path]]
SHARED = ["--norm", "group", "--epochs", "3", "--eval-every", "3"]
SMALL = ["--backbone", "timm/test_resnet", "--size", "64", "--channels", "64",
         "--smallest-anchor", "16", "--batch-size", "4", "--warmup", "3",
         "--workers", "0", "--log-every", "1", "--save-every", "2", "--device", "cpu", "--lr", "1e-3"]  # fmt: skip


def options(squares: Squares, out: Path, *more: str, count: int = 6) -> list[str]:
    train, val = squares(count), squares(3, seed=9)
    files = ["--train", train[0], "--train-images", train[1], "--val", val[0], "--val-images", val[1], "--out", out]
    return [*SMALL, *map(str, files), *more]


def losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]


def curve(out: Path) -> list[tuple[float, float]]:
    rows = losses(out)
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [(row["classification"], row["bbox_regression"]) for row in rows]


@pytest.fixture(scope="module")
def finished(squares: Squares, script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 18 steps that nothing disturbed."""
    out = tmp_path_factory.mktemp("run")
    assert script.main(options(squares, out, "--epochs", "12", "--eval-every", "6")) == 0
    return out


def test_a_run_leaves_weights_state_and_logs(finished: Path) -> None:
    assert len(curve(finished)) == 18
    metrics = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics] == [9, 18]
    about = load_model(finished / "last.safetensors")[1]
    assert about.names == ("RED", "BLUE")
    assert about.metrics["ap"] == metrics[-1]["ap"]
    assert about.config["epochs"] == 12
    best = load_model(finished / "best.safetensors")[1]
    assert best.metrics["ap"] == max(row["ap"] for row in metrics)
    assert load_state(finished / "state.safetensors")[2]["step"] == 18
    assert load_detector(finished / "best.safetensors").names == ("RED", "BLUE")
    assert not list(finished.glob(".*"))  # no temporary file is left behind


def test_tensorboard_holds_curves_and_pictures(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/classification", "train/lr", "val/ap50", "val_ap50/RED"} <= set(tags["scalars"])
    assert {"val/precision_recall", "val/worst"} <= set(tags["images"])
    assert len(events.Scalars("train/bbox_regression")) == 18


def run_until(arguments: list[str], out: Path, *, step: int, number: signal.Signals) -> int | None:
    """Start the script, send it a signal once it has logged a step, and give its exit code."""
    process = start_script("train_retinanet", arguments, said=out.parent / "said")
    deadline = time.monotonic() + 120
    file = out / "losses.jsonl"
    while process.is_alive() and time.monotonic() < deadline:
        if file.exists() and f'"step": {step},' in file.read_text():
            os.kill(process.pid or 0, number)
            break
        time.sleep(0.01)
    process.join(60)
    return process.exitcode


def test_a_run_that_is_stopped_and_killed_comes_out_as_if_nothing_had_happened(
    squares: Squares, finished: Path, tmp_path: Path, script: ModuleType
) -> None:
    out = tmp_path / "run"
    long = options(squares, out, "--epochs", "12", "--eval-every", "6")
    assert run_until(long, out, step=3, number=signal.SIGTERM) == 128 + signal.SIGTERM
    at = load_state(out / "state.safetensors")[2]["step"]
    assert 4 <= at < 18
    assert (
        run_until([*SMALL, "--out", str(out), "--resume"], out, step=at + 4, number=signal.SIGKILL) == -signal.SIGKILL
    )
    with (out / "losses.jsonl").open("a") as file:
        file.write('{"step": 1')  # what a kill in the middle of a line leaves
    assert script.main(["--out", str(out), "--resume"]) == 0
    assert curve(out) == curve(finished)
    ours, theirs = (load_model(folder / "last.safetensors")[0].state_dict() for folder in (out, finished))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_resuming_what_never_started_starts_it(
    squares: Squares, script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert script.main(options(squares, out, "--epochs", "1", "--resume")) == 0
    assert len(curve(out)) == 2
    assert "AP50" in capsys.readouterr().out
    assert script.main(["--out", str(out), "--resume", "--epochs", "2"]) == 0  # an option given now counts
    assert len(curve(out)) == 3


def test_parts_add_up_to_the_whole_batch(squares: Squares, script: ModuleType, tmp_path: Path) -> None:
    fixed = ["--norm", "group", "--epochs", "3", "--augment", "flip"]  # BatchNorm would see smaller batches
    for name, more in (("whole", []), ("parts", ["--accumulate", "2"])):
        assert script.main(options(squares, tmp_path / name, *fixed, *more)) == 0
    np.testing.assert_allclose(curve(tmp_path / "parts"), curve(tmp_path / "whole"), rtol=2e-3)


@pytest.fixture(scope="module")
def alone(squares: Squares, script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process does that two shall share."""
    out = tmp_path_factory.mktemp("alone") / "one"
    assert script.main(options(squares, out, *SHARED)) == 0
    return out


def same_run(two: Path, one: Path, said: str, squares: Squares) -> None:
    np.testing.assert_allclose(curve(two), curve(one), rtol=2e-3)
    # By its own weights: so early, boxes are ranked by the last digits of scores, in which two runs differ.
    model, description = load_model(two / "last.safetensors")
    data = load_coco(*squares(3, seed=9))
    found = predict_dataset(model.eval(), data, description=description)
    told = json.loads((two / "metrics.jsonl").read_text())
    assert told["ap50"] == pytest.approx(evaluate(data, list(found.values())).ap50, abs=0.02)
    assert said.count("step 5/") + said.count("step 4/") >= 1  # the first process alone speaks
    assert said.count("step 1/") == 1


def test_two_processes_do_what_one_does(squares: Squares, alone: Path, tmp_path: Path) -> None:
    both = start_two("train_retinanet", options(squares, tmp_path / "two", *SHARED), folder=tmp_path)
    for process in both:
        process.join(240)
    said = "".join((tmp_path / f"said{rank}").read_text() for rank in range(2))
    assert [process.exitcode for process in both] == [0, 0], said
    same_run(tmp_path / "two", alone, said, squares)


@pytest.mark.slow  # three more processes import torch; what it adds is torchrun itself
def test_two_processes_that_torchrun_starts_do_what_one_does(squares: Squares, alone: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               str(ROOT / "train_retinanet.py"), *options(squares, tmp_path / "two", *SHARED)]  # fmt: skip
    done = subprocess.run(command, check=False, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    same_run(tmp_path / "two", alone, done.stdout, squares)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(
    squares: Squares, script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert script.main(options(squares, out, "--optimizer", "sgd", "--lr", "1e18", "--epochs", "9")) == 1
    message = capsys.readouterr().err
    assert "the loss is not finite: {'step': " in message
    assert "'classification': " in message
    assert "'bbox_regression': " in message
    assert not (out / "state.safetensors").exists() or load_state(out / "state.safetensors")[2]["step"] < 9


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "100"], "--size and --channels must be multiples of 32"),
        (["--norm", "frozen"], "--norm frozen needs --backbone-weights"),
        (["--batch-size", "5", "--accumulate", "2"], "cannot be shared"),
        (["--backbone", "vgg"], "--backbone no network of torchvision's is called 'vgg'"),
        (
            ["--backbone", "timm/test_vit"],
            "--backbone timm/test_vit is a network of another shape: its maps must lie at",
        ),
        (
            ["--backbone", "timm/test_convnext", "--norm", "group"],
            "has no BatchNorm: its normalisation is own, not group",
        ),
        (["--norm", "own"], "resnet18 normalises by BatchNorm: its normalisation is frozen, batch or group, not own"),
    ],
)
def test_options_that_make_no_sense(
    script: ModuleType, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        script.main(["--out", str(tmp_path), *more])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_is_not_overwritten(script: ModuleType, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.main(["--out", str(finished)])
    assert "add --resume to go on" in capsys.readouterr().err


def test_broken_annotations_end_in_one_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no.json"
    assert script.main(["--train", str(missing), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 1
    assert str(missing) in capsys.readouterr().err


def test_every_option_says_what_it_is_and_how_to_train_is_written_down(script: ModuleType) -> None:
    guide = (ROOT / "docs" / "training.md").read_text()
    for field in dataclasses.fields(script.Config):
        assert field.metadata["help"]
        assert f"`--{field.name.replace('_', '-')}`" in guide


def test_a_run_goes_on_with_the_labels_it_began_with(
    squares: Squares, script: ModuleType, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    file, folder = squares(3)
    file.write_text(file.read_text().replace('"BLUE"', '"GREEN"'))
    files = [*("--train", str(file), "--train-images", str(folder)), *("--val", str(file), "--val-images", str(folder))]
    assert script.main(["--out", str(out), "--resume", *files]) == 1
    assert "began with the labels RED, BLUE, and now they are RED, GREEN" in capsys.readouterr().err


def test_the_script_can_be_read_in_one_go() -> None:
    assert len((ROOT / "train_retinanet.py").read_text().splitlines()) <= 350
