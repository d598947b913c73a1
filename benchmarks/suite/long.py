"""Section `long`: whether memory stays flat over thousands of pictures in one process."""

from __future__ import annotations

import json
import sys
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from alternate import Spread

from censor.batch import run
from suite.child import run_child
from suite.photographs import make_photos
from suite.section import Bench, Row, Section
from suite.sides import command

__all__ = ["long"]

_GROWTH = 1.05
"""Largest resident memory at the end in terms of that at the beginning that still counts as flat."""


def long(bench: Bench) -> Section:
    """Small pictures and photographs by turns, through the command's own loop, resident memory taken as they go."""
    folder = bench.fresh("long")
    make_photos(folder, 20, megapixels=0.05)
    for path in folder.iterdir():
        path.rename(path.with_stem(f"{path.stem}-small"))
    make_photos(folder, 20, megapixels=bench.small)
    out = bench.fresh("out")
    step = max(1, bench.long // 20)
    child = run_child([sys.executable, "-m", "suite.long", str(folder), str(out), str(bench.long), str(step)])
    samples = json.loads(child.output.splitlines()[-1])
    tenth = max(1, len(samples["rss_mb"]) // 10)
    first, last = (np.array(part) for part in (samples["rss_mb"][:tenth], samples["rss_mb"][-tenth:]))
    growth = float(last.mean() / first.mean())
    what = f"{bench.long:,} pictures in one process, resident memory"
    rows = [
        Row(what=what, side="first tenth", value=_mean(first), unit="MB"),
        Row(
            what=what,
            side="last tenth",
            value=_mean(last),
            unit="MB",
            ratio=Spread.of_one(growth),
            target=f"<= {_GROWTH} x",
            met=growth <= _GROWTH,
        ),
    ]
    return Section(rows=rows, data={**samples, "seconds": child.seconds})


def _mean(values: np.ndarray) -> Spread:
    return Spread(median=float(values.mean()), q1=float(values.min()), q3=float(values.max()))


def _loop(folder: Path, out: Path, count: int, step: int) -> dict[str, list[float]]:
    """Resident megabytes after every so many pictures."""
    censor, workers = command("hide")
    paths = islice(cycle(sorted(folder.iterdir())), count)
    done: list[float] = []
    rss: list[float] = []
    outcomes = run(paths, lambda path: censor.apply_file(path, out / path.name, overwrite=True), threads=workers)
    for number, _ in enumerate(outcomes, 1):
        if number % step == 0:
            status = Path("/proc/self/status").read_text()
            done.append(number)
            rss.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
    return {"pictures": done, "rss_mb": rss}


if __name__ == "__main__":
    print(json.dumps(_loop(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
