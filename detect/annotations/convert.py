"""Annotations of other tools, made into a COCO document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detect.annotations.check import TOLERANCE
from detect.annotations.document import Document
from detect.annotations.names import PictureNames
from detect.annotations.pictures import list_pictures
from detect.annotations.readers import Marked, Names, read_cvat, read_labelstudio, read_voc, read_yolo
from detect.annotations.repair import turn_box
from detect.errors import AnnotationsError
from detect.labels import CLASSES, canonical
from detect.pictures.formats import format_of
from detect.pictures.header import Header, read_header

__all__ = ["FORMATS", "category_records", "convert"]

FORMATS = ("voc", "yolo", "cvat", "labelstudio")
"""What `convert` reads."""


def convert(
    form: str,
    source: Path,
    *,
    images_dir: Path,
    names: Sequence[str] | None = None,
    source_names: Names | None = None,
    polygons: bool = False,
) -> tuple[Document, Counter[str]]:
    """Make a COCO document of another tool's annotations.

    Boxes are rounded to 1/1000 pixel, and cut to their picture where they reach beyond it by as much as rounding and
    unsteady hands explain: 2 pixels or 1 % of its side, whichever is more. Where the source states the size of a
    picture before its EXIF orientation, its boxes are turned with it.

    Args:
        form: One of `FORMATS`.
        source: The file or folder to read; see `detect.annotations.readers`.
        images_dir: Where the pictures are.
        names: The only categories allowed, in the order of their ids from 1; None takes what the source names: the six
            classes where it names no others, else the labels in alphabetical order.
        source_names: For YOLO, what the class numbers mean; None reads them beside the source.
        polygons: For YOLO, take long lines for polygons.

    Returns:
        Images in the order of their file names, negatives included, and how often something was left out or taken for
        something, such as ``left out: scores``.

    Raises:
        AnnotationsError: The source cannot be read, a picture is missing or of another size, a box lies outside its
            picture, or a label is not allowed.
        ReadError: A picture may not be read.
        ImageError: A picture is refused, as production refuses it.
        ValueError: `form` is none of `FORMATS`.
    """
    if form not in FORMATS:
        raise ValueError(f"form must be one of {', '.join(FORMATS)}, not {form!r}")
    marked = _read(form, source, images_dir=images_dir, source_names=source_names, polygons=polygons)
    if not marked:
        raise AnnotationsError(f"{source}: names no picture")
    called = _category_names(marked, names)
    pictures = PictureNames(images_dir)
    files = _by_file(marked, pictures)
    notes = Counter(note for item in marked for note in item.notes)
    if unnamed := len(pictures.all) - len(files):
        notes["left out: pictures that the source does not name"] = unnamed
    return _document(files, called, images_dir=images_dir), notes


def category_records(names: Sequence[str]) -> list[dict[str, Any]]:
    """The categories of a COCO document, ids from 1."""
    return [{"id": number, "name": name} for number, name in enumerate(names, 1)]


def _read(form: str, source: Path, *, images_dir: Path, source_names: Names | None, polygons: bool) -> Sequence[Marked]:
    if form == "yolo":
        return read_yolo(source, images_dir=images_dir, names=source_names, polygons=polygons)
    return {"voc": read_voc, "cvat": read_cvat, "labelstudio": read_labelstudio}[form](source)


def _category_names(marked: Sequence[Marked], names: Sequence[str] | None) -> tuple[str, ...]:
    """The categories in the order of their ids: those that are allowed, else those that the source names."""
    if names is not None:
        return tuple(dict.fromkeys(canonical(name) for name in names))
    found = {canonical(mark.label) for item in marked for mark in item.marks}
    return CLASSES if found <= set(CLASSES) else tuple(sorted(found))


def _document(files: Mapping[str, Marked], names: Sequence[str], *, images_dir: Path) -> Document:
    """The COCO document of marks by file name."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (file_name, item) in enumerate(sorted(files.items()), 1):
        header = read_header(images_dir / file_name)
        images.append({"id": number, "file_name": file_name, "width": header.width, "height": header.height})
        for label, bbox, crowd in _boxes(item, header, names):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(label) + 1,
                    "bbox": bbox,
                    "area": round(bbox[2] * bbox[3], 3),
                    "iscrowd": int(crowd),
                }
            )
    return {"categories": category_records(names), "images": images, "annotations": annotations}


def _by_file(marked: Sequence[Marked], pictures: PictureNames) -> dict[str, Marked]:
    if not pictures.all:
        list_pictures(pictures.folder)  # says what is wrong with it
    by_stem: dict[str, list[str]] = {}
    for name in pictures.all:
        by_stem.setdefault(name.rpartition(".")[0], []).append(name)
    files: dict[str, Marked] = {}
    for item in marked:
        found = _picture_of(item, pictures, by_stem)
        if found in files:
            raise AnnotationsError(f"{item.source}: its picture {found} is that of {files[found].source} too")
        files[found] = item
    return files


def _picture_of(item: Marked, pictures: PictureNames, by_stem: dict[str, list[str]]) -> str:
    # A name without an ending is that of an XML file, and its picture's but for that.
    named = next(filter(None, (pictures.find(name) for name in item.file_names)), ())
    unended = [by_stem[name] for name in item.file_names if not format_of(name) and name in by_stem]
    found = set(named).union(*unended)
    if len(found) == 1:
        return found.pop()
    if found:
        raise AnnotationsError(
            f"{item.source}: its picture may be {' or '.join(sorted(found))} in {pictures.folder}; expected one"
        )
    raise AnnotationsError(
        f"{item.source}: its picture is not in {pictures.folder}; expected {' or '.join(item.file_names)}"
    )


def _boxes(item: Marked, header: Header, names: Sequence[str]) -> list[tuple[str, list[float], bool]]:
    found = (header.width, header.height)
    if item.size not in (None, found, header.stored):
        width, height = item.size or found
        raise AnnotationsError(
            f"{item.source}: size is {width} x {height}; expected {found[0]} x {found[1]}, as in the picture"
        )
    boxes = []
    for row, mark in enumerate(item.marks, 1):
        label = canonical(mark.label)
        if label not in names:
            raise AnnotationsError(
                f"{item.source}: box {row}: label is {mark.label!r}; expected one of {', '.join(names)}"
            )
        x0, y0, x1, y1 = mark.xyxy
        if item.size is not None and min(mark.xyxy) >= 0 and max(mark.xyxy) <= 1 and min(item.size) > 1:
            raise AnnotationsError(
                f"{item.source}: box {row} ({mark.label}) is {list(mark.xyxy)} as x0, y0, x1, y1; "
                "expected pixels, not shares"
            )
        if item.size is None:
            x0, x1, y0, y1 = x0 * found[0], x1 * found[0], y0 * found[1], y1 * found[1]
        elif item.size != found:
            width, height = item.size
            x0, y0, x1, y1 = turn_box(mark.xyxy, width=width, height=height, orientation=header.orientation)
        beyond = max(max(-x0, x1 - found[0]) / max(2, found[0] / 100), max(-y0, y1 - found[1]) / max(2, found[1] / 100))
        x0, x1 = (round(min(max(x, 0), found[0]), 3) for x in (x0, x1))
        y0, y1 = (round(min(max(y, 0), found[1]), 3) for y in (y0, y1))
        if (beyond > 1 and not mark.turned) or min(x1 - x0, y1 - y0) <= 2 * TOLERANCE:
            raise AnnotationsError(
                f"{item.source}: box {row} ({mark.label}) is {list(mark.xyxy)} as x0, y0, x1, y1; "
                f"expected some area, within the picture of {found[0]} x {found[1]}"
            )
        boxes.append((label, [x0, y0, round(x1 - x0, 3), round(y1 - y0, 3)], mark.crowd))
    return boxes
