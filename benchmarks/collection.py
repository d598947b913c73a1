"""How long it takes to evaluate, rank and map a collection, and to do so again from the cache.

    python benchmarks/collection.py [--count N] [--photos DIR] [--work DIR] [--json FILE]

Without `--photos` it makes N harmless pictures: crops, mirror images and recoloured ones of photographs that
scikit-image ships. Every other one counts as NSFW, for there must be some of each; the figures that come of it mean
nothing, the seconds do. The commands share one cache, as they would: what the first has found out the next two do not
ask again. Prints seconds on the clock, and of processors, of the first run of each and of the second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import skimage.io
from numpy.typing import NDArray
from PIL import Image
from suite.photographs import SAVED_AT

from detect.detections import RGBImage
from detect.pictures.formats import format_of

LABELS = ("SAFE", "NSFW")

_SHIPPED = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "motorcycle_right.png",
            "hubble_deep_field.jpg", "retina.jpg", "ihc.png", "coins.png", "brick.png", "grass.png", "gravel.png",
            "camera.png", "moon.png")  # fmt: skip

_SIDES = (640, 1280)
"""Longer sides of the pictures that are made, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One run of a command.

    Attributes:
        command: Which.
        run: 1 with what the commands before it have left in the cache, 2 again.
        seconds: On the clock.
        processor_seconds: Of all threads.
    """

    command: str
    run: int
    seconds: float
    processor_seconds: float


def make_pictures(folder: Path, count: int) -> None:
    """Different pictures in the two folders of labels, JPEG, from half a megapixel to one and a half."""
    rng = np.random.default_rng(0)
    shipped = Path(skimage.data.__file__).parent
    originals = [_rgb(skimage.io.imread(shipped / name)) for name in _SHIPPED]
    for label in LABELS:
        (folder / label).mkdir(parents=True)
    for number in range(count):
        image = _varied(originals[number % len(originals)], rng)
        target = folder / LABELS[number % 2] / f"{number:04}.jpg"
        Image.fromarray(image).save(target, quality=SAVED_AT)


def copy_pictures(folder: Path, photos: Path, count: int) -> None:
    """Copies of pictures that are there, every other one in either folder of labels."""
    found = sorted(path.absolute() for path in photos.rglob("*") if path.is_file() and format_of(path))[:count]
    for label in LABELS:
        (folder / label).mkdir(parents=True)
    for number, path in enumerate(found):
        shutil.copyfile(path, folder / LABELS[number % 2] / f"{number:04}{path.suffix}")


def time_commands(pictures: Path, out: Path) -> Iterator[Timed]:
    """Evaluate, rank and map, twice."""
    cache = str(out / "cache.sqlite")
    shared = ["--cache", cache, "--quiet", "--force"]
    commands = {
        "evaluate": ["evaluate", str(pictures), "-o", str(out / "evaluated"), *shared],
        "rank": ["rank", str(pictures), "-o", str(out / "ranked"), *shared],
        "map": ["map", str(pictures), "-o", str(out / "mapped"), *shared],
    }
    for run, (name, arguments) in itertools.product((1, 2), commands.items()):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "censor", *arguments], check=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        yield Timed(command=name, run=run, seconds=round(seconds, 2), processor_seconds=round(spent, 2))


def _rgb(image: NDArray[np.uint8]) -> RGBImage:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]


def _varied(image: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Another picture: a part of it, perhaps mirrored, its colours in another order and stretched, in another size."""
    height, width = image.shape[:2]
    rows, columns = (int(side * rng.uniform(0.35, 0.9)) for side in (height, width))
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    part = image[top : top + rows, left : left + columns, rng.permutation(3)]
    part = part[:, :: rng.choice([-1, 1])]
    scale = rng.integers(*_SIDES) / max(rows, columns)
    grown = cv2.resize(np.ascontiguousarray(part), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    gains = rng.uniform(0.7, 1.3, 3)
    grain = rng.normal(0, 4, (*grown.shape[:2], 1))
    return np.clip(grown * gains + grain, 0, 255).astype(np.uint8)


def _table(runs: Sequence[Timed]) -> str:
    lines = ["| command | run | seconds | processor seconds |", "|---|--:|--:|--:|"]
    lines += [f"| {each.command} | {each.run} | {each.seconds:.1f} | {each.processor_seconds:.1f} |" for each in runs]
    for run in (1, 2):
        ours = [each for each in runs if each.run == run]
        seconds, spent = sum(each.seconds for each in ours), sum(each.processor_seconds for each in ours)
        lines.append(f"| together | {run} | {seconds:.1f} | {spent:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Make or copy pictures, time the commands, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, metavar="N", help="pictures, at the most [default: 500]")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="harmless pictures to take instead of making some")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a new folder for all that is written, which stays")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        pictures = work / "pictures"
        if options.photos is None:
            make_pictures(pictures, options.count)
        else:
            copy_pictures(pictures, options.photos, options.count)
        many = sum(1 for _ in pictures.rglob("*.*"))
        print(f"{many} pictures, {os.cpu_count()} cores, {platform.processor() or platform.machine()}", flush=True)
        runs = []
        for each in time_commands(pictures, work):
            runs.append(each)
            print(
                f"{each.command} {each.run}: {each.seconds:.1f} s, processors {each.processor_seconds:.1f} s",
                flush=True,
            )
    print(_table(runs))
    if options.json is not None:
        options.json.write_text(
            json.dumps({"pictures": many, "runs": [asdict(each) for each in runs]}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
