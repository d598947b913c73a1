"""Changes headers and bodies of pictures of every format, and reports what decoding them should never do.

    make fuzz ARGS="--seconds 600"
    python benchmarks/fuzz.py [--seconds N | --cases N] [--seed N] [--formats JPEG,PNG] [--first N] [--keep DIR]

Every case is a function of seed, number and formats alone: `--seed 3 --first 4711 --cases 1` makes that one again. Each
is decoded whole and with 2, 4 and 8 to spare, in a process with a limit on its address space. Reported are

    crash       the process died
    hang        no answer within --patience seconds
    memory      more than --memory megabytes at the peak, or a decoder that asked for more than the limit
    untyped     an exception that is no DetectError
    difference  a file that is taken whole and not reduced, or the reverse; whose pixels differ by more than shrinking
                explains; or whose size is not the one in its header

What was found is kept in a folder, one file each. Exit code 1 if anything was.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
from fuzzing.mutations import mutated
from fuzzing.seeds import seeds

from detect.pictures.formats import SUFFIXES

ROOT = Path(__file__).resolve().parent.parent
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
ADDRESS_SPACE = 4 * 2**30


class Finding(NamedTuple):
    """One case that went wrong: its number, the seed picture it was made of, and what was seen."""

    case: int
    origin: str
    seen: str
    data: bytes


class Worker:
    """A process that decodes; a new one takes its place when it has died or was ended."""

    def __init__(self, *, patience: float, memory: int) -> None:
        """Take the seconds to wait for an answer, and the bytes that it may take at the peak."""
        self._patience, self._memory = patience, memory
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, data: bytes) -> str:
        """See `fuzzing.worker.judged`; also ``crash``, ``hang`` and ``memory``."""
        process = self._process = self._process or _started()
        requests, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            requests.write(len(data).to_bytes(4, "big") + data)
        except BrokenPipeError:
            return self._dead(process)
        with selectors.DefaultSelector() as waiting:
            waiting.register(answers, selectors.EVENT_READ)
            if not waiting.select(self._patience):
                self.end()
                return f"hang: no answer within {self._patience:g} s"
        if not (line := answers.readline()):
            return self._dead(process)
        answer = json.loads(line)
        if answer["peak"] > self._memory:
            self.end()  # the peak of a process never falls
            return f"memory: {answer['peak'] / 1e6:.0f} MB at the peak; {answer['found']}"
        return str(answer["found"])

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def _dead(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        self.end()
        return f"crash: exit code {code}"


def _started() -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "fuzzing.worker", str(ADDRESS_SPACE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    cast("IO[bytes]", process.stdout).readline()  # imports are not what patience is for
    return process


def case(number: int, seed: int, pictures: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The name of the seed picture, and what became of it: a function of the three arguments."""
    rng = np.random.default_rng([seed, number])
    names = list(pictures)
    formats = sorted({name.split(":")[0] for name in names})
    kind = formats[number % len(formats)]
    of_kind = [name for name in names if name.startswith(kind + ":")]
    name = of_kind[int(rng.integers(len(of_kind)))]
    return name, mutated(pictures[name], kind, rng)


def fuzz(
    *, seed: int, first: int, cases: int, seconds: float, formats: Sequence[str], patience: float, memory: int
) -> tuple[Counter[str], list[Finding]]:
    """Run cases until there are enough or time is up.

    Returns:
        How often each outcome came, and every finding.
    """
    pictures = {name: data for name, data in seeds().items() if name.split(":")[0] in formats}
    outcomes: Counter[str] = Counter()
    findings = []
    worker = Worker(patience=patience, memory=memory)
    end = time.monotonic() + seconds
    try:
        for number in range(first, first + cases):
            if time.monotonic() > end:
                break
            origin, data = case(number, seed, pictures)
            seen = worker.ask(data)
            outcomes[f"{origin.split(':')[0]} {seen.split(':')[0]}"] += 1
            if ":" in seen:
                findings.append(Finding(number, origin, seen, data))
    finally:
        worker.end()
    return outcomes, findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", type=int, default=10**9, help="how many at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--patience", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--memory", type=int, default=500, metavar="MB")
    parser.add_argument("--keep", type=Path, default=ROOT / "benchmarks" / "results" / "fuzz", metavar="DIR")
    chosen = parser.parse_args(arguments)
    formats = chosen.formats.upper().split(",")
    if unknown := set(formats) - set(FORMATS):
        parser.error(f"no such formats: {', '.join(sorted(unknown))}")
    outcomes, findings = fuzz(
        seed=chosen.seed, first=chosen.first, cases=chosen.cases, seconds=chosen.seconds, formats=formats,
        patience=chosen.patience, memory=chosen.memory * 10**6,
    )  # fmt: skip
    for finding in findings:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        path = chosen.keep / f"{chosen.seed}-{finding.case}-{finding.origin.replace(':', '-').replace(' ', '-')}"
        path.write_bytes(finding.data)
        print(f"{finding.origin} case {finding.case}: {finding.seen}\n    {path}")
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:8} {outcome}")
    print(f"{outcomes.total()} cases, seed {chosen.seed}: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
