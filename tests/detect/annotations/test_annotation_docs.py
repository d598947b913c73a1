from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from detect.__main__ import _COMMANDS, main
from detect.annotations import Kind, load_coco
from detect.annotations.convert import FORMATS
from detect.labels import CLASSES
from detect.pictures.formats import SUFFIXES

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "annotations.md").read_text(encoding="utf-8")
OURS = [name for name, module in _COMMANDS.items() if module == "detect.cli.annotations"]


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_option_is_documented(name):
    section = DOCS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(option in section for option in parameter.opts), parameter.opts


def test_every_kind_of_problem_and_every_format_is_documented():
    for word in (*Kind, *FORMATS):
        assert f"`{word}`" in DOCS
    for word in ("AVIF", "BMP", "GIF", "HEIC", "JPEG", "PNG", "TIFF", "WebP"):
        assert word in DOCS
        assert f".{word.lower()}" in SUFFIXES


def test_the_examples_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL)
    for line in block.splitlines():
        python, *arguments = shlex.split(line)
        assert (python, arguments[:2]) == ("python", ["-m", "detect"])
        result = CliRunner().invoke(main, arguments[2:])
        assert result.exit_code == 0, result.output
    assert load_coco("shapes/train.json", "shapes/train").names == CLASSES


def test_the_guide_names_the_six_classes_with_their_ids():
    guide = (ROOT / "annotations" / "LABELLING.md").read_text(encoding="utf-8")
    for number, name in enumerate(CLASSES, 1):
        assert f"| {number} | `{name}` |" in guide


def test_the_help_of_convert_names_every_format():
    command = main.get_command(click.Context(main), "convert")
    assert command is not None
    assert command.help is not None
    words = re.findall(r"\w+", command.help.partition("annotations in FORMAT: ")[2])
    assert tuple(word for word in words if word != "or") == FORMATS
