"""Which networks the command asks, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Censor
from tiny_classifiers import reds

from censor.cli.groups import SharedOptions
from censor.cli.preparing import make_censor
from detect.classifier.tiling import TiledClassifier

PERMISSIVE = ("centerface", "open_nsfw", "image-safety-s")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A classifier to which a picture is as NSFW as it is red."""
    path = tmp_path / "own.onnx"
    path.write_bytes(reds(name="own"))
    return path


@pytest.fixture
def permissive(models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models under permissive licences are here, and no others."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in PERMISSIVE:
        (folder / f"{name}.onnx").symlink_to(models_folder / f"{name}.onnx")
    monkeypatch.setenv("CENSOR_MODELS", str(folder))
    monkeypatch.setattr("detect.load._installed_weights", lambda: None)


def models_that_judged(censor: Censor, face: Path, *options: object) -> list[str]:
    done = censor("check", face, "--json", *options)
    assert done.exit_code in (0, 3), done.stderr
    judged: list[str] = json.loads(done.stdout)["verdict"]["models"]
    return judged


def test_options_say_which_classifiers_look(censor: Censor, face: Path, own: Path) -> None:
    assert models_that_judged(censor, face) == ["320n", "open_nsfw", "image-safety-s"]
    assert models_that_judged(censor, face, "--classifiers", "none") == ["320n"]
    chosen = ("--classifiers", own, "--classifiers", "Open_NSFW")
    assert models_that_judged(censor, face, *chosen) == ["320n", "own", "open_nsfw"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--classifiers", "none", "--classifiers", "open_nsfw"), 2, "classifiers: none stands alone"),
        (("--classifiers", "open_nsfw", "--policy", "boxes"), 2, "the policy 'boxes' asks none"),
        (("--classifiers", "close_nsfw"), 1, "unknown model 'close_nsfw'; known are"),
        (("--classifiers", "gone.onnx"), 1, "gone.onnx: cannot read the weights"),
        (("--classifiers", "320n"), 1, "metadata key 'task'"),
        (("--precision", "int8"), 1, "not quantised"),
    ],
)
def test_classifiers_that_cannot_be_asked(
    censor: Censor, face: Path, options: tuple[str, ...], code: int, says: str
) -> None:
    result = censor("check", face, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1


def test_a_report_never_takes_the_place_of_a_classifier(censor: Censor, face: Path, own: Path) -> None:
    before = own.read_bytes()
    result = censor(face, "--classifiers", own, "--json", own, "--force")
    assert result.exit_code == 2
    assert own.read_bytes() == before


def test_what_runs_the_networks_is_said_of_each(censor: Censor, face: Path) -> None:
    lines = censor("check", face, "-v", "--engine", "onnxruntime").stderr.splitlines()
    runs = "engine onnxruntime, precision f32, threads "
    assert [line.partition(runs)[0] for line in lines[:3]] == ["320n: ", "open_nsfw: ", "image-safety-s: "]


def test_without_a_detector_the_command_says_who_judges(
    censor: Censor, face: Path, permissive: None, tmp_path: Path
) -> None:
    said = "no detector is here: open_nsfw, image-safety-s judge and hide alone; get one with: censor models add 320n"
    result = censor("check", face)
    assert (result.exit_code, result.stderr.splitlines()[0]) == (0, said)
    assert result.stdout.startswith("safe ")
    assert models_that_judged(censor, face) == ["open_nsfw", "image-safety-s"]
    own = tmp_path / "classifiers.toml"
    own.write_text("[picture]\nreview_at = 0.5\n")
    assert censor("check", face, "--policy", own).stderr == ""  # no detector is missing
    assert censor("check", face, "-q").stderr == ""
    assert censor("check", face, "--classifiers", "none").exit_code == 1
    assert censor("policy", "check", "default").stdout == "default: valid\n"
    assert "not checked against models" in censor("policy", "check", "boxes").stdout
    labels = censor("labels").stdout.splitlines()
    assert [line.split()[0] for line in labels if "not reported by the models here" not in line] == ["FACE"]


def test_tiles_are_for_classifiers_too(face: Path) -> None:
    given: dict[str, object] = {
        "source": "default", "thresholds": (), "weights": None, "classifiers": ("open_nsfw",),
        "engine": "onnxruntime", "precision": "f32", "provider": "cpu", "tile": True, "tile_size": 128, "flip": False,
        "workers": 1, "max_pixels": 10**8, "max_bytes": 10**8, "quiet": True, "verbose": False,
    }  # fmt: skip
    censor = make_censor(SharedOptions.taken(given), pictures=1)
    (classifier,) = censor._networks.classifiers
    assert isinstance(classifier, TiledClassifier)
    assert censor.check(face).verdict.models == ("320n", "open_nsfw")
