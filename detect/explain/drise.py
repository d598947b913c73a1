"""Which pixels a detector needs for one of its boxes: D-RISE, which knows nothing of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.boxes import iou
from detect.detections import Detections, Detector, RGBImage
from detect.errors import ExplanationError
from detect.explain.target import Heatmap, batches

__all__ = ["DRise", "drise", "random_mask", "strongest", "weight"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DRise:
    """A map, as far as it has come.

    Attributes:
        heat: For each pixel the mean weight of the masks that show it, each by how much it does.
        looks: How many masks have been tried.
        total: How many will be.
    """

    heat: Heatmap
    looks: int
    total: int


def strongest(found: Detections, label: str | None = None) -> Detections:
    """The one box with the best score, of a label if one is named: a single row, or none."""
    rows = np.arange(len(found))
    if label is not None:
        rows = rows[[found.names[each] == label for each in found.labels.tolist()]] if len(rows) else rows
    return found[rows[found.scores[rows].argsort(kind="stable")[::-1][:1]]]


def drise(
    image: RGBImage,
    detector: Detector,
    box: Detections,
    *,
    masks: int = 600,
    cells: int = 16,
    keep: float = 0.5,
    seed: int = 0,
    batch_size: int = 16,
) -> Iterator[DRise]:
    """Show the detector the picture under random masks, and ask each time how much of the box is still found.

    Args:
        image: uint8 (H, W, 3).
        detector: Any.
        box: The one to be explained, a single row of this detector's.
        masks: How many are tried; the paper takes 5,000.
        cells: Of a mask along each side, before it is made larger.
        keep: Share of cells that are shown.
        seed: Of the masks.
        batch_size: Pictures shown to the detector at once.

    Returns:
        Maps as they become better, one a batch.

    Raises:
        ExplanationError: `box` is not one row, or of another detector.
        ValueError: Another argument is out of its range.

    Source:
        Petsiuk et al., Black-box Explanation of Object Detectors via Saliency Maps (arXiv:2006.03204), § 3. Boxes here
        have one label each: the cosine of their classes is 1 or 0, and the score stands for objectness. We divide by
        how much each pixel was shown, which the paper leaves out since its masks are many.
    """
    if masks < 1 or cells < 1 or batch_size < 1 or not 0 < keep < 1:
        raise ValueError(
            f"need masks, cells, batch_size >= 1 and keep in (0, 1), not {masks}, {cells}, {batch_size} and {keep}"
        )
    if len(box) != 1 or box.names != detector.names:
        raise ExplanationError(f"D-RISE explains one box of the detector's own, not {len(box)}")
    return _refine(image, detector, box, masks, cells, keep, np.random.default_rng(seed), batch_size)


def _refine(
    image: RGBImage,
    detector: Detector,
    box: Detections,
    masks: int,
    cells: int,
    keep: float,
    rng: np.random.Generator,
    batch_size: int,
) -> Iterator[DRise]:
    height, width = image.shape[:2]
    weighed, shown = np.zeros((height, width)), np.full((height, width), 1e-9)
    for start in range(0, masks, batch_size):
        count = min(batch_size, masks - start)
        tried = [random_mask(height, width, cells=cells, keep=keep, rng=rng) for _ in range(count)]
        (views,) = batches((np.rint(image * mask[..., None]).astype(np.uint8) for mask in tried), count)
        for mask, found in zip(tried, detector.detect(views), strict=True):
            weighed += weight(found, box) * mask
            shown += mask
        yield DRise(heat=(weighed / shown).astype(np.float32), looks=start + count, total=masks)


def weight(found: Detections, box: Detections) -> float:
    """How much of a box is found: the most that any box of its label has of overlap times score, in [0, 1]."""
    same = found[found.labels == box.labels[0]]
    return float((iou(same.xyxy, box.xyxy)[:, 0] * same.scores).max(initial=0))


def random_mask(height: int, width: int, *, cells: int, keep: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A coarse random mask made large with soft edges, and shifted by less than a cell: (H, W) in [0, 1]."""
    rows, columns = -(-height // cells), -(-width // cells)  # pixels of a cell
    coarse = (rng.random((cells + 1, cells + 1)) < keep).astype(np.float32)
    size = ((cells + 1) * columns, (cells + 1) * rows)
    large = np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    top, left = int(rng.integers(rows)), int(rng.integers(columns))
    return np.asarray(large[top : top + height, left : left + width], np.float32)
