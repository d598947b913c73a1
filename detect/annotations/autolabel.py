"""A detector's boxes as annotations, so that people correct instead of draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect import boxes
from detect.annotations.check import TOLERANCE
from detect.annotations.convert import category_records
from detect.annotations.document import Document
from detect.annotations.pictures import list_pictures
from detect.detections import Detections, Detector
from detect.errors import AnnotationsError, ImageError, ReadError
from detect.labels import canonical
from detect.pictures.rgb import read_rgb

__all__ = ["autolabel", "box_records"]


def autolabel(
    images_dir: Path, detector: Detector, *, min_score: float = 0.3, names: Sequence[str] | None = None
) -> tuple[Document, list[str]]:
    """Annotate a folder of pictures with what a detector finds in them.

    Args:
        images_dir: Pictures, in folders within it too.
        detector: Finds the boxes; sees one picture at a time.
        min_score: In [0, 1]; lower-scored boxes are left out. A low one suits people, who delete faster than draw.
        names: The labels to keep, in the order of their ids from 1; None keeps all of the detector's.

    Returns:
        A COCO document whose annotations have a ``score``, rounded to 1/10000, best first within each image, and for
        each picture that could not be decoded, and is not in the document, why.

    Raises:
        AnnotationsError: There is no picture, or none could be decoded, or the detector lacks one of `names`.
        DetectError: The detector failed.
        ValueError: `min_score` is out of its range.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f"min_score must lie in [0, 1]: {min_score}")
    known = [canonical(name) for name in detector.names]
    called = known if names is None else [canonical(name) for name in names]
    if missing := [name for name in called if name not in known]:
        raise AnnotationsError(f"the detector does not know {', '.join(missing)}; it knows {', '.join(known)}")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    failures: list[str] = []
    for path in list_pictures(images_dir):
        try:
            picture = read_rgb(path)
        except (ReadError, ImageError) as error:
            failures.append(str(error))
            continue
        height, width = picture.shape[:2]
        number = len(images) + 1
        file_name = path.relative_to(images_dir).as_posix()
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        found = detector.detect([picture])[0].by_score()
        for record in box_records(found, width=width, height=height, min_score=min_score):
            if record["label"] in called:
                category = called.index(record.pop("label")) + 1
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, "category_id": category, **record, "iscrowd": 0}
                )
    if not images:
        raise AnnotationsError(f"{images_dir}: no picture could be decoded; the first: {failures[0]}")
    return {"categories": category_records(called), "images": images, "annotations": annotations}, failures


def box_records(found: Detections, *, width: int, height: int, min_score: float) -> list[dict[str, Any]]:
    """One picture's boxes as a COCO file has them, but for ids: ``label``, ``bbox``, ``area`` and ``score``.

    Args:
        found: What a detector found.
        width: The picture's columns.
        height: Its rows.
        min_score: In [0, 1]; lower-scored boxes are left out, and those that are too small once they are cut.
    """
    records = []
    cut = boxes.clip(found.xyxy, width=width, height=height).tolist()
    for row, corners in enumerate(cut):
        x0, y0, x1, y1 = (round(value, 2) for value in corners)  # before subtracting, so that x + width is still within
        bbox = [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]
        if found.scores[row] >= min_score and min(bbox[2:]) > 2 * TOLERANCE:
            area, score = round(bbox[2] * bbox[3], 2), round(float(found.scores[row]), 4)
            records.append({"label": canonical(found.label(row)), "bbox": bbox, "area": area, "score": score})
    return records
