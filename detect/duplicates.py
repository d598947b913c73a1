"""Pictures that look alike: frames of one film, a picture and its resized, recompressed or mirrored copy.

Two of them are no two independent pictures: a detector that has trained on one is not tested by the other, and a
guarantee that counts both rests on half of what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from detect.detections import RGBImage
from detect.pictures.rgb import read_rgb

__all__ = ["PictureHash", "group_duplicates", "group_hashes", "hash_picture", "join_groups"]

_CHUNK = 1024


@dataclass(frozen=True)
class PictureHash:
    """What is left of a picture to tell whether another looks like it; the picture cannot be had back from it.

    Attributes:
        upright: 64 bits, from 0 to 2**64 - 1.
        mirrored: Those of its mirror image.

    Raises:
        ValueError: More bits than that, or a number below 0.
    """

    upright: int
    mirrored: int

    def __post_init__(self) -> None:
        if not all(0 <= bits < 2**64 for bits in (self.upright, self.mirrored)):
            raise ValueError(f"a hash has 64 bits: {self.upright:x}, {self.mirrored:x}")


def hash_picture(pixels: RGBImage) -> PictureHash:
    """The perceptual hash of a picture.

    Args:
        pixels: uint8 RGB, (H, W, 3), upright.

    Source:
        imagehash's `phash`: which of the lowest 8 x 8 cosines of the grey picture at 32 x 32 are above their median.
    """
    import imagehash

    small = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.LANCZOS)  # as `phash` does, for both
    mirror = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return PictureHash(*(int(str(imagehash.phash(each)), 16) for each in (small, mirror)))


def group_duplicates(paths: Sequence[Path], *, max_distance: int) -> NDArray[np.intp]:
    """Put pictures together that look alike; each is decoded once.

    Args:
        paths: N pictures.
        max_distance: See `group_hashes`.

    Returns:
        The group of each picture, shape (N,), numbered from 0 in the order of their first picture.

    Raises:
        ReadError: A picture cannot be read.
        ImageError: A picture is refused, as production refuses it.
        ValueError: `max_distance` is out of its range.
    """
    return group_hashes([hash_picture(read_rgb(path)) for path in paths], max_distance=max_distance)


def group_hashes(hashes: Sequence[PictureHash], *, max_distance: int) -> NDArray[np.intp]:
    """Put pictures together that look alike, upright or mirrored, directly or by way of a third.

    Args:
        hashes: Of N pictures.
        max_distance: Hashes of two pictures that look alike differ in at most so many of 64 bits.

    Returns:
        The group of each picture, shape (N,), numbered from 0 in the order of their first picture.

    Raises:
        ValueError: `max_distance` is not in [0, 64].
    """
    if not 0 <= max_distance <= 64:
        raise ValueError(f"max_distance must lie in [0, 64], not {max_distance}")
    bits = _bits([each.upright for each in hashes])
    either = (bits, _bits([each.mirrored for each in hashes]))
    leader = np.arange(len(hashes))
    for start in range(0, len(hashes), _CHUNK):
        rows = bits[start : start + _CHUNK]
        # Bits that differ, of every pair: those set here and not there, and the reverse.
        distance = np.minimum(*(rows @ (1 - other).T + (1 - rows) @ other.T for other in either))
        for row, near in enumerate(distance <= max_distance, start):
            for other in np.flatnonzero(near[: row + 1]):
                _join(leader, row, int(other))
    return _numbered(leader)


def join_groups(*groupings: ArrayLike) -> NDArray[np.intp]:
    """Put pictures together that any of some groupings puts together, directly or by way of a third.

    Args:
        groupings: At least one; each says the group of each of N pictures, (N,) numbers or names.

    Returns:
        The group of each picture, shape (N,), numbered from 0 in the order of their first picture.

    Raises:
        ValueError: There is no grouping, or their lengths differ.
    """
    arrays = [np.asarray(grouping) for grouping in groupings]
    if not arrays or any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        raise ValueError(f"need groupings of one length, not {[array.shape for array in arrays]}")
    leader = np.arange(len(arrays[0]))
    for array in arrays:
        _, first, place = np.unique(array, return_index=True, return_inverse=True)
        for row, other in enumerate(first[place.reshape(-1)]):
            _join(leader, row, int(other))
    return _numbered(leader)


def _bits(hashes: Sequence[int]) -> NDArray[np.float32]:
    rows = np.array(hashes, ">u8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(rows, axis=1).astype(np.float32)


def _numbered(leader: NDArray[np.intp]) -> NDArray[np.intp]:
    leaders = np.array([_find(leader, row) for row in range(len(leader))], np.intp)
    return np.unique(leaders, return_inverse=True)[1].reshape(-1).astype(np.intp)


def _find(leader: NDArray[np.intp], row: int) -> int:
    while leader[row] != row:
        leader[row] = leader[leader[row]]
        row = int(leader[row])
    return row


def _join(leader: NDArray[np.intp], a: int, b: int) -> None:
    first, second = sorted((_find(leader, a), _find(leader, b)))
    leader[second] = first
