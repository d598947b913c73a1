"""CVAT's own XML for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detect.annotations.fields import is_text, shown
from detect.annotations.readers.marks import (
    Mark,
    Marked,
    bounds,
    ellipse,
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

__all__ = ["read_cvat"]


def read_cvat(source: Path) -> list[Marked]:
    """Read "CVAT for images 1.1": the XML file, or the folder with its ``annotations.xml``.

    Turned boxes, ellipses and polygons become the box around them. Tags of whole pictures, attributes and ``occluded``
    are left out.

    Raises:
        AnnotationsError: There is no such file, it is no such XML, or it has shapes that are no box (tracks, points).
    """
    path = source / "annotations.xml" if source.is_dir() else source
    root = read_xml(path, root="annotations")
    if root.find("track") is not None:
        raise AnnotationsError(f"{path}: <track> is of a video; expected an export as 'CVAT for images 1.1'")
    for child in root:
        if child.tag not in ("version", "meta", "image"):
            raise AnnotationsError(f"{path}: <{child.tag}> is unknown; expected <image>")
    return [_picture(image, path=path) for image in root.findall("image")]


def _picture(image: Element, *, path: Path) -> Marked:
    where = f"{path}: image {shown(image.get('name'))}"
    name = image.get("name")
    if not is_text(name):
        raise AnnotationsError(f"{where}: expected a name")
    size = (size_of(image.get("width"), where=where), size_of(image.get("height"), where=where))
    marks, notes = [], []
    for shape in image:
        if shape.tag == "tag":
            notes.append("left out: <tag>")
            continue
        marks.append(_mark(shape, where=where))
        notes += [f"left out: attribute {shown(item.get('name'))}" for item in shape]
        if flag_of(shape.get("occluded"), where=f"{where}: {shape.tag} occluded"):
            notes.append("left out: occluded")
    return Marked(where, (name,), size, tuple(marks), tuple(notes))


def _mark(shape: Element, *, where: str) -> Mark:
    label = label_of(shape.get("label"), where=f"{where}: {shape.tag}")
    if flag_of(shape.get("outside"), where=f"{where}: {shape.tag} outside"):
        raise AnnotationsError(f"{where}: <{shape.tag}> is outside, as in a video's track; expected a shape to be seen")

    def number(key: str, default: str | None = None) -> float:
        return number_of(shape.get(key, default), where=f"{where}: {shape.tag} {key}")

    if shape.tag == "box":
        corners = (number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        middle = ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2)
        degrees = number("rotation", "0")
        if corners[0] > corners[2] or corners[1] > corners[3]:
            raise AnnotationsError(f"{where}: box {list(corners)} is inside out; expected xtl, ytl, xbr, ybr")
        return Mark(label, bounds(turned(corners, about=middle, degrees=degrees)), turned=degrees != 0)
    if shape.tag == "ellipse":
        x, y, rx, ry = number("cx"), number("cy"), number("rx"), number("ry")
        degrees = number("rotation", "0")
        return Mark(label, ellipse(x, y, rx, ry, degrees=degrees), turned=degrees != 0)
    if shape.tag == "polygon":
        words = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        points = [[number_of(word, where=f"{where}: polygon") for word in pair] for pair in words]
        if all(len(point) == 2 for point in points):
            return Mark(label, bounds((x, y) for x, y in points))
    raise AnnotationsError(f"{where}: <{shape.tag}> cannot be made a box; expected box, ellipse or polygon")
