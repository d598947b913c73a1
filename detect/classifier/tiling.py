"""Classifiers made of another classifier: looking closer. The most suspicious look counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detect.classifier.fit import laid
from detect.classifier.scores import Classifier, Scores, heat_is_free, maps_of
from detect.detections import RGBImage
from detect.reduction import spare_factor
from detect.tiling import Stretches, corners, files_of

__all__ = ["ClassifierWrapper", "LongClassifier", "TiledClassifier", "most_suspicious", "overlaid"]

_Answer = TypeVar("_Answer")
_Box = tuple[float, float, float, float]

_FINEST = 512
"""Cells along a side of a stitched map, at most."""


class ClassifierWrapper:
    """What a classifier around another says of itself: what the other says."""

    def __init__(self, classifier: Classifier) -> None:
        """Wrap a classifier."""
        self._classifier = classifier

    @property
    def name(self) -> str:
        """The wrapped classifier's name."""
        return self._classifier.name

    @property
    def names(self) -> tuple[str, ...]:
        """What the wrapped classifier can say."""
        return self._classifier.names

    @property
    def files(self) -> Mapping[str, str]:
        """The wrapped classifier's file."""
        return files_of(self._classifier)

    @property
    def heat_is_free(self) -> bool:
        """Whether the wrapped classifier's maps come with its scores."""
        return heat_is_free(self._classifier)

    def spare_factor(self, height: int, width: int) -> float:
        """What the wrapped classifier can spare: see `detect.reduction`."""
        return spare_factor(self._classifier, height, width)


class _CloserClassifier(ClassifierWrapper):
    """Looks at some pictures whole and in overlapping pieces, one at a time, and at all others together."""

    def _pieces(self, height: int, width: int) -> tuple[int, int, float] | None:
        """Rows and columns of the pieces of a picture, and how much they overlap; None if it is looked at once."""
        raise NotImplementedError

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify`, and `most_suspicious` for pictures that are looked at more than once."""
        return self._asked(images, partial(self._classifier.classify, heat=heat), most_suspicious)

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """See `HasMaps.maps`."""
        return self._asked(images, partial(maps_of, self._classifier), overlaid)

    def _asked(
        self,
        images: Sequence[RGBImage],
        ask: Callable[[Sequence[RGBImage]], list[_Answer]],
        together: Callable[[Sequence[_Answer], Sequence[_Box]], _Answer],
    ) -> list[_Answer]:
        pieces = [self._pieces(*image.shape[:2]) for image in images]
        plain = [image for image, each in zip(images, pieces, strict=True) if each is None]
        found = iter(ask(plain) if plain else [])
        return [
            next(found) if each is None else _look(image, *each, ask=ask, together=together)
            for image, each in zip(images, pieces, strict=True)
        ]


class LongClassifier(_CloserClassifier):
    """Looks at long, narrow pictures whole and in overlapping stretches, and at all others as they are.

    They are cut as `detect.tiling.LongDetector` cuts them: see there.
    """

    def __init__(self, classifier: Classifier, *, ratio: float = 2.5, shortest: int = 320) -> None:
        """Wrap a classifier; the numbers are those of `LongDetector`.

        Raises:
            ValueError: `ratio` below 1.5, or `shortest` below 1.
        """
        super().__init__(classifier)
        self._stretches = Stretches(ratio=ratio, shortest=shortest)

    def _pieces(self, height: int, width: int) -> tuple[int, int, float] | None:
        return (*self._stretches.size(height, width), 0.25) if self._stretches.are_of(height, width) else None

    def spare_factor(self, height: int, width: int) -> float:
        """As the wrapped classifier; nothing for what is cut into stretches, whose length depends on the pixels."""
        return 1.0 if self._stretches.are_of(height, width) else super().spare_factor(height, width)


class TiledClassifier(_CloserClassifier):
    """Looks at a picture whole and in overlapping tiles, for small parts in large photographs."""

    def __init__(self, classifier: Classifier, *, tile: int = 640, overlap: float = 0.25) -> None:
        """Wrap a classifier; the numbers are those of `detect.tiling.TiledDetector`.

        Raises:
            ValueError: An argument is out of its range.
        """
        if tile < 1 or not 0 <= overlap < 1:
            raise ValueError(f"need tile >= 1 and overlap in [0, 1), not {tile} and {overlap}")
        super().__init__(classifier)
        self._tile, self._overlap = tile, overlap

    def _pieces(self, height: int, width: int) -> tuple[int, int, float] | None:  # noqa: ARG002
        return self._tile, self._tile, self._overlap

    def spare_factor(self, height: int, width: int) -> float:  # noqa: ARG002
        """Nothing: tiles are so many pixels of the picture as it is."""
        return 1.0


def _look(
    image: RGBImage,
    tile_height: int,
    tile_width: int,
    overlap: float,
    *,
    ask: Callable[[Sequence[RGBImage]], list[_Answer]],
    together: Callable[[Sequence[_Answer], Sequence[_Box]], _Answer],
) -> _Answer:
    """Ask of a picture as a whole and of its tiles, and put the answers together."""
    height, width = image.shape[:2]
    starts = corners(height, width, tile_height=tile_height, tile_width=tile_width, overlap=overlap)
    if len(starts) == 1:
        return ask([image])[0]
    views = [image, *(image[y : y + tile_height, x : x + tile_width] for x, y in starts)]
    boxes = [(0.0, 0.0, 1.0, 1.0)] + [
        (x / width, y / height, min(1, (x + tile_width) / width), min(1, (y + tile_height) / height)) for x, y in starts
    ]
    return together(ask(views), boxes)


def most_suspicious(looks: Sequence[Scores], boxes: Sequence[_Box]) -> Scores:
    """What several looks at one picture say together.

    What adds up to the probability of NSFW is that of the most suspicious look; of every other name the most that any
    look gave it, because a policy may name it: together they may add up to more than one. Maps are `overlaid`.

    Args:
        looks: One classifier's, at least one.
        boxes: Where each lay, left, top, right, bottom, as shares of the picture.
    """
    worst = max(looks, key=lambda look: look.probability)
    values = np.max([look.values for look in looks], axis=0)
    counted = [worst.names.index(name) for name in worst.nsfw]
    values[counted] = worst.values[counted]
    return Scores(values, worst.names, worst.nsfw, overlaid([look.heat for look in looks], boxes))


def overlaid(maps: Sequence[NDArray[np.float32] | None], boxes: Sequence[_Box]) -> NDArray[np.float32] | None:
    """Maps of several looks at one picture, each laid where its look lay: a cell holds the most of all that touch it.

    Args:
        maps: One classifier's, (h, w) each, at least one.
        boxes: Where each lay, left, top, right, bottom, as shares of the picture.

    Returns:
        (H, W); None where there is one without a map, since that of a part would pass for one of the whole.
    """
    found = [(heat, box) for heat, box in zip(maps, boxes, strict=True) if heat is not None]
    if len(found) < len(maps):
        return None
    # Twice as fine as the finest look: a cell of the one begins within half a cell of the other.
    rows = max(2 * heat.shape[0] / (box[3] - box[1]) for heat, box in found)
    columns = max(2 * heat.shape[1] / (box[2] - box[0]) for heat, box in found)
    grid = np.zeros((min(_FINEST, int(np.ceil(rows))), min(_FINEST, int(np.ceil(columns)))), np.float32)
    for heat, box in found:
        grid = laid(grid, heat, box)
    return grid
