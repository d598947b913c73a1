"""What a set of annotations consists of, as numbers and as a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect.annotations.coco import CocoDataset
from detect.annotations.document import write_bytes
from detect.runtime.telemetry import import_quietly

__all__ = ["ClassStats", "Stats", "count", "draw_stats"]

PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class ClassStats:
    """What there is of one class; crowds are counted, but not measured.

    Attributes:
        name: The class.
        boxes: Number of boxes that are no crowds.
        crowds: Number of crowds.
        images: Number of images with either.
        size: Square root of the area in pixels: 5th, 50th and 95th percentile; None without boxes.
        share: The same as a share of the square root of the picture's area.
        aspect: Width over height: the same percentiles.
    """

    name: str
    boxes: int
    crowds: int
    images: int
    size: tuple[float, float, float] | None
    share: tuple[float, float, float] | None
    aspect: tuple[float, float, float] | None


@dataclass(frozen=True)
class Stats:
    """What there is in all.

    Attributes:
        images: Number of images.
        negatives: Number of images without boxes.
        classes: In the dataset's order.
    """

    images: int
    negatives: int
    classes: tuple[ClassStats, ...]


def count(dataset: CocoDataset) -> Stats:
    """Count and measure a dataset's boxes, class by class."""
    classes = []
    for label, name in enumerate(dataset.names):
        sizes, shares, aspects = _measures(dataset, label)
        crowds = sum(int((image.iscrowd & (image.labels == label)).sum()) for image in dataset.images)
        images = sum(bool((image.labels == label).any()) for image in dataset.images)
        measured = (_percentiles(values) for values in (sizes, shares, aspects))
        classes.append(ClassStats(name, len(sizes), crowds, images, *measured))
    negatives = sum(len(image.labels) == 0 for image in dataset.images)
    return Stats(len(dataset), negatives, tuple(classes))


def draw_stats(dataset: CocoDataset, path: Path, *, overwrite: bool = False) -> None:
    """Draw how many boxes each class has, how large they are and of what shape, as a PNG.

    Raises:
        AnnotationsError: The file exists and `overwrite` is not set, or it cannot be written.
    """
    drawing = import_quietly("matplotlib.figure")  # without pyplot: no window system, nothing global

    stats = count(dataset)
    measures = [_measures(dataset, label) for label in range(len(dataset.names))]
    figure = drawing.Figure(figsize=(14, 2.5 + 0.35 * len(dataset.names)), layout="constrained")
    counts, shares, aspects = figure.subplots(1, 3, sharey=True)
    rows = np.arange(len(dataset.names))
    counts.barh(rows, [item.boxes for item in stats.classes], color="#3b6ea5", label="boxes")
    lefts = [item.boxes for item in stats.classes]
    counts.barh(rows, [item.crowds for item in stats.classes], left=lefts, color="#c9a227", label="crowds")
    counts.set_yticks(rows, [f"{item.name} ({item.boxes})" for item in stats.classes])
    counts.set_ylim(len(rows) - 0.5, -0.5)
    if any(item.crowds for item in stats.classes):
        counts.legend()
    counts.set_title(f"{stats.images} images, {stats.negatives} without boxes")
    filled = [row for row in rows if len(measures[row][0])]
    for axes, column, title in ((shares, 1, "size, as a share of the picture's"), (aspects, 2, "width / height")):
        axes.set_title(title)
        if filled:  # the ticks are the class names, which a boxplot would replace with numbers
            axes.boxplot(
                [measures[row][column] for row in filled],
                positions=filled,
                orientation="horizontal",
                sym=".",
                manage_ticks=False,
            )
    aspects.set_xscale("log", base=2)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, metadata={"Software": None})
    write_bytes(path, drawn.getvalue(), overwrite=overwrite)


def _measures(dataset: CocoDataset, label: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sizes in pixels, sizes as shares of the picture's, and aspect ratios of a class's boxes, in the file's order."""
    sizes, shares, aspects = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for image in dataset.images:
        box = image.xyxy[(image.labels == label) & ~image.iscrowd].astype(np.float64)
        width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
        sizes.append(np.sqrt(width * height))
        shares.append(sizes[-1] / np.sqrt(image.width * image.height))
        aspects.append(width / height)
    return np.concatenate(sizes), np.concatenate(shares), np.concatenate(aspects)


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float, float] | None:
    if not len(values):
        return None
    low, middle, high = (float(value) for value in np.percentile(values, PERCENTILES).round(3))
    return low, middle, high
