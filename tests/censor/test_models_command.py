"""`censor models`: the list, and what `add` says. What it does is tested in tests/detect/models."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Never

import pytest
from click.testing import CliRunner

from censor.cli import main
from detect.models.catalogue import KNOWN
from detect.models.storage import read_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty folder for models, whatever the user has."""
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def test_the_list_names_all_that_the_catalogue_knows(folder: Any) -> None:
    done = run()
    assert done.exit_code == 0
    for known in KNOWN:
        for said in (*known.names, known.license, known.source, known.member, known.sha256, known.kind):
            assert said in done.output
    assert "open_nsfw: classifier, whole pictures, thin ResNet-50; not here\n" in done.output
    assert done.output.endswith(f"models lie in {folder}\n")


def test_the_list_as_json_says_what_is_here_and_what_is_not(folder: Any, models_folder: Any) -> None:
    folder.mkdir()
    shutil.copy(models_folder / "centerface.onnx", folder)
    (folder / "open_nsfw.onnx").write_bytes(b"cut")
    listed = {each["name"]: each for each in json.loads(run("--json").output)}
    assert list(listed) == [known.name for known in KNOWN]
    assert {name: each["state"].partition(":")[0] for name, each in listed.items()} == {
        "320n": "installed with nudenet", "centerface": "added", "open_nsfw": "unusable", "image-safety-s": "not here",
    }  # fmt: skip
    assert listed["open_nsfw"]["nsfw"] == ["nsfw"]
    assert listed["320n"]["license"] == "AGPL-3.0-only"
    assert {"default", "strict", "faces"} <= set(listed["320n"]["policies"])


def wheel_of(model: bytes, known: Any, folder: Any) -> Any:
    """No original is at hand, only what was made of it: enough for what stands before the conversion."""
    from zipfile import ZipFile

    path = folder / "some.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr(known.member, model)
    return path


def test_adding_what_is_there_does_nothing(folder: Any, models_folder: Any) -> None:
    folder.mkdir()
    shutil.copy(models_folder / "centerface.onnx", folder)
    before = (folder / "centerface.onnx").stat()
    done = run("add", "centerface", "CenterFace", "--from", "nothing.whl")
    assert (done.exit_code, done.output) == (0, "centerface: is there already\n")
    assert (folder / "centerface.onnx").stat() == before


def test_one_that_cannot_be_added_leaves_the_others_be(folder: Any, models_folder: Any, tmp_path: Path) -> None:
    folder.mkdir()
    shutil.copy(models_folder / "centerface.onnx", folder)
    shutil.copy(models_folder / "open_nsfw.onnx", folder)
    wheel = wheel_of(b"something else", KNOWN[3], tmp_path)
    done = run("add", "all", "--from", wheel)
    assert done.exit_code == 1
    assert done.stdout == "centerface: is there already\nopen_nsfw: is there already\n"
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"Error: {wheel}: no nudenet/320n.onnx there")
    assert errors[1].startswith(f"Error: {wheel}: SHA-256 ")
    assert {each.name for each in folder.iterdir()} == {"centerface.onnx", "open_nsfw.onnx"}


def test_an_installed_distribution_gives_its_file(folder: Any, tmp_path: Path) -> None:
    """nudenet is installed among the tests: its file, as a wheel, goes all the way."""
    from detect.load import find_weights

    wheel = wheel_of(find_weights()[0].read_bytes(), KNOWN[0], tmp_path)
    for _ in range(2):
        done = run("add", "320n", "--from", wheel, "--force")
        assert (done.exit_code, done.output) == (0, f"320n: {folder / '320n.onnx'}  (AGPL-3.0-only)\n")
    assert read_model(folder, "320n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add",), "Missing argument 'NAME...|all'"),
        (("add", "nosuch"), "unknown model 'nosuch'; known are 320n, centerface, open_nsfw, image-safety-s"),
        (("add", "320n", "--from", ""), "'' is no path"),
        (("--json", "add", "320n"), "--json is for the list"),
        (("remove",), "No such command 'remove'"),
    ],
)
def test_what_makes_no_sense_is_usage(arguments: Any, message: Any, folder: Any) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert not folder.exists()


def test_without_onnx_the_error_names_the_extra(folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detect.load import find_weights

    monkeypatch.setitem(sys.modules, "onnx", None)
    done = run("add", "320n", "--from", wheel_of(find_weights()[0].read_bytes(), KNOWN[0], tmp_path))
    assert done.exit_code == 1
    assert done.stderr == "Error: 320n: converting a model needs onnx: pip install 'nsfw-censor[models]'\n"
    assert not folder.exists()


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(cls: object) -> Never:
        raise RuntimeError

    monkeypatch.delenv("CENSOR_MODELS", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    for arguments in ((), ("add", "320n")):
        done = run(*arguments)
        assert done.exit_code == 2
        assert done.stderr.startswith("Error: nobody knows where your home is")


def test_a_command_that_misses_a_model_says_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["check", "--classifiers", "Open_NSFW", str(tmp_path / "a.png")])
    lies = f"{folder}/open_nsfw.onnx: the model open_nsfw has not been added"
    assert (done.exit_code, done.stderr) == (1, f"Error: {lies}; get it with: censor models add open_nsfw\n")
