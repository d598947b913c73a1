import io

import numpy as np
from fakes import RED, finder
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from censor.analysis.thumbnails import censored_thumbnail


def red_on_stripes() -> NDArray[np.uint8]:
    """(480, 640, 3): a red square on stripes of eight pixels."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, np.arange(640) % 16 < 8] = 255
    pixels[100:200, 300:400] = RED
    return pixels


def censor() -> Censor:
    return Censor("strict", detector=finder(), classifiers=())


def test_what_is_found_is_hidden_and_the_rest_is_seen() -> None:
    small = censored_thumbnail(red_on_stripes(), censor(), side=160)
    assert small.refused is None
    assert small.pixels.shape == (120, 160, 3)
    assert small.pixels[30:45, 80:95].min() > 225  # solid white
    assert np.ptp(small.pixels[:, :60]) > 200  # stripes
    decoded = np.asarray(Image.open(io.BytesIO(small.encode())))
    assert np.abs(decoded.astype(int) - small.pixels).mean() < 5


def test_a_small_picture_is_not_made_larger() -> None:
    assert censored_thumbnail(red_on_stripes()[:30, :40], censor()).pixels.shape == (30, 40, 3)


def test_a_picture_may_be_hidden_from_edge_to_edge() -> None:
    small = censored_thumbnail(red_on_stripes(), censor(), whole=True)
    assert small.refused is None
    assert np.ptp(small.pixels) == 0


def test_what_cannot_be_censored_is_plain_gray_and_says_why() -> None:
    shown = censored_thumbnail(b"no picture", censor(), side=80)
    assert shown.pixels.shape == (60, 80, 3)
    assert np.ptp(shown.pixels) == 0
    assert shown.refused is not None
    assert "picture" in shown.refused
