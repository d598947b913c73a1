"""Several pictures that are judged together come out as each would alone."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_classifiers import RedSeer, picture
from fakes import RED, RedFinder
from numpy.typing import NDArray
from PIL import Image

from censor import Censor, Policy, Rule
from censor.checking import settled, together
from censor.errors import ClassifierError, DetectorError, PolicyError
from censor.results import Checked
from censor.rules import PictureRule
from detect.classifier.scores import Scores
from detect.detections import Detections, RGBImage
from detect.errors import AnimatedImageError, DamagedImageError, ReadError

LABEL = "FEMALE_BREAST_EXPOSED"
POLICY = Policy(
    name="own",
    rules={LABEL: Rule(censor_at=0.5, nsfw_at=0.5)},
    picture=PictureRule(review_at=0.2, nsfw_at=0.9, heat_at=0.5, hide_at=0.5),
    heat=Rule(),
)


class Finder(RedFinder):
    """Notes how many pictures each run has, and fails on those of 44 rows."""

    def __init__(self) -> None:
        super().__init__(tolerance=8)
        self.sizes: list[int] = []

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self.sizes.append(len(images))
        if any(len(image) == 44 for image in images):
            raise RuntimeError("no room")
        return super().detect(images)


class Seer(RedSeer):
    """Notes it too, and fails on those of 52 rows."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        self.sizes.append(len(images))
        if any(len(image) == 52 for image in images):
            raise RuntimeError("no room here either")
        return super().classify(images, heat=heat)


def marked(left: int, *, rows: int = 64) -> NDArray[np.uint8]:
    pixels = np.full((rows, 80, 3), 90, np.uint8)
    pixels[8:24, left : left + 16] = RED
    return pixels


def encoded(pixels: NDArray[np.uint8], format: str = "PNG") -> bytes:  # noqa: A002  # Pillow's own word
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format)
    return out.getvalue()


def censor() -> tuple[Censor, Finder, Seer]:
    finder, seer = Finder(), Seer()
    return Censor(POLICY, detector=finder, classifiers=[seer]), finder, seer


def told(checked: Checked | Exception) -> object:
    """What there is to compare of a result."""
    if isinstance(checked, Exception):
        return type(checked), str(checked)
    boxes, scores = checked.detections, checked.scores["red"]
    heat = None if scores.heat is None else scores.heat.tolist()
    return checked.verdict, boxes.xyxy.tolist(), scores.values.tolist(), heat, checked.width, checked.height


def alone(source: bytes | Path) -> Checked | Exception:
    one, *_ = censor()
    try:
        return one.check(source)
    except Exception as error:  # noqa: BLE001  # which is what is compared
        return error


def test_each_comes_out_as_alone_and_each_network_runs_once() -> None:
    sources = [encoded(marked(4 * each)) for each in range(5)]
    one, finder, seer = censor()
    checks = one.check_together(sources)
    assert [told(each) for each in checks] == [told(alone(source)) for source in sources]
    assert (finder.sizes, seer.sizes[0]) == ([5], 5)
    assert all(settled(each).seconds.keys() == {"decode", "detect"} for each in checks)


def test_one_that_fails_fails_alone() -> None:
    whole = encoded(marked(20))
    sources: list[bytes | Path] = [
        whole,
        whole[:-30],
        encoded(marked(24, rows=44)),
        Path("/nowhere/gone.png"),
        encoded(marked(28)),
        encoded(marked(32, rows=52)),
    ]
    one, finder, _ = censor()
    checks = one.check_together(sources)
    kinds = [type(each) for each in checks]
    assert kinds == [Checked, DamagedImageError, DetectorError, ReadError, Checked, ClassifierError]
    assert [told(each) for each in checks] == [told(alone(source)) for source in sources]
    assert finder.sizes == [4, 1, 1, 1, 1]  # together, which failed, and then each by itself
    with pytest.raises(DamagedImageError):
        settled(checks[1])


def test_what_failed_holds_no_pixels() -> None:
    """Else eight damaged pictures of a hundred megapixels would be in memory at once."""
    seen: list[weakref.ref[RGBImage]] = []

    class Failing(Finder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            seen.extend(map(weakref.ref, images))
            raise RuntimeError("no room")

    large = np.zeros((1200, 1200, 3), np.uint8)
    failing = Censor(POLICY, detector=Failing(), classifiers=[Seer()])
    checks = failing.check_together([encoded(large, "BMP"), encoded(marked(4)), encoded(marked(8))])
    gc.collect()
    assert [type(each) for each in checks] == [DetectorError] * 3
    assert len(seen) == 1 + 2 + 2
    assert all(each() is None for each in seen)


def test_an_error_that_is_its_own_cause_ends_nothing() -> None:
    class Odd(Finder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            error = DetectorError(f"no room for {len(images)}")
            raise error from error

    odd = Censor(POLICY, detector=Odd(), classifiers=[Seer()])
    (checked,) = odd.check_together([encoded(marked(4))])
    assert isinstance(checked, DetectorError)


def test_what_is_looked_at_more_than_once_is_asked_about_alone() -> None:
    """Transparency has several views, and a large picture that is no JPEG is shrunk first."""
    clear = np.dstack([marked(20), np.full((64, 80), 200, np.uint8)])
    large = np.full((1500, 1500, 3), 90, np.uint8)
    large[100:400, 100:400] = RED
    sources = [encoded(marked(4)), encoded(clear), encoded(large, "BMP"), encoded(marked(8))]
    one, finder, _ = censor()
    checks = one.check_together(sources)
    assert [told(each) for each in checks] == [told(alone(source)) for source in sources]
    assert finder.sizes.count(2) == 1
    assert set(finder.sizes) == {1, 2}


def test_a_map_that_is_wanted_is_one_of_its_own_picture() -> None:
    spots = [(slice(8 * each, 8 * each + 16), slice(16, 32)) for each in range(4)]
    sources = [encoded(picture(spot, size=64)) for spot in spots]
    one, *_ = censor()
    checks = [settled(each) for each in one.check_together(sources)]
    assert [told(each) for each in checks] == [told(alone(source)) for source in sources]
    assert len({str(each.scores["red"].heat) for each in checks}) == 4


def test_an_animation_says_that_it_moves() -> None:
    out = io.BytesIO()
    first, *rest = [Image.fromarray(marked(4 * each)) for each in range(3)]
    first.save(out, "GIF", save_all=True, append_images=rest, duration=100)
    one, *_ = censor()
    still, moving = one.check_together([encoded(marked(4)), out.getvalue()])
    assert isinstance(still, Checked)
    assert isinstance(moving, AnimatedImageError)


def test_nothing_is_judged_without_a_rule_for_it() -> None:
    hides = Policy(name="hides", rules={LABEL: Rule(censor_at=0.5)})
    with pytest.raises(PolicyError):
        Censor(hides, detector=Finder()).check_together([])
    one, *_ = censor()
    assert one.check_together([]) == []


def test_few_pictures_are_left_to_all_workers() -> None:
    assert [together(pictures, 2) for pictures in (0, 1, 7, 16, 64, 1000)] == [1, 1, 1, 4, 8, 8]
