"""A document being mended, and the list of what was changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from detect.annotations.fields import is_whole, shown

__all__ = ["SECTIONS", "Change", "Record", "Work", "removed"]

Record = dict[str, Any]

SECTIONS = ("categories", "images", "annotations")

_THINGS = {"categories": "categories", "images": "images", "annotations": "boxes"}


@dataclass(frozen=True)
class Change:
    """One thing that was changed.

    Attributes:
        field: Where in the source, as ``annotations[3].bbox``.
        before: What was there, as JSON, shortened.
        after: What is there now, as JSON, or ``removed``.
        reason: Why; what concerns this one alone in brackets.
    """

    field: str
    before: str
    after: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}: {self.reason}"


def removed(changes: Iterable[Change]) -> Counter[str]:
    """How many records were taken out, by what they were and why, as ``boxes: its picture is not there``."""
    counts: Counter[str] = Counter()
    for change in changes:
        whole = re.fullmatch(r"(\w+)\[\d+\]", change.field)
        if whole and change.after == "removed":
            counts[f"{_THINGS[whole[1]]}: {change.reason.partition(' (')[0]}"] += 1
    return counts


@dataclass
class Work:
    """A document being mended.

    Attributes:
        categories: Records by their place in the source.
        images: The same.
        annotations: The same.
        changes: What was changed so far.
        left: Ids of images that were left to a person, and whose boxes are left with them.
    """

    categories: dict[int, Record]
    images: dict[int, Record]
    annotations: dict[int, Record]
    changes: list[Change] = field(default_factory=list)
    left: set[int] = field(default_factory=set)

    def records(self, section: str) -> dict[int, Record]:
        """The records of a section."""
        found: dict[int, Record] = getattr(self, section)
        return found

    def set(self, section: str, row: int, key: str, value: object, reason: str) -> None:
        """Change a field."""
        record = self.records(section)[row]
        before = shown(record[key]) if key in record else "nothing"
        self.changes.append(Change(f"{section}[{row}].{key}", before, shown(value), reason))
        record[key] = value

    def unset(self, section: str, row: int, key: str, reason: str) -> None:
        """Take a field out."""
        before = shown(self.records(section)[row].pop(key))
        self.changes.append(Change(f"{section}[{row}].{key}", before, "removed", reason))

    def set_box(self, row: int, xyxy: tuple[float, float, float, float], reason: str) -> None:
        """Change a box, its area with it; an outline that was drawn for another is emptied."""
        x0, y0, x1, y1 = xyxy
        self.set("annotations", row, "bbox", [x0, y0, x1 - x0, y1 - y0], reason)
        if "area" in self.annotations[row]:
            self.set("annotations", row, "area", (x1 - x0) * (y1 - y0), reason)
        if self.annotations[row].get("segmentation"):
            self.set("annotations", row, "segmentation", [], reason)

    def drop(self, section: str, row: int, reason: str) -> None:
        """Take a record out."""
        record = self.records(section).pop(row)
        self.changes.append(Change(f"{section}[{row}]", shown(record), "removed", reason))

    def drop_image(self, row: int, reason: str) -> None:
        """Take an image out, its boxes with it."""
        number = self.images[row].get("id")
        self.drop("images", row, reason)
        for box, annotation in list(self.annotations.items()):
            if is_whole(number) and annotation.get("image_id") == number:
                self.drop("annotations", box, reason)
