"""Peak memory of the command: on one 12-MP JPEG, and on folders of 100 and 1,000 pictures.

python benchmarks/memory.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from throughput import make_large, make_photos

PROGRAM = """
import sys
from censor.cli import main
try:
    main(sys.argv[1:])
finally:
    status = open("/proc/self/status").read()  # ru_maxrss would begin with the peak of the process that forked
    print(status.split("VmHWM:")[1].split()[0])
"""


def peak(source: Path, out: Path) -> float:
    """Peak resident set of `censor SOURCE -o OUT --policy faces`, in megabytes."""
    command = [sys.executable, "-c", PROGRAM, str(source), "-o", str(out), "--policy", "faces", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"one 12-MP JPEG:   {peak(make_large(folder), folder / 'large'):6.0f} MB")
        photos = folder / "photos"
        photos.mkdir()
        paths = make_photos(photos, 100)
        print(f"100 photographs:  {peak(photos, folder / 'out100'):6.0f} MB")
        for copy in range(1, 10):
            for path in paths:
                shutil.copy(path, photos / f"{copy}-{path.name}")
        print(f"1000 photographs: {peak(photos, folder / 'out1000'):6.0f} MB")


if __name__ == "__main__":
    main()
