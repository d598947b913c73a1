"""What docs/service.md says is run, or compared with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from censor.service import Settings
from censor.service.problems import KINDS
from detect.load import load_detector

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "service.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: NDArray[np.uint8]) -> Path:
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg", quality=92)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_calls_do_what_they_say(here: Path, listening: Callable[..., int], language: str) -> None:
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    port = listening(load_detector(min_score=0.05, threads=1))
    code = block(language).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    command = ["bash", "-ec", code] if language == "bash" else [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ('"level":"safe"' if language == "bash" else "1 hidden\n") in done.stdout
    before, after = (np.asarray(Image.open(here / name)).astype(int) for name in ("photo.jpg", "censored.jpg"))
    assert np.abs(before - after)[100:160, 190:250].mean() > 10


def test_every_problem_is_documented_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert rows == {name: str(kind.status) for name, kind in KINDS.items()}


def test_every_metric_and_every_path_is_documented(client: httpx.Client) -> None:
    names = set(re.findall(r"^# HELP (\w+)", client.get("/metrics").text, re.MULTILINE))
    assert len(names) >= 13
    assert not {name for name in names if name not in TEXT and not name.endswith("_created")}
    for path in client.get("/openapi.json").json()["paths"]:
        assert path.replace("{name}", "NAME") in TEXT or path in TEXT


def test_the_stated_memory_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("censor.service.settings.cores", lambda: 2)
    assert f"{Settings().memory_bound / 2**30:.1f} GiB with the defaults on two cores" in TEXT
    assert f"brings the bound to {Settings(max_pixels=12_000_000).memory_bound / 2**30:.1f} GiB" in TEXT
    assert f"{Settings().memory_bound / 2**30:.1f} GiB on two cores" in (ROOT / "README.md").read_text()
    each = 160 * 2**20 + 3 * Settings().max_bytes + 48 * Settings().max_pixels
    assert f"at once, {each / 2**30:.1f} GiB" in (ROOT / "README.md").read_text()


def test_every_setting_is_an_option_of_the_command() -> None:
    options = (ROOT / "docs" / "command.md").read_text()
    for name in Settings.model_fields:
        assert f"`--{name.replace('_', '-')}" in options or name == "api_keys"
