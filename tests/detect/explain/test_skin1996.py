import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detect.classifier.scores import Classifier
from detect.explain.limbs import Segment, joined_limbs, limbs_on_trunk, segments_of
from detect.explain.skin1996 import Opponent, Skin1996, grown_skin, opponent, skin, steps

TONE = (205, 150, 120)
"""A color within the ranges."""


def colors(hue: float, saturation: float, texture: float = 0) -> Opponent:
    plane = np.ones((3, 3), np.float32)
    return Opponent(hue=hue * plane, saturation=saturation * plane, texture=texture * plane)


@pytest.mark.parametrize(
    ("hue", "saturation", "texture", "found"),
    [
        (111, 21, 4.9, True), (110, 40, 0, False), (149, 21, 0, True), (150, 21, 0, False), (120, 20, 0, False),
        (120, 59, 0, True), (120, 60, 0, False),
        (131, 129, 4.9, True), (131, 130, 0, False), (169, 31, 0, True), (170, 31, 0, False), (160, 30, 0, False),
        (140, 100, 5, False), (120, 40, 5, False), (-120, 40, 0, False),
    ],
)  # fmt: skip
def test_skin_is_what_the_paper_states(hue: float, saturation: float, texture: float, found: bool) -> None:
    """Texture < 5, and 110 < hue < 150 with 20 < saturation < 60, or 130 < hue < 170 with 30 < saturation < 130."""
    assert skin(colors(hue, saturation, texture)).all() == found


@pytest.mark.parametrize(
    ("hue", "saturation", "belongs"),
    [(111, 1, True), (179, 129, True), (110, 50, False), (180, 50, False), (150, 130, False), (150, 0, False)],
)
def test_what_touches_skin_belongs_to_it_in_wider_ranges(hue: float, saturation: float, belongs: bool) -> None:
    seeds = np.zeros((3, 3), np.bool_)
    seeds[0, 0] = True
    assert grown_skin(seeds, colors(hue, saturation, 99)).all() == belongs
    assert not grown_skin(np.zeros_like(seeds), colors(150, 50)).any()


def test_log_opponent_colors_by_hand() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:] = (99, 9, 0)  # L = 210, 105, 0
    image[15, 15] = 0  # no light is 0
    seen = opponent(image)
    assert seen.hue[30, 30] == pytest.approx(np.degrees(np.arctan2(105, -157.5)))
    assert seen.saturation[30, 30] == pytest.approx(np.hypot(105, 157.5))
    assert seen.texture.max() == 0  # one pixel is no texture


def test_what_is_dark_throughout_counts_as_no_light() -> None:
    image = np.full((40, 40, 3), 50, np.uint8)
    image[:, 20:, 0] += 9
    assert opponent(image).saturation[20, 30] == pytest.approx(np.hypot(105, 52.5))
    assert opponent(image).saturation[20, 5] == 0


def test_noise_has_texture() -> None:
    image = np.random.default_rng(2).integers(60, 200, (40, 40, 3)).astype(np.uint8)
    assert opponent(image).texture.min() > 5


def test_a_tone_of_skin_is_skin_and_a_leaf_is_none() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[15:60, 15:60], image[60:90, 60:90] = TONE, (60, 150, 40)
    seen = steps(image).grown
    assert seen[20:50, 20:50].all()
    assert not seen[65:, 65:].any()


def test_large_pictures_are_looked_at_in_the_papers_size(astronaut: NDArray[np.uint8]) -> None:
    assert steps(astronaut[:, :256]).image.shape == (213, 107, 3)


def bar(canvas: NDArray[np.uint8], start: tuple[int, int], end: tuple[int, int], width: int) -> None:
    cv2.line(canvas, start, end, 1, width)


def test_a_bar_is_a_segment_and_a_square_is_none() -> None:
    canvas = np.zeros((120, 160), np.uint8)
    bar(canvas, (20, 30), (100, 60), 11)
    (found,) = segments_of(canvas > 0)
    assert found.length == pytest.approx(np.hypot(80, 30), abs=14)
    assert found.width == pytest.approx(11, abs=3)
    assert found.angle % 180 == pytest.approx(np.degrees(np.arctan2(30, 80)), abs=3)
    assert found.center == pytest.approx((60, 45), abs=3)
    square = np.zeros((120, 160), np.bool_)
    square[20:80, 20:80] = True
    assert not [each for each in segments_of(square) if each.width > 20]


def segment(x: float, y: float, length: float, width: float, angle: float = 0) -> Segment:
    return Segment(center=(x, y), length=length, width=width, angle=angle)


def test_limbs_are_two_of_like_width_that_meet() -> None:
    upper, lower = segment(0, 0, 40, 10), segment(24, 22, 40, 8, 90)  # from (20, 0) and (24, 2)
    assert joined_limbs((upper, lower)) == ((0, 1),)
    assert joined_limbs((upper, segment(24, 22, 40, 4, 90))) == ()  # thinner by more than half
    assert joined_limbs((upper, segment(60, 22, 40, 8, 90))) == ()  # farther away than it is wide


def test_a_trunk_is_wider_and_has_a_limb_at_an_end() -> None:
    trunk, limb = segment(0, 0, 90, 50), segment(60, 30, 50, 12, 90)
    assert limbs_on_trunk((limb, trunk)) == ((1, 0),)
    assert limbs_on_trunk((limb, segment(0, 0, 90, 20))) == ()
    assert limbs_on_trunk((segment(160, 30, 50, 12, 90), trunk)) == ()
    assert trunk.corners.shape == (4, 2)


def test_the_score_follows_the_steps() -> None:
    little, much = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100, 3), np.uint8)
    little[20:50, 20:50] = TONE
    much[15:95, 15:95] = TONE
    classifier = Skin1996()
    assert isinstance(classifier, Classifier)
    few, many = classifier.classify([little, much], heat=True)
    assert few.probability == pytest.approx(0.4 * steps(little).share / 0.3)
    assert many.probability == pytest.approx(0.4)
    assert few.heat is not None
    assert few.heat.shape == (8, 8)
    assert few.heat[2, 2] > 0.9
    assert classifier.classify([little])[0].heat is None


def test_jointed_bars_of_skin_are_limbs_and_with_a_wider_one_a_trunk() -> None:
    canvas = np.zeros((150, 170, 3), np.uint8)
    canvas[20:130, 20:85] = TONE
    cv2.line(canvas, (84, 30), (140, 30), TONE, 16)
    cv2.line(canvas, (150, 36), (150, 100), TONE, 16)
    seen = steps(canvas)
    assert seen.share > 0.3
    assert seen.score == 1
    assert {round(seen.segments[each].width / 16) for pair in seen.limbs for each in pair} == {1}
    assert next(round(seen.segments[trunk].width) for trunk, _ in seen.trunks) == 65


@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 500, 3)])
def test_any_picture_has_an_answer(shape: tuple[int, int, int]) -> None:
    assert Skin1996().classify([np.zeros(shape, np.uint8)])[0].probability == 0
