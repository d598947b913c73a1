"""Detectors made of another detector: looking closer, and looking twice. Both find more and cost more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detect import boxes
from detect.detections import Detections, Detector, HasFiles, HasMinScore, HasModels, RGBImage
from detect.reduction import spare_factor

__all__ = [
    "DetectorWrapper",
    "FlipDetector",
    "LongDetector",
    "Stretches",
    "TiledDetector",
    "corners",
    "files_of",
    "joined",
    "lowest_score",
    "models_of",
]


class DetectorWrapper:
    """What a detector around another says of itself: what the other says."""

    def __init__(self, detector: Detector) -> None:
        """Wrap a detector."""
        self._detector = detector

    @property
    def names(self) -> tuple[str, ...]:
        """The wrapped detector's labels."""
        return self._detector.names

    @property
    def min_score(self) -> float:
        """The wrapped detector's lowest score."""
        return lowest_score(self._detector)

    @property
    def models(self) -> Mapping[str, tuple[str, ...]]:
        """The models that the wrapped detector asks."""
        return models_of(self._detector)

    @property
    def files(self) -> Mapping[str, str]:
        """The files of the wrapped detector's models."""
        return files_of(self._detector)

    def spare_factor(self, height: int, width: int) -> float:
        """What the wrapped detector can spare: see `detect.reduction`."""
        return spare_factor(self._detector, height, width)


class TiledDetector(DetectorWrapper):
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
        super().__init__(detector)
        self._tile = tile
        self._overlap = overlap
        self._join_above = join_above

    def spare_factor(self, height: int, width: int) -> float:  # noqa: ARG002
        """Nothing: tiles are so many pixels of the picture as it is."""
        return 1.0

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`. One picture's tiles are in memory at a time."""
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: RGBImage) -> Detections:
        return _look(self._detector, image, self._tile, self._tile, overlap=self._overlap, join_above=self._join_above)


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Which pictures are long and narrow, and how they are cut.

    Attributes:
        ratio: Those whose longer side is more than this many times the shorter; each stretch is one and a half times as
            long as the picture is narrow.
        shortest: No stretch is shorter than this, in pixels.

    Raises:
        ValueError: `ratio` below 1.5, or `shortest` below 1.
    """

    ratio: float = 2.5
    shortest: int = 320

    def __post_init__(self) -> None:
        if self.ratio < 1.5 or self.shortest < 1:
            raise ValueError(f"need ratio >= 1.5 and shortest >= 1, not {self.ratio} and {self.shortest}")

    def are_of(self, height: int, width: int) -> bool:
        """Whether a picture of so many rows and columns is cut."""
        return bool(max(height, width) > self.ratio * min(height, width))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of each stretch."""
        stretch = max(round(1.5 * min(height, width)), self.shortest)
        return min(height, stretch), min(width, stretch)


class LongDetector(DetectorWrapper):
    """Looks at long, narrow pictures in overlapping stretches, and at all others as they are.

    A screenshot of a chat is ten times as high as it is wide; shrunk whole into a network's input, nobody in it is
    more than a few pixels wide.
    """

    def __init__(self, detector: Detector, *, ratio: float = 2.5, shortest: int = 320) -> None:
        """Wrap a detector.

        Args:
            detector: What looks at each stretch.
            ratio: Pictures whose longer side is more than this many times the shorter are cut into stretches, each one
                and a half times as long as the picture is narrow.
            shortest: No stretch is shorter than this, in pixels.

        Raises:
            ValueError: `ratio` below 1.5, or `shortest` below 1.
        """
        super().__init__(detector)
        self._stretches = Stretches(ratio=ratio, shortest=shortest)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        plain = [image for image in images if not self._stretches.are_of(*image.shape[:2])]
        found = iter(self._detector.detect(plain) if plain else [])
        return [
            self._detect_long(image) if self._stretches.are_of(*image.shape[:2]) else next(found) for image in images
        ]

    def spare_factor(self, height: int, width: int) -> float:
        """As the wrapped detector; nothing for what is cut into stretches, whose length depends on the pixels."""
        return 1.0 if self._stretches.are_of(height, width) else super().spare_factor(height, width)

    def _detect_long(self, image: RGBImage) -> Detections:
        rows, columns = self._stretches.size(*image.shape[:2])
        return _look(self._detector, image, rows, columns, overlap=0.25, join_above=0.5)


class FlipDetector(DetectorWrapper):
    """Looks at a picture and at its mirror image, and reports what either shows."""

    def __init__(self, detector: Detector, *, join_above: float = 0.5) -> None:
        """Wrap a detector; boxes of one label are joined as by `TiledDetector`.

        Raises:
            ValueError: `join_above` lies outside [0, 1].
        """
        if not 0 <= join_above <= 1:
            raise ValueError(f"need join_above in [0, 1], not {join_above}")
        super().__init__(detector)
        self._join_above = join_above

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
        both = Detections.concatenate([plain.replace(masks=None), mirror.replace(xyxy=back, masks=None)])
        return joined(both, above=self._join_above)


def _look(
    detector: Detector, image: RGBImage, tile_height: int, tile_width: int, *, overlap: float, join_above: float
) -> Detections:
    """Detect on a picture whole and in tiles, and join what they saw of one thing."""
    starts = corners(*image.shape[:2], tile_height=tile_height, tile_width=tile_width, overlap=overlap)
    if len(starts) == 1:
        return detector.detect([image])[0]
    views = [image, *(image[y : y + tile_height, x : x + tile_width] for x, y in starts)]
    found = detector.detect(views)
    parts = [_moved(each, x, y) for each, (x, y) in zip(found, [(0, 0), *starts], strict=True)]
    return joined(Detections.concatenate(parts), above=join_above)


def joined(found: Detections, *, above: float = 0.5) -> Detections:
    """One box around those of one label that overlap by more than a share of the smaller: see `boxes.merge`.

    Masks and track ids are those of single boxes, and go.
    """
    return Detections(*boxes.merge(found.xyxy, found.scores, found.labels, overlap_threshold=above), found.names)


def lowest_score(detector: Detector) -> float:
    """The score below which a detector reports nothing; 0 where it does not say."""
    return float(detector.min_score) if isinstance(detector, HasMinScore) else 0.0


def models_of(detector: Detector) -> Mapping[str, tuple[str, ...]]:
    """Names of the models that a detector asks, each to those of its labels that are reported.

    One that does not say is one model, called ``detector``.
    """
    return detector.models if isinstance(detector, HasModels) else {"detector": detector.names}


def files_of(network: object) -> Mapping[str, str]:
    """Path of each model's file by the model's name; of those alone that say."""
    return network.files if isinstance(network, HasFiles) else {}


def corners(height: int, width: int, *, tile_height: int, tile_width: int, overlap: float) -> list[tuple[int, int]]:
    """Where the tiles of a picture begin, as (x, y), row by row; one alone where the picture is no larger than a tile.

    Args:
        height: The picture's rows.
        width: Its columns.
        tile_height: A tile's rows.
        tile_width: Its columns.
        overlap: Share of a tile that its neighbour sees too, in [0, 1).
    """
    return [
        (x, y)
        for y in _starts(height, tile=tile_height, overlap=overlap)
        for x in _starts(width, tile=tile_width, overlap=overlap)
    ]


def _starts(length: int, *, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along one side: the fewest that overlap enough, spread evenly, the last flush with the end."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(position * (length - tile) / (count - 1)) for position in range(count)]


def _moved(found: Detections, x: int, y: int) -> Detections:
    return found.replace(xyxy=found.xyxy + np.array([x, y, x, y], np.float32), masks=None)
