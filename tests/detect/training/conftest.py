"""Class folders of drawn discs and bars, and the training script as a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from training_scripts import load_script, single_threaded

COLORS = {"disc": (220, 40, 40), "bar": (40, 40, 220)}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """`train_classifier.py`, imported without being run."""
    return load_script("train_classifier")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Draw red discs and blue bars on noise; gives the folder, which has one for each."""

    def draw(count: int = 8, *, seed: int = 0, colors: Mapping[str, tuple[int, int, int]] = COLORS) -> Path:
        folder = tmp_path_factory.mktemp("shapes")
        rng = np.random.default_rng(seed)
        for name, color in colors.items():
            (folder / name).mkdir()
            for number in range(count):
                pixels = rng.integers(90, 160, (48, 64, 3), np.uint8)
                radius = int(rng.integers(10, 16))
                x, y = int(rng.integers(radius, 64 - radius)), int(rng.integers(radius, 48 - radius))
                rows, columns = np.ogrid[:48, :64]
                near = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
                pixels[near if name == "disc" else (abs(rows - y) < radius // 2) & (abs(columns - x) < radius)] = color
                Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
        return folder

    return draw
