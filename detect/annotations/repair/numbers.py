"""Numbers that were written otherwise: as texts, or with a fraction of 0."""

from __future__ import annotations

import re

from detect.annotations.fields import is_box, is_flag, is_number, is_whole
from detect.annotations.repair.work import Work

__all__ = ["mend_numbers", "number_in", "whole_in"]

_FLAGS = {"true": 1, "yes": 1, "false": 0, "no": 0}


def mend_numbers(work: Work) -> None:
    """Make sizes, boxes, areas, scores and crowds of what says them in another way. Ids are `mend_ids`'s."""
    for row, image in work.images.items():
        for key in ("width", "height"):
            number = whole_in(image.get(key))
            if number is not None and not is_whole(image[key]):
                work.set("images", row, key, number, "a whole number, written otherwise")
    for row in work.annotations:
        _mend_annotation(work, row)


def _mend_annotation(work: Work, row: int) -> None:
    annotation = work.annotations[row]
    box = annotation.get("bbox")
    if isinstance(box, list) and not is_box(box):
        numbers = [number_in(number) for number in box]
        if is_box(numbers):
            work.set("annotations", row, "bbox", numbers, "numbers, written as texts")
    for key in ("area", "score"):
        if isinstance(annotation.get(key), str) and (number := number_in(annotation[key])) is not None:
            work.set("annotations", row, key, number, "a number, written as a text")
    crowd = annotation.get("iscrowd", 0)
    flag = _flag_in(crowd) if isinstance(crowd, bool) or not is_flag(crowd) else None
    if flag is not None:
        work.set("annotations", row, "iscrowd", flag, "0 or 1, written otherwise")


def whole_in(value: object) -> int | None:
    """The whole number that a value says, None if it says none."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", value):
        value = int(value)  # not by way of a float, which would round it
    number = number_in(value)
    return int(number) if number is not None and float(number).is_integer() and is_whole(int(number)) else None


def number_in(value: object) -> float | None:
    """The number that a value says, None if it says none."""
    if is_number(value):
        return value
    if isinstance(value, str) and "_" not in value:
        try:
            number = float(value)
        except ValueError:
            return None
        return number if is_number(number) else None
    return None


def _flag_in(value: object) -> int | None:
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    number = whole_in(value)
    return number if is_flag(number) else None
