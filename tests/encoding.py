"""What the tests of decoding share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

Encode = Callable[..., bytes]
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF"]


def grey_ramp() -> NDArray[np.uint8]:
    return np.tile(np.arange(0, 240, 4, dtype=np.uint8), (50, 1))


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
