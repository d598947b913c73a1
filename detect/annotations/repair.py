"""Mend what a check of a COCO file found, as far as the file and its pictures say how.

What nothing can be made of (a box of no area, an image whose picture is not there) is taken out, and every change is
listed. What only a person can decide (a category that nobody expects, two categories of one id) stays as it is.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from detect.annotations.check import TOLERANCE, is_inside_folder
from detect.annotations.document import Document
from detect.annotations.fields import is_area, is_box, is_flag, is_number, is_score, is_size, is_text, is_whole, shown
from detect.errors import AnnotationsError, ImageError, ReadError
from detect.labels import canonical
from detect.pictures.header import Header, read_header

__all__ = ["Change", "repair_document", "turn_box"]

Record = dict[str, Any]

_SECTIONS = ("categories", "images", "annotations")


@dataclass(frozen=True)
class Change:
    """One thing that was changed.

    Attributes:
        field: Where in the source, as ``annotations[3].bbox``.
        before: What was there, as JSON, shortened.
        after: What is there now, as JSON, or ``removed``.
        reason: Why.
    """

    field: str
    before: str
    after: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}: {self.reason}"


@dataclass
class _Work:
    """A document being mended: its records by their place in the source, and what was changed so far."""

    categories: dict[int, Record]
    images: dict[int, Record]
    annotations: dict[int, Record]
    changes: list[Change] = field(default_factory=list)

    def set(self, section: str, row: int, key: str, value: object, reason: str) -> None:
        record = getattr(self, section)[row]
        before = shown(record[key]) if key in record else "nothing"
        self.changes.append(Change(f"{section}[{row}].{key}", before, shown(value), reason))
        record[key] = value

    def set_box(self, row: int, xyxy: tuple[float, float, float, float], reason: str) -> None:
        x0, y0, x1, y1 = xyxy
        self.set("annotations", row, "bbox", [x0, y0, x1 - x0, y1 - y0], reason)
        if "area" in self.annotations[row]:
            self.set("annotations", row, "area", (x1 - x0) * (y1 - y0), reason)
        if self.annotations[row].get("segmentation"):
            self.set("annotations", row, "segmentation", [], reason)

    def drop(self, section: str, row: int, reason: str) -> None:
        record = getattr(self, section).pop(row)
        self.changes.append(Change(f"{section}[{row}]", shown(record), "removed", reason))


def repair_document(document: object, *, images_dir: Path) -> tuple[Document, list[Change]]:
    """Mend a COCO document.

    Args:
        document: As read from JSON; it is left as it is.
        images_dir: Where the pictures are.

    Returns:
        The mended document, to be checked again since not everything can be mended, and what was changed.

    Raises:
        AnnotationsError: It is no object, or a section is missing or no list: there is nothing to start from.
    """
    if not isinstance(document, dict) or not all(isinstance(document.get(section), list) for section in _SECTIONS):
        raise AnnotationsError("cannot be mended: expected an object with the lists categories, images and annotations")
    mended = copy.deepcopy(document)
    categories, images, annotations = (dict(enumerate(mended[section])) for section in _SECTIONS)
    work = _Work(categories, images, annotations)
    _mend_types(work)
    _mend_categories(work)
    _mend_images(work, images_dir)
    _mend_references(work)
    _mend_boxes(work)
    _mend_annotation_ids(work)
    for section in _SECTIONS:
        mended[section] = list(getattr(work, section).values())
    return mended, work.changes


def turn_box(
    xyxy: tuple[float, float, float, float], *, width: int, height: int, orientation: int
) -> tuple[float, float, float, float]:
    """Move a box from the picture as it is stored to the upright picture.

    Args:
        xyxy: In pixels of the stored picture.
        width: Of the stored picture.
        height: Of the stored picture.
        orientation: EXIF orientation, 1 to 8.

    Source: Exif 2.32, 4.6.4 A, tag 274: what side of the scene the stored rows and columns begin at.
    """
    x0, y0, x1, y1 = xyxy
    if orientation in (2, 3, 7, 8):  # stored columns run from right to left of the scene, or up it
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if orientation >= 5 else (x0, y0, x1, y1)


def _mend_types(work: _Work) -> None:
    """Drop records that are no objects, and turn numbers written as texts, or with a fraction of 0, into numbers."""
    for section in _SECTIONS:
        for row, record in list(getattr(work, section).items()):
            if not isinstance(record, dict):
                work.drop(section, row, "no object")
                continue
            for key in ("id", "image_id", "category_id", "width", "height"):
                number = _whole(record.get(key))
                if number is not None and not is_whole(record[key]):
                    work.set(section, row, key, number, "a whole number, written otherwise")
            box = record.get("bbox")
            if isinstance(box, list) and not is_box(box):
                numbers = [_number(number) for number in box]
                if is_box(numbers):
                    work.set(section, row, "bbox", numbers, "numbers, written as texts")


def _mend_categories(work: _Work) -> None:
    first: dict[str, Record] = {}
    for row, category in list(work.categories.items()):
        if not (is_whole(category.get("id")) and is_text(category.get("name"))):
            continue
        kept = first.setdefault(canonical(category["name"]), category)
        if kept is not category:
            for number, annotation in work.annotations.items():
                if annotation.get("category_id") == category["id"] != kept["id"]:
                    work.set("annotations", number, "category_id", kept["id"], "two categories of one name, joined")
            work.drop("categories", row, "its name is there already")
    _number_from_one(work, "categories", "category_id")


def _mend_images(work: _Work, images_dir: Path) -> None:
    first: dict[str, Record] = {}
    ambiguous = _ambiguous_ids(work)
    for row, image in list(work.images.items()):
        reason = _mend_file_name(work, row, images_dir)
        if reason is not None:
            work.drop("images", row, reason)
            continue
        kept = first.setdefault(image["file_name"], image)
        if kept is not image and is_whole(image.get("id")) and is_whole(kept.get("id")):
            for number, annotation in work.annotations.items():
                if annotation.get("image_id") == image["id"] != kept["id"]:
                    work.set("annotations", number, "image_id", kept["id"], "two images of one file, joined")
            work.drop("images", row, "its file is named already")
            continue
        if image.get("id") in ambiguous:
            continue  # whose the boxes are is for a person to say
        try:
            reason = _mend_size(work, row, read_header(images_dir / image["file_name"]))
        except (ReadError, ImageError) as error:
            reason = str(error)
        if reason is not None:
            work.drop("images", row, reason)
    _number_from_one(work, "images", "image_id")


def _ambiguous_ids(work: _Work) -> list[int]:
    """The ids that several files share."""
    files: dict[int, set[str]] = {}
    for image in work.images.values():
        if is_whole(image.get("id")) and is_text(image.get("file_name")):
            files.setdefault(image["id"], set()).add(image["file_name"])
    return [number for number, names in files.items() if len(names) > 1]


def _mend_file_name(work: _Work, row: int, images_dir: Path) -> str | None:
    """Make a file name name a file in the folder; the answer is why it cannot be done."""
    name = work.images[row].get("file_name")
    if not is_text(name):
        return "no file name"
    if not is_inside_folder(name):
        inside = PurePosixPath(name.replace("\\", "/")).name
        if not is_inside_folder(inside) or not (images_dir / inside).is_file():
            return "its picture is not in the image folder"
        work.set("images", row, "file_name", inside, "the file is in the image folder")
    elif not (images_dir / name).is_file():
        folder = (images_dir / name).parent
        near = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        same = [other for other in near if other.lower() == PurePosixPath(name).name.lower()]
        if len(same) != 1:
            return "its picture is not there"
        work.set("images", row, "file_name", PurePosixPath(name).with_name(same[0]).as_posix(), "upper and lower case")
    return None


def _mend_size(work: _Work, row: int, header: Header) -> str | None:
    """Make a size that of the upright picture, its boxes with it; the answer is why it cannot be done."""
    image = work.images[row]
    width, height = image.get("width"), image.get("height")
    found = (header.width, header.height)
    if (width, height) == found:
        return None
    boxes = {
        number: (x, y, x + box_width, y + box_height)
        for number, annotation in work.annotations.items()
        if is_whole(image.get("id")) and annotation.get("image_id") == image["id"] and is_box(annotation.get("bbox"))
        for x, y, box_width, box_height in [annotation["bbox"]]
    }
    if not (is_size(width) and is_size(height)):
        moved, reason = boxes, "as in the picture"
    elif (width, height) == header.stored:
        moved = {
            number: turn_box(box, width=width, height=height, orientation=header.orientation)
            for number, box in boxes.items()
        }
        reason = "the picture is stored turned; its boxes are turned with it"
    elif abs(width * found[1] - height * found[0]) <= max(width, height, *found):
        across, down = found[0] / width, found[1] / height
        moved = {
            number: (box[0] * across, box[1] * down, box[2] * across, box[3] * down) for number, box in boxes.items()
        }
        reason = "the picture has been resized; its boxes are resized with it"
    else:
        return f"its picture of {found[0]} x {found[1]} is of another shape than {width} x {height}"
    for key, value in zip(("width", "height"), found, strict=True):
        if image.get(key) != value:
            work.set("images", row, key, value, reason)
    for number, box in moved.items():
        if box != boxes[number]:
            work.set_box(number, box, reason)
    return None


def _mend_references(work: _Work) -> None:
    categories = {category.get("id") for category in work.categories.values() if is_whole(category.get("id"))}
    images = {image.get("id") for image in work.images.values() if is_whole(image.get("id"))}
    for row, annotation in list(work.annotations.items()):
        if not is_whole(annotation.get("category_id")) or annotation["category_id"] not in categories:
            work.drop("annotations", row, "its category is not there")
        elif not is_whole(annotation.get("image_id")) or annotation["image_id"] not in images:
            work.drop("annotations", row, "its image is not there")


def _mend_boxes(work: _Work) -> None:
    owners = {image["id"]: image for image in work.images.values() if is_whole(image.get("id"))}
    for row, annotation in list(work.annotations.items()):
        if not is_box(annotation.get("bbox")):
            work.drop("annotations", row, "no box")
            continue
        limits = tuple(owners[annotation["image_id"]].get(key) for key in ("width", "height"))
        if not all(is_size(limit) for limit in limits):
            continue  # the image was left to a person, and its boxes are with it
        x, y, width, height = annotation["bbox"]
        low, high = (min(x, x + width), min(y, y + height)), (max(x, x + width), max(y, y + height))
        (x0, x1), (y0, y1) = (
            (max(start, 0), min(end, limit)) for start, end, limit in zip(low, high, limits, strict=True)
        )
        if min(x1 - x0, y1 - y0) <= 2 * TOLERANCE:
            work.drop("annotations", row, "nothing of its box lies within the image")
            continue
        beyond = max(x0 - x, y0 - y, x + width - x1, y + height - y1) > TOLERANCE
        if beyond or min(width, height) < 0:
            reason = "cut to its image" if beyond and min(width, height) > 0 else "turned right side out"
            work.set_box(row, (x0, y0, x1, y1), reason)
        for key, right, otherwise in (("iscrowd", is_flag, 0), ("area", is_area, (x1 - x0) * (y1 - y0))):
            if key in annotation and not right(annotation[key]):
                work.set("annotations", row, key, otherwise, "out of its range")
        if "score" in annotation and not is_score(annotation["score"]):
            before = shown(annotation.pop("score"))
            work.changes.append(Change(f"annotations[{row}].score", before, "removed", "out of its range"))


def _mend_annotation_ids(work: _Work) -> None:
    """Give a new id, above all others, to each annotation whose own is missing, below 1 or another's."""
    ids = [annotation.get("id") for annotation in work.annotations.values()]
    free = max([0, *(number for number in ids if is_whole(number))]) + 1
    taken: set[int] = set()
    for row, annotation in work.annotations.items():
        number = annotation.get("id")
        if not is_whole(number) or number < 1 or number in taken:
            work.set("annotations", row, "id", free, "each annotation needs an id of its own, from 1 up")
            free += 1
        taken.add(annotation["id"])


def _number_from_one(work: _Work, section: str, reference: str) -> None:
    """Number records from 1 where an id is below, in the order of id; each keeps its annotations."""
    records: dict[int, Record] = getattr(work, section)
    ids = [record.get("id") for record in records.values()]
    whole = sorted(number for number in ids if is_whole(number))
    if len(whole) != len(ids) or len(set(whole)) != len(ids) or not whole or whole[0] >= 1:
        return  # without ids that tell records apart, nothing says which annotations are whose
    new = {number: place for place, number in enumerate(whole, 1)}
    reason = "ids count from 1"
    for row, record in records.items():
        if record["id"] != new[record["id"]]:
            work.set(section, row, "id", new[record["id"]], reason)
    for row, annotation in work.annotations.items():
        number = annotation.get(reference)
        if is_whole(number) and new.get(number, number) != number:
            work.set("annotations", row, reference, new[number], reason)


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if is_number(number) and float(number).is_integer() and is_whole(int(number)) else None


def _number(value: object) -> float | None:
    if is_number(value):
        return value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if is_number(number) else None
    return None
