"""A network's running average: smoother than the network itself, and what a run hands out."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["Ema"]

_Model = TypeVar("_Model", bound=nn.Module)


class Ema(Generic[_Model]):
    """An exponential moving average of weights and statistics.

    `torch.optim.swa_utils.AveragedModel` asks the device at every step whether it is the first, which waits for it.

    Attributes:
        model: The average, in evaluation mode.
    """

    def __init__(self, model: _Model, *, decay: float) -> None:
        """Start from `model` as it is; `decay` in [0, 1) is what stays of the average at each step, in the long run."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Take in the weights after a step, counted from 0; early ones count for more, with little to average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        mine, given = self.model.state_dict(), model.state_dict()
        moving = [key for key, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[key] for key in moving], [given[key] for key in moving], 1 - decay)
        if counters := list(mine.keys() - set(moving)):
            torch._foreach_copy_([mine[key] for key in counters], [given[key] for key in counters])
