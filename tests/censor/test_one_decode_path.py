"""Training, calibration, autolabel and evaluation see, bit for bit, what the detector is shown in production."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from encoding import Encode, grey_ramp, profile
from fakes import RedFinder, finder
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from detect.detections import Detections, RGBImage
from detect.errors import DetectError
from detect.pictures.rgb import read_rgb


class Recorder(RedFinder):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__(others=finder().names[1:])
        self.shown: list[RGBImage] = []

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self.shown += [image.copy() for image in images]
        return super().detect(images)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def keyed(photo: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(photo).convert("P", palette=Image.Palette.ADAPTIVE)


def see_through(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = np.tile(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), (len(photo), 1))
    return np.dstack([photo, alpha])


def wide(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + pixels[..., 1])


SOURCES: dict[str, Callable[[Encode, NDArray[np.uint8]], bytes]] = {
    "JPEG": lambda encode, photo: encode(photo, "JPEG", quality=90),
    "JPEG, grey": lambda encode, photo: encode(grey_ramp(), "JPEG"),
    "JPEG, CMYK": lambda encode, photo: encode(Image.fromarray(photo).convert("CMYK"), "JPEG"),
    "JPEG, sRGB profile": lambda encode, photo: encode(photo, "JPEG", icc_profile=profile("sRGB")),
    "JPEG, Lab profile": lambda encode, photo: encode(photo, "JPEG", icc_profile=profile("LAB")),
    "JPEG, turned": lambda encode, photo: encode(photo, "JPEG", exif=turned(6)),
    "JPEG, mirrored": lambda encode, photo: encode(photo, "JPEG", exif=turned(7)),
    "PNG, 16 bit": lambda encode, photo: encode(wide(photo), "PNG"),
    "PNG, palette and tRNS": lambda encode, photo: encode(keyed(photo), "PNG", transparency=3),
    "PNG, alpha": lambda encode, photo: encode(see_through(photo), "PNG"),
    "PNG, turned": lambda encode, photo: encode(photo, "PNG", exif=turned(8)),
    "WebP": lambda encode, photo: encode(photo, "WEBP", quality=80),
    "WebP, alpha": lambda encode, photo: encode(see_through(photo), "WEBP", lossless=True),
    "AVIF": lambda encode, photo: encode(photo, "AVIF", quality=80),
    "AVIF, turned": lambda encode, photo: encode(photo, "AVIF", exif=turned(6)),
    "HEIC": lambda encode, photo: encode(photo, "HEIF", quality=80),
    "HEIC, turned": lambda encode, photo: encode(photo, "HEIF", exif=turned(6).tobytes()),
    "TIFF": lambda encode, photo: encode(photo, "TIFF"),
    "TIFF, turned": lambda encode, photo: encode(photo, "TIFF", exif=turned(5)),
    "TIFF, 16 bit": lambda encode, photo: encode(wide(photo), "TIFF"),
    "TIFF, CMYK": lambda encode, photo: encode(Image.fromarray(photo).convert("CMYK"), "TIFF"),
    "BMP": lambda encode, photo: encode(photo, "BMP"),
    "GIF": lambda encode, photo: encode(photo, "GIF"),
}


@pytest.mark.parametrize("what", SOURCES)
def test_the_same_bytes_are_the_same_pixels(
    what: str, photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(SOURCES[what](encoded, photo))
    detector = Recorder()
    Censor("boxes", detector=detector).check(path)
    seen = read_rgb(path)
    assert seen.dtype == np.uint8
    views = [view for view in detector.shown if view.shape == seen.shape and (view == seen).all()]
    assert len(views) >= 1
    if "alpha" not in what and "tRNS" not in what:
        assert len(detector.shown) == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_what_production_refuses_nobody_learns_from(
    kind: str, photo: NDArray[np.uint8], encoded: Encode, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(encoded(photo, kind, save_all=True, append_images=[Image.fromarray(photo[::-1].copy())]))
    with pytest.raises(DetectError) as in_production:
        Censor("boxes", detector=finder()).check(path)
    with pytest.raises(DetectError) as in_training:
        read_rgb(path)
    assert str(in_training.value) == str(in_production.value)
