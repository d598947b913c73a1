"""Section `start`: what a fresh process takes until its help, and until its first picture."""

from __future__ import annotations

import sys
from collections.abc import Callable

from alternate import Spread, alternate, paired, spread, timed

from suite.child import run_child
from suite.photographs import make_photos
from suite.section import Bench, Row, Section
from suite.sides import POLICY

__all__ = ["start"]

_THEIRS = "from nudenet import NudeDetector; NudeDetector().censor('photo.jpg')"
_NOTHING, _HELP = "python, nothing imported", "censor --help"
_PEER, _OURS = "nudenet, first picture", "censor, first picture"


def start(bench: Bench) -> Section:
    """Processes that take turns; files are in the page cache, nothing else is warm."""
    (photo,) = make_photos(bench.fresh("start"), 1, megapixels=bench.small)
    photo = photo.rename(photo.with_name("photo.jpg"))

    def run(*arguments: str) -> Callable[[], float]:
        return timed(lambda: run_child([sys.executable, *arguments], cwd=photo.parent))

    sides = {
        _NOTHING: run("-c", "pass"),
        _HELP: run("-m", "censor", "--help"),
        _PEER: run("-c", _THEIRS),
        _OURS: run("-m", "censor", "photo.jpg", "--policy", POLICY, "--force"),
    }
    seconds = alternate(sides, 1 if bench.quick else 2 * bench.rounds)
    if not photo.with_name("photo.censored.jpg").exists():
        raise RuntimeError("the command wrote no photo.censored.jpg")
    took: dict[str, Spread] = {side: spread(values).scaled(1000) for side, values in seconds.items()}
    ratio = paired(seconds[_PEER], seconds[_OURS])
    what = "start of a process"
    rows = [
        Row(what=what, side=_NOTHING, value=took[_NOTHING], unit="ms"),
        Row(what=what, side=_HELP, value=took[_HELP], unit="ms", target="< 300 ms", met=took[_HELP].median < 300),
        Row(what=what, side=_PEER, value=took[_PEER], unit="ms"),
        Row(what=what, side=_OURS, value=took[_OURS], unit="ms", ratio=ratio, target=">= 1 x", met=ratio.median >= 1),
    ]
    return Section(rows=rows, data={"seconds": seconds})
