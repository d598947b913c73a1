"""Sections `megapixels`, `pictures`, `regions` and `workers`: what each costs, in time and in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from alternate import alternate, timed

from censor.choices import EFFECTS
from censor.pipeline import Censor
from censor.policy_toml import load_policy
from detect.detections import Detections, RGBImage
from suite.child import COMMAND, LOOP, run_python
from suite.photographs import grown, make_large
from suite.section import Bench, Section
from suite.sides import BARE, FACES, PEER, POLICY, bare_codec, nudenet, ours, processes

__all__ = ["megapixels", "pictures", "regions", "workers"]


def megapixels(bench: Bench) -> Section:
    """One picture of each size: checked and censored one at a time, by the peer, and by the bare codec."""
    folder, out = bench.fresh("sizes"), bench.fresh("out")
    theirs, alone = f"{PEER} censor", ("--workers", "1")
    sides = {
        theirs: (nudenet, "hide", out),
        "censor": (ours, "hide", out, alone),
        "censor check": (ours, "check", out, alone),
        BARE: (bare_codec,),
    }
    points: list[dict[str, Any]] = []
    with processes(sides) as ready:
        for size in (0.1,) if bench.quick else (0.1, 0.3, 1, 3, 12, 24, 48):
            (path,) = make_large(folder, 1, megapixels=size)
            seconds = alternate({name: side.on([path]) for name, side in ready.items()}, bench.rounds)
            peaks = {
                theirs: run_python(LOOP, path, bench.fresh("out")).peak,
                "censor": run_python(COMMAND, path, "-o", bench.fresh("out"), "--policy", POLICY, "-q").peak,
            }
            points.append(_point(size, seconds, peaks))
    return _section("megapixels of one picture", "ms", points)


def pictures(bench: Bench) -> Section:
    """Whole processes over folders of photographs: the command, and the peer's loop."""
    points: list[dict[str, Any]] = []
    for count in (2,) if bench.quick else (1, 3, 10, 30, 100, 300, 1000):
        folder = _copies(bench, count)
        peaks: dict[str, float | None] = {}

        sides = {
            PEER: _whole(bench, PEER, peaks, LOOP, folder),
            "censor": _whole(bench, "censor", peaks, COMMAND, folder, "--policy", POLICY, "-q", "-o"),
        }
        seconds = alternate(sides, 1 if bench.quick else 2 if count >= 300 else 3)
        points.append(_point(count, seconds, peaks))
    return _section("photographs in a folder, a process for each", "s", points)


def _whole(
    bench: Bench, name: str, peaks: dict[str, float | None], program: str, *arguments: object
) -> Callable[[], float]:
    """A side for `alternate`: a fresh process that is given, last, a folder for its outputs; notes its peak memory."""

    def side() -> float:
        with TemporaryDirectory(dir=bench.folder) as out:
            child = run_python(program, *arguments, out)
        if child.peak is not None:
            peaks[name] = max(child.peak, peaks.get(name) or 0)
        return child.seconds

    return side


def _copies(bench: Bench, count: int) -> Path:
    folder = bench.fresh(f"folder-{count}")
    for number in range(count):
        source = bench.photographs[number % len(bench.photographs)]
        shutil.copy(source, folder / f"{number:04}.jpg")
    return folder


class Given:
    """A detector that always finds the same boxes: what is measured is the hiding."""

    names = tuple(FACES)

    def __init__(self, count: int, *, width: int, height: int) -> None:
        """So many boxes of an eighth of the width and a quarter of the height, as 8 x 4 tiles."""
        columns, rows = np.meshgrid(np.arange(8), np.arange(4))
        corners = np.stack([columns.ravel() * width / 8, rows.ravel() * height / 4], axis=1)[:count]
        margin = np.array([0.2 * width / 8, 0.2 * height / 4])
        xyxy = np.concatenate([corners + margin, corners + np.array([width / 8, height / 4]) - margin], axis=1)
        self._found = Detections(
            xyxy.astype(np.float32), np.full(count, 0.9, np.float32), np.zeros(count, np.int64), self.names
        )

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """The boxes, for each picture."""
        return [self._found for _ in images]


def _hiding(count: int, effect: str, pixels: RGBImage) -> Censor:
    height, width = pixels.shape[:2]
    policy = load_policy(POLICY).each(effect=effect)
    return Censor(policy=policy, detector=Given(count, width=width, height=height), recheck=False)


_HIDE = """
import sys
import numpy as np
from suite.child import has_peak
from suite.cost import _hiding
pixels = np.full((int(sys.argv[1]) * 3 // 4, int(sys.argv[1]), 3), 120, np.uint8)
_hiding(int(sys.argv[2]), sys.argv[3], pixels).apply(pixels)
if has_peak():
    print("VmHWM", open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def regions(bench: Bench) -> Section:
    """Hiding alone, in memory: no decoding, no network, no second look."""
    pixels = grown(0.1 if bench.quick else 3)
    width = pixels.shape[1]
    points: list[dict[str, Any]] = []
    for count in (0, 2) if bench.quick else (0, 1, 2, 4, 8, 16, 32):
        censors = {effect: _hiding(count, effect, pixels) for effect in EFFECTS}
        hidden = {effect: len(censor.apply(pixels).redactions) for effect, censor in censors.items()}
        if set(hidden.values()) != {count}:
            raise RuntimeError(f"{count} regions were to be hidden, not {hidden}")
        sides = {effect: timed(partial(censor.apply, pixels)) for effect, censor in censors.items()}
        seconds = alternate(sides, 3 * bench.rounds)
        effects = EFFECTS[:1] if bench.quick else EFFECTS
        peaks = {effect: run_python(_HIDE, width, count, effect).peak for effect in effects}
        points.append(_point(count, seconds, peaks))
    return _section(f"regions hidden in {pixels.shape[0] * width / 1e6:.2g} MP", "ms", points)


def workers(bench: Bench) -> Section:
    """Photographs on 1, 2 … all cores, with the settings the command has when all are at work."""
    cores = bench.cores
    counts = sorted({count for count in (1, 2, 4, 8, 16, 32, 64) if count < cores} | {cores})
    options = ("--workers", str(cores))
    out, paths, folder = bench.fresh("out"), bench.photographs, bench.fresh("folder")
    for path in paths:
        shutil.copy(path, folder)
    with processes({str(count): (ours, "hide", out, options, count) for count in counts}) as ready:
        seconds = alternate({name: side.on(paths) for name, side in ready.items()}, bench.rounds)
    points = []
    for count in counts:
        arguments = (folder, "-o", bench.fresh("out"), "--policy", POLICY, "-q", "--workers", count)
        each = [value / len(paths) for value in seconds[str(count)]]
        points.append(_point(count, {"censor": each}, {"censor": run_python(COMMAND, *arguments).peak}))
    return _section("workers", "ms/picture", points)


def _point(at: float, seconds: dict[str, list[float]], peaks: dict[str, float | None]) -> dict[str, Any]:
    return {"at": at, "seconds": seconds, "peak_mb": {side: peak for side, peak in peaks.items() if peak is not None}}


def _section(axis: str, unit: str, points: list[dict[str, Any]]) -> Section:
    return Section(rows=[], data={"axis": axis, "unit": unit, "points": points})
