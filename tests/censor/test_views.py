"""Pictures that are reduced before the detector sees them, painted in place, and looked at again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import simplejpeg
from fakes import FACES_JUDGED, RED, RedFinder, finder
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from censor.masks import Region
from censor.media.encoding import encode
from censor.policy_toml import load_policy
from censor.redact import Redaction
from censor.views import Canvas, Views
from detect import Detections
from detect.errors import DamagedImageError
from detect.pictures.still import Picture, decode
from detect.reduction import reduction

BLACK = load_policy("boxes").each(effect="solid")


class Shrinking(RedFinder):
    """A `RedFinder` of nearly red, which says that it shrinks pictures, and remembers what it saw."""

    def __init__(self, spare: float) -> None:
        inner = finder()
        super().__init__(others=inner.names[1:])
        self.spare = spare
        self.seen: list[tuple[int, ...]] = []

    def spare_factor(self, height: int, width: int) -> float:
        self.asked = (height, width)
        return self.spare

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.seen += [image.shape[:2] for image in images]
        return super().detect([np.where(np.abs(image - np.array(RED)).max(axis=2, keepdims=True) < 60, RED, image)
                               .astype(np.uint8) for image in images])  # fmt: skip


def scene(
    height: int = 320, width: int = 480, box: tuple[int, int, int, int] = (160, 80, 240, 160)
) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 128, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = RED
    return image


def jpeg(image: NDArray[np.uint8], orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


def test_check_decodes_no_more_than_the_detector_looks_at() -> None:
    detector = Shrinking(spare=12.4)
    checked = Censor("boxes", detector=detector).check(jpeg(scene()))
    assert detector.seen == [(40, 60)]
    assert detector.asked == (320, 480)
    assert (checked.width, checked.height) == (480, 320)
    assert checked.detections.xyxy[0].tolist() == [160, 80, 240, 160]


class Watching(Shrinking):
    """Keeps the pixels it was shown."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.shown = [*getattr(self, "shown", []), *(image.copy() for image in images)]
        return super().detect(images)


def test_a_whole_check_sees_what_hiding_sees() -> None:
    # Levels that are cut off at black and white: averaged before that by the JPEG decoder, and after it by us.
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (320, 480, 3), p=[0.2, 0.8])
    data, whole, hiding, small = jpeg(noise), Watching(spare=12.0), Watching(spare=12.0), Watching(spare=12.0)
    Censor("boxes", detector=whole).check(data, whole=True)
    Censor("boxes", detector=hiding).apply(data)
    Censor("boxes", detector=small).check(data)
    np.testing.assert_array_equal(whole.shown[0], hiding.shown[0])
    assert whole.shown[0].shape == small.shown[0].shape
    assert np.abs(whole.shown[0].astype(int) - small.shown[0]).mean() > 1


def test_boxes_in_a_turned_and_reduced_jpeg_lie_in_the_upright_picture() -> None:
    detector = Shrinking(spare=6.0)
    checked = Censor("boxes", detector=detector).check(jpeg(scene(321, 483), orientation=6))
    assert detector.seen == [(121, 81)]
    assert detector.asked == (483, 321)
    assert (checked.width, checked.height) == (321, 483)
    # Turned right by a quarter: column x is row x, row y is column 321 - y.
    assert np.abs(checked.detections.xyxy[0] - [161, 160, 241, 240]).max() <= 4


def test_a_box_at_the_edge_of_a_reduced_picture_ends_with_the_picture() -> None:
    checked = Censor("boxes", detector=Shrinking(spare=12.0)).check(jpeg(scene(323, 485, (400, 240, 485, 323))))
    assert checked.detections.xyxy[0].tolist() == [400, 240, 485, 323]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_are_decoded_whole_and_reduced_after(kind: str) -> None:
    detector = Shrinking(spare=12.0)
    data = encode(Picture(scene()), format=kind, quality=100)
    assert Censor("boxes", detector=detector).check(data).detections.xyxy[0].tolist() == [160, 80, 240, 160]
    assert detector.seen == [(40, 60)]


def test_a_cut_jpeg_is_refused_though_it_is_only_judged() -> None:
    data = jpeg(np.random.default_rng(0).integers(0, 256, (800, 800, 3), np.uint8))
    for kept in (0.3, 0.9, 0.999):
        with pytest.raises(DamagedImageError):
            Censor("boxes", detector=Shrinking(spare=12.0)).check(data[: int(kept * len(data))])


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (64, 64), (129, 257)])
def test_a_reduced_jpeg_says_how_large_it_is(factor: int, height: int, width: int) -> None:
    picture = decode(jpeg(np.full((height, width, 3), 90, np.uint8)), spare=lambda rows, columns: factor)
    assert (picture.height, picture.width) == (height, width)
    assert picture.pixels.shape[:2] == (-(-height // factor), -(-width // factor))


def test_a_reduced_picture_is_never_written() -> None:
    picture = decode(jpeg(scene()), spare=lambda rows, columns: 8)
    with pytest.raises(ValueError, match="reduced in decoding"):
        encode(picture, format="PNG")


def test_a_reduced_look_sees_what_was_painted() -> None:
    detector = Shrinking(spare=12.0)
    done = Censor(policy=BLACK, detector=detector).apply(jpeg(scene()))
    assert detector.seen == [(40, 60), (40, 60)]
    assert [hidden.rechecked for hidden in done.redactions] == [False]
    assert done.image.shape == (320, 480, 3)
    assert not done.image[80:160, 160:240].any()


class Stubborn(Shrinking):
    """Finds a second box once the first is hidden."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        found = super().detect(images)
        if len(self.seen) == 2:
            return [type(each)(np.array([[2, 2, 10, 10]], np.float32), np.array([0.9]), np.array([0]), self.names)
                    for each in found]  # fmt: skip
        return found


def test_what_only_the_second_look_finds_is_hidden_from_the_original() -> None:
    image = scene()
    image[16:80, 16:80] = np.arange(64)[:, None, None] * 3
    done = Censor(policy=BLACK, detector=Stubborn(spare=12.0)).apply(encode(Picture(image), format="PNG"))
    assert [hidden.rechecked for hidden in done.redactions] == [False, True]
    alone = Censor(policy=BLACK, detector=Shrinking(spare=12.0)).apply(encode(Picture(image), format="PNG"))
    assert np.array_equal(done.image[80:, 100:], alone.image[80:, 100:])  # painted again just as before


@pytest.mark.parametrize("source", ["array", "image"])
def test_the_callers_pixels_are_left_alone(source: str) -> None:
    image = scene()
    before = image.copy()
    given = image if source == "array" else Image.fromarray(image)
    done = Censor("boxes", detector=finder()).apply(given)
    assert done.redactions
    assert np.array_equal(image, before)
    assert np.array_equal(np.asarray(given), before)
    assert not np.array_equal(done.image, before)


def test_a_canvas_gives_back_what_was_painted_over() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    before, canvas = pixels.copy(), Canvas(pixels, BLACK)
    first, second, third = (
        Redaction(label="FACE_MALE", score=1, xyxy=(0, 0, 1, 1), effect="solid", rechecked=False, region=each)
        for each in (Region(2, 3, 9, 8), Region(20, 10, 25, 15), Region(0, 0, 3, 4))
    )
    canvas.paint([first, second])
    assert canvas.window == (slice(3, 15), slice(2, 25))
    assert not pixels[3:8, 2:9].any()
    canvas.paint([third])
    assert not pixels[:4, :3].any()
    pixels[:4, :3] = before[:4, :3]
    assert np.array_equal(pixels, before)


def test_a_refreshed_look_is_that_of_the_whole_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (160, 240, 3), np.uint8)
    detector = Shrinking(spare=6.0)
    views = Views.at(Picture(pixels), partial(reduction, detector))
    window = (slice(33, 90), slice(101, 223))
    pixels[window] = 7
    views.refresh(pixels, window)
    (view,), (fresh,) = views, Views.at(Picture(pixels), partial(reduction, detector))
    assert np.array_equal(view, fresh)


def test_the_real_detector_judges_reduced_and_whole_alike(astronaut: NDArray[np.uint8]) -> None:
    """The tolerance that docs/benchmarks.md states, on a picture that it finds a face in."""
    image = np.asarray(Image.fromarray(astronaut).resize((3000, 3000), Image.Resampling.BICUBIC))
    data = simplejpeg.encode_jpeg(image, quality=90, colorsubsampling="420")
    censor = Censor(policy=FACES_JUDGED)
    reduced, whole = censor.check(data).detections, censor.check(decode(data).pixels).detections
    strong = [row for row in range(len(whole)) if whole.scores[row] > 0.3]
    assert strong
    for row in strong:
        assert reduced.labels[row] == whole.labels[row]
        assert abs(reduced.scores[row] - whole.scores[row]) <= 0.03
        assert np.abs(reduced.xyxy[row] - whole.xyxy[row]).max() <= 30  # of 3,000
