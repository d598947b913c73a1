"""Pictures that people have labelled as a whole: two folders, or a table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect.annotations.fields import shown
from detect.annotations.tables import files_below, read_table, visible_entries
from detect.errors import EvaluationError
from detect.evaluation.scored import group_numbers
from detect.pictures.formats import SUFFIXES

__all__ = ["LABELS", "LabeledPicture", "check_contents", "given_groups", "read_labeled"]

LABELS = {"safe": False, "nsfw": True}
"""What a folder or a cell may say, in capitals or not, and whether that is NSFW."""

_COLUMNS = ("path", "label", "group", "weight")
_NEEDED = _COLUMNS[:2]


@dataclass(frozen=True, kw_only=True)
class LabeledPicture:
    """One picture and what it is.

    Attributes:
        path: Where it is; not opened yet, so that it may turn out to be none.
        nsfw: What people say of it.
        group: Where it is from; pictures of one source are no independent ones. None if nothing is said.
        weight: How often it counts, not below 0.
    """

    path: Path
    nsfw: bool
    group: str | None = None
    weight: float = 1.0


def read_labeled(source: Path) -> list[LabeledPicture]:
    """Read which pictures there are and what people say of them.

    Args:
        source: A folder with the folders ``SAFE`` and ``NSFW``, of which every file is taken that is not hidden, at any
            depth; the first folder below names the group, the same on both sides. Or a CSV file with a header: ``path``
            (relative to the file) and ``label`` (``safe`` or ``nsfw``), and, if wanted, ``group`` and ``weight``.

    Returns:
        Folders in order of path, ``NSFW`` after ``SAFE``; a table in its own order.

    Raises:
        EvaluationError: It cannot be read; a label or a column is unknown, one is missing, a cell is not what it should
            be, a picture is named twice, or there is none of one label.
    """
    rows = list(_folders(source) if source.is_dir() else _table(source))
    seen: dict[str, tuple[str, LabeledPicture]] = {}
    for where, row in rows:
        before = seen.setdefault(os.path.abspath(row.path), (where, row))  # noqa: PTH100  # resolve() would follow links
        if before[1] is not row:
            what = "is named twice" if before[1].nsfw == row.nsfw else "has two labels"
            raise EvaluationError(f"{where}: {row.path} {what}, here and at {before[0]}")
    pictures = [row for _, row in rows]
    for name, nsfw in LABELS.items():
        if not any(picture.nsfw == nsfw for picture in pictures):
            raise EvaluationError(f"{source}: no picture is labelled {name.upper()}; expected some of each label")
    return pictures


def given_groups(pictures: Sequence[LabeledPicture]) -> NDArray[np.intp]:
    """The groups that people named, by number; a picture without one is by itself.

    Returns:
        intp, (N,), numbered from 0 without gaps; see `detect.duplicates.join_groups` for those that they did not see.
    """
    names = [(f"/{row}" if picture.group is None else f"={picture.group}") for row, picture in enumerate(pictures)]
    return group_numbers(np.array(names, object).astype(str), len(names))


def check_contents(pictures: Sequence[LabeledPicture], digests: Sequence[str]) -> None:
    """Refuse a picture that is there under two names with two labels: one of them must be wrong.

    Args:
        pictures: N of them.
        digests: A hash of each one's bytes.

    Raises:
        ValueError: There is another number of digests.
        EvaluationError: Two have the same bytes and different labels.
    """
    seen: dict[str, LabeledPicture] = {}
    for picture, digest in zip(pictures, digests, strict=True):
        before = seen.setdefault(digest, picture)
        if before.nsfw != picture.nsfw:
            raise EvaluationError(
                f"{picture.path}: has two labels: {before.path} is the same picture with the other one"
            )


def _folders(source: Path) -> Iterator[tuple[str, LabeledPicture]]:
    sides: dict[str, Path] = {}
    for entry in visible_entries(source, error=EvaluationError):
        name = entry.name.lower()
        if entry.is_dir() and (name not in LABELS or name in sides):
            what = "is there twice" if name in sides else "is no label"
            raise EvaluationError(f"{entry}: {what}; expected one folder SAFE and one NSFW in {source}")
        if entry.is_dir():
            sides[name] = entry
        elif entry.suffix.lower() in SUFFIXES:
            raise EvaluationError(f"{entry}: has no label; expected pictures below SAFE and NSFW in {source}")
    for name, nsfw in LABELS.items():
        if name not in sides:
            raise EvaluationError(f"{source}: has no folder {name.upper()}; expected SAFE and NSFW, or a CSV file")
        for path in files_below(sides[name], error=EvaluationError):
            inner = path.relative_to(sides[name]).parts
            yield str(sides[name]), LabeledPicture(path=path, nsfw=nsfw, group=inner[0] if len(inner) > 1 else None)


def _table(source: Path) -> Iterator[tuple[str, LabeledPicture]]:
    for where, cells in read_table(source, columns=_COLUMNS, needed=_NEEDED, error=EvaluationError):
        yield where, _row(cells, source.parent, where)


def _row(cells: dict[str, str], folder: Path, where: str) -> LabeledPicture:
    if not cells["path"] or "\0" in cells["path"]:
        raise EvaluationError(f"{where}: path must name a file, not {shown(cells['path'])}")
    label = cells["label"].lower()
    if label not in LABELS:
        raise EvaluationError(f"{where}: label must be {' or '.join(LABELS)}, not {shown(cells['label'])}")
    try:
        weight = float(cells.get("weight") or 1)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise EvaluationError(f"{where}: weight must be a number not below 0, not {shown(cells['weight'])}")
    return LabeledPicture(
        path=folder / cells["path"], nsfw=LABELS[label], group=cells.get("group") or None, weight=weight
    )
