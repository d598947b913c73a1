"""How it was done in 1996: hand-made rules for skin, and for limbs and trunks made of it. For comparison only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Scores
from detect.detections import RGBImage
from detect.explain.limbs import Segment, joined_limbs, limbs_on_trunk, segments_of
from detect.runtime.letterbox import shrink

__all__ = ["REFERRED_FROM", "Skin1996", "Steps", "grown_skin", "opponent", "skin", "steps"]

_HALF_PERIMETER = 320
"""Rows and columns together of the pictures that the filters' sizes are stated for; larger ones are shrunk to it."""

REFERRED_FROM = 0.30
"""Share of skin from which a picture is looked at for limbs."""

_RANGES = (((110, 150), (20, 60)), ((130, 170), (30, 130)))
"""Hue in degrees and saturation of skin: deeper skin is yellower and more saturated. Ends do not belong to them."""

_GROWN = ((110, 180), (0, 130))
"""Hue and saturation of what belongs to skin where it touches some: highlights, above all."""

_SMOOTH = 5.0
"""Texture amplitude below which something may be skin."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Opponent:
    """A picture in log-opponent colours, whose differences do not depend on how bright the light is.

    Attributes:
        hue: Direction of (By, Rg), in degrees of -180..180: 90 is red, 180 yellow.
        saturation: Length of (By, Rg); 0 is gray.
        texture: How much the intensity differs from that of its surroundings.
    """

    hue: Plane
    saturation: Plane
    texture: Plane


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """What was seen on the way, in a picture of the filters' size.

    Attributes:
        image: The picture, as it was shrunk: uint8 (h, w, 3).
        skin: What has the colour and the smoothness of skin: bool (h, w).
        grown: The same with what belongs to it.
        segments: Elongated regions of it.
        limbs: Pairs of segments that may be one limb, as positions in `segments`.
        trunks: Segments that may be a trunk, each with a limb on it, as positions in `segments`.
    """

    image: RGBImage
    skin: NDArray[np.bool_]
    grown: NDArray[np.bool_]
    segments: tuple[Segment, ...]
    limbs: tuple[tuple[int, int], ...]
    trunks: tuple[tuple[int, int], ...]

    @property
    def share(self) -> float:
        """How much of the picture is skin, in [0, 1]."""
        return float(self.grown.mean())

    @property
    def score(self) -> float:
        """The steps that the picture passes, as a number to rank by; the paper knows yes and no, and no probability.

        Below .4 in proportion to the share of skin; .4 where there is enough of it; .7 with a limb of two segments;
        1 with limbs on a trunk.
        """
        if self.share < REFERRED_FROM:
            return 0.4 * self.share / REFERRED_FROM
        return 1.0 if self.trunks else 0.7 if self.limbs else 0.4


class Skin1996:
    """The rules as a classifier. Never taken by itself: modern networks are far better.

    Source:
        Fleck, Forsyth and Bregler, Finding Naked People (ECCV 1996): with 60 % precision and 52 % recall on 138
        pictures of naked people among 1,401 others. See `steps` for where we deviate.
    """

    name = "skin1996"
    names = ("sfw", "nsfw")

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `detect.classifier.scores.Classifier.classify`. The map is the share of skin in each of 8 x 8 cells."""
        found = []
        for image in images:
            seen = steps(image)
            cells = cv2.resize(seen.grown.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA) if heat else None
            values = np.array([1 - seen.score, seen.score], np.float32)
            found.append(Scores(values, self.names, ("nsfw",), None if cells is None else np.clip(cells, 0, 1)))
        return found


def steps(image: RGBImage) -> Steps:
    """Look for skin, for elongated regions of it, and for limbs and trunks made of these.

    Args:
        image: uint8 (H, W, 3).

    Source:
        Fleck, Forsyth and Bregler, Finding Naked People (ECCV 1996): § 3 for skin, § 4 for grouping. Filters have the
        sizes that the authors state for pictures of 320 rows and columns together, to which larger ones are shrunk.
        No noise is added before logarithms are taken. Where the paper finds elongated regions by pairing edges that are
        symmetric, we cut skin into straight parts of like width; of its rules for grouping we keep that limbs are two
        segments of like width which meet, and that a trunk is wider and has one at an end.
    """
    height, width = image.shape[:2]
    factor = min(1.0, _HALF_PERIMETER / (height + width))
    small = shrink(image, rows=max(1, round(height * factor)), columns=max(1, round(width * factor)))
    colors = opponent(small)
    seeds = skin(colors)
    grown = grown_skin(seeds, colors)
    found = segments_of(grown)
    return Steps(
        image=small, skin=seeds, grown=grown, segments=found, limbs=joined_limbs(found), trunks=limbs_on_trunk(found)
    )


def opponent(image: RGBImage) -> Opponent:
    """A picture's hue, saturation and texture: L(x) = 105 log10(x + 1), I = mean L, Rg = L(R) - L(G) and By = L(B) -
    (L(R) + L(G)) / 2, smoothed by medians of the radii 2 (colours), and 4 and 6 (texture).

    Args:
        image: uint8 (H, W, 3). What its darkest number is, but for ten pixels at each edge, counts as no light.
    """  # noqa: D205  # the formula is one sentence
    inner = image[10:-10, 10:-10]
    dark = int(inner.min()) if inner.size else 0
    levels = 105 * np.log10(np.clip(image.astype(np.float32) - dark, 0, None) + 1)
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    red_green = _median(red - green, 2)
    blue_yellow = _median(blue - (red + green) / 2, 2)
    intensity = levels.mean(axis=2)
    texture = _median(np.abs(intensity - _median(intensity, 4)), 6)
    hue = np.degrees(np.arctan2(red_green, blue_yellow))
    return Opponent(hue=hue, saturation=np.hypot(red_green, blue_yellow), texture=texture)


def skin(colors: Opponent) -> NDArray[np.bool_]:
    """What has the colour of skin, in either of two ranges, and is as smooth."""
    found = np.zeros(colors.hue.shape, np.bool_)
    for hues, saturations in _RANGES:
        found |= _inside(colors.hue, *hues) & _inside(colors.saturation, *saturations)
    return found & (colors.texture < _SMOOTH)


def grown_skin(seeds: NDArray[np.bool_], colors: Opponent) -> NDArray[np.bool_]:
    """Skin with the pixels around it that are less certain."""
    near = cv2.dilate(seeds.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0  # five pixels, as in a dilation of 5
    belongs = _inside(colors.hue, *_GROWN[0]) & _inside(colors.saturation, *_GROWN[1])
    return np.asarray(seeds | (near & belongs), np.bool_)


def _inside(values: Plane, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values > low) & (values < high), np.bool_)


def _median(values: Plane, radius: int) -> Plane:
    """Of the square of so many pixels around each; edges are repeated."""
    side = 2 * radius + 1
    wide = np.pad(values, radius, mode="edge")
    squares = np.lib.stride_tricks.sliding_window_view(wide, (side, side)).reshape(*values.shape, side * side)
    middle = side * side // 2
    return np.partition(squares, middle, axis=2)[..., middle].astype(np.float32)
