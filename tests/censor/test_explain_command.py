from pathlib import Path

import numpy as np
import pytest
from command import Censor
from tiny_classifiers import reds

from censor.analysis.explaining import METHODS
from censor.cli.explain import METHODS as CHOICES
from detect.pictures.rgb import read_rgb


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "reds.onnx").write_bytes(reds())
    return tmp_path / "reds.onnx"


def test_a_folder_of_pictures_is_explained(censor: Censor, face: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = censor("explain", face.parent, "-o", out, "--by", model, "--method", "activation", "--policy", "faces")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("1 explained, 0 failed\n")
    assert sorted(each.name for each in out.iterdir()) == ["index.html", "maps", "numbers.json"]
    shown, original = read_rgb(out / "maps" / "001-face.reds-activation.png"), read_rgb(face)
    middle = np.s_[90:170, 85:165]
    detail = [
        np.abs(np.diff(np.asarray(each[..., 1]).astype(int)[middle], axis=1)).mean() for each in (shown, original)
    ]
    assert detail[0] < detail[1] / 3  # the face is hidden
    again = censor("explain", face, "-o", out, "--by", model)
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_what_cannot_be_explained_is_said_in_a_line(censor: Censor, face: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for arguments, code, said in (
        ([tmp_path / "empty", "--by", model], 1, "empty: no pictures in this folder"),
        ([tmp_path / "gone.jpg", "--by", model], 1, "gone.jpg: cannot be read"),
        ([face, "--by", "nonsense"], 1, "unknown model 'nonsense'"),
        ([face, "--by", model, "--label", "blue"], 1, "reds: says nothing of 'blue', only of sfw, red"),
        ([face, "--by", model, "--uncensored", "--window", 300], 1, "is smaller than a window of 300"),
        ([face, "--by", model, "--uncensored", "--window", 50, "--stride", 60], 2, "stride must lie in 1..50"),
        ([face, "--by", model, "--method", "guided", "--uncensored"], 1, "operators that are not read in torch"),
    ):
        done = censor("explain", *arguments, "-o", out)
        assert done.exit_code == code, done.output
        assert said in done.output
        assert done.output.count("\n") == 1
        assert not out.exists()


def test_the_choices_are_those_that_there_are() -> None:
    assert set(CHOICES) == set(METHODS)
