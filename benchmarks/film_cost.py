"""What films cost: frames a second beside `deface` on the same film, and the most memory over a short and a long one.

    python benchmarks/film_cost.py speed [--seconds 10] [--scale 2] [--rounds 5] [--deface .venv-peers/bin/deface]
    python benchmarks/film_cost.py memory [--minutes 10 60]
    python benchmarks/film_cost.py memory --scale 3 --minutes 0.5 --rate 25

Whole processes of both commands with their defaults, start included; they take turns. The film is one of
`moving_faces.py`'s: a face that passes over a picture that moves, 640 x 352 pixels times --scale. Of memory the peak is
told (VmHWM), of films of so many --minutes: a peak that stays the same is memory that does not grow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

import cv2
import numpy as np
from alternate import Spread, alternate, paired, spread, timed
from face_drawing import SIZE, Pixels
from moving_faces import Scene, scenes, write
from suite.child import COMMAND, run_child, run_python

__all__ = ["memory", "speed"]

_POLICY = ("--policy", "faces")


def _scene() -> Scene:
    return next(each for each in scenes() if each.kind == "passes")


def _film(path: Path, *, frames: int, rate: int, scale: int) -> None:
    """A film of so many frames: the scene forwards and backwards, again and again."""
    scene = _scene()
    made = [_enlarged(each.pixels, scale) for each in islice(scene, min(frames, scene.frames // scale))]
    write(str(path), _to_and_fro(made, frames), rate)


def _enlarged(pixels: Pixels, scale: int) -> Pixels:
    size = SIZE[1] * scale, SIZE[0] * scale
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _to_and_fro(made: Sequence[Pixels], frames: int) -> Iterator[Pixels]:
    return islice(cycle(chain(made, made[-2:0:-1])), frames)


def speed(*, seconds: float, scale: int, rounds: int, deface: Path) -> dict[str, Spread]:
    """Frames a second of both, and how many times as fast ours is, round by round."""
    with tempfile.TemporaryDirectory(prefix="censor-film-") as temporary:
        folder = Path(temporary)
        path = folder / "in.mp4"
        frames, rate = round(25 * seconds), 25
        _film(path, frames=frames, rate=rate, scale=scale)

        def ours() -> None:
            run_child([sys.executable, "-m", "censor", str(path), "-o", str(folder / "ours.mp4"), *_POLICY, "--force"])

        def theirs() -> None:
            run_child([str(deface), str(path), "-o", str(folder / "theirs.mp4")], foreign=True)

        took = alternate({"deface": timed(theirs), "ours": timed(ours)}, rounds)
    rates = {side: spread([frames / each for each in values]) for side, values in took.items()}
    return {**rates, "times": paired(took["deface"], took["ours"])}


def memory(*, minutes: Sequence[float], scale: int, rate: int) -> dict[float, float]:
    """Megabytes at the peak, by the film's minutes."""
    peaks: dict[float, float] = {}
    with tempfile.TemporaryDirectory(prefix="censor-film-") as temporary:
        for each in minutes:
            path = Path(temporary) / "in.mp4"
            _film(path, frames=round(60 * each * rate), rate=rate, scale=scale)
            child = run_python(COMMAND, path, "-o", path.with_name("out.mp4"), *_POLICY, "--force")
            if child.peak is None:
                raise RuntimeError("this system does not tell the peak of a process's memory")
            peaks[each] = child.peak
    return peaks


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    what = parser.add_subparsers(dest="what", required=True)
    fast, small = what.add_parser("speed"), what.add_parser("memory")
    fast.add_argument("--seconds", type=float, default=10.0, help="of the film, at 25 frames a second")
    fast.add_argument("--scale", type=int, default=2)
    fast.add_argument("--rounds", type=int, default=5)
    fast.add_argument("--deface", type=Path, default=Path(".venv-peers/bin/deface"), help="its program")
    small.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0])
    small.add_argument("--scale", type=int, default=1)
    small.add_argument("--rate", type=int, default=5, help="frames a second")
    options = parser.parse_args()
    size = f"{SIZE[1] * options.scale} x {SIZE[0] * options.scale}"
    if options.what == "speed":
        said = speed(
            seconds=options.seconds, scale=options.scale, rounds=options.rounds, deface=options.deface.absolute()
        )
        for name, each in said.items():
            unit = "" if name == "times" else " frames/s"
            print(f"{size}, {name}: {each.median:.2f}{unit} (quartiles {each.q1:.2f} and {each.q3:.2f})")
    else:
        for minutes, peak in memory(minutes=options.minutes, scale=options.scale, rate=options.rate).items():
            print(f"{size}, {minutes:g} minutes at {options.rate} frames/s: {peak:.0f} MB at the peak")
    return 0


if __name__ == "__main__":
    sys.exit(main())
