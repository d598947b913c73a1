"""RetinaNet on a GPU: ours as the product runs it, and training steps, beside torchvision's own."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matrix_rates import device_matrix_rates
from retinanet_cards import build_reference
from retinanet_rounds import Work, alternate, describe, forward_flops, picture_of, random_weights, rows_of
from torch import Tensor, nn

from detect.retinanet.checkpoint import Description
from detect.retinanet.detector import TorchDetector
from detect.retinanet.model import RetinaNet
from detect.training.normalization import normalize


def on_cuda(options: argparse.Namespace) -> dict[str, Any]:
    """Inference at each batch size, and training steps."""
    about, size, device = describe(options), options.size, "cpu" if options.rehearse else "cuda"
    weights = random_weights(options.out, about)
    reference = build_reference(len(about.names), backbone=options.backbone, size=size).to(device)
    model = about.build().to(device).to(memory_format=torch.channels_last)
    flops = forward_flops(model.eval(), size)
    rates = device_matrix_rates(device, options.rounds, 256 if options.rehearse else 8192)
    rows = []
    for batch in options.batches:
        works = cuda_inference(reference, weights, size, batch, device)
        taken = alternate(works, rounds=options.rounds, device=device)
        rows += rows_of(taken, "torchvision f32, eager", flops * batch, rates, suffix=f", batch {batch}")
        (options.out / "rows.json").write_text(json.dumps(rows))  # what is known if the time ends here
    works = cuda_training(reference, model, about, size, options.train_batch)
    taken = alternate(works, rounds=options.rounds, device=device)
    suffix = f", training, batch {options.train_batch}"
    rows += rows_of(taken, "torchvision f32, eager", 3 * flops * options.train_batch, rates, suffix=suffix)
    (options.out / "rows.json").write_text(json.dumps(rows))
    return {"rows": rows, "matrix": rates, "missed": [], "profiles": {}, "ap": {}}


def cuda_inference(reference: nn.Module, weights: Path, size: int, batch: int, device: str) -> dict[str, Work]:
    """The whole call of torchvision, and ours: pictures in the computer's memory in, boxes there out."""
    picture = picture_of(size)
    reference.eval()

    def theirs(bf16: bool) -> object:
        given = [torch.from_numpy(picture).to(device).permute(2, 0, 1).float() / 255 for _ in range(batch)]
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            answers = reference(given)
        return [{key: value.cpu() for key, value in answer.items()} for answer in answers]

    works: dict[str, Work] = {
        "torchvision f32, eager": lambda: theirs(False),
        "torchvision bf16, eager": lambda: theirs(True),
    }
    for name, precision, compiled in (
        ("ours f32, eager", "f32", False), ("ours bf16, eager", "bf16", False), ("ours bf16, compiled", "bf16", True),
    ):  # fmt: skip
        if compiled and device == "cpu":
            continue
        detector = TorchDetector(weights, device=device, precision=precision, compiled=compiled, batch_size=batch)
        works[name] = partial(detector.detect, [picture] * batch)
    return works


def cuda_training(reference: nn.Module, model: RetinaNet, about: Description, size: int, batch: int) -> dict[str, Work]:
    """One step of each: forward, losses, backward, SGD; the same boxes, five a picture."""
    device, rng = next(model.parameters()).device, torch.Generator().manual_seed(0)
    corner = torch.rand(batch, 5, 2, generator=rng) * size * 0.7
    boxes = torch.cat([corner, corner + size * 0.1 + torch.rand(batch, 5, 2, generator=rng) * size * 0.2], 2).to(device)
    labels = torch.randint(0, len(about.names), (batch, 5), generator=rng).to(device)
    one = torch.from_numpy(picture_of(size)).permute(2, 0, 1).to(device)
    images, floats = one[None].repeat(batch, 1, 1, 1), [one.float() / 255] * batch
    targets = [{"boxes": each, "labels": label} for each, label in zip(boxes, labels, strict=True)]
    reference.train()
    model.train()
    network: Any = model
    losses_of: Any = model.losses
    if device.type == "cuda":
        network, losses_of = torch.compile(network), torch.compile(losses_of)
    steps = {which: torch.optim.SGD(which.parameters(), lr=1e-6, momentum=0.9) for which in (reference, model)}

    def learn(which: nn.Module, losses: dict[str, Tensor]) -> None:
        steps[which].zero_grad()
        sum(losses.values(), torch.zeros((), device=device)).backward()  # type: ignore[no-untyped-call]  # torch has none
        steps[which].step()

    def theirs(bf16: bool) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = reference(floats, targets)
        learn(reference, losses)

    def ours() -> None:
        given = normalize(images, about.mean, about.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            outputs = network(given)
        learn(model, losses_of(outputs, model.anchors(given), boxes, labels))

    return {
        "torchvision f32, eager": lambda: theirs(False),
        "torchvision bf16, eager": lambda: theirs(True),
        "ours bf16, compiled": ours,
    }
