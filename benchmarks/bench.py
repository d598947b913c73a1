"""The benchmark suite: ours beside others, what things cost, how it starts, whether memory stays flat.

    python benchmarks/bench.py [--quick] [--only NAME ...] [--photos DIR] [--rounds N] [--long [N]] [--peers VENV]
                               [--out DIR]

Writes results.json (every measurement), results.md (the tables, also printed) and a PNG for each plot. Sides take turns
in one run. Ends with 1 if anything could not be measured, and says what; a target that is not met is no failure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from suite import beside, cost, judges, long, machine, networks, peers, plots, report, scaled, start
from suite.section import Bench, Section

SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "check": beside.check,
    "censor": beside.censor,
    "codec": beside.codec,
    "judges": judges.judges,
    "networks": networks.networks,
    "peers": peers.peers,
    "start": start.start,
    "scaled": scaled.scaled,
    "megapixels": cost.megapixels,
    "pictures": cost.pictures,
    "regions": cost.regions,
    "workers": cost.workers,
    "long": long.long,
}


def main() -> int:
    """Measure, write and print; the exit code."""
    options = _options()
    names = options.only or [name for name in SECTIONS if name != "long"]
    if options.long is not None and "long" not in names:
        names.append("long")
    options.out.mkdir(parents=True, exist_ok=True)
    described = machine.describe()
    found: dict[str, Section] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="censor-bench-") as folder:
        bench = Bench(
            folder=Path(folder),
            rounds=options.rounds or (2 if options.quick else 9),
            quick=options.quick,
            photos=options.photos,
            peers=options.peers,
            long=options.long or (20 if options.quick else 10_000),
        )
        for name in names:
            begun = time.perf_counter()
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
            try:
                found[name] = SECTIONS[name](bench)
            except Exception as error:  # noqa: BLE001  # the other sections can still be measured
                failed[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            print(f"{time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        settings: dict[str, object] = {
            "quick": bench.quick,
            "rounds": bench.rounds,
            "own_photos": bench.photos is not None,
        }
    report.write_json(options.out / "results.json", described, settings, found, failed)
    text = report.markdown(described, settings, found, failed)
    (options.out / "results.md").write_text(text, encoding="utf-8")
    plots.draw(found, options.out, f"{described['processor']}, {described['cores']} cores{', quick' * bench.quick}")
    print(text)
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="everything small: shows that the suite works")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--photos", type=Path, metavar="DIR", help="JPEGs of about half a megapixel, the first 100")
    parser.add_argument("--rounds", type=_at_least_one, metavar="N", help="of each comparison (9)")
    parser.add_argument(
        "--long", type=_at_least_one, nargs="?", const=0, metavar="N", help="also memory over N pictures (10000)"
    )
    parser.add_argument("--peers", type=Path, metavar="VENV", help=f"where other peers are (.venv-peers): {peers.HOW}")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
