"""What is said of whole pictures: tables of them, and folders whose names say it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from detect.annotations.fields import shown
from detect.errors import DetectError

__all__ = ["files_below", "read_table", "visible_entries"]


def read_table(
    source: Path, *, columns: Sequence[str], needed: Sequence[str], error: type[DetectError]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a CSV file with a header.

    Args:
        source: The file, UTF-8.
        columns: Those that there may be, in any order; capitals do not count.
        needed: Those that there must be.
        error: What is raised where something is wrong.

    Yields:
        Where a row stands, for messages, and its cells by column, stripped.

    Raises:
        DetectError: Of the kind `error`: it cannot be read or is no CSV, a column is unknown, missing or there twice,
            a row has another number of cells, or there is no header.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise error(f"{source}: cannot be read: {problem.strerror or problem}") from problem
    except UnicodeDecodeError as problem:
        raise error(f"{source}: is not UTF-8 at byte {problem.start}; expected a CSV file") from problem
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{source}, line {reader.line_num}"
            if not header:
                header = [cell.strip().lower() for cell in cells]
                if fault := _wrong_header(header, columns, needed):
                    raise error(f"{where}: {fault}")
                continue
            if len(cells) != len(header):
                raise error(f"{where}: {len(cells)} cells; expected {len(header)}: {', '.join(header)}")
            yield where, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as problem:
        raise error(f"{source}, line {reader.line_num}: is no CSV: {problem}") from problem
    if not header:
        raise error(f"{source}: is empty; expected a header with {' and '.join(needed)}")


def files_below(folder: Path, *, error: type[DetectError]) -> Iterator[Path]:
    """Every file in a folder and below that is not hidden, in order of path; no linked folder is entered.

    Raises:
        DetectError: Of the kind `error`: a folder cannot be read.
    """
    for entry in visible_entries(folder, error=error):
        if entry.is_dir() and not entry.is_symlink():  # a link may lead in a circle
            yield from files_below(entry, error=error)
        else:
            yield entry


def visible_entries(folder: Path, *, error: type[DetectError]) -> list[Path]:
    """What is in a folder and not hidden, sorted.

    Raises:
        DetectError: Of the kind `error`: it cannot be read.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as problem:
        raise error(f"{folder}: cannot be read: {problem.strerror or problem}") from problem


def _wrong_header(names: Sequence[str], columns: Sequence[str], needed: Sequence[str]) -> str | None:
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            return f"columns are separated by {called}; expected commas"
    for name in names:
        if name not in columns or names.count(name) > 1:
            what = "is there twice" if name in columns else "is unknown"
            return f"column {shown(name)} {what}; there may be {', '.join(columns)}"
    for name in needed:
        if name not in names:
            return f"column {name} is missing; expected {' and '.join(needed)} in the first line"
    return None
