"""Pascal VOC: an XML file for each picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detect.annotations.fields import shown
from detect.annotations.readers.marks import (
    Mark,
    Marked,
    bounds,
    flag_of,
    label_of,
    number_of,
    read_xml,
    size_of,
    turned,
)
from detect.errors import AnnotationsError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["read_voc"]

_KNOWN = frozenset({"name", "bndbox", "difficult", "truncated", "occluded", "pose", "attributes", "id"})


def read_voc(source: Path) -> list[Marked]:
    """Read Pascal VOC: a folder of XML files, or one.

    Corners count pixels from 1 and belong to the box, as the VOC development kit has it, so that ``xmin=1, xmax=W``
    is the whole width. ``difficult`` makes a crowd; an attribute ``rotation``, as CVAT writes it, turns the box about
    its middle. ``truncated``, ``occluded``, other attributes and parts are left out.

    Raises:
        AnnotationsError: There is no such file, or it is no VOC XML, or an object has not one box.
    """
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() == ".xml" and path.is_file())
    if not files:
        raise AnnotationsError(f"{source}: holds no XML file; expected one for each picture")
    return [_picture(path) for path in files]


def _picture(path: Path) -> Marked:
    root = read_xml(path, root="annotation")
    size = (
        size_of(root.findtext("size/width"), where=f"{path}: size/width"),
        size_of(root.findtext("size/height"), where=f"{path}: size/height"),
    )
    marks, notes = [], []
    for number, item in enumerate(root.iter("object"), 1):
        mark, more = _mark(item, where=f"{path}: object {number}")
        marks.append(mark)
        notes += more
    named = (root.findtext("filename") or "").strip()
    names = tuple(dict.fromkeys(name for name in (named, path.stem) if name))
    return Marked(str(path), names, size, tuple(marks), tuple(notes))


def _mark(item: Element, *, where: str) -> tuple[Mark, list[str]]:
    boxes = item.findall("bndbox")
    if len(boxes) > 1:
        raise AnnotationsError(f"{where}: has {len(boxes)} boxes; expected one")
    x0, y0, x1, y1 = (
        number_of(item.findtext(f"bndbox/{key}"), where=f"{where}: {key}") for key in ("xmin", "ymin", "xmax", "ymax")
    )
    label = label_of(item.findtext("name"), where=where)
    crowd = flag_of(item.findtext("difficult"), where=f"{where}: difficult")
    notes = [
        f"left out: <{key}>"
        for key in ("truncated", "occluded")
        if flag_of(item.findtext(key), where=f"{where}: {key}")
    ]
    notes += [f"left out: <{child.tag}>" for child in item if child.tag not in _KNOWN]
    degrees = 0.0
    for attribute in item.iterfind("attributes/attribute"):
        name = attribute.findtext("name")
        if name == "rotation":
            degrees = number_of(attribute.findtext("value"), where=f"{where}: rotation")
        else:
            notes.append(f"left out: attribute {shown(name)}")
    xyxy = (x0 - 1, y0 - 1, x1, y1)
    if degrees:
        middle = ((xyxy[0] + x1) / 2, (xyxy[1] + y1) / 2)
        xyxy = bounds(turned(xyxy, about=middle, degrees=degrees))
    return Mark(label, xyxy, crowd=crowd, turned=degrees != 0), notes
