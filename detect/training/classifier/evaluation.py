"""How well a classifier in training does on pictures it has not learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader

from detect.annotations.classes import ClassSet
from detect.classifier.fit import fed
from detect.detections import RGBImage
from detect.evaluation.curves import precision_recall_curve, roc_auc, roc_curve
from detect.evaluation.plots import draw_precision_recall, draw_roc
from detect.evaluation.scored import Scored
from detect.pictures.rgb import read_rgb
from detect.training.batches import worker_options
from detect.training.classifier.checkpoint import Description
from detect.training.classifier.dataset import ClassPictures
from detect.training.classifier.network import ClassifierNetwork

__all__ = ["draw_worst_pictures", "for_people", "measure", "predict_classes"]

_TILE = 160


@torch.no_grad()
def predict_classes(
    model: ClassifierNetwork,
    data: ClassSet,
    *,
    description: Description,
    batch_size: int = 32,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
) -> dict[int, NDArray[np.float64]]:
    """Probabilities of each class, (K,), by position in `data`.

    Args:
        model: In evaluation mode.
        data: Pictures, labelled as the model's answers.
        description: What the model expects.
        batch_size: Pictures at once.
        workers: Processes that read pictures.
        share: (which, of how many): every so-manyth picture, for several processes.
    """
    which, of = share
    positions = list(range(which, len(data), of))
    pictures = ClassPictures(data, size=description.size, resize=description.resize, augment="none")
    device = next(model.parameters()).device
    loader = DataLoader(
        pictures,
        sampler=positions,
        batch_size=batch_size,
        pin_memory=device.type == "cuda",
        **worker_options(workers),
    )
    found: list[NDArray[np.float64]] = []
    for images, _ in loader:
        logits = model(description.input.normalized(images.to(device, non_blocking=True)))
        found += list(logits.double().softmax(dim=1).cpu().numpy())
    return dict(zip(positions, found, strict=True))


def measure(data: ClassSet, probabilities: Sequence[NDArray[np.float64]], nsfw: Sequence[str]) -> dict[str, float]:
    """Loss, accuracy, recall of each class, and how well the probability of NSFW tells (area under the ROC curve).

    Args:
        data: N pictures; some of each class.
        probabilities: For each of them, (K,).
        nsfw: Names that mean NSFW; not all of them.
    """
    table, labels = np.stack(probabilities), np.array([picture.label for picture in data.pictures])
    right = table.argmax(axis=1) == labels
    losses = -np.log(np.maximum(table[np.arange(len(labels)), labels], 1e-12))
    recalls = {f"recall {name}": float(right[labels == label].mean()) for label, name in enumerate(data.names)}
    scored = _scored(data, probabilities, nsfw)
    return {
        "loss": float(losses.mean()), "accuracy": float(right.mean()), "auc": roc_auc(scored), **recalls,
    }  # fmt: skip


def for_people(
    data: ClassSet, probabilities: Sequence[NDArray[np.float64]], description: Description
) -> tuple[dict[str, float], dict[str, RGBImage]]:
    """What TensorBoard shows of an evaluation: figures, and pictures of it."""
    figures = measure(data, probabilities, description.nsfw)
    scored = _scored(data, probabilities, description.nsfw)
    return {f"val/{name.replace(' ', '_')}": value for name, value in figures.items()}, {
        "val/roc": draw_roc({description.name: roc_curve(scored)}),
        "val/precision_recall": draw_precision_recall({description.name: precision_recall_curve(scored)}),
        "val/worst": draw_worst_pictures(data, probabilities, description),
    }


def draw_worst_pictures(
    data: ClassSet, probabilities: Sequence[NDArray[np.float64]], description: Description, *, count: int = 12
) -> RGBImage:
    """The pictures whose own class got least, worst first, four in a row, each as the network sees it."""
    own = np.array([each[picture.label] for each, picture in zip(probabilities, data.pictures, strict=True)])
    worst = np.argsort(own, kind="stable")[:count]
    sheet = Image.new("RGB", (4 * _TILE, -(-len(worst) // 4) * (_TILE + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    for cell, position in enumerate(worst):
        picture = data.pictures[int(position)]
        x, y = cell % 4 * _TILE, cell // 4 * (_TILE + 14)
        draw.text((x + 2, y + 1), f"{data.names[picture.label]} {own[position]:.3f}", fill="black")
        seen = fed(read_rgb(picture.path), size=(_TILE, _TILE), resize=description.resize)
        sheet.paste(Image.fromarray(seen), (x, y + 14))
    return np.asarray(sheet, np.uint8)


def _scored(data: ClassSet, probabilities: Sequence[NDArray[np.float64]], nsfw: Sequence[str]) -> Scored:
    counted = [data.names.index(name) for name in nsfw]
    table = np.stack(probabilities)
    return Scored([picture.label in counted for picture in data.pictures], table[:, counted].sum(axis=1))
