"""What every comparison of RetinaNets shares: the network, the picture, the rounds, and what is said of them."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from detect.labels import CLASSES
from detect.retinanet.checkpoint import Description, save_weights
from detect.retinanet.model import RetinaNet
from detect.runtime.retinanet import AnchorGrid

Work = Callable[[], object]


def describe(options: argparse.Namespace) -> Description:
    """What `train_retinanet.py` would train by default, at the size asked for."""
    return Description(
        names=CLASSES, size=options.size, backbone=options.backbone, norm="batch", head_norm=True, channels=256,
        box_loss="l1", grid=AnchorGrid.standard(),
    )  # fmt: skip


def random_weights(out: Path, about: Description) -> Path:
    """A weights file of an untrained network whose scores vary, the same at every call."""
    torch.manual_seed(0)
    model = about.build()
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.01)
    save_weights(out / "model.safetensors", model, about)
    return out / "model.safetensors"


def picture_of(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A seeded picture with structure at every scale: pure noise would be like no photograph."""
    rng = np.random.default_rng(0)
    whole = np.zeros((size, size, 3), np.float32)
    for cells in (4, 16, 64, 256):
        part = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        whole += np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR), np.float32) / 4
    return whole.astype(np.uint8)


def alternate(
    works: dict[str, Work], *, rounds: int, device: str, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds by `clock` of every work in every round; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = clock()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            if number:
                taken[name].append(clock() - start)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return taken


def forward_flops(model: RetinaNet, size: int) -> int:
    """Multiplications and additions of one picture."""
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops())


def rows_of(
    taken: dict[str, list[float]], baseline: str, flops: int, rates: dict[str, dict[str, float]], *, suffix: str = ""
) -> list[dict[str, Any]]:
    """Medians, how many times the baseline, and the share of the best matrix product in the same precision."""
    base, rows = statistics.median(taken[baseline]), []
    for name, seconds in taken.items():
        precision = next(each for each in ("f32", "bf16", "int8") if each in name)
        best = max(rates.get(precision, {}).values(), default=float("nan"))
        median = statistics.median(seconds)
        rows.append(
            {
                "name": name + suffix, "ms": round(median * 1e3, 2), "fastest_ms": round(min(seconds) * 1e3, 2),
                "times": round(base / median, 2), "of_matrix_rate": round(flops / median / best, 3),
            }
        )  # fmt: skip
    return rows
