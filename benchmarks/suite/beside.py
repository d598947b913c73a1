"""Sections `check`, `censor` and `codec`: beside the `nudenet` package, and beside bare decoding and encoding."""

from __future__ import annotations

from typing import Any

from alternate import alternate

from suite.section import Bench, Row, Section, against, describe_pictures
from suite.sides import BARE, PEER, Side, bare_codec, nudenet, ours, processes

__all__ = ["censor", "check", "codec"]

ONE, SINGLE = "censor, one at a time", "censor, 1 worker, same settings"
_TARGETS = {"check": (6.0, 3.0), "hide": (4.0, 3.0)}
"""Times as fast as the peer, on large pictures and on photographs."""


def check(bench: Bench) -> Section:
    """Verdicts: `censor check` beside a loop over `NudeDetector().detect(path)`."""
    return _beside(bench, "check")


def censor(bench: Bench) -> Section:
    """Hiding faces: `censor` beside a loop over `NudeDetector().censor(path, classes=…, output_path=…)`."""
    return _beside(bench, "hide")


def _beside(bench: Bench, verb: str) -> Section:
    """One picture at a time with all cores, then what the command does by default, with one worker and with all."""
    section = "check" if verb == "check" else "censor"
    out = bench.fresh("out")
    rows: list[Row] = []
    data: dict[str, Any] = {}
    sides: dict[str, tuple[Any, ...]] = {PEER: (nudenet, verb, out), ONE: (ours, verb, out, ("--workers", "1"), 1)}
    default = ONE
    if bench.workers > 1:
        default = f"censor, {bench.workers} workers"
        sides |= {SINGLE: (ours, verb, out, (), 1), default: (ours, verb, out)}
    with processes(sides) as ready:
        for paths, target in zip((bench.large, bench.photographs), _TARGETS[verb], strict=True):
            seconds = alternate({name: side.on(paths) for name, side in ready.items()}, bench.rounds)
            what = f"{section}, {describe_pictures(paths)}"
            rows += against(PEER, seconds, what, pictures=len(paths), at_least={default: target})
            if SINGLE in seconds:
                pair = {side: seconds[side] for side in (SINGLE, default)}
                goal = {default: 1.8} if bench.workers == 2 else None
                rows += against(SINGLE, pair, f"{what}, against 1 worker", pictures=len(paths), at_least=goal)[1:]
            data[what] = {"pictures": len(paths), "target": target, "default": default, "seconds": seconds}
        notes = _engines(section, ready)
    return Section(rows=rows, data=data, notes=notes)


def codec(bench: Bench) -> Section:
    """A whole `censor` of one large JPEG, file to file, in terms of decoding and encoding its bytes in memory."""
    path, side = bench.large[0], "censor, file to file"
    with processes({BARE: (bare_codec,), side: (ours, "hide", bench.fresh("out"), ("--workers", "1"))}) as ready:
        seconds = alternate({name: each.on([path]) for name, each in ready.items()}, 3 * bench.rounds)
        notes = _engines("codec", ready)
    what = f"censor beside its bare codec, {describe_pictures([path])}"
    rows = against(BARE, seconds, what, at_most={side: 1.35}, share=True)
    return Section(rows=rows, data={"seconds": seconds}, notes=notes)


def _engines(section: str, ready: dict[str, Side]) -> list[str]:
    """What ran our network, where the detector says so."""
    said = {(about["engine"], about["precision"]) for side in ready.values() if (about := side.about).get("engine")}
    return [f"{section}: our network ran on {engine} in {precision}." for engine, precision in sorted(said)]
