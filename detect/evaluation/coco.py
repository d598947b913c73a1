"""How good a detector is, whatever it runs on: COCO's measures, what it mistakes for what, and where it fails worst."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect import boxes
from detect.annotations import CocoDataset
from detect.detections import Detections
from detect.errors import AnnotationsError

__all__ = ["ClassResult", "Evaluation", "Match", "confusion", "evaluate", "in_names_of", "match"]


@dataclass(frozen=True)
class ClassResult:
    """One label's measures; NaN where the pictures show none of it.

    Attributes:
        name: The label.
        boxes: How many there are to find, crowds left out.
        ap: Average precision over IoU .5 to .95.
        ap50: Average precision at IoU .5.
        ar: Average recall over IoU .5 to .95, with up to 100 boxes a picture.
        threshold: The score that gives the best F1 at IoU .5.
        precision: At that score.
        recall: At that score.
        threshold_recall90: The highest score that still finds nine in ten at IoU .5; NaN where no score does.
    """

    name: str
    boxes: int
    ap: float
    ap50: float
    ar: float
    threshold: float
    precision: float
    recall: float
    threshold_recall90: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A detector's measures on a set of pictures.

    Attributes:
        ap: COCO AP, the mean over labels that occur.
        ap50: The same at IoU .5.
        ap75: The same at IoU .75.
        ar: COCO AR with up to 100 boxes a picture.
        classes: Each label's own.
        recalls: (101,): where the curves are read.
        precisions: (labels, 101) at IoU .5, -1 for labels that do not occur.
    """

    ap: float
    ap50: float
    ap75: float
    ar: float
    classes: tuple[ClassResult, ...]
    recalls: NDArray[np.float64]
    precisions: NDArray[np.float64]

    def summary(self) -> dict[str, Any]:
        """Everything but the curves, fit for JSON: NaN becomes None."""
        rows = [{key: _or_none(value) for key, value in asdict(row).items()} for row in self.classes]
        whole = {key: _or_none(getattr(self, key)) for key in ("ap", "ap50", "ap75", "ar")}
        return {**whole, "classes": rows}

    def thresholds(self) -> dict[str, float]:
        """The best F1's score for each label that occurs and was found at all."""
        return {row.name: row.threshold for row in self.classes if np.isfinite(row.threshold)}


def evaluate(data: CocoDataset, found: Sequence[Detections]) -> Evaluation:
    """Compare detections with annotations.

    Args:
        data: The truth; crowds are ignored as COCO has it.
        found: One entry a picture, in the order of `data`, scores as low as the curves should reach.

    Raises:
        AnnotationsError: There is no box to be found, or the detector knows none of the labels.
        ValueError: `found` has another length than `data`.

    Source:
        pycocotools `COCOeval`. Ids are given out here, from 1: it takes an annotation whose id is 0 for a box that was
        never matched.
    """
    if len(found) != len(data):
        raise ValueError(f"{len(data)} pictures need as many entries, not {len(found)}")
    counts = np.bincount(
        np.concatenate([image.labels[~image.iscrowd] for image in data.images] or [np.empty(0, np.int64)]),
        minlength=len(data.names),
    )
    if not counts.sum():
        raise AnnotationsError(f"{data.file}: holds no boxes, so that nothing can be measured against it")
    result = _coco_eval(data, [in_names_of(data, entry) for entry in found])
    recalls = np.asarray(result.params.recThrs, np.float64)
    precision, scores, recall = result.eval["precision"], result.eval["scores"], result.eval["recall"]
    classes = []
    for label, name in enumerate(data.names):
        curve, score = precision[0, :, label, 0, -1], scores[0, :, label, 0, -1]
        at = _best_f1(curve, recalls) if counts[label] else None
        nine = np.flatnonzero((recalls >= 0.9) & (curve > 0))
        classes.append(
            ClassResult(
                name=name,
                boxes=int(counts[label]),
                ap=_mean(precision[:, :, label, 0, -1]),
                ap50=_mean(curve),
                ar=_mean(recall[:, label, 0, -1]),
                threshold=float(score[at]) if at is not None else float("nan"),
                precision=float(curve[at]) if at is not None else float("nan"),
                recall=float(recalls[at]) if at is not None else float("nan"),
                threshold_recall90=float(score[nine[0]]) if nine.size else float("nan"),
            )
        )
    return Evaluation(
        ap=_mean(precision[..., 0, -1]),
        ap50=_mean(precision[0, ..., 0, -1]),
        ap75=_mean(precision[5, ..., 0, -1]),
        ar=_mean(recall[..., 0, -1]),
        classes=tuple(classes),
        recalls=recalls,
        precisions=np.asarray(precision[0, :, :, 0, -1].T, np.float64),
    )


def in_names_of(data: CocoDataset, found: Detections) -> Detections:
    """The detections whose labels the data set has too, numbered as there; nothing can be said of the others.

    Raises:
        AnnotationsError: There is no label that both know.
    """
    if found.names == data.names:
        return found
    label_of = {name: label for label, name in enumerate(data.names)}
    table = np.array([label_of.get(name, -1) for name in found.names], np.int64)
    if (table < 0).all():
        raise AnnotationsError(
            f"{data.file}: the detector knows none of its labels {', '.join(data.names)}; "
            f"it finds {', '.join(found.names)}"
        )
    labels = table[found.labels]
    return found[labels >= 0].replace(labels=labels[labels >= 0], names=data.names)


@dataclass(frozen=True, eq=False)
class Match:
    """Which detection goes with which box of one picture, at one score threshold.

    Attributes:
        truth: Positions of the picture's boxes, each crowd left out, (T,).
        partner: For each of them the detection it went to, -1 where it was missed.
        surplus: Detections that went to no box.
    """

    truth: NDArray[np.intp]
    partner: NDArray[np.intp]
    surplus: NDArray[np.intp]


def match(data: CocoDataset, position: int, found: Detections, *, min_score: float, min_iou: float = 0.5) -> Match:
    """Pair detections with a picture's boxes, the best scores first, whatever the labels.

    Args:
        data: The truth.
        position: Of the picture.
        found: Its detections, labelled as `data`.
        min_score: Detections below this do not count.
        min_iou: What it takes to be a pair; among several boxes, one of the detection's own label first, then the
            one with the greatest IoU.
    """
    image = data.images[position]
    truth = np.flatnonzero(~image.iscrowd)
    partner = np.full(len(truth), -1, np.intp)
    overlap = boxes.iou(found.xyxy, image.xyxy[truth])
    surplus = []
    for row in np.argsort(-found.scores, kind="stable"):
        if found.scores[row] < min_score:
            break
        fits = (overlap[row] >= min_iou) & (partner < 0)
        if not fits.any():
            surplus.append(row)
            continue
        worth = overlap[row] + (image.labels[truth] == found.labels[row])
        partner[np.argmax(np.where(fits, worth, -1))] = row
    crowd = image.xyxy[image.iscrowd]
    rows = np.array(surplus, np.intp)
    if len(crowd) and len(rows):
        inside = (boxes.overlap_of_smaller(found.xyxy[rows], crowd) >= 0.5).any(axis=1)
        rows = rows[~inside]
    return Match(truth, partner, rows)


def confusion(data: CocoDataset, found: Sequence[Detections], *, min_score: float) -> NDArray[np.int64]:
    """What was taken for what.

    Returns:
        (labels + 1, labels + 1): rows are the truth, columns what the detector said; the last row counts detections of
        nothing, the last column boxes that were missed.
    """
    size = len(data.names) + 1
    table = np.zeros((size, size), np.int64)
    for position, entry in enumerate(found):
        mine = in_names_of(data, entry)
        pairs = match(data, position, mine, min_score=min_score)
        said = np.where(pairs.partner >= 0, np.append(mine.labels, size - 1)[pairs.partner], size - 1)
        np.add.at(table, (data.images[position].labels[pairs.truth], said), 1)
        np.add.at(table[size - 1], mine.labels[pairs.surplus], 1)
    return table


def _coco_eval(data: CocoDataset, found: Sequence[Detections]) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, (image, entry) in enumerate(zip(data.images, found, strict=True), start=1):
        images.append({"id": number, "width": image.width, "height": image.height})
        for xyxy, label, crowd in zip(image.xyxy, image.labels, image.iscrowd, strict=True):
            row = _row(number, xyxy, int(label)) | {"id": len(annotations) + 1, "iscrowd": int(crowd)}
            annotations.append(row | {"area": row["bbox"][2] * row["bbox"][3]})
        for xyxy, label, score in zip(entry.xyxy, entry.labels, entry.scores, strict=True):
            results.append(_row(number, xyxy, int(label)) | {"score": float(score)})
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(data.names)]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        truth, answer = COCO(), COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
        truth.createIndex()
        rows = [
            row | {"id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
            for number, row in enumerate(results, start=1)
        ]
        answer.dataset = {"images": images, "annotations": rows, "categories": categories}
        answer.createIndex()
        result = COCOeval(truth, answer, iouType="bbox")
        result.evaluate()
        result.accumulate()
    return result


def _row(image: int, xyxy: NDArray[np.float32], label: int) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(edge) for edge in xyxy)
    return {"image_id": image, "category_id": label + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}


def _best_f1(curve: NDArray[np.float64], recalls: NDArray[np.float64]) -> int | None:
    f1 = 2 * curve * recalls / np.maximum(curve + recalls, 1e-9)
    return int(np.argmax(f1)) if f1.max() > 0 else None


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
