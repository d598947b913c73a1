"""An output whose name is taken: by the same, by what another machine makes of it, or by something else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, finder
from jobs import picture
from numpy.typing import NDArray
from PIL import Image

from censor.cluster.outputs import write_output
from censor.cluster.sources import Row
from censor.cluster.stores import Folder
from censor.errors import OutputExistsError
from censor.pipeline import Censor
from detect.pictures.still import decode

SOURCE = picture(1)
ROW = Row("/in/a.png", "a.png", None, None)
CENSOR = Censor("boxes", detector=finder(), classifiers=())
MADE = CENSOR.apply(SOURCE)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def written(there: bytes | None, folder: Path, censor: Censor = CENSOR, kind: str = "PNG") -> int:
    """`write_output` where a file is there already."""
    store = Folder(folder)
    if there is not None:
        store.create("a.png", there)
    try:
        return write_output(store, censor, ROW, MADE.encode(kind), MADE.redactions)
    finally:
        assert there is None or (folder / "a.png").read_bytes() == there  # whatever it is, it is left alone


def test_a_free_name_is_taken_and_the_same_bytes_are_the_same_output(tmp_path: Path) -> None:
    made = MADE.encode("PNG")
    assert written(None, tmp_path) == len(made)
    assert (tmp_path / "a.png").read_bytes() == made
    assert written(made, tmp_path) == len(made)


def other_bytes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels[-1, :3] ^= 255
    return pixels


def slightly_other_boxes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    window = MADE.redactions[0].region
    pixels[window.y0 : window.y1, window.x1] = pixels[window.y0 : window.y1, window.x1 - 1]
    return pixels


@pytest.mark.parametrize("change", [other_bytes, slightly_other_boxes])
def test_what_another_machine_makes_of_the_same_picture_counts(
    tmp_path: Path, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    there = encoded(change(MADE.image.copy()))
    assert there != MADE.encode("PNG")
    assert written(there, tmp_path) == len(there)


def uncensored(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return decode(SOURCE).pixels


def another(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return decode(picture(2, red=False)).pixels


def smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[:-8]


def see_through(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([pixels, np.full(pixels.shape[:2], 200, np.uint8)])


def showing_something(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels[34:38, 4:8] = RED
    return pixels


def hiding_nothing(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """No red, so that no look finds anything, and nothing hidden: the picture with its red made blue."""
    shown = decode(SOURCE).pixels.copy()
    shown[(shown == RED).all(axis=2)] = (20, 10, 250)
    return shown


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (uncensored, "shows something else"),
        (another, "shows something else"),
        (hiding_nothing, "shows something else"),
        (smaller, "it is PNG of 48 x 32 x 3, not PNG of 48 x 40 x 3"),
        (see_through, "48 x 40 x 4"),
        (showing_something, "a look at it finds FEMALE_BREAST_EXPOSED 0.90"),
    ],
)
def test_what_else_has_the_name_is_no_output(
    tmp_path: Path, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], why: str
) -> None:
    with pytest.raises(OutputExistsError, match=rf"a\.png: exists already, and is not .+ /in/a\.png: .*{why}"):
        written(encoded(change(MADE.image.copy())), tmp_path)


def test_what_is_no_picture_or_of_another_format_or_far_too_large_is_no_output(tmp_path: Path) -> None:
    for number, (there, why) in enumerate(
        [(b"words", "not a picture"), (encoded(MADE.image, "BMP"), "BMP"), (bytes(2**20), "twice as large")]
    ):
        with pytest.raises(OutputExistsError, match=why):
            written(there, tmp_path / str(number))


def test_what_moves_must_be_the_same_to_the_byte(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    store.create("a.png", b"other")
    with pytest.raises(OutputExistsError, match="to the byte"):
        write_output(store, CENSOR, ROW, b"moving", None)
