"""Detectors made of another detector: looking closer, and looking twice. Both find more and cost more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect import boxes
from detect.detections import Detections, Detector, RGBImage

__all__ = ["FlipDetector", "TiledDetector"]


class TiledDetector:
    """Looks at a picture whole and in overlapping tiles, for small parts in large photographs.

    Boxes of one label that cover much of one another are joined into the box around both, so that a thing cut by a
    tile's edge is hidden whole.
    """

    def __init__(self, detector: Detector, *, tile: int = 640, overlap: float = 0.25, join_above: float = 0.5) -> None:
        """Wrap a detector.

        Args:
            detector: What looks at each tile.
            tile: Longest side of a tile in pixels.
            overlap: Share of a tile that its neighbour sees too, in [0, 1).
            join_above: Boxes of one label are joined when their overlap, as a share of the smaller, is greater.

        Raises:
            ValueError: An argument is out of its range.
        """
        if tile < 1 or not 0 <= overlap < 1 or not 0 <= join_above <= 1:
            raise ValueError(
                f"need tile >= 1, overlap in [0, 1), join_above in [0, 1]: {tile}, {overlap}, {join_above}"
            )
        self._detector = detector
        self._tile = tile
        self._overlap = overlap
        self._join_above = join_above

    @property
    def names(self) -> tuple[str, ...]:
        """The wrapped detector's labels."""
        return self._detector.names

    @property
    def min_score(self) -> float:
        """The wrapped detector's lowest score."""
        return lowest_score(self._detector)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`. One picture's tiles are in memory at a time."""
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: RGBImage) -> Detections:
        height, width = image.shape[:2]
        corners = [
            (x, y)
            for y in _starts(height, tile=self._tile, overlap=self._overlap)
            for x in _starts(width, tile=self._tile, overlap=self._overlap)
        ]
        if len(corners) == 1:
            return self._detector.detect([image])[0]
        views = [image, *(image[y : y + self._tile, x : x + self._tile] for x, y in corners)]
        parts = [
            _moved(found, x, y) for found, (x, y) in zip(self._detector.detect(views), [(0, 0), *corners], strict=True)
        ]
        return joined(Detections.concatenate(parts), above=self._join_above)


class FlipDetector:
    """Looks at a picture and at its mirror image, and reports what either shows."""

    def __init__(self, detector: Detector, *, join_above: float = 0.5) -> None:
        """Wrap a detector; boxes of one label are joined as by `TiledDetector`."""
        self._detector = detector
        self._join_above = join_above

    @property
    def names(self) -> tuple[str, ...]:
        """The wrapped detector's labels."""
        return self._detector.names

    @property
    def min_score(self) -> float:
        """The wrapped detector's lowest score."""
        return lowest_score(self._detector)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        found = self._detector.detect([*images, *mirrored])
        return [
            self._join(plain, mirror, image.shape[1])
            for plain, mirror, image in zip(found[: len(images)], found[len(images) :], images, strict=True)
        ]

    def _join(self, plain: Detections, mirror: Detections, width: int) -> Detections:
        back = mirror.xyxy[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32) + np.array(
            [width, 0, width, 0], np.float32
        )
        both = Detections.concatenate([plain, Detections(back, mirror.scores, mirror.labels, mirror.names)])
        return joined(both, above=self._join_above)


def joined(found: Detections, *, above: float = 0.5) -> Detections:
    """One box around those of one label that overlap by more than a share of the smaller: see `boxes.merge`."""
    return Detections(*boxes.merge(found.xyxy, found.scores, found.labels, overlap_threshold=above), found.names)


def lowest_score(detector: Detector) -> float:
    """The score below which a detector reports nothing; 0 where it does not say."""
    return float(getattr(detector, "min_score", 0.0))


def _starts(length: int, *, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along one side: the fewest that overlap enough, spread evenly, the last flush with the end."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(position * (length - tile) / (count - 1)) for position in range(count)]


def _moved(found: Detections, x: int, y: int) -> Detections:
    return Detections(found.xyxy + np.array([x, y, x, y], np.float32), found.scores, found.labels, found.names)
