"""Two revisions of this project against each other, in turns: is anything slower than it was?

    python benchmarks/revisions.py BASE [--rounds N] [--only NAME ...] [--bound 1.05] [--cpu]

BASE is any name that git knows a commit by; the other side is the working tree. A process of each holds the detector
and does the same pictures when it is told to; the ratios are those of neighbours in time. Boxes alone judge: by the
preset `boxes`, or by `default` where that is what judged so. Where the threads of BASE's networks go on spinning after
a run, they do so in the way of the other side: only `--cpu` is fair then. Ends with 1 if the median of any is above the
bound.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from alternate import alternate, paired, spread
from PIL import Image
from suite.child import run_child
from suite.photographs import grown, make_large, make_photos

ROOT = Path(__file__).parent.parent

_SIDE = """
import sys, time
from pathlib import Path
from censor import Censor
from detect import load_detector
work, source, out, clock = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), getattr(time, sys.argv[4])
judging = sys.argv[5]
paths = sorted(source.iterdir())
detector = load_detector(min_score=0.05, pictures=1000)
censor = Censor(policy="faces" if work == "hide" else judging, detector=detector)
print("ready", flush=True)
for _ in sys.stdin:
    start = clock()
    for path in paths:
        if work == "check":
            censor.check(path)
        else:
            censor.apply_file(path, out / path.name, overwrite=True)
    print(clock() - start, flush=True)
"""

_SETS = ("jpeg-12mp", "jpeg-0.5mp", "png-1mp", "webp-1mp", "alpha-1mp")


class Side:
    """A process that does its pictures each time it is asked to."""

    def __init__(self, tree: Path, work: str, source: Path, out: Path, clock: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        command = [sys.executable, "-P", "-c", _SIDE, work, str(source), str(out), clock, judging_by(tree)]
        self._process = subprocess.Popen(
            command, cwd=out, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()

    def __call__(self) -> float:
        """Seconds that the pictures took."""
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"a side ended with exit code {self._process.wait()}")
        return line


def make_pictures(folder: Path) -> dict[str, Path]:
    """A folder for each set, with a few pictures of its kind."""
    folders = {name: folder / name for name in _SETS}
    for each in folders.values():
        each.mkdir()
    make_large(folders["jpeg-12mp"], 2)
    make_photos(folders["jpeg-0.5mp"], 12)
    for seed in range(3):
        image = Image.fromarray(grown(1, seed=seed))
        image.save(folders["png-1mp"] / f"{seed}.png", compress_level=1)
        image.save(folders["webp-1mp"] / f"{seed}.webp", quality=90)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(folders["alpha-1mp"] / f"{seed}.png", compress_level=1)
    return folders


def unpack(revision: str, folder: Path) -> Path:
    """The tree of a revision."""
    packed = subprocess.run(["git", "-C", ROOT, "archive", revision], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def judging_by(tree: Path) -> str:
    """The preset of a tree that asks no classifier."""
    return "boxes" if (tree / "censor" / "policies" / "boxes.toml").exists() else "default"


def command_of(tree: Path, *arguments: object) -> Callable[[], float]:
    """Runs the command of a tree as a whole process."""

    def side() -> float:
        code = f"import sys; sys.path.insert(0, {str(tree)!r}); from censor.cli import run; run()"
        return run_child([sys.executable, "-P", "-c", code, *map(str, arguments)], foreign=True).seconds

    return side


def told(name: str, sides: Mapping[str, Callable[[], float]], rounds: int, bound: float) -> bool:
    """Measure, print a line, and say whether it is within the bound."""
    seconds = alternate(sides, rounds)
    ratio = paired(seconds["now"], seconds["base"])
    took = {side: spread(values).median * 1000 for side, values in seconds.items()}
    print(
        f"{name:24} base {took['base']:8.1f} ms  now {took['now']:8.1f} ms  "
        f"ratio {ratio.median:.3f} ({ratio.q1:.3f} to {ratio.q3:.3f})" + ("" if ratio.median <= bound else "  SLOWER"),
        flush=True,
    )
    return ratio.median <= bound


def main() -> int:
    """Measure everything that was asked for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bound", type=float, default=1.05)
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor: steadier on a busy machine")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    within, clock = True, "process_time" if options.cpu else "perf_counter"
    with tempfile.TemporaryDirectory(prefix="censor-revisions-") as place:
        trees = {"base": unpack(options.base, Path(place) / "tree"), "now": ROOT}
        (Path(place) / "pictures").mkdir()
        pictures = make_pictures(Path(place) / "pictures")
        for work in ("check", "hide"):
            for name, source in pictures.items():
                if options.only and f"{work} {name}" not in options.only:
                    continue
                sides = {
                    side: Side(tree, work, source, Path(place) / "out" / side / work / name, clock)
                    for side, tree in trees.items()
                }
                try:
                    within &= told(f"{work} {name}", sides, options.rounds, options.bound)
                finally:
                    for each in sides.values():
                        each.close()
        first = next(pictures["jpeg-0.5mp"].iterdir())
        for name in ("start --help", "start check"):
            if not options.only or name in options.only:
                commands = {
                    side: command_of(tree, "--help")
                    if name == "start --help"
                    else command_of(tree, "check", "-q", "--policy", judging_by(tree), first)
                    for side, tree in trees.items()
                }
                within &= told(name, commands, options.rounds, options.bound)
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
