"""What docs/explain.md says is run, or compared with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from detect.explain import skin1996

TEXT = (Path(__file__).parents[3] / "docs" / "explain.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: NDArray[np.uint8], models_folder: Path) -> Path:
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg", quality=92)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CENSOR_MODELS", str(models_folder))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return tmp_path


def test_the_command_writes_what_the_page_says(here: Path) -> None:
    (block,) = blocks("console")
    for each in block.split("$ ")[1:]:
        command, _, expected = each.partition("\n")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == expected


def test_the_snippet_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = blocks("python")
    exec(snippet, {})  # noqa: S102  # what the document shows
    strides = [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert strides == [256, 128, 64]


def test_the_ranges_of_skin_are_those_of_the_code() -> None:
    text = " ".join(TEXT.split())
    (first, second), belongs = skin1996._RANGES, f"little texture (below {skin1996._SMOOTH:.0f})"
    for hue, saturation in (first, second):
        assert f"{hue[0]} to {hue[1]}" in text
        assert f"{saturation[0]} to {saturation[1]}" in text
    assert belongs in text


def test_the_pictures_are_there_and_small() -> None:
    names = re.findall(r"!\[.+?\]\((.+?)\)", TEXT)
    assert names
    assert all((Path(__file__).parents[3] / "docs" / name).stat().st_size < 100_000 for name in names)
