"""How far each weight goes at each step."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

__all__ = ["build_optimizer", "learning_rate", "set_learning_rate"]


def build_optimizer(
    model: nn.Module,
    *,
    kind: str,
    lr: float,
    weight_decay: float,
    momentum: float,
    last: nn.Module | None = None,
    last_factor: float = 1.0,
) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum. Weights decay; biases and norms do not.

    Args:
        model: What is trained of it wants a gradient.
        kind: ``adamw`` or ``sgd``.
        lr: Highest learning rate.
        weight_decay: Of weights.
        momentum: Of SGD.
        last: A part of the model that learns at another rate; None for none.
        last_factor: That rate over `lr`.
    """
    last_ones: Collection[int] = {id(parameter) for parameter in last.parameters()} if last is not None else ()
    groups: list[dict[str, Any]] = []
    for factor in (1.0, last_factor) if last_ones else (1.0,):
        mine = [
            parameter
            for parameter in model.parameters()
            if parameter.requires_grad and (id(parameter) in last_ones) == (len(groups) >= 2)
        ]
        groups += [
            {"params": [each for each in mine if each.ndim > 1], "weight_decay": weight_decay, "factor": factor},
            {"params": [each for each in mine if each.ndim <= 1], "weight_decay": 0.0, "factor": factor},
        ]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum)
    return torch.optim.AdamW(groups, lr=lr, fused=True)  # one pass over the weights: a tenth of the time


def learning_rate(step: int, *, steps: int, highest: float, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth.

    Args:
        step: From 0.
        steps: Of the whole run.
        highest: The rate when the warm-up is over.
        warmup: Steps until then.
    """
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let every weight go at this rate, and those of the last layer at theirs."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)  # states of older runs have none
