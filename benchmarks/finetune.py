"""What a few epochs from open_nsfw's own weights make of it: two classes of pictures, measured before and after.

    python benchmarks/finetune.py DIR --nsfw CLASS --weights open_nsfw.onnx --out DIR

DIR holds a folder for each class; called sfw and nsfw, they get the last layer of the weights, too. A share
is held back, pictures that look alike are left out, and what is left is trained on by the recipe `open_nsfw`, exported,
and run by `censor check`. Before is open_nsfw itself, by its own probability of NSFW. OUT/heat.png shows where both see
the class on pictures that were held back.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import train_classifier
from detect.annotations.classes import ClassSet, read_classes, split_classes
from detect.annotations.prepare import prepare_classes
from detect.classifier.scores import Scores
from detect.evaluation.curves import roc_auc
from detect.evaluation.operating import confusion_at
from detect.evaluation.scored import Scored
from detect.installed import load_classifiers
from detect.pictures.rgb import read_rgb
from detect.runtime.letterbox import shrink
from detect.training.classifier.export import export_classifier

ROOT = Path(__file__).parents[1]
TILE = 160


def classify(model: Path, data: ClassSet) -> list[Scores]:
    """What a classifier says of pictures, with its maps."""
    (classifier,) = load_classifiers([model], folder=None)
    return [classifier.classify([read_rgb(picture.path)], heat=True)[0] for picture in data.pictures]


def figures(data: ClassSet, found: list[Scores], nsfw: str) -> dict[str, float]:
    """Area under the ROC curve, and how many are right at one half."""
    truth = [data.names[picture.label] == nsfw for picture in data.pictures]
    scored = Scored(truth, [scores.probability for scores in found])
    counts = confusion_at(scored, 0.5)
    right = counts.true_positives + counts.true_negatives
    return {"accuracy": right / len(truth), "auc": roc_auc(scored), "pictures": len(truth)}


def heated(picture: NDArray[np.uint8], scores: Scores) -> Image.Image:
    """A picture, its map over it in red, and its probability."""
    height, width = picture.shape[:2]
    scale = TILE / max(height, width)
    small = shrink(picture, rows=max(1, round(height * scale)), columns=max(1, round(width * scale)))
    canvas = Image.new("RGB", (TILE, TILE + 14), "white")
    if scores.heat is not None:
        heat = Image.fromarray((scores.heat * 255).astype(np.uint8)).resize(
            small.shape[1::-1], Image.Resampling.NEAREST
        )
        share = np.asarray(heat, np.float64)[..., None] / 255 * 0.6
        small = (small * (1 - share) + np.array([255.0, 0, 0]) * share).astype(np.uint8)
    canvas.paste(Image.fromarray(small), (0, 14))
    ImageDraw.Draw(canvas).text((2, 1), f"{scores.probability:.3f}", fill="black")
    return canvas


def draw(data: ClassSet, before: list[Scores], after: list[Scores], file: Path, *, count: int = 8) -> None:
    """Some pictures of each class: above as it was, below as it is."""
    sheet = Image.new("RGB", (count * TILE, 4 * (TILE + 14)), "white")
    for label in (0, 1):
        mine = [number for number, picture in enumerate(data.pictures) if picture.label == label][:count]
        for column, number in enumerate(mine):
            pixels = read_rgb(data.pictures[number].path)
            for row, found in enumerate((before, after)):
                sheet.paste(heated(pixels, found[number]), (column * TILE, (2 * label + row) * (TILE + 14)))
    sheet.save(file)


def check(folder: Path, model: Path, policy: Path) -> list[dict[str, Any]]:
    """What `censor check` says of each picture by a policy that asks this classifier alone."""
    policy.write_text('[picture]\nclassifiers = ["tuned"]\nnsfw_at = 0.5\nreview_at = 0.5\n')
    command = [sys.executable, "-m", "censor", "check", folder, "--policy", policy, "--classifiers", model, "--json"]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: it found what it looks for
        raise SystemExit(f"censor check: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Prepare, measure, train, export, measure again; prints and returns what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder of class folders")
    parser.add_argument("--nsfw", required=True, help="the class that is looked for")
    parser.add_argument("--weights", type=Path, required=True, help="open_nsfw.onnx, as `censor models add` keeps it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--share", type=float, default=0.35, help="held back of each class")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = read_classes(options.data)
    train, val = split_classes(data, held_back=options.share, seed=options.seed)
    done = prepare_classes({"train": train, "val": val}, options.out / "set", overwrite=True)
    val = read_classes(options.out / "set" / "val.csv")
    before = classify(options.weights, val)
    began = time.perf_counter()
    command: list[object] = [
        "--train", options.out / "set" / "train.csv", "--val", options.out / "set" / "val.csv", "--nsfw", options.nsfw,
        "--recipe", "open_nsfw", "--backbone-weights", options.weights, "--epochs", options.epochs, "--batch-size",
        options.batch_size, "--lr", options.lr, "--size", options.size, "--warmup", 3, "--ema", 0.9, "--workers", 0,
        "--seed", options.seed, "--name", "tuned", "--out", options.out / "run", "--eval-every", options.epochs,
        "--save-every", options.epochs, "--device", "cpu",
    ]  # fmt: skip
    if code := train_classifier.main([*map(str, command)]):
        raise SystemExit(code)
    seconds = time.perf_counter() - began
    tuned = options.out / "tuned.onnx"
    export_classifier(options.out / "run" / "last.safetensors", tuned)
    after = classify(tuned, val)
    rows = check(options.out / "set" / "val", tuned, options.out / "tuned.toml")
    flagged = sum(row["verdict"]["nsfw"] == (Path(row["file"]).parent.name == options.nsfw) for row in rows)
    draw(val, before, after, options.out / "heat.png")
    summary = {
        "python": platform.python_version(), "kept": dict(done.kept), "dropped": len(done.dropped),
        "epochs": options.epochs, "seconds": round(seconds), "before": figures(val, before, options.nsfw),
        "after": figures(val, after, options.nsfw), "censor check right": f"{flagged} of {len(rows)}",
    }  # fmt: skip
    (options.out / "finetune.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    return summary


if __name__ == "__main__":
    main()
