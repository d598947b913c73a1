"""Categories: those of one name joined, and roots that are no class taken out."""

from __future__ import annotations

from detect.annotations.check import root_categories
from detect.annotations.fields import is_text, is_whole
from detect.annotations.repair.work import Record, Work
from detect.labels import canonical

__all__ = ["mend_categories"]


def mend_categories(work: Work) -> None:
    """Join categories of one name, and drop those that are others' supercategory and have no box."""
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
    rows = list(work.categories)
    for index in root_categories(list(work.categories.values()), list(work.annotations.values())):
        work.drop("categories", rows[index], "it is only the supercategory of others, and has no box")
