"""The guide to classifiers: its commands run as they stand, its options and names are those that there are."""

from __future__ import annotations

import csv
import dataclasses
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image
from training_scripts import load_script, run_command

from detect.retinanet.model import RetinaNet, load_backbone
from detect.training.classifier.architectures import ARCHITECTURES
from detect.training.classifier.recipes import RECIPES

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "training-classifiers.md").read_text()


def test_the_guides_commands_run(shapes: Callable[..., Path], models_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes(16), tmp_path / "classes")
    (tmp_path / "train_classifier.py").symlink_to(ROOT / "train_classifier.py")
    (tmp_path / "open_nsfw.onnx").symlink_to(models_folder / "open_nsfw.onnx")
    (policy,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "discs.toml").write_text(policy)
    rng = np.random.default_rng(0)
    with (tmp_path / "scores.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "score", "followers"])
        for number in range(12):
            soft = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).resize((90, 60), Image.Resampling.BICUBIC)
            soft.save(tmp_path / f"{number}.png")
            rows.writerow([f"{number}.png", number, 10 * (number % 5)])
    commands = [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    assert len(commands) == 6
    for command in commands:
        wanted = 3 if "check" in command else 0  # the discs are what this policy calls NSFW
        ended = run_command(command, folder=tmp_path, said=tmp_path / "said")
        assert ended == wanted, f"{command}: {(tmp_path / 'said').read_text()}"
    assert (tmp_path / "ranked" / "val.csv").exists()
    assert (tmp_path / "runs" / "tuned" / "best.safetensors").exists()
    check_the_detectors_backbone(tmp_path)


def check_the_detectors_backbone(folder: Path) -> None:
    """What the guide says of a detector that begins with the classifier: its weights are taken, into that network."""
    (options,) = re.findall(r"`train_retinanet\.py ([^`]+)`", GUIDE)
    config, _ = load_script("train_retinanet").parse(shlex.split(options))
    model = RetinaNet(classes=2, backbone=config.backbone, norm="batch", channels=64)
    before = model.backbone.body.state_dict()
    first = next(name for name in before if name.endswith("conv1.weight"))
    untrained = before[first].clone()
    load_backbone(model, str(folder / config.backbone_weights), backbone=config.backbone)
    assert not torch.equal(model.backbone.body.state_dict()[first], untrained)


def test_every_option_recipe_and_architecture_is_documented(script: ModuleType) -> None:
    for field in dataclasses.fields(script.Config):
        assert field.metadata["help"]
        assert f"`--{field.name.replace('_', '-')}`" in GUIDE
    for name in (*ARCHITECTURES, *RECIPES):
        assert f"`{name}`" in GUIDE
