"""Our RetinaNet beside torchvision's own, trained on the same pictures: same epochs, size, batch, seed and backbone.

Ours runs as anybody would run it, through train_retinanet.py. torchvision's is trained as its references/detection do:
SGD with momentum .9 and weight decay 1e-4, learning rate .01 for a batch of 16 (its command for RetinaNet), a warm-up
of up to 1,000 steps, a tenth of the rate after 16/26 and 22/26 of the epochs, mirrored pictures, batches of like shape.
Neither has pretrained weights. Both are measured by COCO's evaluation on the test pictures; images/s is the median over
windows of ten training steps, evaluations left out.

    python benchmarks/retinanet_cards.py --data DIR --out DIR

DIR holds train.json and test.json (COCO) and the folders train/ and test/.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from detect.annotations import CocoDataset, load_coco
from detect.detections import Detections
from detect.evaluation.coco import evaluate
from detect.pictures.rgb import read_rgb
from detect.runtime.telemetry import import_quietly
from detect.training.batches import worker_options
from detect.training.runlog import peak_memory

ROOT = Path(__file__).parents[1]
WINDOW = 10  # steps


class Mirrored(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures as torchvision's reference gives them: floats in [0, 1], half of them mirrored where that is wanted."""

    def __init__(self, data: CocoDataset, *, mirror: bool) -> None:
        self.data, self.mirror = data, mirror

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        record = self.data.images[position]
        image = torch.from_numpy(read_rgb(record.path)).permute(2, 0, 1).float() / 255
        boxes, labels = torch.from_numpy(record.xyxy.copy()), torch.from_numpy(record.labels.copy())
        if self.mirror and torch.rand(()) < 0.5:
            image = image.flip(-1)
            boxes = torch.stack([record.width - boxes[:, 2], boxes[:, 1], record.width - boxes[:, 0], boxes[:, 3]], 1)
        return image, {"boxes": boxes, "labels": labels}


class LikeShapes:
    """Batches of pictures of like aspect ratio, as the reference's `GroupedBatchSampler` makes them."""

    def __init__(self, data: CocoDataset, batch_size: int) -> None:
        edges = 2 ** np.linspace(-1, 1, 7)  # the reference's --aspect-ratio-group-factor 3
        self.groups = [int(np.searchsorted(edges, image.width / image.height)) for image in data.images]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return max(1, len(self.groups) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[int, list[int]] = defaultdict(list)
        given = 0
        while given < len(self):
            for position in torch.randperm(len(self.groups)).tolist():
                group = waiting[self.groups[position]]
                group.append(position)
                if len(group) == self.batch_size and given < len(self):
                    yield group.copy()
                    group.clear()
                    given += 1


def build_reference(classes: int, *, backbone: str, size: int) -> RetinaNet:
    """The RetinaNet of torchvision from scratch, every layer trained, real BatchNorm."""
    body = resnet_fpn_backbone(
        backbone_name=backbone,
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    return RetinaNet(body, classes, min_size=size, max_size=size)


@torch.no_grad()
def measure(model: RetinaNet, data: CocoDataset, device: torch.device) -> tuple[float, float]:
    """AP and AP50 on the test pictures."""
    model.eval()
    found = []
    for image, _ in (Mirrored(data, mirror=False)[position] for position in range(len(data))):
        answer = {key: value.cpu().numpy() for key, value in model([image.to(device)])[0].items()}
        found.append(Detections(answer["boxes"], answer["scores"], answer["labels"], data.names))
    model.train()
    result = evaluate(data, found)
    return result.ap, result.ap50


def train_reference(options: argparse.Namespace) -> dict[str, Any]:
    """The loop of torchvision's reference, shortened to what it does; runs in a process of its own."""
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    train = load_coco(options.data / "train.json", options.data / "train")
    test = load_coco(options.data / "test.json", options.data / "test", names=train.names)
    model = build_reference(len(train.names), backbone=options.backbone, size=options.size).to(device).train()
    lr = options.reference_lr * options.batch_size / 16
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    milestones = [round(options.epochs * part / 26) for part in (16, 22)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=0.1)
    loader = DataLoader(
        Mirrored(train, mirror=True), batch_sampler=LikeShapes(train, options.batch_size), collate_fn=list,
        persistent_workers=options.workers > 0, **worker_options(options.workers),
    )  # fmt: skip
    warmup = min(1000, len(loader) - 1)
    curve, paces, step, clock, spent = [], [], 0, time.perf_counter(), 0.0
    for epoch in range(1, options.epochs + 1):
        for images, targets in (zip(*rows, strict=True) for rows in loader):
            if epoch == 1 and warmup:
                for group in optimizer.param_groups:
                    group["lr"] = lr * min(1.0, 0.001 + 0.999 * step / warmup)
            losses = model(
                [image.to(device) for image in images],
                [{key: value.to(device) for key, value in target.items()} for target in targets],
            )
            loss = sum(losses.values())
            if not torch.isfinite(loss):  # the reference waits for the loss at every step, too
                raise FloatingPointError(f"step {step}: {losses}")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % WINDOW == 0:
                now = time.perf_counter()
                paces.append(WINDOW * options.batch_size / (now - clock))
                spent, clock = spent + now - clock, now
        schedule.step()
        if epoch % options.eval_every == 0 or epoch == options.epochs:
            spent += time.perf_counter() - clock
            curve.append([epoch, *measure(model, test, device)])
            print(f"reference epoch {epoch} AP {curve[-1][1]:.4f} AP50 {curve[-1][2]:.4f} {paces[-1:]}", flush=True)
            clock = time.perf_counter()
    return summary(curve, paces, seconds=spent, memory=peak_memory(device))


def train_ours(options: argparse.Namespace) -> dict[str, Any]:
    """Run the training script and read what it logged."""
    run = options.out / "ours"
    command = [
        sys.executable, ROOT / "train_retinanet.py", "--out", run, "--train", options.data / "train.json",
        "--train-images", options.data / "train", "--val", options.data / "test.json", "--val-images",
        options.data / "test", "--backbone", options.backbone, "--size", options.size, "--epochs", options.epochs,
        "--batch-size", options.batch_size, "--seed", options.seed, "--workers", options.workers, "--device",
        options.device, "--eval-every", options.eval_every, "--save-every", options.epochs, "--log-every", WINDOW,
        "--augment", options.augment, "--precision", options.precision,
        *(["--compile"] if options.device == "cuda" else []), *options.ours,
    ]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    curve = [[round(row["epoch"]), row["ap"], row["ap50"]] for row in rows]
    seconds = sum(options.batch_size / row["images_per_s"] for row in steps)
    paces = [row["images_per_s"] for row in steps]
    return summary(curve, paces, seconds=seconds, memory=rows[-1]["memory_mib"])


def summary(curve: list[list[float]], paces: list[float], *, seconds: float, memory: float) -> dict[str, Any]:
    """What is reported of either."""
    best = max(curve, key=lambda row: row[1])
    return {
        "ap": curve[-1][1], "ap50": curve[-1][2], "best_ap": best[1], "best_epoch": best[0],
        "images_per_s": round(statistics.median(paces), 2) if paces else None, "seconds": round(seconds, 1),
        "peak_memory_mib": round(memory), "curve": curve,
    }  # fmt: skip


def report(options: argparse.Namespace, ours: dict[str, Any], reference: dict[str, Any]) -> None:
    """JSON for programs, a table and a plot for people."""
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"{platform.machine()} CPU"
    keys = (
        "backbone",
        "size",
        "epochs",
        "batch_size",
        "seed",
        "workers",
        "device",
        "augment",
        "precision",
        "ours",
        "reference_lr",
    )
    settings = {key: getattr(options, key) for key in keys}
    machine = {"device": name, "cpu_threads": torch.get_num_threads(), "torch": torch.__version__}
    both = {"machine": machine, "settings": settings, "ours": ours, "reference": reference}
    (options.out / "results.json").write_text(json.dumps(both, indent=1) + "\n")
    run = f"{options.backbone} at {options.size} px from scratch, {options.epochs} epochs, batch {options.batch_size}"
    lines = [
        f"{run}, on {name} ({machine['cpu_threads']} threads), torch {torch.__version__}:", "",
        "| | AP | AP50 | best AP (epoch) | images/s | seconds | peak MiB |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for label, row in (("ours", ours), ("torchvision", reference)):
        lines.append(
            f"| {label} | {row['ap']:.3f} | {row['ap50']:.3f} | {row['best_ap']:.3f} ({row['best_epoch']:g}) "
            f"| {row['images_per_s']} | {row['seconds']} | {row['peak_memory_mib']} |"
        )
    if ours["images_per_s"] and reference["images_per_s"]:  # not where a run has fewer steps than a window
        times = ours["images_per_s"] / reference["images_per_s"]
        lines += ["", f"Ours sees {times:.2f} times as many images a second."]
    (options.out / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    agg, drawing = import_quietly("matplotlib.backends.backend_agg"), import_quietly("matplotlib.figure")
    figure = drawing.Figure(figsize=(7, 4.5), dpi=110, layout="constrained")
    agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, row, color in (("ours", ours, "tab:blue"), ("torchvision", reference, "tab:orange")):
        epochs, ap, ap50 = zip(*row["curve"], strict=True)
        axes.plot(epochs, ap, color=color, label=f"{label} AP")
        axes.plot(epochs, ap50, color=color, linestyle="--", label=f"{label} AP50")
    axes.set(xlabel="epoch", ylabel="AP on the test pictures", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(options.out / "results.png")


def main() -> None:
    """Train both, one after the other, each in a process of its own."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if cuda else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--backbone", default="resnet101" if cuda else "resnet18")
    parser.add_argument("--size", type=int, default=640 if cuda else 320)
    parser.add_argument("--epochs", type=int, default=150 if cuda else 30)
    parser.add_argument("--batch-size", type=int, default=16 if cuda else 8)
    parser.add_argument("--workers", type=int, default=8 if cuda else 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--eval-every", type=int, default=10 if cuda else 5)
    parser.add_argument("--augment", default="full" if cuda else "flip", help="of ours; the reference's is flip")
    parser.add_argument("--precision", default="bf16", help="of ours; fp32 on a CPU without bf16 instructions")
    parser.add_argument("--reference-lr", type=float, default=0.01, help="for a batch of 16")
    parser.add_argument("--only", choices=("ours", "reference"), help="train one; report once the other is there too")
    parser.add_argument("--ours", nargs=argparse.REMAINDER, default=[], help="last: more options of the script")
    options = parser.parse_args()
    options.data, options.out = options.data.resolve(), options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    results = {name: options.out / f"{name}.json" for name in ("ours", "reference")}
    if options.only == "reference":
        results["reference"].write_text(json.dumps(train_reference(options)))
    elif options.only == "ours":
        results["ours"].write_text(json.dumps(train_ours(options)))
    else:  # the second of them reports
        for file in results.values():
            file.unlink(missing_ok=True)
        for name in results:
            subprocess.run([sys.executable, __file__, "--only", name, *sys.argv[1:]], check=True)
        return
    if all(file.exists() for file in results.values()):
        report(options, *(json.loads(results[name].read_text()) for name in ("ours", "reference")))


if __name__ == "__main__":
    main()
