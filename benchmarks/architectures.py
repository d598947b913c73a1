"""What each architecture of classifiers costs and learns: operations, weights, accuracy and milliseconds, drawn.

    python benchmarks/architectures.py --out DIR

Each is trained from scratch by train_classifier.py with the same options on the same stand-in task: red discs against
blue bars on noise, or the class folders of `--data` (with `--nsfw`). Operations are counted at the size of the input, a
multiplication and an addition as two. Milliseconds are those of one picture through torch on the processor, the median
of rounds in which the architectures take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from retinanet_rounds import Work, alternate
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from detect.runtime.telemetry import import_quietly
from detect.training.classifier.architectures import ARCHITECTURES, build_network

ROOT = Path(__file__).parents[1]
COLORS = {"disc": (220, 40, 40), "bar": (40, 40, 220)}


def draw_set(folder: Path, count: int, *, seed: int) -> Path:
    """As many pictures of each class, 72 x 96."""
    rng = np.random.default_rng(seed)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(90, 160, (72, 96, 3), np.uint8)
            radius = int(rng.integers(10, 22))
            x, y = int(rng.integers(radius, 96 - radius)), int(rng.integers(radius, 72 - radius))
            rows, columns = np.ogrid[:72, :96]
            disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            bar = (abs(rows - y) < radius // 2) & (abs(columns - x) < radius)
            pixels[disc if name == "disc" else bar] = color
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


def count(network: nn.Module, size: int) -> dict[str, float]:
    """Operations for one picture, and weights."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    return {
        "gflops": counter.get_total_flops() / 1e9,
        "parameters": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
    }


def accuracy(name: str, options: argparse.Namespace, train: Path, val: Path) -> float:
    """What training from scratch comes to."""
    out = options.out / name
    command: list[object] = [
        sys.executable, "train_classifier.py", "--train", train, "--val", val, "--nsfw", options.nsfw,
        "--architecture", name, "--size", options.size, "--epochs", options.epochs, "--eval-every", options.epochs,
        "--save-every", options.epochs, "--batch-size", options.batch_size, "--lr", options.lr, "--ema", 0.9,
        "--workers", 0, "--device", "cpu", "--out", out,
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr}")
    last = (out / "metrics.jsonl").read_text().splitlines()[-1]
    return float(json.loads(last)["accuracy"])


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Accuracy over operations; a dot is as large as the network, and as dark as it is slow."""
    agg, drawing = import_quietly("matplotlib.backends.backend_agg"), import_quietly("matplotlib.figure")
    figure = drawing.Figure(figsize=(9, 6), dpi=100, layout="constrained")
    agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    dots = axes.scatter(
        [row["gflops"] for row in rows],
        [row["accuracy"] for row in rows],
        s=[30 + 12 * row["parameters"] for row in rows],
        c=[row["milliseconds"] for row in rows],
        cmap="viridis_r",
        alpha=0.7,
    )
    for row in rows:
        label = f"{row['name']}\n{row['parameters']:.1f} M, {row['milliseconds']:.1f} ms"
        axes.annotate(label, (row["gflops"], row["accuracy"]), fontsize="x-small")
    axes.set(xscale="log", xlabel="GFLOP a picture", ylabel="accuracy", title="from scratch, same options")
    axes.grid(alpha=0.3)
    figure.colorbar(dots, label="ms a picture")
    figure.savefig(file)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure every architecture; prints a table, and writes it with its chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="a folder with train and val, each a folder of class folders")
    parser.add_argument("--nsfw", default="disc")
    parser.add_argument("--only", nargs="+", choices=tuple(ARCHITECTURES), default=list(ARCHITECTURES))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--count", type=int, default=60, help="pictures of each class that are drawn to learn from")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    train, val = (
        (options.data / part if options.data else draw_set(options.out / "drawn" / part, number, seed=number))
        for part, number in (("train", options.count), ("val", max(2, options.count // 3)))
    )
    rows: list[dict[str, Any]] = []
    works: dict[str, Work] = {}
    torch.manual_seed(0)
    picture = torch.rand(1, 3, options.size, options.size)
    for name in options.only:
        network = build_network(name, classes=2, size=options.size).eval()
        works[name] = torch.inference_mode()(lambda network=network: network(picture))
        rows.append({"name": name} | count(network, options.size))
    taken = alternate(works, rounds=options.rounds, device="cpu")
    for row in rows:
        row["milliseconds"] = 1000 * float(np.median(taken[row["name"]]))
        row["accuracy"] = accuracy(row["name"], options, train, val)
        print(
            " ".join(f"{key} {value:.3f}" if key != "name" else f"{value:22}" for key, value in row.items()), flush=True
        )
    (options.out / "architectures.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, options.out / "architectures.png")
    return rows


if __name__ == "__main__":
    main()
