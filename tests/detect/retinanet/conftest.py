"""Small COCO sets of coloured squares, and the training script as a module."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from training_scripts import load_script, single_threaded

COLORS = {"RED": (220, 30, 30), "BLUE": (30, 30, 220)}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Path]]:
    """Draw pictures of red and blue squares on noise; gives the COCO file and the folder."""

    def draw(count: int = 6, *, seed: int = 0, side: int = 96) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("squares")
        rng = np.random.default_rng(seed)
        images, annotations = [], []
        for number in range(1, count + 1):
            height, width = side, side if number % 2 else side * 3 // 4
            pixels = rng.integers(90, 160, (height, width, 3), np.uint8)
            for category, color in enumerate(COLORS.values(), start=1):
                if rng.random() < 0.25:
                    continue
                w = int(rng.integers(20, 34))
                x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - w))
                pixels[y : y + w, x : x + w] = color
                row = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": 0}
                annotations.append(row | {"bbox": [x, y, w, w], "area": w * w})
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
            images.append({"id": number, "file_name": f"{number:02}.png", "width": width, "height": height})
        categories = [{"id": number, "name": name} for number, name in enumerate(COLORS, start=1)]
        file = folder / "boxes.json"
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        return file, folder

    return draw


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """`train_retinanet.py`, imported without being run."""
    return load_script("train_retinanet")
