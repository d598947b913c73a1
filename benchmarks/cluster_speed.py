"""Pictures a second of `censor cluster` beside those of the command, and of two workers beside one.

    python benchmarks/cluster_speed.py [--pictures N] [--command hide|check] [--policy NAME] [--rounds N] [--json FILE]

The same portraits, from and to a local disk. What counts of the cluster is the rate while all workers work: from when
each has done two shards, if they are alike, to when the first has no more to do. Starting Ray and loading networks
take as long for a hundred pictures as for a million. The command's rate is that of two runs' difference, so that its
start is left out too. Rounds go by turns, and the best of each run is taken: others' work only ever makes them slower.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from censor.cluster.stores import Folder
from censor.cluster.verdicts import committed, read_shard, verdicts_name


def make(folder: Path, pictures: int) -> Path:
    """Portraits, no two alike."""
    folder.mkdir()
    astronaut = skimage.data.astronaut()
    for number in range(pictures):
        shade = np.clip(astronaut.astype(int) + number % 41 - 20, 0, 255).astype(np.uint8)
        shade[0, 0] = number % 251, number // 251 % 251, 7
        Image.fromarray(shade).save(folder / f"{number:05}.jpg", quality=90)
    return folder


def command_seconds(given: argparse.Namespace, source: Path, out: Path) -> float:
    """How long the command takes with as many workers as there are cores."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "censor", given.command, source, "--policy", given.policy, "-q"]
    command += ["--workers", str(os.cpu_count()), *(["-o", out] if given.command == "hide" else [])]
    began = time.monotonic()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def cluster_rate(given: argparse.Namespace, source: Path, out: Path, workers: int) -> float:
    """Pictures a second of so many actors of one core, while all of them work."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "censor", "cluster", given.command, str(source), "-o", str(out)]
    command += ["--policy", given.policy, "-q", "--workers", str(workers), "--shard", str(given.shard)]
    subprocess.run(command, check=False)
    store = Folder(out)
    shards = [read_shard(store.read(verdicts_name(shard)))[0] for shard in committed(store)]
    ends = sorted((max(table["finished"].to_pylist()), len(table)) for table in shards)
    counted = ends[2 * workers - 1 : len(ends) - workers + 1]
    return float(sum(pictures for _, pictures in counted[1:]) / (counted[-1][0] - counted[0][0]).total_seconds())


def main() -> None:
    """Measure by turns, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--command", choices=("hide", "check"), default="check")
    parser.add_argument("--policy", default="default")
    parser.add_argument("--shard", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        many, few = make(here / "many", given.pictures), make(here / "few", given.pictures // 4)
        best = {"one worker": 0.0, "two workers": 0.0}
        least = {few: float("inf"), many: float("inf")}
        for _ in range(given.rounds):
            for source, seconds in least.items():
                least[source] = min(seconds, command_seconds(given, source, here / "out"))
            for workers, name in enumerate(best, start=1):
                best[name] = max(best[name], cluster_rate(given, many, here / "cluster", workers))
    best["command"] = (given.pictures - given.pictures // 4) / (least[many] - least[few])
    for name, rate in best.items():
        print(f"{name:12} {rate:6.2f} pictures a second")
    two = best["two workers"]
    ratios = {"of the command": two / best["command"], "two of one": two / best["one worker"]}
    for name, ratio in ratios.items():
        print(f"{name:15} {ratio:5.2f}")
    if given.json:
        given.json.write_text(json.dumps({**best, **ratios}, indent=1) + "\n")


if __name__ == "__main__":
    main()
