"""Pictures on their way into a classifier: decoded, fitted as production fits them, varied.

Whatever is random about a sample follows from the seed, the epoch and the picture alone; see
`detect.training.batches.Batches`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detect.annotations.classes import ClassSet
from detect.classifier.fit import fed
from detect.detections import RGBImage
from detect.pictures.rgb import read_rgb
from detect.runtime.telemetry import import_quietly

__all__ = ["Augment", "ClassPictures", "open_nsfw_crop"]

Augment = Literal["none", "flip", "open_nsfw", "nudenet-v1"]


class ClassPictures(Dataset[tuple[Tensor, int]]):
    """Pictures of a set, uint8 RGB (3, size, size), with their labels, by (epoch, position)."""

    def __init__(self, data: ClassSet, *, size: int, resize: str, augment: Augment, seed: int = 0) -> None:
        """Describe the samples.

        Args:
            data: Pictures and labels.
            size: Side of the network's input in pixels.
            resize: One of `detect.classifier.fit.RESIZES`.
            augment: ``none`` fits as a classifier would; ``flip`` mirrors half of the pictures as well; the others vary
                them as the recipe of that name does.
            seed: What is random follows from it.
        """
        self._pictures = data.pictures
        self._size, self._resize, self._seed = size, resize, seed
        self._augment: Augment = augment
        self._vary = _nudenet_v1() if augment == "nudenet-v1" else None

    def __len__(self) -> int:
        """Pictures."""
        return len(self._pictures)

    def __getitem__(self, key: tuple[int, int] | int) -> tuple[Tensor, int]:
        """One sample; a plain position means epoch 0."""
        epoch, position = key if isinstance(key, tuple) else (0, key)
        picture = self._pictures[position]
        rng = np.random.default_rng([self._seed, epoch, position])
        image = read_rgb(picture.path)
        if self._augment == "open_nsfw":
            image = open_nsfw_crop(image, size=self._size, resize=self._resize, rng=rng)
        else:
            image = fed(image, size=(self._size, self._size), resize=self._resize)
        if self._augment in ("flip", "open_nsfw") and rng.random() < 0.5:
            image = image[:, ::-1]
        if self._vary is not None:
            self._vary.set_random_seed(int(rng.integers(2**31)))
            image = self._vary(image=image)["image"]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), picture.label


def open_nsfw_crop(image: RGBImage, *, size: int, resize: str, rng: np.random.Generator) -> RGBImage:
    """A random square of a picture that was fitted to a larger square of random size.

    Args:
        image: uint8 (H, W, 3).
        size: Side of the square in pixels.
        resize: How it is fitted.
        rng: Where size and place come from.

    Source:
        Mahadeokar and Pesavento, "Open Sourcing a Deep Learning Solution for Detecting NSFW Images" (2016): 256 pixels,
        crops of 224, scale augmentation as for residual networks; He et al. (arXiv:1512.03385), § 3.4: a side drawn
        from 256 to 480. All in proportion where `size` is not 224.
    """
    side = int(rng.integers(round(size * 256 / 224), round(size * 480 / 224) + 1))
    whole = fed(image, size=(side, side), resize=resize)
    top, left = (int(rng.integers(0, side - size + 1)) for _ in range(2))
    return whole[top : top + size, left : left + size]


def _nudenet_v1() -> Any:
    """How NudeNet's classifier of 2019 varied its pictures, in albumentations' words.

    Source:
        Bedapudi, "NudeNet: An ensemble of Neural Nets for Nudity Detection and Censoring" (2019), in Augmentor's words:
        rotate 20 degrees (.2), flip left-right (.4) and top-bottom (.8), zoom 1.1 to 1.5 (.2), random_distortion of
        4 x 4 cells and magnitude 8 (.2), brightness, color and contrast .5 to 3 (.2 each), skew .4 (.2). Its magnitude
        of distortion is in pixels: 8 of a cell's 64 at 256 pixels. Its skew moves corners by up to .4 of the longer
        side; here .2 is the standard deviation of a corner's way.
    """
    A = import_quietly("albumentations")  # noqa: N806  # as its own documentation does
    plain = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0), "p": 0.2}
    return A.Compose(
        [
            A.Rotate(limit=20, p=0.2),
            A.HorizontalFlip(p=0.4),
            A.VerticalFlip(p=0.8),
            A.Affine(scale=(1.1, 1.5), p=0.2),
            A.GridDistortion(num_steps=4, distort_limit=0.125, p=0.2),
            *(A.ColorJitter(**(plain | {what: (0.5, 3)})) for what in ("brightness", "saturation", "contrast")),
            A.Perspective(scale=(0.0, 0.2), p=0.2),
        ]
    )
