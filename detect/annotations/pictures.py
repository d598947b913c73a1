"""The pictures in a folder."""

from __future__ import annotations

from pathlib import Path

from detect.errors import AnnotationsError
from detect.pictures.formats import SUFFIXES

__all__ = ["list_pictures"]


def list_pictures(folder: Path) -> list[Path]:
    """Every picture in a folder and below, by its ending, sorted by its path within the folder.

    Raises:
        AnnotationsError: There is no such folder, or it holds no picture.
    """
    if not folder.is_dir():
        raise AnnotationsError(f"{folder}: is no folder; expected one with pictures")
    found = sorted(
        (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not found:
        raise AnnotationsError(f"{folder}: holds no picture; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return found
