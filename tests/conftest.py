"""What the tests share: pictures that they make or that a dependency ships."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from _pytest.assertion import rewrite
from fakes import RED
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

LONGEST = (
    "test_retinanet_sample_set.py",
    "test_train_classifier.py",
    "test_train_retinanet.py",
    "test_watch_command.py",
    "test_on_ray.py",
    "test_training_classifiers_docs.py",
    "test_retinanet_export.py",
    "test_page.py",
    "test_nothing_sent_or_left.py",
)
"""Files that take minutes, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """All processes share one list of fonts: where there is none, matplotlib makes it in seconds, and so would each."""
    if (cache := getattr(config, "cache", None)) is not None:
        os.environ.setdefault("MPLCONFIGDIR", str(cache.mkdir("matplotlib")))
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        rewrite_assertions(config)


def rewrite_assertions(config: pytest.Config) -> None:
    """Before there are workers: all import the same files in the same order, and each would rewrite every one of them.

    With pytest's own functions, so that it finds what it would have kept; if it does not, that costs time alone.
    """
    state = config.stash.get(rewrite.assertstate_key, None)
    if state is None or sys.dont_write_bytecode:  # --assert=plain, or nothing is kept
        return
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if not any(fnmatch(path.name, pattern) for pattern in ("conftest.py", *config.getini("python_files"))):
            continue
        folder = rewrite.get_cache_dir(path)
        kept = folder / f"{path.stem}{rewrite.PYC_TAIL}"
        if not rewrite.try_makedirs(folder) or rewrite._read_pyc(path, kept):
            continue
        version, code = rewrite._rewrite_test(path, config)
        rewrite._write_pyc(state, code, version, kept)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: some test always waits for something. Four at most: each takes a gigabyte."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Among several workers, start what takes longest first: nothing is left to share when one waits for it alone."""
    if hasattr(config, "workerinput"):
        place = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """NASA's public-domain portrait of Eileen Collins, 512 x 512 RGB."""
    image: NDArray[np.uint8] = skimage.data.astronaut()
    image.flags.writeable = False
    return image


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """64 x 96 of the portrait: no side equal, no symmetry."""
    return np.ascontiguousarray(astronaut[80:144, 170:266])


@pytest.fixture
def scene() -> NDArray[np.uint8]:
    """120 x 160 RGB noise, seeded, with 800 red pixels, like a chessboard's, in rows 30..70 and columns 50..90.

    Not a red rectangle: the mean of one colour is that colour, and no mosaic hides it.
    """
    image = np.random.default_rng(5).integers(40, 200, (120, 160, 3), np.uint8)
    image[30:70:2, 50:90:2] = image[31:70:2, 51:90:2] = RED
    return image


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Encode an array or a Pillow image with Pillow itself: ``encoded(image, "PNG", exif=…)``."""

    def encode(image: NDArray[np.uint8] | Image.Image, kind: str, **options: object) -> bytes:
        stream = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        if kind == "HEIF":
            import pillow_heif

            pillow_heif.from_pillow(picture).save(stream, **options)
        else:
            picture.save(stream, kind, **options)
        return stream.getvalue()

    return encode


@pytest.fixture(scope="session", autouse=True)
def _models_variable() -> Iterator[None]:
    """Tests see the models that `make` has fetched, whatever the user has added."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("CENSOR_MODELS"):
            patch.setenv("CENSOR_MODELS", str(Path(__file__).parent.parent / ".models"))
        yield


@pytest.fixture(scope="session")
def models_folder(_models_variable: None) -> Path:
    """The folder of all models that are known; not the user's own."""
    from detect.models.catalogue import KNOWN

    folder = Path(os.environ["CENSOR_MODELS"])
    missing = [known.name for known in KNOWN if not (folder / f"{known.name}.onnx").exists()]
    if missing:
        pytest.fail(f"no {', '.join(missing)} in {folder}; fetch all models once: make .models/.added")
    return folder
