"""No crop shows what is hidden, none leaves that was not looked at, and a classifier chooses where it is asked to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import OTHERS, RED, Scripted, finder
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds

from censor import Censor
from censor.analysis.crop import Crop, crop_picture
from censor.analysis.windows import Ratio, Window
from censor.errors import CropError
from detect.detections import Detections
from detect.errors import ReadError

SQUARE = Ratio(1, 1)
PART = "FEMALE_BREAST_EXPOSED"


def picture(*, red: tuple[int, int, int, int] = (100, 40, 140, 80)) -> NDArray[np.uint8]:
    """120 x 200: gray noise with a red box."""
    pixels = np.random.default_rng(1).integers(90, 160, (120, 200, 3), np.uint8)
    x0, y0, x1, y1 = red
    pixels[y0:y1, x0:x1] = RED
    return pixels


def png(pixels: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def decoded(crop: Crop) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(crop.data)))


def censor(policy: str = "default") -> Censor:
    return Censor(policy, detector=finder(), classifiers=())


def is_red(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == RED).all(axis=2).any())


def test_the_largest_crop_lies_beside_what_is_hidden_and_as_far_around_as_that_is() -> None:
    pixels = picture()
    square, wide = crop_picture(png(pixels), censor(), [SQUARE, Ratio(16, 9)])
    assert square.window == Window(0, 14, 92, 106)  # 4 pixels around 40, and 4 for round corners
    assert decoded(square).shape == (92, 92, 3)
    assert not is_red(decoded(square)) | is_red(decoded(wide))
    np.testing.assert_array_equal(decoded(square), pixels[14:106, 0:92])
    assert wide.window.x1 <= 92
    assert square.score is None


def test_a_harmless_picture_loses_its_edges_alone() -> None:
    (crop,) = crop_picture(png(picture(red=(0, 0, 0, 0))), censor(), [SQUARE])
    assert crop.window == Window(40, 0, 160, 120)


def test_a_policy_that_hides_and_never_judges_crops_too() -> None:
    (crop,) = crop_picture(png(picture()), Censor("faces", detector=RedFace(), classifiers=()), [SQUARE])
    assert not is_red(decoded(crop))


class RedFace:
    names = ("FACE_FEMALE", "FACE_MALE", "FACE")

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        found = finder().detect(images)
        return [Detections(each.xyxy, each.scores, each.labels, self.names) for each in found]


def test_what_only_a_look_at_the_crop_finds_is_left_out_as_well() -> None:
    """Seen closer, something turns up that nobody saw in the whole picture."""
    later = [(PART, 0.9, (10, 10, 30, 30))]
    detector = Scripted((PART, *OTHERS), [], later, later, later, [])
    closer = Censor("default", detector=detector, classifiers=())
    (crop,) = crop_picture(png(picture(red=(0, 0, 0, 0))), closer, [SQUARE])
    assert crop.window.x0 >= 40 + 30 or crop.window.y0 >= 30 or crop.window.x1 <= 50


def test_without_room_there_is_no_crop() -> None:
    stream = io.BytesIO(png(picture(red=(8, 8, 192, 112))))
    stream.name = "photo.png"
    with pytest.raises(CropError, match=r"^photo.png: no crop 1:1 of at least 25% .* what is hidden leaves no room$"):
        crop_picture(stream, censor(), [SQUARE])


def test_what_is_never_safe_has_no_crop_and_the_search_ends() -> None:
    detector = Scripted((PART, *OTHERS), [], [(PART, 0.9, (0, 0, 5, 5))])
    with pytest.raises(CropError, match="7 were looked at"):
        crop_picture(png(picture()), Censor("default", detector=detector, classifiers=()), [SQUARE], tries=7)


def test_a_classifier_chooses_the_crop_that_it_likes_best() -> None:
    pixels = np.zeros((120, 200, 3), np.uint8)
    pixels[..., 0] = np.linspace(255, 0, 200).astype(np.uint8)[None]  # ever less red to the right
    (crop,) = crop_picture(png(pixels), censor(), [SQUARE], by=Reds(), smallest=0.5)
    assert crop.window.x1 == 200
    assert 60 <= crop.window.longer < 64
    assert crop.score == pytest.approx(float(crop.window.of(pixels)[..., 0].mean()) / 255, abs=1e-3)


def test_of_crops_that_it_likes_alike_the_largest_is_taken() -> None:
    (crop,) = crop_picture(png(np.full((120, 200, 3), 90, np.uint8)), censor(), [SQUARE], by=Reds())
    assert crop.window.longer == 120


def test_what_a_classifier_likes_best_is_still_not_shown_where_it_is_hidden() -> None:
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[:, 100:] = 0
    pixels[20:100, 120:180] = RED
    (crop,) = crop_picture(png(pixels), censor(), [SQUARE], by=Reds(), smallest=0.5)
    assert not is_red(decoded(crop))


def test_nothing_of_the_file_but_its_pixels_is_in_the_crop() -> None:
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text("Comment", "where I live")
    (crop,) = crop_picture(png(picture(), pnginfo=said), censor(), [SQUARE], format="JPEG")
    assert crop.data.startswith(b"\xff\xd8")
    assert b"where I live" not in crop.data


@pytest.mark.parametrize(
    ("ratios", "smallest", "tries"), [([], 0.5, 1), ([SQUARE], 0, 1), ([SQUARE], 1.1, 1), ([SQUARE], 1, 0)]
)
def test_numbers_out_of_range_are_refused(ratios: list[Ratio], smallest: float, tries: int) -> None:
    with pytest.raises(ValueError, match="need ratios"):
        crop_picture(png(picture()), censor(), ratios, smallest=smallest, tries=tries)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        crop_picture(tmp_path / "missing.png", censor(), [SQUARE])
