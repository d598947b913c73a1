"""Pictures that not every viewer shows alike: the verdict is the worst, and what any of them shows is hidden."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fakes import RED, RedFinder
from making import SRGB, bmp, exif_block, gama, iccp, matrix_profile, png
from numpy.typing import NDArray
from PIL import Image

from censor import Censor, Policy, Rule
from censor.media.encoding import encode
from censor.verdict import Level
from censor.views import upright, views_of
from detect.detections import Detections
from detect.pictures.alpha import over
from detect.pictures.still import Reading, decode

LABEL = "FEMALE_BREAST_EXPOSED"
CENSOR = Censor(
    policy=Policy(
        name="test", rules={LABEL: Rule(censor_at=0.5, nsfw_at=0.5, shape="box", expand=0.0, effect="solid")}
    ),
    detector=RedFinder(),
)
LINEAR = matrix_profile(SRGB, 1.0)


@pytest.fixture
def drawn() -> NDArray[np.uint8]:
    image = np.full((80, 120, 3), 128, np.uint8)
    image[20:40, 30:60] = RED
    return image


def webp(image: NDArray[np.uint8], orientation: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", lossless=True, exif=b"Exif\0\0" + exif_block(orientation))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["profile", "gamma", "broken profile", "calibrated"])
def test_what_the_bare_numbers_show_counts_and_is_hidden(drawn: NDArray[np.uint8], kind: str) -> None:
    data = {
        "profile": png(drawn, [iccp(LINEAR)]),
        "gamma": png(drawn, [gama(0.2)]),
        "broken profile": png(drawn, [iccp(LINEAR[:8] + b"\x05" + LINEAR[9:])]),
        "calibrated": bmp(drawn, space=b"\0\0\0\0", gamma=1),
    }[kind]
    assert CENSOR.check(data).verdict.level is Level.NSFW
    result = CENSOR.apply(data)
    assert result.verdict is not None
    assert result.verdict.level is Level.NSFW
    assert [each.xyxy for each in result.redactions] == [(30, 20, 60, 40)]
    assert (result.image[20:40, 30:60] == 0).all()
    assert result.picture.readings == ()
    again = decode(encode(result.picture, format="PNG"))
    assert again.readings == ()
    assert (again.pixels == result.image).all()


def test_what_only_a_broken_profile_shows_counts_and_is_hidden() -> None:
    """Levels that linear light turns into the red which is looked for, in a profile that browsers ignore."""
    image = np.full((80, 120, 3), 128, np.uint8)
    levels = np.arange(256, dtype=np.uint8)
    shown = decode(png(np.repeat(levels[None, :, None], 3, axis=2), [iccp(LINEAR)])).pixels[0, :, 0]
    near = np.array([int(np.abs(shown.astype(int) - each).argmin()) for each in RED], np.uint8)
    image[20:40, 30:60] = near
    target = tuple(int(shown[each]) for each in near)

    class Finder(RedFinder):
        def _find(self, picture: NDArray[np.uint8]) -> Detections:
            return super()._find(
                np.where((picture == target).all(axis=2, keepdims=True), RED, picture).astype(np.uint8)
            )

    censor = Censor(policy=CENSOR.policy, detector=Finder())
    broken = png(image, [iccp(LINEAR[:8] + b"\x05" + LINEAR[9:])])
    assert Censor(policy=CENSOR.policy, detector=Finder()).check(png(image)).verdict.level is Level.SAFE
    assert censor.check(broken).verdict.level is Level.NSFW
    result = censor.apply(broken)
    assert (result.image[20:40, 30:60] == 0).all()
    assert (result.image[:20] == image[:20]).all()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_boxes_in_a_turned_reading_lie_where_the_picture_has_them(drawn: NDArray[np.uint8], orientation: int) -> None:
    (reading,) = decode(webp(drawn, orientation)).readings
    found = RedFinder().detect([reading.pixels])[0]
    assert upright(found, reading).xyxy.tolist() == [[30, 20, 60, 40]]
    assert upright(Detections.empty(found.names), reading).xyxy.shape == (0, 4)


def test_a_reading_that_is_not_turned_leaves_boxes_alone(drawn: NDArray[np.uint8]) -> None:
    found = RedFinder().detect([drawn])[0]
    assert upright(found, Reading(drawn)).xyxy.tolist() == found.xyxy.tolist()


def test_what_shows_on_a_grey_page_alone_is_looked_at() -> None:
    """Noise that cancels out half way between black and white: straight, on black and on white it is all there is."""
    rng = np.random.default_rng(3)
    cover = rng.choice([40, 215], (80, 120)).astype(int)  # how much of the page shows through
    wanted = np.full((80, 120), 90)
    wanted[20:40, 30:60] = 160
    alpha = 255 - cover
    color = np.clip((wanted - cover * 128 / 255) * 255 / alpha, 0, 255)
    rgba = np.dstack([color, color, color, alpha]).round().astype(np.uint8)
    seen = list(views_of(rgba))
    assert len(seen) == 4
    assert (seen[3] == over(rgba, 128)).all()
    contrast = [float(each[22:38, 32:58, 0].mean() - each[50:70, :, 0].mean()) / float(each[50:70, :, 0].std() + 1)
                for each in seen]  # fmt: skip
    assert max(contrast[:3]) < 2 * contrast[3]


def test_smooth_edges_are_no_reason_to_look_at_grey() -> None:
    rgba = np.full((80, 120, 4), 255, np.uint8)
    rgba[20:40, 30:60, 3] = 0
    rgba[19:41, 29, 3] = rgba[19:41, 60, 3] = 128
    assert len(list(views_of(rgba))) == 3
    rgba[..., 3] = 255
    assert len(list(views_of(rgba))) == 1
    rgba[:9, :9, 3] = 128
    assert len(list(views_of(rgba[:9, :9]))) == 4
