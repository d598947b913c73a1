"""YOLO: a text file for each picture, of lines of numbers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from detect.annotations.fields import shown
from detect.annotations.pictures import list_pictures
from detect.annotations.readers.marks import Mark, Marked, bounds, number_of, read_text
from detect.annotations.readers.yolo_names import NAME_FILES, Names, find_names
from detect.errors import AnnotationsError
from detect.pictures.formats import SUFFIXES

__all__ = ["read_yolo"]

_SLACK = 0.01
"""By how much of the picture's side a box may reach beyond it."""


def read_yolo(source: Path, *, images_dir: Path, names: Names | None = None, polygons: bool = False) -> list[Marked]:
    """Read YOLO: a folder with a text file for each picture, named and placed as the picture is.

    A picture whose text file is missing or empty is a negative. Lines of five numbers are boxes, of six are boxes with
    a score, which is left out. Longer ones are poses where the names say so, whose points are left out, and polygons
    where `polygons` says so: nothing in a line tells the two apart.

    Args:
        source: The folder of text files.
        images_dir: The folder of pictures.
        names: What the class numbers mean; None takes the file of them in `source`.
        polygons: Take lines of seven numbers and more for polygons, and make the box around each.

    Raises:
        AnnotationsError: A folder or the names are missing, a text file belongs to no picture or to several, no picture
            has one, or a line is no YOLO.
    """
    if not source.is_dir():
        raise AnnotationsError(f"{source}: is no folder; expected one with a text file for each picture")
    called = find_names(source) if names is None else names
    if polygons and called.keypoints is not None:
        raise AnnotationsError(f"{source}: is a set of poses, by its kpt_shape; expected no polygons")
    pictures = [path.relative_to(images_dir) for path in list_pictures(images_dir)]
    texts, others = _text_files(source, names_file=called.path)
    owner = _owners(texts, pictures, source=source, images_dir=images_dir)
    marked = []
    for file_name in pictures:
        path = owner.get(file_name)
        if path is None:
            missing = str((source / file_name).with_suffix(".txt"))
            marked.append(
                Marked(
                    missing, (file_name.as_posix(),), None, (), ("taken for negatives: pictures without a text file",)
                )
            )
            continue
        marks, notes = _marks(path, called, polygons=polygons)
        marked.append(Marked(str(path), (file_name.as_posix(),), None, tuple(marks), (*notes, *others)))
        others = []
    return marked


def _text_files(source: Path, *, names_file: Path | None) -> tuple[list[Path], list[str]]:
    """The text files of pictures, and what else lies there that nobody knows."""
    texts, others = [], []
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.name.startswith(".") or path.name in NAME_FILES:
            continue
        if names_file is not None and path.samefile(names_file):
            continue
        if path.suffix.strip().lower() == ".txt":
            texts.append(path)
        elif path.suffix.lower() not in SUFFIXES:
            others.append(f"left out: files ending in {path.suffix or 'nothing'}")
    return texts, others


def _owners(texts: list[Path], pictures: list[Path], *, source: Path, images_dir: Path) -> dict[Path, Path]:
    """The text file of each picture that has one; a text file that is not just one picture's is an error."""
    by_stem: dict[str, list[Path]] = {}
    for picture in pictures:
        by_stem.setdefault(_key(picture.with_suffix("")), []).append(picture)
    owner: dict[Path, Path] = {}
    strangers: list[Path] = []
    for path in texts:
        name = path.relative_to(source)
        owned = by_stem.get(_key(name.with_suffix("")), []) if name.suffix == ".txt" else []
        if len(owned) > 1:
            raise AnnotationsError(
                f"{path}: may belong to {' or '.join(map(str, owned))}; expected one picture of its name"
            )
        if not owned:
            strangers.append(path)
        elif owned[0] in owner:
            raise AnnotationsError(f"{path}: {owned[0]} has the text file {owner[owned[0]]} already")
        else:
            owner[owned[0]] = path
    if not owner:
        raise AnnotationsError(f"{source}: holds no text file that is named as a picture in {images_dir}")
    if strangers:
        more = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
        raise AnnotationsError(
            f"{strangers[0]}: belongs to no picture in {images_dir}{more}; expected the name of one, ending in .txt"
        )
    return owner


def _key(stem: Path) -> str:
    """One spelling of what some systems write in two: é as one character, or as a letter and its accent."""
    return unicodedata.normalize("NFC", stem.as_posix())


def _marks(path: Path, names: Names, *, polygons: bool) -> tuple[list[Mark], list[str]]:
    marks, notes = [], []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            mark, more = _mark(line, names, polygons=polygons, where=f"{path}: line {number}")
            marks.append(mark)
            notes += more
    return marks, notes


def _mark(line: str, names: Names, *, polygons: bool, where: str) -> tuple[Mark, list[str]]:
    numbers = [number_of(word, where=where) for word in line.split()]
    if len(numbers) < 5:
        raise AnnotationsError(f"{where}: has {len(numbers)} numbers; expected a class, 4 of a box and perhaps a score")
    index, coordinates, notes = numbers[0], numbers[1:], []
    if not index.is_integer() or not 0 <= index < len(names.names):
        raise AnnotationsError(f"{where}: class is {shown(index)}; expected a whole number below {len(names.names)}")
    pose = names.keypoints is not None and len(coordinates) == 4 + names.keypoints
    if pose:
        notes.append("left out: keypoints")
    elif len(coordinates) == 5 and names.keypoints is None:
        if not 0 <= coordinates[4] <= 1:
            raise AnnotationsError(f"{where}: score is {shown(coordinates[4])}; expected a number from 0 to 1")
        notes.append("left out: scores")
    elif len(coordinates) != 4:
        _check_polygon(len(numbers), names, polygons=polygons, where=where)
    if len(coordinates) <= 5 or pose:
        x, y, width, height = coordinates[:4]
        if min(width, height) <= 0:
            raise AnnotationsError(f"{where}: is {width} wide and {height} high; expected shares above 0")
        xyxy = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    else:
        xyxy = bounds(zip(coordinates[0::2], coordinates[1::2], strict=True))
    if min(xyxy) < -_SLACK or max(xyxy) > 1 + _SLACK:
        raise AnnotationsError(f"{where}: a coordinate lies outside 0 to 1; expected shares of the picture's size")
    return Mark(names.names[int(index)], xyxy), notes


def _check_polygon(count: int, names: Names, *, polygons: bool, where: str) -> None:
    """Refuse a line of neither four nor five numbers behind its class, unless it is a polygon and said to be one."""
    if names.keypoints is not None:
        raise AnnotationsError(f"{where}: has {count} numbers; expected 5 or, by kpt_shape, {5 + names.keypoints}")
    if not polygons:
        raise AnnotationsError(
            f"{where}: has {count} numbers, which may be a polygon, a turned box or a pose; expected 5, or to be "
            "told that they are corners (--yolo-polygons), or a data.yaml with the pose's kpt_shape"
        )
    if count % 2 == 0:
        raise AnnotationsError(f"{where}: has {count} numbers; expected a class and pairs of coordinates")
