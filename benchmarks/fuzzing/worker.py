"""Decodes what comes on standard input, whole and reduced, and says in one line of JSON what became of each.

    python -m fuzzing.worker ADDRESS_SPACE_BYTES

A request is its length in four bytes, the most significant first, and the file; before the first comes a line that says
that it is ready. It runs in a process of its own: a decoder that crashes ends nothing else, and the limit on its memory
is nobody else's.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.errors import DetectError
from detect.pictures.formats import sniff
from detect.pictures.still import Picture, decode

MAX_PIXELS = 2_000_000
"""So small that what a sound picture takes is far below what is reported as too much memory."""

_FACTORS = (2, 4, 8)
_TOLERANCE = 16.0
"""Mean difference of levels between a picture shrunk by its decoder and the means of the whole one."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

_ENOUGH = 0.25
"""Share of cells that must lie inside the range of levels for that to mean something."""


def main() -> None:
    """Answer until there is no more to read."""
    import pillow_heif  # noqa: F401  # before the limit, and before anybody waits for an answer

    bound = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    answers.write("ready\n")
    answers.flush()
    while len(length := sys.stdin.buffer.read(4)) == 4:
        data = sys.stdin.buffer.read(int.from_bytes(length, "big"))
        answer = {"found": judged(data), "peak": _peak()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _peak() -> int:
    """The most memory that was ever resident, in bytes."""
    status = Path("/proc/self/status")  # ru_maxrss would begin with the peak of the process that forked
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024


def judged(data: bytes) -> str:
    """``taken``, the name of the error it was refused with, or a finding: its kind, a colon and what was seen."""
    try:
        whole = decode(data, max_pixels=MAX_PIXELS)
    except DetectError as error:
        outcome = _refused(error)
        whole = None
    except BaseException as error:  # noqa: BLE001  # any other kind is what is looked for
        return f"untyped: {type(error).__name__}: {error}"
    for factor in _FACTORS:
        try:
            reduced = decode(data, max_pixels=MAX_PIXELS, spare=lambda *_, factor=factor: factor)
        except DetectError as error:
            if whole is not None:
                return f"difference: taken whole, but by {factor} {_refused(error)}: {error}"
            continue
        except BaseException as error:  # noqa: BLE001  # as above
            return f"untyped: {type(error).__name__}: {error}"
        if whole is None:
            return f"difference: {outcome} whole, but taken by {factor}"
        if (told := _differ(whole, reduced, factor)) is not None:
            return told
    return outcome if whole is None else _size_told(data, whole) or "taken"


def _refused(error: DetectError) -> str:
    """The kind of error; a want of memory is a finding whatever it was called."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"memory: {error}"
        cause = cause.__cause__
    return type(error).__name__


def _differ(whole: Picture, reduced: Picture, factor: int) -> str | None:
    """What a reduced picture shows that the whole one does not."""
    if (reduced.height, reduced.width) != (whole.height, whole.width):
        return f"difference: {whole.pixels.shape[:2]} whole, {(reduced.height, reduced.width)} by {factor}"
    if reduced.reduced is None:
        same = np.array_equal(reduced.pixels, whole.pixels)
        return None if same else f"difference: the pixels are others where they were not reduced by {factor}"
    rows, columns = whole.height // factor, whole.width // factor
    if not rows or not columns:
        return None
    cells = whole.pixels[: rows * factor, : columns * factor, :3].reshape(rows, factor, columns, factor, 3)
    # Levels are cut off at 0 and 255 before the mean is taken in the one, after it in the other.
    inside = ((cells > 0) & (cells < 255)).all(axis=(1, 3, 4))
    if inside.mean() < _ENOUGH:
        return None
    means: NDArray[np.float64] = cells.mean(axis=(1, 3))
    # Of luminance alone: decoders shrink sparsely sampled colours more than that.
    apart = (means - reduced.pixels[:rows, :columns, :3]) @ _LUMINANCE
    distance = float(np.abs(apart)[inside].mean())
    return f"difference: {distance:.1f} levels from the whole by {factor}" if distance > _TOLERANCE else None


def _size_told(data: bytes, whole: Picture) -> str | None:
    """Whether another size came out than the header tells Pillow; HEIF is turned and cut by what else stands in it."""
    if sniff(data[:256]) == "HEIF":
        return None
    try:
        told = Image.open(io.BytesIO(data)).size
    except Exception:  # noqa: BLE001  # broken for Pillow's own way of opening, which reads more than pixels
        return None
    if sorted(told) != sorted((whole.width, whole.height)):
        return f"difference: {whole.width} x {whole.height} where the header tells {told}"
    return None


if __name__ == "__main__":
    main()
