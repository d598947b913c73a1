from pathlib import Path

import numpy as np
import pytest
from command import Censor
from onnx import helper
from tiny_classifiers import reds, serialized

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
    rectified, out = tmp_path / "rectified.onnx", tmp_path / "out"
    rectified.write_bytes(of_two_units())
    for arguments, code, said in (
        ([tmp_path / "empty", "--by", model], 1, "empty: no pictures in this folder"),
        ([tmp_path / "gone.jpg", "--by", model], 1, "gone.jpg: cannot be read"),
        ([face, "--by", "nonsense"], 1, "unknown model 'nonsense'"),
        ([face, "--by", model, "--label", "blue"], 1, "reds: says nothing of 'blue', only of sfw, red"),
        ([face, "--by", model, "--window", 300], 1, "is smaller than a window of 300"),
        ([face, "--by", model, "--window", 50, "--stride", 60], 2, "stride must lie in 1..50"),
        ([face, "--by", model, "--method", "guided"], 1, "operators that are not read in torch"),
        ([face, "--by", model, "--layer", "1", "--unit", 0], 1, "operators that are not read in torch"),
        ([face, "--by", rectified, "--layer", "1", "--unit", 7], 1, "layer 'r' has units 0 to 1, not 7"),
        ([face, "--by", rectified, "--layer", "2", "--unit", 0], 1, "has no layer '2'; layers are 1 to 1"),
        ([face, "--by", "skin1996", "--layer", "1", "--unit", 0], 1, "skin1996: layers are those of"),
        ([face, "--by", "skin1996", "--method", "guided"], 1, "skin1996: has no map of guided, only of occlusion"),
        ([face, "--by", model, "--max-pixels", 100], 1, "pixels"),
        ([tmp_path / "empty", "--by", model, "--false-alarms"], 1, "empty: no pictures in this folder"),
    ):
        done = censor("explain", *arguments, "-o", out, "--uncensored")  # which loads no more networks
        assert done.exit_code == code, done.output
        assert said in done.output
        assert done.output.count("\n") == 1
        assert not out.exists()


def test_a_folder_that_is_taken_is_refused_before_networks_are_loaded(censor: Censor, face: Path) -> None:
    done = censor("explain", face, "-o", face.parent, "--by", "nonsense")
    assert done.exit_code == 2
    assert "exists already" in done.output


def test_units_are_one_networks(censor: Censor, face: Path, model: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--layer", "1"], "--layer and --unit go together"),
        (["--layer", "1", "--unit", 0, "--by", "skin1996"], "name it with --by, reds or skin1996"),
    ):
        done = censor("explain", face, "-o", tmp_path / "out", "--by", model, *arguments, "--uncensored")
        assert done.exit_code == 2
        assert said in done.output


def of_two_units() -> bytes:
    """A classifier whose one layer has two units: red, and what is not red."""
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["m"]),
        helper.make_node("Flatten", ["m"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    weights = np.array([[-1, 0, 0], [1, 0, 0]], np.float32).reshape(2, 3, 1, 1)
    return serialized(nodes, {"weights": weights}, ["scores"])


def test_the_choices_are_those_that_there_are() -> None:
    assert set(CHOICES) == set(METHODS)
