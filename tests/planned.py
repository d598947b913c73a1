"""What tests of plans share: a detector of every red thing by itself, and pictures with several of them."""

from __future__ import annotations

import cv2
import numpy as np
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor import Censor
from censor.policy import Policy
from censor.rules import Rule
from detect.detections import Detections, RGBImage

__all__ = ["LABEL", "RedBlobs", "blobs", "censor_of", "shown"]

LABEL = "FEMALE_BREAST_EXPOSED"


class RedBlobs(RedFinder):
    """Finds each group of red pixels that lie near each other."""

    def _find(self, image: RGBImage) -> Detections:
        red = (image == RED).all(axis=2).astype(np.uint8)
        near = cv2.dilate(red, np.ones((5, 5), np.uint8))
        count, numbers = cv2.connectedComponents(near)
        boxes = []
        for number in range(1, count):
            rows, columns = np.nonzero((numbers == number) & (red == 1))
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        none = np.zeros(len(boxes), np.int64)
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), none + self.score, none, self.names)


def blobs(*lefts: int, height: int = 64, width: int = 160) -> NDArray[np.uint8]:
    """(H, W, 3): noise with chequered red squares of 16 pixels, 20 below the top; no mosaic of them is red."""
    pixels = np.random.default_rng(5).integers(40, 200, (height, width, 3), np.uint8)
    rows, columns = np.indices((16, 16))
    for left in lefts:
        pixels[20:36, left : left + 16][(rows + columns) % 2 == 0] = RED
    return pixels


def censor_of(**values: object) -> Censor:
    """Hides what is red, as a rule with these values says."""
    rule = Rule(**{"censor_at": 0.3, "nsfw_at": 0.6, "shape": "box", "expand": 0.0, **values})  # type: ignore[arg-type]  # Rule checks them
    return Censor(Policy(name="red", rules={LABEL: rule}), detector=RedBlobs(LABEL), classifiers=())


def shown(pixels: NDArray[np.uint8], left: int, original: NDArray[np.uint8]) -> bool:
    """Whether a square of `blobs` stands in a picture as it came."""
    window = np.s_[20:36, left : left + 16]
    return bool((np.abs(pixels[window].astype(int) - original[window]) <= 2).mean() > 0.9)
