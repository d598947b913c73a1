"""Mend what a check of a COCO file found, as far as the file and its pictures say how.

What nothing can be made of (a box of no area, an image whose picture is not there) is taken out, and every change is
listed. What is not understood, and what only a person can decide (a category that nobody expects, two categories of one
id, a name that may be two pictures'), stays as it is.
"""

from __future__ import annotations

import copy
from pathlib import Path

from detect.annotations.document import Document
from detect.annotations.fields import shown
from detect.annotations.repair.boxes import mend_boxes, mend_turned, scale_shares
from detect.annotations.repair.categories import mend_categories
from detect.annotations.repair.ids import drop_orphans, mend_annotation_ids, mend_ids, number_from_one
from detect.annotations.repair.images import mend_images, turn_box
from detect.annotations.repair.numbers import mend_numbers
from detect.annotations.repair.work import SECTIONS, Change, Work, removed
from detect.errors import AnnotationsError

__all__ = ["Change", "removed", "repair_document", "turn_box"]


def repair_document(document: object, *, images_dir: Path) -> tuple[Document, list[Change]]:
    """Mend a COCO document.

    Args:
        document: As read from JSON; it is left as it is.
        images_dir: Where the pictures are.

    Returns:
        The mended document, to be checked again since not everything can be mended, and what was changed. Whatever
        annotation is no longer there has a change that says so.

    Raises:
        AnnotationsError: It is no object, a section is missing or no list, or a record is a list: there is nothing to
            start from.
    """
    if not isinstance(document, dict) or not all(isinstance(document.get(section), list) for section in SECTIONS):
        raise AnnotationsError("cannot be mended: expected an object with the lists categories, images and annotations")
    try:
        mended = copy.deepcopy(document)
    except RecursionError as error:
        raise AnnotationsError("cannot be mended: lists and objects lie too deep within one another") from error
    categories, images, annotations = (dict(enumerate(mended[section])) for section in SECTIONS)
    work = Work(categories, images, annotations)
    _drop_nothings(work)
    mend_numbers(work)
    mend_ids(work)
    mend_categories(work)
    number_from_one(work, "categories", "category_id")
    mend_turned(work)
    mend_images(work, images_dir, upright=_is_labelstudio(document))
    number_from_one(work, "images", "image_id")
    drop_orphans(work)
    scale_shares(work)
    mend_boxes(work)
    mend_annotation_ids(work)
    for section in SECTIONS:
        mended[section] = list(work.records(section).values())
    return mended, work.changes


def _is_labelstudio(document: Document) -> bool:
    """Whether Label Studio wrote a COCO file: it says pictures' stored sizes, and boxes of the upright ones."""
    about = document.get("info")
    return isinstance(about, dict) and about.get("contributor") == "Label Studio"


def _drop_nothings(work: Work) -> None:
    """Drop records that hold nothing; a list may hold a box."""
    for section in SECTIONS:
        for row, record in list(work.records(section).items()):
            if isinstance(record, list) and record:
                raise AnnotationsError(f"cannot be mended: {section}[{row}] is {shown(record)}; expected an object")
            if not isinstance(record, dict):
                work.drop(section, row, "no object")
