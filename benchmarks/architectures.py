"""What each architecture of classifiers costs and learns: operations, weights, accuracy and milliseconds, drawn.

    python benchmarks/architectures.py --out DIR

Each is trained from scratch by train_classifier.py with the same options on the same stand-in task: discs against bars
on noise, both of any color, so that shape alone tells them apart; or the class folders of `--data` (with `--nsfw`).
Operations are counted at the size of the input, a multiplication and an addition as two. Milliseconds are those that
one thread of the processor works on one picture in torch, waiting left out, the median of rounds in which the
architectures take turns.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from retinanet_rounds import Work, alternate
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import train_classifier
from detect.runtime.telemetry import import_quietly
from detect.training.classifier.architectures import ARCHITECTURES, build_network

SHAPES = ("disc", "bar")


def draw_set(folder: Path, count: int, *, seed: int) -> Path:
    """As many pictures of each class, 72 x 96."""
    rng = np.random.default_rng(seed)
    for name in SHAPES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(90, 160, (72, 96, 3), np.uint8)
            radius = int(rng.integers(10, 22))
            x, y = int(rng.integers(radius, 96 - radius)), int(rng.integers(radius, 72 - radius))
            rows, columns = np.ogrid[:72, :96]
            disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            bar = (abs(rows - y) < radius // 2) & (abs(columns - x) < radius)
            pixels[disc if name == "disc" else bar] = rng.integers(0, 256, 3)
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
        "--train", train, "--val", val, "--nsfw", options.nsfw, "--architecture", name, "--size", options.size,
        "--epochs", options.epochs, "--eval-every", options.epochs, "--save-every", options.epochs, "--batch-size",
        options.batch_size, "--lr", options.lr, "--ema", 0.9, "--workers", 0, "--device", "cpu", "--out", out,
    ]  # fmt: skip
    if code := train_classifier.main([*map(str, command)]):
        raise SystemExit(code)
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
    for number, row in enumerate(sorted(rows, key=lambda row: row["gflops"])):
        label = f"{row['name']}\n{row['parameters']:.1f} M, {row['milliseconds']:.1f} ms"
        away = 6 + (30 + 12 * row["parameters"]) ** 0.5 / 2  # of the dot's middle, in points
        # On one side or the other by turns: neighbors would write over one another.
        side: dict[str, Any] = {"xytext": (-away, 0), "ha": "right"} if number % 2 == 0 else {"xytext": (away, 0)}
        place = (row["gflops"], row["accuracy"])
        axes.annotate(label, place, fontsize="x-small", va="center", textcoords="offset points", **side)
    axes.margins(0.2, 0.12)
    axes.set(xscale="log", xlabel="GFLOP a picture", ylabel="accuracy", title="from scratch, same options")
    axes.grid(alpha=0.3)
    figure.colorbar(dots, label="ms of one thread a picture")
    figure.savefig(file)


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """What was measured, and on what, for people."""
    task = options.data.name if options.data else f"{2 * options.count} drawn pictures"
    run = f"{task}, {options.size} px, {options.epochs} epochs from scratch, batch {options.batch_size}"
    machine = f"one thread of a {platform.machine()} processor, torch {torch.__version__}"
    lines = [
        f"{run}; {machine}, medians of {options.rounds} rounds:", "",
        "| | GFLOP a picture | million weights | ms a picture | accuracy |", "|---|--:|--:|--:|--:|",
    ]  # fmt: skip
    lines += [
        f"| `{row['name']}` | {row['gflops']:.3f} | {row['parameters']:.1f} | {row['milliseconds']:.1f} "
        f"| {row['accuracy']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


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
    torch.set_num_threads(1)
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
    taken = alternate(works, rounds=options.rounds, device="cpu", clock=time.process_time)
    for row in rows:
        row["milliseconds"] = 1000 * float(np.median(taken[row["name"]]))
        row["accuracy"] = accuracy(row["name"], options, train, val)
    (options.out / "architectures.json").write_text(json.dumps(rows, indent=1) + "\n")
    said = table(rows, options)
    (options.out / "architectures.md").write_text(said + "\n")
    print(said)
    draw(rows, options.out / "architectures.png")
    return rows


if __name__ == "__main__":
    main()
