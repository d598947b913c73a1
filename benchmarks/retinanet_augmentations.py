"""What each way of varying the pictures does to AP: train_retinanet.py, everything else equal, several seeds of each.

    python benchmarks/retinanet_augmentations.py --data DIR --out DIR [--seeds 0 1 2] [--variants none flip full]
        [-- OPTION …]

DIR holds train.json and test.json (COCO) and the folders train/ and test/. A variant is a value of --augment; with more
options of the script it is written as one word, `"full --balance"`. What follows `--` goes to every run. Runs that are
done already are not done again, so that a variant or a seed can be added. The network is one that timm has for tests,
and sees little pictures: small enough for a processor, so what counts are differences, and not how high AP is. With
--one-class all boxes are of one kind, for sets whose classes cannot be told apart at that size.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

import train_retinanet

NETWORK = (
    "--backbone", "timm/test_resnet", "--channels", "64", "--smallest-anchor", "12", "--size", "64", "--batch-size",
    "8", "--lr", "2e-3", "--weight-decay", "0.01", "--ema", "0.99", "--workers", "0", "--precision", "fp32",
)  # fmt: skip


def train(options: argparse.Namespace, variant: str, seed: int) -> dict[str, Any]:
    """AP and AP50 of one run at its last epoch."""
    out = options.out / f"{variant.replace(' ', '_')}-{seed}"
    kept = out / "metrics.jsonl"
    if not (out / "last.safetensors").exists():
        epochs = str(options.epochs)
        arguments = [
            "--train", options.boxes / "train.json", "--train-images", options.data / "train",
            "--val", options.boxes / "test.json", "--val-images", options.data / "test", "--out", out, *NETWORK,
            "--epochs", epochs, "--eval-every", epochs, "--save-every", epochs, "--log-every", 50, "--seed", seed,
            *options.more, "--augment", *variant.split(),
        ]  # fmt: skip
        if code := train_retinanet.main([str(argument) for argument in arguments]):
            raise SystemExit(code)
    last = json.loads(kept.read_text().splitlines()[-1])
    return {"variant": variant, "seed": seed, "ap": last["ap"], "ap50": last["ap50"]}


def merge_classes(data: Path, out: Path) -> Path:
    """Write both COCO files with one category; gives their folder."""
    for name in ("train.json", "test.json"):
        document = json.loads((data / name).read_text())
        document["categories"] = [{"id": 1, "name": "object"}]
        document["annotations"] = [row | {"category_id": 1} for row in document["annotations"]]
        (out / name).write_text(json.dumps(document))
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and range of each variant, and by how much each seed is above that of the first variant."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    of = {variant: {row["seed"]: row for row in rows if row["variant"] == variant} for variant in variants}
    head = "| | seeds | AP (least to most) | AP50 (least to most) | AP above the first, seed by seed |"
    lines = [head, "|---|--:|--:|--:|--:|"]
    for variant, by_seed in of.items():
        cells = []
        for key in ("ap", "ap50"):
            values = [row[key] for row in by_seed.values()]
            cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        above = [by_seed[seed]["ap"] - of[variants[0]][seed]["ap"] for seed in by_seed if seed in of[variants[0]]]
        gains = ", ".join(f"{gain:+.3f}" for gain in above) if variant != variants[0] else ""
        lines.append(f"| {variant} | {len(by_seed)} | {cells[0]} | {cells[1]} | {gains} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Train every variant with every seed; prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", default=["none", "flip", "full"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--one-class", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("more", nargs="*", help="after --: options of every run")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    options.boxes = merge_classes(options.data, options.out) if options.one_class else options.data
    rows = []
    for seed in options.seeds:
        for variant in options.variants:
            rows.append(train(options, variant, seed))
            (options.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "results.md").write_text(table(rows) + "\n")
    print(table(rows))
    return rows


if __name__ == "__main__":
    main()
