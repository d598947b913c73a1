"""Annotations as other tools write them: Pascal VOC, YOLO, CVAT and Label Studio, each read into the same marks.

XML is read by defusedxml, since the standard library expands entities and a few lines of them fill the memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from detect.annotations.document import read_json
from detect.annotations.fields import is_number, is_size, is_text, shown
from detect.annotations.pictures import list_pictures
from detect.errors import AnnotationsError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone; defusedxml does the reading

__all__ = ["Mark", "Marked", "read_cvat", "read_labelstudio", "read_names", "read_voc", "read_yolo"]

_NAME_FILES = ("classes.txt", "obj.names")


@dataclass(frozen=True)
class Mark:
    """One box.

    Attributes:
        label: As the source spells it.
        xyxy: In pixels of a picture of the size that its `Marked` states, or in shares of it where that is None.
        crowd: Whether it is neither to be learnt nor to count, as VOC's ``difficult``.
        turned: Whether it encloses a turned shape, whose empty corners may lie beyond the picture.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    crowd: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Marked:
    """One picture's boxes.

    Attributes:
        source: What to name in an error: the file, and the place within it.
        file_names: What the picture may be called within the image folder, the likeliest first.
        size: Width and height that the source states; None where boxes are shares of the picture.
        marks: The boxes.
    """

    source: str
    file_names: tuple[str, ...]
    size: tuple[int, int] | None
    marks: tuple[Mark, ...]


def read_voc(source: Path) -> list[Marked]:
    """Read Pascal VOC: a folder of XML files, or one.

    Corners count pixels from 1 and belong to the box, as the VOC development kit has it, so that ``xmin=1, xmax=W``
    is the whole width.

    Raises:
        AnnotationsError: There is no such file, or it is no VOC XML.
    """
    files = sorted(source.rglob("*.xml")) if source.is_dir() else [source]
    if not files:
        raise AnnotationsError(f"{source}: holds no XML file; expected one for each picture")
    return [_voc_picture(path) for path in files]


def read_yolo(source: Path, *, images_dir: Path, names: Sequence[str] | None = None) -> list[Marked]:
    """Read YOLO: a folder with a text file for each picture, named and placed as the picture is.

    A picture whose text file is missing or empty is a negative. Lines of five numbers are boxes, of six are boxes with
    a score, which is left out, and of seven or more are polygons.

    Args:
        source: The folder of text files.
        images_dir: The folder of pictures.
        names: What the class numbers mean; None takes the lines of ``classes.txt`` or ``obj.names`` in `source`.

    Raises:
        AnnotationsError: A folder or the names are missing, no picture has a text file, or a line is no YOLO.
    """
    if not source.is_dir():
        raise AnnotationsError(f"{source}: is no folder; expected one with a text file for each picture")
    called = tuple(names) if names is not None else _yolo_names(source)
    marked, read = [], 0
    for picture in list_pictures(images_dir):
        file_name = picture.relative_to(images_dir)
        path = (source / file_name).with_suffix(".txt")
        marks: list[Mark] = []
        if path.is_file():
            read += 1
            for number, line in enumerate(_text(path).splitlines(), 1):
                if line.strip():
                    marks.append(_yolo_mark(line, called, where=f"{path}: line {number}"))
        marked.append(Marked(str(path), (file_name.as_posix(),), None, tuple(marks)))
    if not read:
        raise AnnotationsError(f"{source}: holds no text file that is named as a picture in {images_dir}")
    return marked


def read_cvat(source: Path) -> list[Marked]:
    """Read "CVAT for images 1.1": the XML file, or the folder with its ``annotations.xml``.

    Turned boxes, ellipses and polygons become the box around them.

    Raises:
        AnnotationsError: There is no such file, it is no such XML, or it has shapes that are no box (tracks, points).
    """
    path = source / "annotations.xml" if source.is_dir() else source
    root = _xml(path, root="annotations")
    if root.find("track") is not None:
        raise AnnotationsError(f"{path}: <track> is of a video; expected an export as 'CVAT for images 1.1'")
    marked = []
    for image in root.iter("image"):
        where = f"{path}: image {shown(image.get('name'))}"
        name = image.get("name")
        if not is_text(name):
            raise AnnotationsError(f"{where}: expected a name")
        size = (_size(image.get("width"), where=where), _size(image.get("height"), where=where))
        marks = tuple(_cvat_mark(shape, where=where) for shape in image if shape.tag != "tag")
        marked.append(Marked(where, (name, PurePosixPath(name).name), size, marks))
    return marked


def read_labelstudio(source: Path) -> list[Marked]:
    """Read Label Studio's "JSON" export (not "JSON-MIN").

    Rectangles, ellipses and polygons become the box around them. Tasks without a submitted annotation are left out;
    a submitted one without regions makes a negative.

    Raises:
        AnnotationsError: It is no such JSON, a task has several annotations to choose from, or a region is no box.
    """
    tasks = read_json(source)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise AnnotationsError(f"{source}: expected a list of tasks, as Label Studio exports for 'JSON'")
    marked = []
    for row, task in enumerate(tasks):
        where = f"{source}: task {shown(task.get('id', row))}"
        annotations = task.get("annotations")
        if not isinstance(annotations, list) or not all(isinstance(item, dict) for item in annotations):
            raise AnnotationsError(f"{where}: annotations is {shown(annotations)}; expected a list (not 'JSON-MIN')")
        submitted = [item for item in annotations if not item.get("was_cancelled")]
        if len(submitted) > 1:
            raise AnnotationsError(f"{where}: has {len(submitted)} annotations; expected one to be chosen")
        if submitted:
            result = submitted[0].get("result")
            if not isinstance(result, list):
                raise AnnotationsError(f"{where}: result is {shown(result)}; expected a list")
            regions = [item for item in result if _is_region(item)]
            # A label chosen apart from its shape comes as a second entry, with the shape in it, under the same id.
            named = {shown(region.get("id")) for region in regions if _labels(region)}
            wanted = [region for region in regions if _labels(region) or shown(region.get("id")) not in named]
            marks = tuple(_labelstudio_mark(region, where=where) for region in wanted)
            marked.append(Marked(where, _labelstudio_names(task, where=where), None, marks))
    return marked


def read_names(path: Path) -> tuple[str, ...]:
    """Read class names, one a line; the first is that of number 0.

    Raises:
        AnnotationsError: The file cannot be read.
    """
    return tuple(line.strip() for line in _text(path).splitlines() if line.strip())


def _voc_picture(path: Path) -> Marked:
    root = _xml(path, root="annotation")
    size = (
        _size(root.findtext("size/width"), where=f"{path}: size/width"),
        _size(root.findtext("size/height"), where=f"{path}: size/height"),
    )
    marks = []
    for number, item in enumerate(root.iter("object"), 1):
        where = f"{path}: object {number}"
        corners = ("xmin", "ymin", "xmax", "ymax")
        x0, y0, x1, y1 = (_number(item.findtext(f"bndbox/{key}"), where=f"{where}: {key}") for key in corners)
        label = _label(item.findtext("name"), where=where)
        marks.append(Mark(label, (x0 - 1, y0 - 1, x1, y1), crowd=item.findtext("difficult") == "1"))
    named = (root.findtext("filename") or "").strip()
    folder = path.stem
    return Marked(str(path), tuple(dict.fromkeys(name for name in (named, folder) if name)), size, tuple(marks))


def _yolo_names(source: Path) -> tuple[str, ...]:
    for name in _NAME_FILES:
        if (source / name).is_file():
            return read_names(source / name)
    raise AnnotationsError(f"{source}: holds neither {' nor '.join(_NAME_FILES)}; expected the class names, one a line")


def _yolo_mark(line: str, names: Sequence[str], *, where: str) -> Mark:
    numbers = [_number(word, where=where) for word in line.split()]
    if len(numbers) not in (5, 6) and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise AnnotationsError(
            f"{where}: has {len(numbers)} numbers; expected a class and 4, 5 or pairs of coordinates"
        )
    index = numbers[0]
    if not index.is_integer() or not 0 <= index < len(names):
        raise AnnotationsError(f"{where}: class is {shown(index)}; expected a whole number below {len(names)}")
    if len(numbers) <= 6:
        x, y, width, height = numbers[1:5]
        xyxy = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    else:
        xyxy = _bounds(zip(numbers[1::2], numbers[2::2], strict=True))
    if min(xyxy) < -0.01 or max(xyxy) > 1.01:
        raise AnnotationsError(f"{where}: a coordinate lies outside 0 to 1; expected shares of the picture's size")
    return Mark(names[int(index)], xyxy)


def _cvat_mark(shape: Element, *, where: str) -> Mark:
    label = _label(shape.get("label"), where=f"{where}: {shape.tag}")

    def number(key: str, default: str | None = None) -> float:
        return _number(shape.get(key, default), where=f"{where}: {shape.tag} {key}")

    if shape.tag == "box":
        corners = (number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        middle = ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2)
        degrees = number("rotation", "0")
        return Mark(label, _bounds(_turned(corners, about=middle, degrees=degrees)), turned=degrees != 0)
    if shape.tag == "ellipse":
        x, y, rx, ry = number("cx"), number("cy"), number("rx"), number("ry")
        degrees = number("rotation", "0")
        return Mark(label, _ellipse(x, y, rx, ry, degrees=degrees), turned=degrees != 0)
    if shape.tag == "polygon":
        words = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        points = [[_number(word, where=f"{where}: polygon") for word in pair] for pair in words]
        if all(len(point) == 2 for point in points):
            return Mark(label, _bounds((x, y) for x, y in points))
    raise AnnotationsError(f"{where}: <{shape.tag}> cannot be made a box; expected box, ellipse or polygon")


def _is_region(item: object) -> bool:
    """Whether an entry of a result marks a place; choices, ratings and texts concern the whole picture."""
    return isinstance(item, dict) and isinstance(item.get("value"), dict) and "original_width" in item


def _labels(region: dict[str, Any]) -> object:
    value, kind = region["value"], str(region.get("type"))
    return (value.get(kind) if kind.endswith("labels") else None) or value.get("labels")


def _labelstudio_mark(region: dict[str, Any], *, where: str) -> Mark:
    value, kind = region["value"], str(region.get("type"))
    where = f"{where}: region {shown(region.get('id'))}"
    if region.get("image_rotation"):
        raise AnnotationsError(f"{where}: was marked on a turned picture; expected image_rotation 0")
    width, height = (_size(region.get(key), where=f"{where}: {key}") for key in ("original_width", "original_height"))

    def number(key: str) -> float:
        return _number(value.get(key), where=f"{where}: {key}")

    labels = _labels(region)
    if not isinstance(labels, list) or len(labels) != 1:
        raise AnnotationsError(f"{where}: has the labels {shown(labels)}; expected one")
    label, turn = _label(labels[0], where=where), value.get("rotation") or 0
    degrees = _number(turn, where=f"{where}: rotation")
    across, down = width / 100, height / 100  # coordinates are percentages; turning needs pixels
    if "points" in value:
        points = value["points"]
        pairs = isinstance(points, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in points)
        if not points or not pairs:
            raise AnnotationsError(f"{where}: points is {shown(points)}; expected pairs of numbers")
        numbers = [[_number(word, where=f"{where}: points") for word in pair] for pair in points]
        xyxy = _bounds((x * across, y * down) for x, y in numbers)
    elif "radiusX" in value:
        radii = number("radiusX") * across, number("radiusY") * down
        xyxy = _ellipse(number("x") * across, number("y") * down, *radii, degrees=degrees)
    elif "width" in value and "x" in value:
        x, y = number("x") * across, number("y") * down
        corners = (x, y, x + number("width") * across, y + number("height") * down)
        xyxy = _bounds(_turned(corners, about=(x, y), degrees=degrees))  # Label Studio turns about the first corner
    else:
        raise AnnotationsError(f"{where}: of type {kind} cannot be made a box; expected rectangle, ellipse or polygon")
    x0, y0, x1, y1 = xyxy
    return Mark(label, (x0 / width, y0 / height, x1 / width, y1 / height), turned=degrees != 0)


def _labelstudio_names(task: dict[str, Any], *, where: str) -> tuple[str, ...]:
    """What the picture of a task may be called: uploads get a prefix, local files are named in the query."""
    data = task.get("data")
    texts = [value for value in data.values() if is_text(value)] if isinstance(data, dict) else []
    if isinstance(data, dict) and is_text(data.get("image")):
        texts = [data["image"]]
    if len(texts) != 1:
        raise AnnotationsError(f"{where}: data is {shown(data)}; expected one picture, under 'image'")
    try:
        parts = urlsplit(texts[0])
    except ValueError as error:
        raise AnnotationsError(f"{where}: data is {shown(data)}; expected the address of a picture") from error
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/")
    name = PurePosixPath(path).name
    return tuple(dict.fromkeys((path, name, re.sub(r"^[0-9a-f]{8}-", "", name))))


def _turned(
    corners: tuple[float, float, float, float], *, about: tuple[float, float], degrees: float
) -> Iterator[tuple[float, float]]:
    """The four corners of a box turned clockwise, as seen with y pointing down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for x in corners[0::2]:
        for y in corners[1::2]:
            right, down = x - about[0], y - about[1]
            yield about[0] + right * cos - down * sin, about[1] + right * sin + down * cos


def _ellipse(x: float, y: float, rx: float, ry: float, *, degrees: float) -> tuple[float, float, float, float]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
    return x - across, y - down, x + across, y + down


def _bounds(points: Iterable[tuple[float, float]]) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _xml(path: Path, *, root: str) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        element: Element = parse(path).getroot()
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise AnnotationsError(f"{path}: is no XML that can be trusted: {error}") from error
    if element.tag != root:
        raise AnnotationsError(f"{path}: begins with <{element.tag}>; expected <{root}>")
    return element


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationsError(f"{path}: cannot be read: {error}") from error


def _label(value: object, *, where: str) -> str:
    if not is_text(value):
        raise AnnotationsError(f"{where}: label is {shown(value)}; expected a text that is not empty")
    return value.strip()


def _number(value: object, *, where: str) -> float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not is_number(number):
        raise AnnotationsError(f"{where}: is {shown(value)}; expected a finite number")
    return float(number)


def _size(value: object, *, where: str) -> int:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value) else value
    if not is_size(number):
        raise AnnotationsError(f"{where}: size is {shown(value)}; expected a whole number of pixels from 1 up")
    return number
