"""What a run says of itself as it goes: two JSON-lines files for programs, TensorBoard for people."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from detect.atomic import write_whole
from detect.detections import RGBImage

__all__ = ["RunLog", "peak_memory"]


@contextmanager
def _without_boto3() -> Iterator[None]:
    """TensorBoard imports it where it is installed, and that opens a socket for trial; our logs lie in a folder."""
    with_it = "boto3" in sys.modules
    sys.modules.setdefault("boto3", None)  # type: ignore[arg-type]  # what import takes for "there is none"
    try:
        yield
    finally:
        if not with_it:
            del sys.modules["boto3"]


with _without_boto3():
    from torch.utils.tensorboard import SummaryWriter


class RunLog:
    """Appends to ``losses.jsonl``, ``metrics.jsonl`` and ``tensorboard/`` in a run's folder."""

    def __init__(self, folder: Path, *, start: int) -> None:
        """Open the logs; what a killed run wrote from step `start` on is struck out, as it is about to happen again."""
        self._losses = folder / "losses.jsonl"
        self._metrics = folder / "metrics.jsonl"
        for file, first in ((self._losses, start), (self._metrics, start + 1)):
            _cut(file, first)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def losses(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Steps in order, each with its number as ``step`` and all its figures."""
        with self._losses.open("a") as file:
            file.writelines(json.dumps(dict(row)) + "\n" for row in rows)
        for row in rows:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(f"train/{name}", value, int(row["step"]))

    def evaluation(
        self, step: int, metrics: Mapping[str, Any], scalars: Mapping[str, float], images: Mapping[str, RGBImage]
    ) -> None:
        """An evaluation after `step` steps: all of it for programs, and what people look at by its tag."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(dict(metrics)) + "\n")
        for tag, value in scalars.items():
            self._board.add_scalar(tag, value, step)
        for tag, image in images.items():
            self._board.add_image(tag, image, step, dataformats="HWC")
        self._board.flush()


def peak_memory(device: torch.device) -> float:
    """The most memory this process has held so far, in MiB: the device's on CUDA, else its own."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # Linux counts in KiB


def _cut(file: Path, first: int) -> None:
    if not file.exists():
        return
    kept = []
    for line in file.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break  # the kill came in the middle of a line
        if row["step"] >= first:
            break
        kept.append(line + "\n")
    write_whole(file, "".join(kept).encode(), overwrite=True)
