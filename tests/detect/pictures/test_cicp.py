"""Numbers that stand for colours: what shows a colour of sRGB, worked out by hand and there and back."""

from __future__ import annotations

import numpy as np
import pytest

from detect.pictures.cicp import SRGB, Cicp, lit, unknown
from detect.pictures.color import settle

WHITE, BLACK = np.array((255, 255, 255), np.uint8), np.zeros(3, np.uint8)


@pytest.mark.parametrize(("transfer", "share"), [(16, 0.58), (18, 0.75)])
def test_white_is_diffuse_white_and_black_is_black(transfer: int, share: float) -> None:
    """BT.2408-7, table 1: 203 cd/m² are 58 % of PQ's signal and 75 % of HLG's."""
    cicp = Cicp(9, transfer)
    assert cicp.coded(WHITE).tolist() == [round(255 * share)] * 3
    assert cicp.coded(BLACK).tolist() == [0, 0, 0]


@pytest.mark.parametrize("cicp", [Cicp(9, 16), Cicp(9, 18), Cicp(12, 16)])
def test_what_is_coded_is_shown_half_as_bright(cicp: Cicp) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (4, 50, 3)).astype(np.uint8)
    linear = SRGB.coded(colors) / 255
    wanted = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4) / 2
    shown = cicp.tone_mapped(cicp.coded(colors)) / 255
    back = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    assert np.abs(back - wanted).max() < 0.03


@pytest.mark.parametrize("cicp", [Cicp(9, 14, video=True), Cicp(9, 8), Cicp(5, 5)])
def test_what_is_coded_in_other_colors_is_shown_as_it_was(cicp: Cicp) -> None:
    colors = np.random.default_rng(1).integers(32, 256, (4, 50, 3)).astype(np.uint8)
    coded = cicp.coded(colors)
    shown = settle(coded, (cicp,), "it").pixels
    assert coded.shape == colors.shape
    assert np.abs(coded.astype(int) - colors).max() > 8
    assert np.abs(shown.astype(int) - colors).mean() < 1


@pytest.mark.parametrize(("peak", "light"), [(100, 1), (203, 1), (300, 0.878), (1000, 0.5), (4000, 0.5)])
def test_white_is_the_darker_the_more_light_is_said_to_be_above_it(peak: float, light: float) -> None:
    """ST 2094-50, D.2: 1 - log(peak / 203) / log(1000 / 203) / 2, and no less than half."""
    white = np.full((1, 1, 3), WHITE)
    for transfer in (16, 18):
        cicp = Cicp(9, transfer, peak=peak)
        shown = float(cicp.tone_mapped(cicp.coded(white))[0, 0, 0]) / 255
        assert abs(((shown + 0.055) / 1.055) ** 2.4 - light) < 0.03


def test_what_is_said_of_light_counts_and_what_nobody_says_too() -> None:
    dark, usual = Cicp(9, 16, peak=300), Cicp(9, 16)
    assert lit(usual, [300, 0, 300]) == [dark, usual]
    assert lit(usual, []) == [usual]
    assert lit(SRGB, [300]) == [SRGB]
    assert not unknown(Cicp(9, 16, peak=10_000))
    assert unknown(Cicp(9, 16, peak=10_001))
