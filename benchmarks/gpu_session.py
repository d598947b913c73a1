"""All that a GPU is needed for, in at most ten minutes: what RetinaNet costs there, and what it learns from the cards.

    python benchmarks/gpu_session.py --data DIR --out DIR
    python benchmarks/gpu_session.py --data DIR --out DIR --rehearse

First benchmarks/retinanet_speed.py: inference at batch 1 and 32 and training steps, torchvision's own beside ours, each
with its share of the card's matrix rate. Then benchmarks/retinanet_cards.py trains ours, ResNet-101 at 640 pixels, 60
epochs. A part that does not end in its time is told to stop, and what it has measured by then counts: AP is that of the
last evaluation. DIR is a set as retinanet_cards.py wants it. --rehearse runs all of it on a processor, as small as can
be.

summary.md says what came out, beside what is hoped for.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent
GOALS = {"training, times torchvision": 2.0, "inference, times torchvision": 4.0, "AP50": 0.9}
GRACE = 20.0  # seconds to save a state and end


def run(command: Sequence[object], *, seconds: float, log: Path) -> str:
    """Run a script with those that it starts; says how it ended: ``done``, ``stopped`` for its time, or ``failed``."""
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return "failed" if process.wait(seconds) else "done"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            wait_for_group(process, until=time.monotonic() + GRACE)
    return "stopped"


def wait_for_group(process: subprocess.Popen[bytes], *, until: float) -> None:
    """Leave nothing running: a training script goes on saving after whoever started it has ended."""
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines_of(file: Path) -> list[dict[str, Any]]:
    """What a run has logged so far, whole lines alone."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def reached(rows: Sequence[dict[str, Any]], curve: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The best of ours by each goal, as far as it was measured."""
    ours = {
        kind: [row["times"] for row in rows if row["name"].startswith("ours") and ("training" in row["name"]) == wanted]
        for kind, wanted in (("training", True), ("inference", False))
    }
    found = {f"{kind}, times torchvision": max(times) for kind, times in ours.items() if times}
    return found | ({"AP50": curve[-1]["ap50"]} if curve else {})


def summary(out: Path, ended: dict[str, str], seconds: float) -> str:
    """What there is to say, from the files that both parts have left."""
    speed, training = out / "speed", out / "cards" / "ours"
    rows = json.loads((speed / "rows.json").read_text()) if (speed / "rows.json").exists() else []
    curve, steps = lines_of(training / "metrics.jsonl"), lines_of(training / "losses.jsonl")
    found = reached(rows, curve)
    lines = [", ".join(f"{part} {how}" for part, how in ended.items()) + f", {seconds:.0f} s.", ""]
    lines += ["| goal | hoped for | seen |", "|---|--:|--:|"]
    lines += [f"| {goal} | {hoped:g} | {found.get(goal, float('nan')):.2f} |" for goal, hoped in GOALS.items()]
    lines += ["", "| | ms | times torchvision | of the best matrix product |", "|---|--:|--:|--:|"]
    lines += [f"| {row['name']} | {row['ms']:.1f} | {row['times']:.2f} | {row['of_matrix_rate']:.0%} |" for row in rows]
    lines += ["", "| epoch | AP | AP50 | peak MiB |", "|--:|--:|--:|--:|"]
    lines += [f"| {row['epoch']:.0f} | {row['ap']:.3f} | {row['ap50']:.3f} | {row['memory_mib']} |" for row in curve]
    if paces := sorted(row["images_per_s"] for row in steps):
        lines += ["", f"Training sees {paces[len(paces) // 2]:.1f} images a second (median of {len(paces)} steps)."]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> str:
    """Run both parts; prints and writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=570, help="for everything")
    parser.add_argument("--speed-seconds", type=float, default=270, help="of them, at most, for the first part")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args(arguments)
    out, began = options.out.resolve(), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    speed: list[object] = ["--out", out / "speed", "--device", "cuda", "--rounds", 5]
    cards: list[object] = ["--data", options.data, "--out", out / "cards", "--only", "ours", "--epochs", options.epochs]
    if options.rehearse:
        speed += ["--rehearse", "--backbone", "resnet18", "--size", 64, "--batches", 1, 2, "--train-batch", 2]
        cards += ["--device", "cpu", "--backbone", "resnet18", "--size", 64, "--batch-size", 2, "--workers", 0,
                  "--precision", "fp32", "--augment", "full", "--eval-every", 1]  # fmt: skip
    else:
        cards += ["--device", "cuda", "--backbone", "resnet101", "--size", 640, "--batch-size", 16, "--workers", 14,
                  "--eval-every", 10]  # fmt: skip
    ended = {}
    for part, script, more, share in (
        ("speed", "retinanet_speed.py", speed, options.speed_seconds), ("cards", "retinanet_cards.py", cards, None),
    ):  # fmt: skip
        left = began + options.seconds - GRACE - time.monotonic()
        allowed = left if share is None else min(left, share)
        ended[part] = run([BENCHMARKS / script, *more], seconds=max(1.0, allowed), log=out / f"{part}.log")
    said = summary(out, ended, time.monotonic() - began)
    (out / "summary.md").write_text(said + "\n")
    print(said)
    return said


if __name__ == "__main__":
    main()
