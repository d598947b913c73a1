"""What models find as annotations, so that people correct instead of draw, where it helps most first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detect import boxes
from detect.annotations.check import TOLERANCE
from detect.annotations.convert import category_records
from detect.annotations.disagreement import NSFW_LABELS, disagreement
from detect.annotations.document import Document
from detect.annotations.fusion import Fused, fuse
from detect.annotations.pictures import list_pictures
from detect.classifier.regions import cells_box, connected_cells
from detect.classifier.scores import Classifier, Scores
from detect.detections import Detections, Detector, RGBImage
from detect.errors import AnnotationsError, ImageError, ReadError
from detect.labels import canonical, serves
from detect.pictures.rgb import read_rgb

__all__ = ["CANDIDATE", "autolabel", "box_records", "hot_candidates"]

CANDIDATE = "NSFW_REGION"
"""The category of a region that classifiers find hot and no detector explains: a person says what it is."""

_SUSPECTED = 0.5
"""Probability from which a classifier's map is looked at, and from which its cells are hot."""


def autolabel(
    images_dir: Path,
    detectors: Mapping[str, Detector],
    *,
    classifiers: Sequence[Classifier] = (),
    min_score: float = 0.3,
    names: Sequence[str] | None = None,
) -> tuple[Document, list[str]]:
    """Annotate a folder of pictures with what models find in them.

    Boxes of several detectors are fused. Where a classifier suspects a picture, what is hot in its map and in no box
    that explains it becomes a box of the category `CANDIDATE`. Pictures about which the models disagree most come
    first.

    Args:
        images_dir: Pictures, in folders within it too.
        detectors: Find the boxes, each by what it is to be called; at least one. They see one picture at a time.
        classifiers: Say how likely pictures are NSFW, and where that comes from.
        min_score: In [0, 1]; boxes to which no detector gives so much are left out. A low one suits people, who delete
            faster than draw.
        names: The labels to keep, in the order of their ids from 1; None keeps all that the detectors know.

    Returns:
        A COCO document. Its annotations have a ``score``, rounded to 1/10000, best first within each image, and of
        several detectors the ``votes`` of each. Where there are several models its images have ``disagreement``, in
        [0, 1], largest first, and a ``reason`` in words; see `detect.annotations.disagreement`. And for each picture
        that could not be decoded, and is not in the document, why.

    Raises:
        AnnotationsError: There is no picture, or none could be decoded, or no detector knows one of `names`.
        DetectError: A model failed.
        ValueError: `min_score` is out of its range, or there is no detector.
    """
    if not 0 <= min_score <= 1 or not detectors:
        raise ValueError(f"min_score must lie in [0, 1], and there must be a detector: {min_score}, {list(detectors)}")
    called = _called(detectors, names)
    failures: list[str] = []
    looked: list[_Looked] = []
    for path in list_pictures(images_dir):
        try:
            picture = read_rgb(path)
        except (ReadError, ImageError) as error:
            failures.append(str(error))
            continue
        file_name = path.relative_to(images_dir).as_posix()
        looked.append(_look(picture, file_name, detectors, classifiers, min_score=min_score, names=called))
    if not looked:
        raise AnnotationsError(f"{images_dir}: no picture could be decoded; the first: {failures[0]}")
    if len(detectors) + len(classifiers) > 1:
        looked.sort(key=lambda each: -each.image["disagreement"])
    if CANDIDATE not in called and any(record["label"] == CANDIDATE for each in looked for record in each.records):
        called = (*called, CANDIDATE)
    return _document(looked, called), failures


def box_records(found: Detections, *, width: int, height: int, min_score: float) -> list[dict[str, Any]]:
    """One picture's boxes as a COCO file has them, but for ids: ``label``, ``bbox``, ``area`` and ``score``.

    Args:
        found: What a detector found.
        width: The picture's columns.
        height: Its rows.
        min_score: In [0, 1]; lower-scored boxes are left out, and those that are too small once they are cut.
    """
    records = []
    for row, score in enumerate(found.scores.tolist()):
        if found.scores[row] >= min_score:
            records += _record(canonical(found.label(row)), found.xyxy[row].tolist(), score, width=width, height=height)
    return records


def hot_candidates(
    classified: Mapping[str, Scores], explained: Sequence[Fused], *, width: int, height: int
) -> list[Fused]:
    """Regions of a picture that classifiers find hot and no box explains.

    Asked are classifiers that give the picture a probability of .5 or more; hot are cells of .5 or more, of one without
    any the hottest. A region is explained by a box that covers the middle of its hottest cell.

    Args:
        classified: Each classifier's answer by its name; one without a map shows no region.
        explained: Boxes of what makes a picture NSFW.
        width: The picture's columns.
        height: Its rows.

    Returns:
        Regions with the classifiers' probabilities for scores, fused as boxes are, best first.
    """
    found = {}
    for name, scores in classified.items():
        regions = []
        if scores.heat is not None and scores.probability >= _SUSPECTED:
            for cells in connected_cells(scores.heat >= min(np.float32(_SUSPECTED), scores.heat.max())):
                hottest = np.zeros_like(cells)
                hottest[np.unravel_index(np.where(cells, scores.heat, -1).argmax(), cells.shape)] = True
                x0, y0, x1, y1 = cells_box(hottest, width=width, height=height)
                if not any(_covers(box.xyxy, (x0 + x1) / 2, (y0 + y1) / 2) for box in explained):
                    regions.append(cells_box(cells, width=width, height=height))
        if scores.heat is not None:
            count = len(regions)
            found[name] = Detections(
                np.array(regions, np.float32).reshape(-1, 4),
                np.full(count, scores.probability, np.float32),
                np.zeros(count, np.int64),
                (CANDIDATE,),
            )
    return fuse(found) if found else []


@dataclass(frozen=True)
class _Looked:
    """One picture, and the boxes that are proposed in it."""

    image: dict[str, Any]
    records: list[dict[str, Any]]


def _look(
    picture: RGBImage,
    file_name: str,
    detectors: Mapping[str, Detector],
    classifiers: Sequence[Classifier],
    *,
    min_score: float,
    names: Sequence[str],
) -> _Looked:
    height, width = picture.shape[:2]
    found = {name: detector.detect([picture])[0] for name, detector in detectors.items()}
    classified = {each.name: each.classify([picture], heat=True)[0] for each in classifiers}
    every = fuse(found)
    known = {name: tuple(canonical(label) for label in boxes.names) for name, boxes in found.items()}
    probabilities = {name: scores.probability for name, scores in classified.items()}
    wanted = [box for box in fuse(found, names=names) if max(box.votes.values()) >= np.float32(min_score)]
    apart, why = disagreement(every, probabilities, detectors=known)
    explained = [box for box in every if box.label in NSFW_LABELS and max(box.votes.values()) >= np.float32(min_score)]
    records = []
    for box in [*wanted, *hot_candidates(classified, explained, width=width, height=height)]:
        more = {"votes": {who: round(vote, 4) for who, vote in box.votes.items()}} if len(box.votes) > 1 else {}
        records += [record | more for record in _record(box.label, box.xyxy, box.score, width=width, height=height)]
    image: dict[str, Any] = {"file_name": file_name, "width": width, "height": height}
    if len(detectors) + len(classifiers) > 1:
        image |= {"disagreement": round(apart, 4), "reason": why}
    return _Looked(image, records)


def _called(detectors: Mapping[str, Detector], names: Sequence[str] | None) -> tuple[str, ...]:
    """The labels to keep, as the class table spells them."""
    known = {name: tuple(canonical(label) for label in detector.names) for name, detector in detectors.items()}
    every = tuple(dict.fromkeys(label for labels in known.values() for label in labels))
    if names is None:
        return every
    called = tuple(dict.fromkeys(canonical(name) for name in names))
    if missing := [name for name in called if not any(serves(name, labels) for labels in known.values())]:
        who = "the detector does not know" if len(detectors) == 1 else "no detector knows"
        knows = "it knows" if len(detectors) == 1 else "they know"
        raise AnnotationsError(f"{who} {', '.join(missing)}; {knows} {', '.join(every)}")
    return called


def _document(looked: Sequence[_Looked], called: Sequence[str]) -> Document:
    annotations: list[dict[str, Any]] = []
    for number, each in enumerate(looked, 1):
        for record in each.records:
            category = called.index(record["label"]) + 1
            rest = {key: value for key, value in record.items() if key != "label"}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category, **rest, "iscrowd": 0}
            )
    images = [{"id": number, **each.image} for number, each in enumerate(looked, 1)]
    return {"categories": category_records(called), "images": images, "annotations": annotations}


def _record(label: str, xyxy: Sequence[float], score: float, *, width: int, height: int) -> list[dict[str, Any]]:
    """A box as a COCO file has it, but for ids, cut to its picture; none where too little is left of it."""
    cut = boxes.clip(np.array([xyxy], np.float32), width=width, height=height)[0].tolist()
    x0, y0, x1, y1 = (round(value, 2) for value in cut)  # before subtracting, so that x + width is still within
    bbox = [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]
    if min(bbox[2:]) <= 2 * TOLERANCE:
        return []
    return [{"label": label, "bbox": bbox, "area": round(bbox[2] * bbox[3], 2), "score": round(score, 4)}]


def _covers(xyxy: tuple[float, float, float, float], x: float, y: float) -> bool:
    return xyxy[0] <= x <= xyxy[2] and xyxy[1] <= y <= xyxy[3]
