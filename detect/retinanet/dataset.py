"""Pictures on their way into training: decoded, placed, altered, stacked.

Whatever is random about a sample follows from the seed, the epoch and the picture alone, so that a run comes out the
same after a resume, and with any number of workers and processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from detect import boxes as box_maths
from detect.annotations import CocoDataset, CocoImage
from detect.detections import RGBImage
from detect.pictures.rgb import read_rgb
from detect.retinanet.losses import CROWD, PADDING
from detect.runtime.letterbox import Letterbox, shrink
from detect.runtime.telemetry import import_quietly
from detect.training.batches import rarity_weights

__all__ = ["Augment", "Batch", "PictureSet", "Sample", "collate", "image_weights", "mirror", "padded_rows", "place"]

Augment = Literal["none", "flip", "full"]

_GRAY = 114
"""As `Letterbox` pads."""
_MIN_SIDE = 2.0
"""Boxes thinner than this, in pixels of the network's input, are not worth learning."""
_MIN_VISIBLE = 0.25
"""Boxes of which a crop leaves less than this share are dropped."""


class Sample(NamedTuple):
    """One picture as the network will see it: uint8 (3, size, size), boxes (N, 4), labels (N,), where it lies."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    fit: Letterbox | None


class Batch(NamedTuple):
    """Pictures of one size with their boxes padded to the same number.

    Attributes:
        images: uint8 (B, 3, size, size), RGB.
        boxes: float32 (B, M, 4).
        labels: int64 (B, M), `PADDING` or `CROWD` where there is nothing to be found.
        fits: Where each picture lies in its input; empty for augmented ones.
    """

    images: Tensor
    boxes: Tensor
    labels: Tensor
    fits: tuple[Letterbox, ...]


class PictureSet(Dataset[Sample]):
    """Pictures of a COCO file, square, by (epoch, position)."""

    def __init__(self, data: CocoDataset, *, size: int, augment: Augment, seed: int = 0) -> None:
        """Describe the samples.

        Args:
            data: Pictures and boxes.
            size: Side of the network's input in pixels.
            augment: ``none`` letterboxes as a detector would; ``flip`` mirrors half of the pictures as well; ``full``
                also varies scale, crop, colours, sharpness and JPEG quality.
            seed: What is random follows from it.
        """
        self._images = data.images
        self._size = size
        self._augment: Augment = augment
        self._seed = seed
        self._pixels = _pixel_transforms() if augment == "full" else None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        """One sample; a plain position means epoch 0."""
        epoch, position = key if isinstance(key, tuple) else (0, key)
        record = self._images[position]
        image, xyxy = read_rgb(record.path), record.xyxy
        labels = np.where(record.iscrowd, CROWD, record.labels)
        rng = np.random.default_rng([self._seed, epoch, position])
        fit = None
        if self._augment == "full":
            image, xyxy, labels = place(image, xyxy, labels, size=self._size, rng=rng)
        else:
            fit = Letterbox.fit(record.height, record.width, size=(self._size,) * 2, stride=1, fixed=True)
            image, xyxy = fit.pixels(image), fit.place(xyxy)
        if self._augment != "none" and rng.random() < 0.5:
            image, xyxy = mirror(image, xyxy)
        if self._pixels is not None:
            self._pixels.set_random_seed(int(rng.integers(2**31)))
            image = self._pixels(image=image)["image"]
        _check(xyxy, size=self._size, record=record)
        return Sample(
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(xyxy, np.float32)),
            torch.from_numpy(labels),
            fit,
        )


def place(
    image: RGBImage,
    xyxy: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    size: int,
    rng: np.random.Generator,
    scales: tuple[float, float] = (0.6, 1.5),
    stretch: float = 1.15,
) -> tuple[RGBImage, NDArray[np.float32], NDArray[np.int64]]:
    """Scale a picture at random and put it, or as much of it as fits, somewhere on a grey square.

    Resizing is the detector's own `shrink`: a network sees in training what it will see at work.

    Args:
        image: uint8 (H, W, 3).
        xyxy: (N, 4) in the picture.
        labels: (N,).
        size: Side of the square.
        rng: Where the scale, the stretch and the place come from.
        scales: Least and greatest scale, where 1 just fits the picture into the square.
        stretch: Width over height changes by at most this factor, either way.

    Returns:
        The square, and the boxes that are still there, cut to it; of the others too little is left to learn from.
    """
    height, width = image.shape[:2]
    scale = size / max(height, width) * math.exp(rng.uniform(*np.log(scales)))
    ratio = math.exp(rng.uniform(-0.5, 0.5) * math.log(stretch))
    rows, columns = max(1, round(height * scale / ratio)), max(1, round(width * scale * ratio))
    resized = shrink(image, rows=rows, columns=columns)
    top, left = (round(rng.uniform(min(0, room), max(0, room))) for room in (size - rows, size - columns))
    canvas = np.full((size, size, 3), _GRAY, np.uint8)
    inside = resized[max(0, -top) : size - top, max(0, -left) : size - left]
    canvas[max(0, top) :, max(0, left) :][: inside.shape[0], : inside.shape[1]] = inside

    moved = xyxy * np.array([columns / width, rows / height] * 2, np.float32) + np.array([left, top] * 2, np.float32)
    cut = box_maths.clip(moved, width=size, height=size)
    visible = box_maths.area(cut) >= _MIN_VISIBLE * box_maths.area(moved)
    keep = visible & (cut[:, 2:] - cut[:, :2] >= _MIN_SIDE).all(axis=1)
    return canvas, cut[keep], labels[keep]


def mirror(image: RGBImage, xyxy: NDArray[np.float32]) -> tuple[RGBImage, NDArray[np.float32]]:
    """Swap left and right."""
    width = image.shape[1]
    return image[:, ::-1], np.stack([width - xyxy[:, 2], xyxy[:, 1], width - xyxy[:, 0], xyxy[:, 3]], axis=1)


def _pixel_transforms() -> Any:
    """What changes colours and sharpness and moves nothing: blur, colour, greyscale, noise, JPEG quality."""
    A = import_quietly("albumentations")  # noqa: N806  # as its own documentation does
    return A.Compose(
        [
            A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.6, 1.4), hue=(-0.03, 0.03), p=0.6),
            A.ToGray(p=0.05),
            A.OneOf(
                [A.GaussianBlur(blur_limit=(3, 5)), A.MotionBlur(blur_limit=(3, 5)), A.MedianBlur(blur_limit=3)],
                p=0.1,
            ),
            A.GaussNoise(std_range=(0.01, 0.04), p=0.05),
            A.ImageCompression(quality_range=(40, 95), p=0.15),
        ]
    )


def _check(xyxy: NDArray[np.float32], *, size: int, record: CocoImage) -> None:
    wrong = (xyxy[:, 2:] <= xyxy[:, :2]).any(axis=1) | (xyxy < -0.01).any(axis=1) | (xyxy > size + 0.01).any(axis=1)
    if wrong.any() or not np.isfinite(xyxy).all():
        raise AssertionError(f"{record.path}: augmentation left a box that is none: {xyxy[wrong].tolist()}")


def collate(samples: Sequence[Sample], *, rows: int) -> Batch:
    """Stack samples.

    Args:
        samples: Pictures of one size.
        rows: Boxes a picture after padding; the same for every batch of a run, so that shapes never change.
    """
    boxes = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(samples), rows, 1)
    labels = torch.full((len(samples), rows), PADDING)
    for row, sample in enumerate(samples):
        count = len(sample.labels)
        boxes[row, :count] = sample.boxes
        labels[row, :count] = sample.labels
    fits = tuple(sample.fit for sample in samples if sample.fit is not None)
    return Batch(torch.stack([sample.image for sample in samples]), boxes, labels, fits)


def padded_rows(data: CocoDataset) -> int:
    """Boxes of the fullest picture, rounded up to a multiple of 8."""
    most = max((len(image.labels) for image in data.images), default=0)
    return max(8, -(-most // 8) * 8)


def image_weights(data: CocoDataset) -> NDArray[np.float64]:
    """How often to draw each picture so that rare classes are seen more often; see `rarity_weights`."""
    present = np.zeros((len(data), len(data.names)), bool)
    for row, image in enumerate(data.images):
        present[row, image.labels[~image.iscrowd]] = True
    return rarity_weights(present)
