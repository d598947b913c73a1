"""Labelled pictures and networks of which everything can be worked out beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, finder
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds

from censor.analysis.collection import Collection, unlabeled
from censor.analysis.looking import DETECTOR, Look, look_at
from censor.finding import Networks
from detect.evaluation.labeled import LabeledPicture, read_labeled

FACTS = {DETECTOR: {"file": "finder"}, "reds": {"file": "reds"}}


def colored(share: float, seed: int) -> NDArray[np.uint8]:
    """(48, 64, 3): smooth patches no two of which look alike, with so much of the first channel."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (6, 8, 3), np.uint8)
    patches[..., 0] = round(255 * share)
    return np.asarray(Image.fromarray(patches).resize((64, 48), Image.Resampling.BICUBIC)).copy()


def save(folder: Path, shares: Sequence[float], *, boxes: Sequence[int] = (), seed: int = 0) -> None:
    """One picture for each share of red; those at `boxes` have a square that `finder` finds."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, share in enumerate(shares):
        pixels = colored(share, seed + row)
        if row in boxes:
            pixels[8:24:2, 8:24:2] = pixels[9:24:2, 9:24:2] = RED
        Image.fromarray(pixels).save(folder / f"{row:03}.png")


def labeled_folder(folder: Path) -> Path:
    """Ten safe pictures and ten that stand for NSFW ones, most of which have more red; two and five have boxes."""
    save(folder / "SAFE", [0.05 * row for row in range(10)], boxes=[3, 7])
    save(folder / "NSFW", [0.3 + 0.06 * row for row in range(10)], boxes=[0, 2, 5, 8, 9], seed=100)
    return folder


def networks() -> Networks:
    return Networks(detector=finder(), classifiers=(Reds(),))


def looked(pictures: Sequence[LabeledPicture] | Path) -> Look:
    return look_at(read_labeled(pictures) if isinstance(pictures, Path) else pictures, networks(), FACTS)


def look_with(monkeypatch: pytest.MonkeyPatch, given: Networks, facts: Mapping[str, Mapping[str, str]] = FACTS) -> None:
    """Let commands look with these networks in the place of those that are installed, and draw few times."""
    monkeypatch.setattr("censor.cli.labeled._networks", lambda *_: (given, facts))
    monkeypatch.setattr("censor.analysis.evaluate.RESAMPLES", 20)


def collection(folder: Path, *, count: int = 12) -> Collection:
    """So many pictures, ever redder; the last is there twice, and one cannot be read. The third has a box."""
    save(folder, [row / count for row in range(count)], boxes=[2])
    Image.fromarray(colored((count - 1) / count, count - 1)).resize((96, 72)).save(folder / "copy.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    look = look_at(unlabeled(sorted(folder.iterdir())), networks(), FACTS)
    return Collection.of(look, ["film.mp4: a film"])
