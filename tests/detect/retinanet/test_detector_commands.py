"""`python -m detect evaluate` on a network that was not trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from detect.__main__ import main
from detect.retinanet.checkpoint import Description, save_weights
from detect.runtime.retinanet import AnchorGrid

NAMES = ("RED", "BLUE")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    about = Description(
        names=NAMES, size=64, backbone="timm/test_resnet", norm="batch", head_norm=True, channels=64, box_loss="l1",
        grid=AnchorGrid.standard(16),
    )  # fmt: skip
    save_weights(tmp_path / "w.safetensors", about.build(), about)
    return tmp_path / "w.safetensors"


def test_the_evaluate_command(weights: Path, squares: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    file, folder = squares(3)
    out = tmp_path / "report"
    arguments = ["evaluate", str(file), "--images", str(folder), "--weights", str(weights)]
    done = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("AP ")
    assert {path.name for path in out.iterdir()} == {"metrics.json", "curves.png", "confusion.png", "worst.jpg"}
    as_json = CliRunner().invoke(main, [*arguments, "--json"])
    assert json.loads(as_json.output) == json.loads((out / "metrics.json").read_text())
