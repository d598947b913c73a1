"""Pictures per second beside the `nudenet` package's own `censor()`: same files, same labels, one run, alternating.

    python benchmarks/throughput.py [--photos DIR] [--rounds N] [--json FILE]

Without --photos the pictures are crops of photographs that scikit-image ships. Both sides hide faces: ours with
everything on (strict decoding, pixelation, the second look), the peer as its README says (a black rectangle).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from nudenet import NudeDetector
from PIL import Image

from censor import Censor
from censor.batch import run
from detect import load_detector

FACES = ["FACE_FEMALE", "FACE_MALE"]
SHIPPED = ("astronaut", "coffee", "chelsea", "rocket")


def make_photos(folder: Path, count: int) -> list[Path]:
    """Crops of about half a megapixel of photographs that scikit-image ships."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        image = getattr(skimage.data, SHIPPED[number % len(SHIPPED)])()
        height, width = image.shape[:2]
        top, left = rng.integers(0, height // 8), rng.integers(0, width // 8)
        scale = (500_000 / ((height - top) * (width - left))) ** 0.5
        grown = cv2.resize(image[top:, left:], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        paths.append(folder / f"{number:03}.jpg")
        Image.fromarray(grown).save(paths[-1], quality=90)
    return paths


def make_large(folder: Path) -> Path:
    """The portrait at 4000 x 3000, with grain, so that it is as hard to code as a photograph."""
    grown = cv2.resize(skimage.data.astronaut()[:384], (4000, 3000), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).integers(-6, 7, grown.shape)
    path = folder / "large.jpg"
    Image.fromarray(np.clip(grown.astype(int) + grain, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def alternate(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round; the sides take turns, so that noise hits them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for each in sides.values():
        each()  # warm caches and thread pools
    for _ in range(rounds):
        for name, each in sides.items():
            start = time.perf_counter()
            each()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def sides_for(paths: Sequence[Path], out: Path, peer: NudeDetector) -> dict[str, Callable[[], None]]:
    """What is compared on the same files."""
    cores = os.cpu_count() or 1
    one = Censor(policy="faces")
    many = Censor(policy="faces", detector=load_detector(threads=1))

    def theirs() -> None:
        for path in paths:
            peer.censor(str(path), classes=FACES, output_path=str(out / path.name))

    def ours(censor: Censor, path: Path) -> None:
        censor.apply_file(path, out / path.name, overwrite=True)

    def ours_in_turn() -> None:
        for path in paths:
            ours(one, path)

    def ours_on_all_cores() -> None:
        for _ in run(paths, lambda path: ours(many, path), workers=cores):
            pass

    sides = {"nudenet censor()": theirs, "censor, one at a time": ours_in_turn}
    return sides if len(paths) == 1 else {**sides, f"censor, {cores} workers": ours_on_all_cores}


def main() -> None:
    """Measure, print a table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=Path, help="folder of JPEGs, of about half a megapixel each")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    peer = NudeDetector()
    report: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "results": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        photos = sorted(options.photos.glob("*.jpg"))[:100] if options.photos else make_photos(folder, 100)
        large = make_large(folder)
        for title, paths, rounds in (
            ("one 12-MP JPEG", [large], 2 * options.rounds),
            (f"{len(photos)} photographs", photos, options.rounds),
        ):
            print(f"\n{title}, {rounds} alternating rounds")
            seconds = alternate(sides_for(paths, out, peer), rounds)
            base = statistics.median(seconds["nudenet censor()"])
            for side, values in seconds.items():
                median = statistics.median(values)
                ratio = statistics.median(b / a for a, b in zip(values, seconds["nudenet censor()"], strict=True))
                print(
                    f"  {side:24} {len(paths) / median:8.1f} pictures/s   {base / median:5.2f} x (paired {ratio:4.2f})"
                    f"   {1000 * median / len(paths):7.1f} ms each, {1000 * min(values) / len(paths):.1f} at best"
                )
            report["results"].append(  # type: ignore[attr-defined]
                {"title": title, "pictures": len(paths), "seconds": seconds}
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
