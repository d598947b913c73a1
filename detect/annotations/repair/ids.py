"""Ids: texts and the like made numbers together with what refers to them, and numbers that count from 1."""

from __future__ import annotations

from collections import Counter

from detect.annotations.fields import is_text, is_whole
from detect.annotations.repair.numbers import whole_in
from detect.annotations.repair.work import Work

__all__ = ["drop_orphans", "mend_annotation_ids", "mend_ids", "number_from_one"]

_Key = tuple[type, object]

_REFERENCES = {"categories": "category_id", "images": "image_id"}


def mend_ids(work: Work) -> None:
    """Make whole numbers of ids, and of what refers to them: those they say, or new ones where they say none.

    Ids of which two would become one, and references that agree with no id, stay as they are.
    """
    for section, reference in _REFERENCES.items():
        new = _new_ids(work, section, reference)
        for row, record in work.records(section).items():
            number = new.get(_key(record.get("id")))
            if number is not None:
                work.set(section, row, "id", number, "an id is a whole number")
        known = {record.get("id") for record in work.records(section).values() if is_whole(record.get("id"))}
        clashing = _clashing(work, section)
        for row, annotation in work.annotations.items():
            said = annotation.get(reference)
            if is_whole(said) or said is None:
                continue
            number = new.get(_key(said))
            if number is None:
                number = whole_in(said)
                number = None if number in clashing or number not in known else number
            if number is not None:
                work.set("annotations", row, reference, number, "an id is a whole number")
    for row, annotation in work.annotations.items():
        number = whole_in(annotation.get("id"))
        if number is not None and not is_whole(annotation["id"]):
            work.set("annotations", row, "id", number, "an id is a whole number")


def _new_ids(work: Work, section: str, reference: str) -> dict[_Key, int]:
    """What each id that is no whole number becomes."""
    ids = [record.get("id") for record in work.records(section).values()]
    times = Counter(_key(number) for number in ids)
    clashing = _clashing(work, section)
    said = [*ids, *(annotation.get(reference) for annotation in work.annotations.values())]
    free = max([0, *(number for number in map(whole_in, said) if number is not None)]) + 1
    new: dict[_Key, int] = {}
    for number in ids:
        if is_whole(number) or not (is_text(number) or isinstance(number, int | float)) or isinstance(number, bool):
            continue
        whole = whole_in(number)
        if whole is not None and whole not in clashing:
            new[_key(number)] = whole
        elif times[_key(number)] == 1 and is_whole(free):
            new[_key(number)] = free
            free += 1
    return new


def _clashing(work: Work, section: str) -> set[int]:
    """Numbers that several ids say, each in another way, such as 7 and "7"."""
    keys = {_key(record.get("id")): whole_in(record.get("id")) for record in work.records(section).values()}
    times = Counter(number for number in keys.values() if number is not None)
    return {number for number, count in times.items() if count > 1}


def _key(value: object) -> _Key:
    return (type(value), value if isinstance(value, str | int | float) else None)


def drop_orphans(work: Work) -> None:
    """Drop boxes of categories and images that are not there; what is no number, or may be one that is none, stays."""
    for section, reference in _REFERENCES.items():
        ids = [record.get("id") for record in work.records(section).values()]
        if not all(is_whole(number) for number in ids):
            continue
        known = set(ids)
        for row, annotation in list(work.annotations.items()):
            if is_whole(annotation.get(reference)) and annotation[reference] not in known:
                what = "category" if section == "categories" else "image"
                work.drop("annotations", row, f"its {what} is not in the file")


def mend_annotation_ids(work: Work) -> None:
    """Give a new id, above all others, to each annotation whose own is missing, below 1 or another's."""
    ids = [annotation.get("id") for annotation in work.annotations.values()]
    free = max([0, *(number for number in ids if is_whole(number))]) + 1
    taken: set[int] = set()
    for row, annotation in work.annotations.items():
        number = annotation.get("id")
        if (not is_whole(number) or number < 1 or number in taken) and is_whole(free):
            work.set("annotations", row, "id", free, "each annotation needs an id of its own, from 1 up")
            taken.add(free)
            free += 1
        elif is_whole(number):
            taken.add(number)


def number_from_one(work: Work, section: str, reference: str) -> None:
    """Number records from 1 where an id is below, in the order of id; each keeps its annotations."""
    records = work.records(section)
    ids = [record.get("id") for record in records.values()]
    whole = sorted(number for number in ids if is_whole(number))
    if len(whole) != len(ids) or len(set(whole)) != len(ids) or not whole or whole[0] >= 1:
        return  # without ids that tell records apart, nothing says which annotations are whose
    new = {number: ordinal for ordinal, number in enumerate(whole, 1)}
    said = (annotation.get(reference) for annotation in work.annotations.values())
    if {number for number in said if is_whole(number) and number not in new} & set(new.values()):
        drop_orphans(work)  # or they would be another's
    reason = "ids count from 1"
    for row, record in records.items():
        if record["id"] != new[record["id"]]:
            work.set(section, row, "id", new[record["id"]], reason)
    for row, annotation in work.annotations.items():
        number = annotation.get(reference)
        if is_whole(number) and new.get(number, number) != number:
            work.set("annotations", row, reference, new[number], reason)
    if section == "images":
        work.left = {new.get(number, number) for number in work.left}
