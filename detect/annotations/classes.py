"""Pictures that people have put into classes as a whole: a folder for each class, or a table."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detect.annotations.fields import shown
from detect.annotations.ranking import LOWER, UPPER, halves
from detect.annotations.tables import files_below, read_table, visible_entries
from detect.errors import AnnotationsError, ImageError, ReadError
from detect.labels import canonical
from detect.pictures.formats import SUFFIXES
from detect.pictures.header import read_header

__all__ = ["ClassPicture", "ClassSet", "check_readable", "read_classes", "read_ranked", "split_classes"]

_COLUMNS = ("path", "label", "group", "source")


@dataclass(frozen=True, kw_only=True)
class ClassPicture:
    """One picture and its class.

    Attributes:
        path: Where it is.
        label: A position in the set's names.
        group: Where it is from; pictures of one source are no independent ones. None if nothing is said.
    """

    path: Path
    label: int
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassSet:
    """Pictures in classes.

    Attributes:
        source: The folder or the table.
        names: Of the classes.
        pictures: Folders in order of path, class by class; a table in its own order.
    """

    source: Path
    names: tuple[str, ...]
    pictures: tuple[ClassPicture, ...]

    def __len__(self) -> int:
        """Pictures."""
        return len(self.pictures)

    def counts(self) -> dict[str, int]:
        """Pictures of each class, by its name."""
        found = Counter(picture.label for picture in self.pictures)
        return {name: found[label] for label, name in enumerate(self.names)}

    def digest(self) -> str:
        """The same for the same pictures with the same labels in the same order, wherever they lie."""
        base = self.source if self.source.is_dir() else self.source.parent
        rows = (f"{os.path.relpath(each.path, base)}\0{self.names[each.label]}\n" for each in self.pictures)
        return hashlib.sha256("".join(rows).encode(errors="surrogateescape")).hexdigest()


def read_classes(source: Path, *, names: Sequence[str] | None = None) -> ClassSet:
    """Read which pictures there are, and of which class each is.

    Args:
        source: A folder with a folder for each class, of which every file is taken that is not hidden, at any depth.
            Or a CSV file with a header: ``path`` (relative to the file) and ``label``, and, if wanted, ``group`` and
            ``source``, where a picture was made from, which is not looked at.
        names: What the classes must be, in the order of their numbers; None for those that there are, in order of name.

    Raises:
        AnnotationsError: It cannot be read; there are fewer than two classes, an empty one, or others than `names`; a
            picture lies outside the folders of the classes or is named twice.
    """
    rows = list(_folders(source) if source.is_dir() else _table(source))
    seen: dict[str, tuple[str, str]] = {}
    for where, path, label, _ in rows:
        before = seen.setdefault(os.path.abspath(path), (where, label))  # noqa: PTH100  # resolve() would follow links
        if before != (where, label):
            what = "is named twice" if before[1] == label else "has two labels"
            raise AnnotationsError(f"{where}: {path} {what}, here and at {before[0]}")
    found = sorted({label for _, _, label, _ in rows})
    if len(found) < 2:
        raise AnnotationsError(f"{source}: only one class: {', '.join(found) or 'none'}; expected two at least")
    wanted = tuple(names) if names is not None else tuple(found)
    for label in found:
        if label not in wanted:
            raise AnnotationsError(f"{source}: class {shown(label)} is not one of {', '.join(wanted)}")
    for label in wanted:
        if label not in found:
            raise AnnotationsError(f"{source}: class {shown(label)} is empty; expected some pictures of each class")
    pictures = tuple(
        ClassPicture(path=path, label=wanted.index(label), group=group or None) for _, path, label, group in rows
    )
    return ClassSet(source=source, names=wanted, pictures=pictures)


def read_ranked(source: Path, *, within: str, size: int = 100) -> tuple[ClassSet, int]:
    """Read scores, and make two classes of them, ``lower`` and ``upper``; see `detect.annotations.ranking.halves`.

    Args:
        source: A CSV file with a header: ``path`` (relative to the file), ``score``, and the column `within`.
        within: Name of the column that says before what audience a picture got its score.
        size: Pictures that are ranked among themselves, where audiences are numbers.

    Returns:
        The set, and how many pictures were in the middle and are not in it.

    Raises:
        AnnotationsError: It cannot be read, a cell is not what it should be, or a half is empty.
    """
    columns = ("path", "score", within.strip().lower())
    rows = list(read_table(source, columns=columns, needed=columns, error=AnnotationsError))
    scores = []
    for where, cells in rows:
        try:
            scores.append(float(cells["score"]))
        except ValueError:
            scores.append(math.nan)
        if not math.isfinite(scores[-1]) or not cells["path"] or "\0" in cells["path"]:
            name = "score" if cells["path"] else "path"
            raise AnnotationsError(f"{where}: {name} must not be {shown(cells[name])}")
    found = halves(scores, [cells[columns[2]] for _, cells in rows], size=size).tolist()
    names = {LOWER: "lower", UPPER: "upper"}
    pictures = tuple(
        ClassPicture(path=source.parent / cells["path"], label=half)
        for (_, cells), half in zip(rows, found, strict=True)
        if half in names
    )
    if {picture.label for picture in pictures} != set(names):
        raise AnnotationsError(f"{source}: no picture has a higher score than another of its {within}")
    return ClassSet(source=source, names=tuple(names.values()), pictures=pictures), found.count(-1)


def split_classes(data: ClassSet, *, held_back: float, seed: int) -> tuple[ClassSet, ClassSet]:
    """Split a set in two, each class in the same share as far as groups allow, which stay on one side.

    Args:
        data: Pictures; one without a group is by itself.
        held_back: Share of the second part, in (0, 1).
        seed: Of the order in which groups are taken.

    Raises:
        AnnotationsError: A class has too few groups for both parts.
        ValueError: `held_back` is not in (0, 1).
    """
    if not 0 < held_back < 1:
        raise ValueError(f"held_back must lie in (0, 1), not {held_back}")
    groups: dict[str, list[int]] = {}
    for position, picture in enumerate(data.pictures):
        groups.setdefault(f"/{position}" if picture.group is None else f"={picture.group}", []).append(position)
    wanted = {label: max(1, round(held_back * count)) for label, count in enumerate(data.counts().values())}
    back: set[int] = set()
    taken = dict.fromkeys(wanted, 0)
    for number in np.random.default_rng(seed).permutation(len(groups)).tolist():
        positions = list(groups.values())[number]
        labels = Counter(data.pictures[position].label for position in positions)
        if all(taken[label] + count <= wanted[label] or not taken[label] for label, count in labels.items()):
            back.update(positions)
            taken = {label: count + labels[label] for label, count in taken.items()}
    parts = tuple(
        replace(data, pictures=tuple(each for position, each in enumerate(data.pictures) if (position in back) == side))
        for side in (False, True)
    )
    for part in parts:
        for name, count in part.counts().items():
            if not count:
                raise AnnotationsError(f"{data.source}: class {shown(name)} has too few pictures, or groups, to split")
    return parts[0], parts[1]


def check_readable(data: ClassSet) -> None:
    """Look at every picture's header, so that training does not end hours later at what is none.

    Raises:
        AnnotationsError: Pictures cannot be read; the message names the class of which none can, if there is such a
            one, the first picture and how many more there are.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        faults = list(pool.map(_fault, (picture.path for picture in data.pictures)))
    wrong = [(picture, fault) for picture, fault in zip(data.pictures, faults, strict=True) if fault]
    if not wrong:
        return
    bad = Counter(picture.label for picture, _ in wrong)
    for label, (name, count) in enumerate(data.counts().items()):
        if bad[label] == count:
            first = next(fault for picture, fault in wrong if picture.label == label)
            raise AnnotationsError(
                f"{data.source}: none of the {count} pictures of class {shown(name)} can be read; the first: {first}"
            )
    more = f"; of {len(data)} pictures {len(wrong)} cannot be read: `python -m detect prepare` leaves them out"
    raise AnnotationsError(f"{wrong[0][1]}{more}")


def _fault(path: Path) -> str | None:
    try:
        read_header(path)
    except (ImageError, ReadError) as error:
        return str(error)
    return None


def _folders(source: Path) -> Iterator[tuple[str, Path, str, str]]:
    for entry in visible_entries(source, error=AnnotationsError):
        if not entry.is_dir():
            if entry.suffix.lower() in SUFFIXES:
                raise AnnotationsError(f"{entry}: is in no class; expected pictures in a folder for each in {source}")
            continue
        files = list(files_below(entry, error=AnnotationsError))
        if not files:
            raise AnnotationsError(
                f"{source}: class {shown(entry.name)} is empty; expected some pictures of each class"
            )
        for path in files:
            inner = path.relative_to(entry).parts
            yield str(path), path, canonical(entry.name), inner[0] if len(inner) > 1 else ""


def _table(source: Path) -> Iterator[tuple[str, Path, str, str]]:
    for where, cells in read_table(source, columns=_COLUMNS, needed=_COLUMNS[:2], error=AnnotationsError):
        for name in ("path", "label"):
            if not cells[name] or "\0" in cells[name]:
                raise AnnotationsError(f"{where}: {name} must not be {shown(cells[name])}")
        yield where, source.parent / cells["path"], canonical(cells["label"]), cells.get("group", "")
