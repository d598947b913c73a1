"""Whole processes: their seconds, and the peak of their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from detect.runtime.telemetry import QUIET

__all__ = ["COMMAND", "LOOP", "Child", "has_peak", "run_child", "run_python"]

_PEAK = """
import sys
def peak():
    from pathlib import Path
    status = Path("/proc/self/status")  # ru_maxrss would begin with the peak of the process that forked
    if status.exists():
        print("\\nVmHWM", status.read_text().split("VmHWM:")[1].split()[0])
"""

COMMAND = f"""{_PEAK}
from censor.cli import main
try:
    main(sys.argv[1:])
finally:
    peak()
"""
"""The `censor` command, with its arguments."""

LOOP = f"""{_PEAK}
from pathlib import Path
from nudenet import NudeDetector
detector, source, out = NudeDetector(), Path(sys.argv[1]), Path(sys.argv[2])
for path in sorted(source.iterdir()) if source.is_dir() else [source]:
    detector.censor(str(path), classes=["FACE_FEMALE", "FACE_MALE"], output_path=str(out / path.name))
peak()
"""
"""The `nudenet` package's loop over a file or a folder, into a folder."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """What one process took: seconds from fork to exit, and megabytes at its peak, None where /proc is missing."""

    seconds: float
    peak: float | None
    output: str


def has_peak() -> bool:
    """Whether this system tells the peak of a process's memory."""
    return Path("/proc/self/status").exists()


def run_python(program: str, *arguments: object) -> Child:
    """Run a program text in a fresh interpreter; the packages beside this one can be imported."""
    return run_child([sys.executable, "-c", program, *map(str, arguments)])


def run_child(arguments: list[str], *, cwd: Path | None = None, foreign: bool = False) -> Child:
    """Run a command to its end.

    Args:
        arguments: The program and what it is given.
        cwd: Where it runs.
        foreign: It belongs to another environment, and must not see what can be imported in this one.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    # Compiling modules anew each time would be timed too, and of a checkout's alone: installed ones come compiled.
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    if not foreign:
        paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    for quiet in QUIET.values():  # peers import onnxruntime as it comes
        environment |= quiet.variables
    start = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    seconds = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise RuntimeError(f"{Path(arguments[0]).name} ended with exit code {done.returncode}: {said}")
    peak = [line for line in done.stdout.splitlines() if line.startswith("VmHWM ")]
    return Child(seconds=seconds, peak=int(peak[-1].split()[1]) / 1024 if peak else None, output=done.stdout)
