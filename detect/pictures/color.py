"""Colour profiles: which are kept with the picture, and sRGB for the rest.

A profile decides what a viewer shows. A detector sees numbers, so a profile that turns them into something else would
let a picture be judged that nobody is shown. And a profile is a container: whatever hides in a private tag would leave
with the output. So a small profile of standard tags that shows nearly what sRGB would is kept byte for byte (sRGB,
Display P3, Adobe RGB and their like), and pixels in any other are converted to sRGB, which is then what is judged and
what is written.
"""

from __future__ import annotations

import functools
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["settle", "to_srgb"]

_LARGEST = 16 * 1024  # bytes; the profiles that cameras and phones write have 500 to 4,000

_TAGS = frozenset(
    b"rXYZ gXYZ bXYZ rTRC gTRC bTRC wtpt bkpt chad chrm lumi desc cprt dmnd dmdd vued view meas tech".split()
)
"""Of a matrix profile: ICC.1:2022, 8.3 and 9.2, and the optional tags of the older sRGB profiles."""

_NEAR = 12.0
"""Mean difference from sRGB over a colour cube, of 255: Display P3 and Adobe RGB have 10, Rec. 2020 has 17."""


def settle(pixels: NDArray[np.uint8], icc: object) -> tuple[NDArray[np.uint8], bytes | None]:
    """Pixels and the profile to write with them.

    Args:
        pixels: uint8 (H, W, 3) or (H, W, 4), in the colours of `icc`.
        icc: The source's profile, if it is one for RGB; anything else is no profile.

    Returns:
        The pixels as they are with the profile, or converted to sRGB without; a profile that cannot be read is one that
        viewers ignore, and is dropped.
    """
    if not isinstance(icc, bytes) or len(icc) < 132 or icc[16:20] != b"RGB " or icc[36:40] != b"acsp":
        return pixels, None
    if _is_plain(icc):
        return pixels, icc
    shown = to_srgb(Image.fromarray(pixels[..., :3]), icc)
    if shown is None:
        return pixels, None
    converted = np.asarray(shown)
    return (np.dstack([converted, pixels[..., 3]]) if pixels.shape[2] == 4 else converted), None


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """An image of the profile's own mode, as RGB in sRGB; None if the profile cannot be used."""
    from PIL import ImageCms  # 5 ms, and few pictures need it

    try:
        return ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


@functools.lru_cache(maxsize=64)
def _is_plain(icc: bytes) -> bool:
    count = int.from_bytes(icc[128:132], "big")
    tags = {icc[132 + 12 * number : 136 + 12 * number] for number in range(min(count, 100))}
    if len(icc) > _LARGEST or int.from_bytes(icc[:4], "big") != len(icc) or not tags <= _TAGS:
        return False
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    shown = to_srgb(Image.fromarray(cube), icc)
    return shown is not None and float(np.abs(np.asarray(shown).astype(int) - cube).mean()) <= _NEAR
