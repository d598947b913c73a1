"""The whole on a Ray cluster of two workers: one run with faults, and one of the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jobs import picture
from numpy.typing import NDArray
from PIL import Image

from censor.cluster.stores import Folder
from censor.cluster.verdicts import committed, read_shard, verdicts_name

ROOT = Path(__file__).parent.parent.parent


def faults(tmp_path: Path, *options: str, seconds: int) -> dict[str, float]:
    """What `benchmarks/cluster_faults.py` counts."""
    command: list[str | Path] = [
        sys.executable,
        ROOT / "benchmarks" / "cluster_faults.py",
        "--json",
        tmp_path / "counts.json",
        "--verbose",
        "--limit",
        str(seconds),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # it ends by itself, with all it began
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counted: dict[str, float] = json.loads((tmp_path / "counts.json").read_text())
    return counted


def test_a_killed_worker_and_failing_requests_lose_nothing(tmp_path: Path) -> None:
    """A worker is killed in the midst of a shard, and one request in twenty fails."""
    counted = faults(
        tmp_path, "--objects", "40", "--shard", "10", "--driver-kills", "0", "--worker-kill", "0.2",
        "--worker-kills", "1", seconds=240,
    )  # fmt: skip
    assert {name: counted[name] for name in ("in", "out", "failed", "lost", "twice", "partial", "strays")} == {
        "in": 40, "out": 39, "failed": 1, "lost": 0, "twice": 0, "partial": 0, "strays": 0,
    }  # fmt: skip
    assert counted["killed workers"] == 1
    assert counted["failed requests"] > 0


@pytest.mark.slow  # a minute and more: Ray and its actors start for each of four drivers
def test_killed_drivers_lose_nothing(tmp_path: Path) -> None:
    """A driver and a worker are killed, two drivers go on, and one request in twenty fails."""
    counted = faults(
        tmp_path, "--objects", "60", "--shard", "10", "--driver-kills", "2", "--driver-every", "12",
        "--worker-kill", "3", "--worker-kills", "1", seconds=600,
    )  # fmt: skip
    assert {name: counted[name] for name in ("in", "out", "failed", "lost", "twice", "partial", "strays")} == {
        "in": 60, "out": 58, "failed": 2, "lost": 0, "twice": 0, "partial": 0, "strays": 0,
    }  # fmt: skip
    assert counted["killed drivers"] >= 2
    assert counted["failed requests"] > 0


def test_ray_reports_nothing_whatever_the_environment_says() -> None:
    said = "from detect.runtime.telemetry import import_quietly as i; i('ray')"
    asked = "print(i('ray._common.usage.usage_lib').usage_stats_enabled())"
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "1"}
    command = [sys.executable, "-c", f"{said}; {asked}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n"


@pytest.mark.slow  # minutes: many more kills, at many more moments
def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    counted = faults(
        tmp_path, "--objects", "2000", "--shard", "20", "--driver-kills", "4", "--driver-every", "25",
        "--worker-kill", "4", seconds=1500,
    )  # fmt: skip
    assert (counted["in"], counted["failed"], counted["out"]) == (2000, 40, 1960)
    assert counted["killed drivers"] >= 4


def test_the_command_does_it(tmp_path: Path, astronaut: NDArray[np.uint8], models_folder: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    Image.fromarray(astronaut[:256, 100:356]).save(source / "face.jpg", quality=95)
    (source / "broken.png").write_bytes(picture(1)[:-20])
    (source / "words.txt").write_text("words")
    command: list[str | Path] = [sys.executable, "-m", "censor", "cluster", "hide", source, "-o", out]
    command += ["--policy", "faces", "--workers", "1", "--max-failures", "0.5"]
    command += ["--summary", tmp_path / "s.json", "--page", tmp_path / "p.html"]
    environment = {**os.environ, "CENSOR_MODELS": str(models_folder), "RAY_USAGE_STATS_ENABLED": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=environment)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    *_, last = done.stderr.splitlines()
    assert last.startswith("3 of 3 objects, ")
    assert last.endswith("1 with hidden regions, 1 failed, 1 other files passed over")
    assert json.loads((tmp_path / "s.json").read_text())["errors"] == {"DamagedImageError": 1}
    assert "DamagedImageError" in (tmp_path / "p.html").read_text()
    store = Folder(out)
    (shard,) = committed(store)
    rows = {Path(each["file"]).name: each for each in read_shard(store.read(verdicts_name(shard)))[0].to_pylist()}
    assert rows["face.jpg"]["hidden"]
    assert rows["broken.png"]["output"] is None
    assert (out / "face.jpg").exists()
