"""The processes that share a run: which of them this is, what they tell one another, and how they are told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Processes", "count_processes", "reason", "started_processes", "stopping_on_sigterm"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Processes:
    """Those that share a run.

    Attributes:
        rank: Which of them this is, from 0; the first one writes and speaks.
        count: How many there are.
        device: Where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    def prepare(self, model: nn.Module, *, channels_last: str) -> torch.memory_format:
        """Put a network on the device, in the memory layout that is asked for (``auto``: channels last on CUDA)."""
        last = channels_last in ({"yes", "auto"} if self.device.type == "cuda" else {"yes"})
        layout = torch.channels_last if last else torch.contiguous_format
        model.to(self.device).to(memory_format=layout)
        return layout

    def share(self, model: nn.Module) -> Any:
        """The network as it is trained: gradients are averaged over the processes."""
        if self.count == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def uses_bf16(self, precision: str) -> bool:
        """Whether to compute in bfloat16: ``auto`` does on CUDA."""
        return precision == "bf16" or (precision == "auto" and self.device.type == "cuda")

    def gather(self, mine: Mapping[int, _T], count: int) -> list[_T]:
        """Put together what each process found of its share of `count` pictures; in order, and for all of them."""
        shares: list[Any] = [dict(mine)]
        if self.count > 1:
            shares = [None] * self.count
            dist.all_gather_object(shares, dict(mine))
        found: dict[int, _T] = {position: entry for share in shares for position, entry in share.items()}
        return [found[position] for position in range(count)]

    def look(self, waiting: Sequence[Tensor], *, is_stopping: bool) -> tuple[list[list[float]], bool]:
        """Fetch figures of the last steps, averaged over the processes, and whether any of them was told to stop.

        Args:
            waiting: For each step as many figures, (K,), on the device.
            is_stopping: Whether this process was told to stop.
        """
        figures = torch.stack([*waiting, torch.full_like(waiting[0], float(is_stopping))])
        if self.count > 1:
            dist.all_reduce(figures)
        *table, flag = (figures / self.count).tolist()
        return table, flag[0] > 0


def count_processes() -> int:
    """How many processes share the run; torchrun says so in the environment."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def started_processes(device: str) -> Iterator[Processes]:
    """Join the other processes, if torchrun has started any, and leave them in the end.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA if there is any.
    """
    count = count_processes()
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(place)
        torch.backends.cudnn.benchmark = True
    if count > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(int(os.environ.get("RANK", "0")), count, place)
    finally:
        if count > 1:
            dist.destroy_process_group()


@contextmanager
def stopping_on_sigterm() -> Iterator[list[int]]:
    """A list that is empty until the process is told to stop."""
    stopping: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)


def reason(error: BaseException) -> str:
    """An error's message in one line; of one that a process of a loader met, what it says there."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].partition(": ")[2] if lines[0].startswith("Caught ") else " ".join(lines)
