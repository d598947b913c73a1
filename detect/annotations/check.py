"""Everything that can be wrong with a COCO file of boxes, found before training finds it.

A problem is anything that would make training or evaluation silently wrong: a box that cannot be learnt, a picture of
another size than the boxes were drawn on, an id that a scorer skips. An image without boxes is none: it is a negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from detect.annotations.fields import (
    is_area,
    is_box,
    is_flag,
    is_number,
    is_score,
    is_share_box,
    is_size,
    is_text,
    is_whole,
    shown,
)
from detect.annotations.names import PictureNames, identity, is_file, is_inside_folder
from detect.errors import ImageError, ReadError
from detect.labels import canonical
from detect.pictures.header import read_header

__all__ = ["TOLERANCE", "Kind", "Problem", "check_document", "root_categories", "rotation_of"]

TOLERANCE = 0.01
"""Pixels by which a box may reach beyond its picture: what decimals lose when they are rounded."""


class Kind(StrEnum):
    """What is wrong."""

    WRONG_TYPE = "wrong-type"
    MISSING_FIELD = "missing-field"
    DUPLICATE_ID = "duplicate-id"
    ID_BELOW_ONE = "id-below-one"
    DUPLICATE_NAME = "duplicate-name"
    UNKNOWN_CATEGORY = "unknown-category"
    UNKNOWN_IMAGE = "unknown-image"
    MISSING_IMAGE = "missing-image"
    UNREADABLE_IMAGE = "unreadable-image"
    OUTSIDE_FOLDER = "outside-folder"
    SIZE_MISMATCH = "size-mismatch"
    SIZE_NOT_UPRIGHT = "size-not-upright"
    ZERO_AREA = "zero-area"
    OUTSIDE_BOX = "outside-box"
    NORMALIZED_BOX = "normalized-box"
    TURNED_BOX = "turned-box"
    ROOT_CATEGORY = "root-category"
    BAD_VALUE = "bad-value"
    NO_IMAGES = "no-images"
    NO_CATEGORIES = "no-categories"
    NO_ANNOTATIONS = "no-annotations"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: The COCO file.
        kind: What is wrong.
        id: Of the category, image or annotation; None where it has none, or none that is a whole number.
        field: Where, as ``annotations[3].bbox``.
        value: What is there, as JSON, shortened; ``nothing`` where nothing is.
        expected: What should be there.
    """

    file: str
    kind: Kind
    id: int | None
    field: str
    value: str
    expected: str

    def __str__(self) -> str:
        whose = "" if self.id is None else f" (id {self.id})"
        return f"{self.file}: {self.kind}: {self.field}{whose} is {self.value}; expected {self.expected}"


def check_document(
    document: object, *, file: str, images_dir: Path | None, names: Sequence[str] | None = None
) -> list[Problem]:
    """Check a COCO document and the pictures it names.

    Args:
        document: As read from JSON.
        file: What messages call it.
        images_dir: Where the pictures are; None leaves out the checks that look at them.
        names: The category names that are allowed, in any spelling `detect.labels.canonical` knows; None allows all.

    Returns:
        Problems, in the order of categories, images, annotations; empty where all is well.
    """
    if not isinstance(document, dict):
        return [Problem(file, Kind.WRONG_TYPE, None, "the document", shown(document), "an object")]
    problems = [problem for section in _SECTIONS for problem in _check_section(file, document, section)]
    if problems:
        return problems  # nothing further down can be looked at
    categories, images, annotations = (document[section] for section in _SECTIONS)
    return [
        *_check_ids(file, document),
        *_check_categories(file, categories, names),
        *_check_roots(file, categories, annotations),
        *_check_images(file, images, images_dir),
        *_check_annotations(file, annotations, categories, images),
    ]


_SECTIONS = ("categories", "images", "annotations")
_EMPTY = {"categories": Kind.NO_CATEGORIES, "images": Kind.NO_IMAGES, "annotations": Kind.NO_ANNOTATIONS}
_OPTIONAL = (
    ("iscrowd", is_flag, "0 or 1"),
    ("area", is_area, "a number of square pixels, not below 0"),
    ("score", is_score, "a number from 0 to 1"),
)


def _check_section(file: str, document: dict[str, Any], section: str) -> Iterator[Problem]:
    if section not in document:
        yield Problem(file, Kind.MISSING_FIELD, None, section, "nothing", "a list of objects")
        return
    records = document[section]
    if not isinstance(records, list):
        yield Problem(file, Kind.WRONG_TYPE, None, section, shown(records), "a list of objects")
    elif not records:
        yield Problem(file, _EMPTY[section], None, section, "[]", "at least one")
    else:
        for row, record in enumerate(records):
            if not isinstance(record, dict):
                yield Problem(file, Kind.WRONG_TYPE, None, f"{section}[{row}]", shown(record), "an object")


def _check_ids(file: str, document: dict[str, Any]) -> Iterator[Problem]:
    for section in _SECTIONS:
        first: dict[int, int] = {}
        for row, record in enumerate(document[section]):
            found = _field(file, section, row, record, "id", is_whole, "a whole number")
            if found is not None:
                yield found
                continue
            number = record["id"]
            field = f"{section}[{row}].id"
            if number < 1:
                # The COCO scorer stores matches as ids and reads 0 as "no match": a found box counts as missed.
                expected = "a whole number from 1 up"
                yield Problem(file, Kind.ID_BELOW_ONE, number, field, shown(number), expected)
            if number in first:
                expected = f"an id that {section}[{first[number]}] does not have"
                yield Problem(file, Kind.DUPLICATE_ID, number, field, shown(number), expected)
            first.setdefault(number, row)


def _check_categories(file: str, categories: list[dict[str, Any]], names: Sequence[str] | None) -> Iterator[Problem]:
    allowed = None if names is None else {canonical(name) for name in names}
    first: dict[str, int] = {}
    for row, category in enumerate(categories):
        found = _field(file, "categories", row, category, "name", is_text, "a text that is not empty")
        if found is not None:
            yield found
            continue
        name, field = category["name"], f"categories[{row}].name"
        spelled = canonical(name)
        if allowed is not None and spelled not in allowed:
            expected = f"one of {', '.join(names or ())}"
            yield Problem(file, Kind.UNKNOWN_CATEGORY, _id(category), field, shown(name), expected)
        if spelled in first:
            expected = f"a name that categories[{first[spelled]}] does not have, in whatever spelling"
            yield Problem(file, Kind.DUPLICATE_NAME, _id(category), field, shown(name), expected)
        first.setdefault(spelled, row)


def root_categories(categories: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> list[int]:
    """Places of the categories that are only others' supercategory, as Roboflow's first one, and have no box."""
    said = [annotation.get("category_id") for annotation in annotations]
    if not all(is_whole(number) for number in said):
        return []  # nobody knows whose they are
    boxed = set(said)
    return [
        row
        for row, category in enumerate(categories)
        if is_text(category.get("name"))
        and is_whole(category.get("id"))
        and category["id"] not in boxed
        and any(other is not category and other.get("supercategory") == category["name"] for other in categories)
    ]


def rotation_of(annotation: dict[str, Any]) -> float:
    """The degrees by which a box is to be turned about its middle, as CVAT says beside it; 0 where nothing says so."""
    attributes = annotation.get("attributes")
    degrees = attributes.get("rotation") if isinstance(attributes, dict) else None
    return degrees % 360 if is_number(degrees) else 0


def _check_roots(file: str, categories: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Iterator[Problem]:
    for row in root_categories(categories, annotations):
        field, name = f"categories[{row}].name", shown(categories[row]["name"])
        expected = "a class: this one is only the supercategory of others, and has no box"
        yield Problem(file, Kind.ROOT_CATEGORY, _id(categories[row]), field, name, expected)


def _check_images(file: str, images: list[dict[str, Any]], images_dir: Path | None) -> Iterator[Problem]:
    first: dict[str, int] = {}
    pictures = None if images_dir is None else PictureNames(images_dir)
    for row, image in enumerate(images):
        wrong = [
            _field(file, "images", row, image, "file_name", is_text, "a text that is not empty"),
            _field(file, "images", row, image, "width", is_size, "a whole number of pixels from 1 up"),
            _field(file, "images", row, image, "height", is_size, "a whole number of pixels from 1 up"),
        ]
        yield from (problem for problem in wrong if problem is not None)
        if wrong[0] is not None:
            continue
        name, field = image["file_name"], f"images[{row}].file_name"
        same = identity(name, images_dir)
        if same in first:
            expected = f"a file that images[{first[same]}] does not name"
            yield Problem(file, Kind.DUPLICATE_NAME, _id(image), field, shown(name), expected)
        first.setdefault(same, row)
        if not is_inside_folder(name):
            expected = "a path within the image folder"
            yield Problem(file, Kind.OUTSIDE_FOLDER, _id(image), field, shown(name), expected)
        elif pictures is not None:
            sized = wrong[1] is None and wrong[2] is None
            yield from _check_picture(file, row, image, pictures, sized=sized)


def _check_picture(
    file: str, row: int, image: dict[str, Any], pictures: PictureNames, *, sized: bool
) -> Iterator[Problem]:
    path = pictures.folder / image["file_name"]
    field = f"images[{row}].file_name"
    if not is_file(path):
        near = " or ".join(shown(name) for name in pictures.find(image["file_name"])[:3])
        expected = f"a file {shown(str(path))}" + (f"; there is {near}" if near else "")
        yield Problem(file, Kind.MISSING_IMAGE, _id(image), field, shown(image["file_name"]), expected)
        return
    try:
        header = read_header(path)
    except (ReadError, ImageError) as error:
        expected = f"a readable picture: {error}"
        yield Problem(file, Kind.UNREADABLE_IMAGE, _id(image), field, shown(image["file_name"]), expected)
        return
    said, found = (image.get("width"), image.get("height")), (header.width, header.height)
    if not sized or said == found:
        return
    value, field = f"{said[0]} x {said[1]}", f"images[{row}].width and .height"
    if said == header.stored:
        expected = (
            f"{found[0]} x {found[1]}, the upright picture: the file is stored turned (EXIF orientation "
            f"{header.orientation}), and sizes and boxes count after turning it"
        )
        yield Problem(file, Kind.SIZE_NOT_UPRIGHT, _id(image), field, value, expected)
    else:
        yield Problem(file, Kind.SIZE_MISMATCH, _id(image), field, value, f"{found[0]} x {found[1]}, as in the file")


def _check_annotations(
    file: str,
    annotations: list[dict[str, Any]],
    categories: list[dict[str, Any]],
    images: list[dict[str, Any]],
) -> Iterator[Problem]:
    category_ids = {_id(category) for category in categories} - {None}
    sizes = {_id(image): image for image in images}
    for row, annotation in enumerate(annotations):
        yield from _check_reference(
            file, row, annotation, "category_id", category_ids, Kind.UNKNOWN_CATEGORY, "the id of a category"
        )
        yield from _check_reference(
            file, row, annotation, "image_id", sizes.keys() - {None}, Kind.UNKNOWN_IMAGE, "the id of an image"
        )
        wrong = [
            _field(file, "annotations", row, annotation, "bbox", is_box, "four finite numbers, [x, y, width, height]"),
            *(
                _field(file, "annotations", row, annotation, key, right, expected, kind=Kind.BAD_VALUE)
                for key, right, expected in _OPTIONAL
                if key in annotation
            ),
        ]
        yield from (problem for problem in wrong if problem is not None)
        if wrong[0] is None:
            image_id = annotation.get("image_id")
            image = sizes.get(image_id) if is_whole(image_id) else None
            yield from _check_box(file, row, annotation, image)


def _check_reference(
    file: str, row: int, annotation: dict[str, Any], key: str, known: Iterable[int | None], kind: Kind, expected: str
) -> Iterator[Problem]:
    found = _field(file, "annotations", row, annotation, key, is_whole, f"{expected}, a whole number")
    if found is not None:
        yield found
    elif annotation[key] not in known:
        field = f"annotations[{row}].{key}"
        yield Problem(file, kind, _id(annotation), field, shown(annotation[key]), expected)


def _check_box(file: str, row: int, annotation: dict[str, Any], image: dict[str, Any] | None) -> Iterator[Problem]:
    x, y, box_width, box_height = annotation["bbox"]
    field, value = f"annotations[{row}].bbox", shown(annotation["bbox"])
    if min(box_width, box_height) <= 2 * TOLERANCE:  # so that something is left of it when it is cut to its picture
        expected = f"a width and a height above {2 * TOLERANCE} pixels"
        yield Problem(file, Kind.ZERO_AREA, _id(annotation), field, value, expected)
        return
    if image is None or not (is_size(image.get("width")) and is_size(image.get("height"))):
        return
    width, height = image["width"], image["height"]
    if is_share_box(annotation["bbox"], width, height):
        expected = f"pixels, not shares of its image of {width} x {height}"
        yield Problem(file, Kind.NORMALIZED_BOX, _id(annotation), field, value, expected)
    if degrees := rotation_of(annotation):
        expected = f"the box around the one that attributes.rotation turns by {degrees:g} degrees"
        yield Problem(file, Kind.TURNED_BOX, _id(annotation), field, value, expected)
    reach = (-x, -y, x + box_width - width, y + box_height - height)
    if max(reach) > TOLERANCE:
        expected = f"a box within its image of {width} x {height}"
        yield Problem(file, Kind.OUTSIDE_BOX, _id(annotation), field, value, expected)


def _field(
    file: str,
    section: str,
    row: int,
    record: dict[str, Any],
    key: str,
    right: Callable[[object], bool],
    expected: str,
    *,
    kind: Kind = Kind.WRONG_TYPE,
) -> Problem | None:
    if key not in record:
        return Problem(file, Kind.MISSING_FIELD, _id(record), f"{section}[{row}].{key}", "nothing", expected)
    if not right(record[key]):
        return Problem(file, kind, _id(record), f"{section}[{row}].{key}", shown(record[key]), expected)
    return None


def _id(record: dict[str, Any]) -> int | None:
    number = record.get("id")
    return number if is_whole(number) else None
