from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from censor import effects
from censor.masks import Region, region

STAMP = np.random.default_rng(1).integers(0, 256, (31, 17, 4), np.uint8)


def every_effect(image: NDArray[np.uint8], area: Region) -> dict[str, NDArray[np.uint8]]:
    return {
        "pixelate": effects.pixelate(image, area),
        "blur": effects.blur(image, area),
        "solid": effects.solid(image, area, color=(1, 2, 3)),
        "sticker": effects.sticker(image, area, sticker=STAMP, color=(1, 2, 3)),
    }


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def test_pixelate_shows_the_means_of_squares() -> None:
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, :8] = (10, 20, 30)
    image[0:4, 8:12] = (100, 0, 0)
    image[0, 8] = (104, 16, 0)  # one of 16 pixels
    shown = effects.pixelate(image, Region(0, 0, 16, 8), cells=4)
    assert (shown[:, :8] == (10, 20, 30)).all()
    assert (shown[0:4, 8:12] == (100, 1, 0)).all()  # (15 * 100 + 104) / 16 = 100.25, 16 / 16 = 1
    assert (shown[4:, 8:] == 0).all()


def test_the_last_cells_are_means_of_what_is_there() -> None:
    image = np.zeros((4, 14, 3), np.uint8)
    image[:, 12:] = 90
    shown = effects.pixelate(image, Region(0, 0, 14, 4), cells=3)  # cells of 5, 5 and 4 columns
    assert (shown[:, :10] == 0).all()
    assert (shown[:, 10:] == 45).all()
    image[:, 8:10] = 90
    shown = effects.pixelate(image, Region(0, 0, 10, 4), cells=3)  # of 4 and 6: two columns are no cell
    assert (shown[:, :4] == 0).all()
    assert (shown[:, 4:10] == 30).all()
    blurred = effects.blur(image, Region(0, 0, 10, 4), cells=3)
    assert (blurred[:, 8:10] == blurred[:, 7:8]).all()


def test_small_regions_get_fewer_cells() -> None:
    image = noise(8, 8)
    shown = effects.pixelate(image, Region(0, 0, 8, 8), cells=8)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 4  # cells of four pixels, not of one


def test_blur_is_flat_where_the_picture_is_and_smooth_where_not() -> None:
    image = np.full((60, 60, 3), 77, np.uint8)
    assert (effects.blur(image, Region(5, 5, 55, 55)) == 77).all()
    image[:, 30:] = 200
    shown = effects.blur(image, Region(0, 0, 60, 60))[30, :, 0].astype(int)
    assert np.abs(np.diff(shown)).max() < 20


def test_solid_shows_one_color() -> None:
    shown = effects.solid(noise(20, 20), Region(5, 6, 15, 16), color=(9, 8, 7))
    assert (shown[6:16, 5:15] == (9, 8, 7)).all()


def test_a_sticker_keeps_its_proportions_and_shows_no_picture() -> None:
    stamp = np.zeros((10, 20, 4), np.uint8)
    stamp[:, :, 0], stamp[:, :, 3] = 255, 255
    stamp[0, 0, 3] = 0
    area = Region(0, 0, 40, 40)
    shown = effects.sticker(noise(40, 40), area, sticker=stamp, color=(0, 0, 9))
    assert (shown[:10] == (0, 0, 9)).all()
    assert (shown[15:25, 10:30] == (255, 0, 0)).all()
    other = effects.sticker(noise(40, 40, seed=7), area, sticker=stamp, color=(0, 0, 9))
    assert (shown == other).all()


@given(
    st.integers(1, 60), st.integers(1, 60), st.sampled_from([3, 4]), st.sampled_from(["box", "rounded", "ellipse"]),
    st.sampled_from([0.0, 0.3]), st.integers(0, 9),
)  # fmt: skip
def test_outside_the_region_nothing_changes_and_the_original_never_does(
    width: int, height: int, channels: int, shape: str, feather: float, seed: int
) -> None:
    image = noise(70, 80, channels, seed)
    before = image.copy()
    area = region((11.5, 7.2, 11.5 + width, 7.2 + height), width=80, height=70, shape=shape, feather=feather)
    assert area is not None
    beyond = np.ones((70, 80), np.uint8)
    area.of(beyond)[area.cover > 0 if area.cover is not None else slice(None)] = 0
    outside = beyond > 0
    for name, shown in every_effect(image, area).items():
        assert shown is not image
        assert (image == before).all(), name
        assert (shown[outside] == before[outside]).all(), name
        if channels == 4:
            assert (area.of(shown)[..., 3][area.cover == 255 if area.cover is not None else slice(None)] == 255).all()


@given(st.integers(5, 90), st.integers(5, 90), st.integers(1, 8), st.integers(0, 99))
def test_equal_cell_means_give_equal_outputs(width: int, height: int, cells: int, seed: int) -> None:
    """The information bound: shuffling the pixels inside every cell keeps its mean, and must change nothing."""
    image = noise(height, width, seed=seed)
    side = max(-(-max(width, height) // cells), 4)
    rng = np.random.default_rng(seed + 1)
    other = image.copy()
    for top in range(0, height, side):
        for left in range(0, width, side):
            cell = other[top : top + side, left : left + side]
            cell[:] = rng.permutation(cell.reshape(-1, 3)).reshape(cell.shape)
    area = Region(0, 0, width, height)
    assert -(-max(width, height) // side) <= 8
    for effect in (effects.pixelate, effects.blur):
        assert (effect(image, area, cells=cells) == effect(other, area, cells=cells)).all()


@pytest.mark.parametrize("name", ["solid", "sticker"])
def test_solid_and_sticker_show_a_function_of_nothing(name: str) -> None:
    area = region((10, 10, 40, 30), width=60, height=50, shape="box")
    assert area is not None
    one, other = every_effect(noise(50, 60, seed=1), area)[name], every_effect(noise(50, 60, seed=2), area)[name]
    assert (area.of(one) == area.of(other)).all()


def test_means_come_from_the_original_not_from_what_was_painted() -> None:
    image = noise(40, 40)
    first, second = Region(0, 0, 20, 20), Region(10, 10, 30, 30)
    canvas = effects.solid(image, first)
    both = effects.pixelate(image, second, out=canvas)
    assert both is canvas
    assert (second.of(both) == second.of(effects.pixelate(image, second))).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_in_place_gives_what_a_copy_does(channels: int) -> None:
    area = region((5, 5, 25, 20), width=40, height=40, shape="ellipse", feather=0.3)
    assert area is not None
    for name, effect in (("pixelate", effects.pixelate), ("blur", effects.blur), ("solid", effects.solid)):
        image = noise(40, 40, channels)
        copied = effect(image, area)
        assert effect(image, area, out=image) is image
        assert (image == copied).all(), name
    image = noise(40, 40, channels)
    copied = effects.sticker(image, area, sticker=STAMP)
    assert (effects.sticker(image, area, sticker=STAMP, out=image) == copied).all()


def test_a_soft_edge_mixes_by_its_cover() -> None:
    image = np.full((1, 3, 3), 100, np.uint8)
    cover = np.array([[255, 51, 0]], np.uint8)
    shown = effects.solid(image, Region(0, 0, 3, 1, cover), color=(0, 0, 0))
    assert shown[0, :, 0].tolist() == [0, 80, 100]  # 100 * (255 - 51) / 255 = 80


@pytest.mark.parametrize("cells", [0, 9])
@pytest.mark.parametrize("effect", [effects.pixelate, effects.blur])
def test_more_cells_than_the_bound_are_refused(effect: object, cells: int) -> None:
    with pytest.raises(ValueError, match=r"cells must lie in 1\.\.8"):
        effect(noise(9, 9), Region(0, 0, 9, 9), cells=cells)  # type: ignore[operator]
