"""Label Studio's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detect.annotations.document import read_json
from detect.annotations.fields import is_text, shown
from detect.annotations.names import picture_names
from detect.annotations.readers.marks import Mark, Marked, bounds, ellipse, label_of, number_of, size_of, turned
from detect.errors import AnnotationsError

__all__ = ["read_labelstudio"]

_SHAPES = frozenset({"rectangle", "ellipse", "polygon"})
_PLACES = frozenset({"x", "y", "points", "rle", "sequence", "vertices"})
"""Keys of a value that marks a region."""


def read_labelstudio(source: Path) -> list[Marked]:
    """Read Label Studio's "JSON" export (not "JSON-MIN").

    Rectangles, ellipses and polygons become the box around them. Tasks without a submitted annotation are left out;
    a submitted one without regions makes a negative. Choices, ratings, texts and relations are left out.

    Raises:
        AnnotationsError: It is no such JSON, a task has several annotations to choose from or several pictures, or a
            region is no box.
    """
    tasks = read_json(source)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise AnnotationsError(f"{source}: expected a list of tasks, as Label Studio exports for 'JSON'")
    marked: list[Marked] = []
    unsubmitted = 0
    for row, task in enumerate(tasks):
        where = f"{source}: task {shown(task.get('id', row))}"
        annotations = task.get("annotations")
        if not isinstance(annotations, list) or not all(isinstance(item, dict) for item in annotations):
            raise AnnotationsError(f"{where}: annotations is {shown(annotations)}; expected a list (not 'JSON-MIN')")
        submitted = [item for item in annotations if not item.get("was_cancelled")]
        if len(submitted) > 1:
            raise AnnotationsError(f"{where}: has {len(submitted)} annotations; expected one to be chosen")
        if not submitted:
            unsubmitted += 1
            continue
        marks, notes = _marks(submitted[0].get("result"), where=where)
        marked.append(Marked(where, _names(task, where=where), None, tuple(marks), tuple(notes)))
    if marked and unsubmitted:
        notes = ["left out: tasks without a submitted annotation"] * unsubmitted
        marked[0] = Marked(marked[0].source, marked[0].file_names, None, marked[0].marks, (*marked[0].notes, *notes))
    return marked


def _marks(result: object, *, where: str) -> tuple[list[Mark], list[str]]:
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise AnnotationsError(f"{where}: result is {shown(result)}; expected a list of objects")
    regions = [item for item in result if _is_region(item)]
    notes = [f"left out: {_kind(item)}" for item in result if not _is_region(item)]
    pictures = {shown(region.get("to_name")) for region in regions}
    if len(pictures) > 1:
        raise AnnotationsError(f"{where}: has regions on {', '.join(sorted(pictures))}; expected one picture")
    # A label chosen apart from its shape comes as a second entry, with the shape in it, under the same id.
    named = {region["id"] for region in regions if _labels(region) and is_text(region.get("id"))}
    marks: dict[object, Mark] = {}
    for row, region in enumerate(regions):
        number = region.get("id") if is_text(region.get("id")) else row
        if not _labels(region) and number in named:
            if _kind(region) not in _SHAPES:
                notes.append(f"left out: {_kind(region)}")
            continue
        mark = _mark(region, where=where)
        if marks.setdefault(number, mark) != mark:
            raise AnnotationsError(f"{where}: region {shown(number)} is there twice, in two ways; expected one")
    return list(marks.values()), notes


def _is_region(item: dict[str, Any]) -> bool:
    """Whether an entry of a result marks a region; choices, ratings and texts concern the whole picture."""
    value = item.get("value")
    return isinstance(value, dict) and bool("original_width" in item or value.keys() & _PLACES)


def _kind(item: dict[str, Any]) -> str:
    return str(item.get("type"))[:40]


def _labels(region: dict[str, Any]) -> object:
    value, kind = region["value"], str(region.get("type"))
    return (value.get(kind) if kind.endswith("labels") else None) or value.get("labels")


def _mark(region: dict[str, Any], *, where: str) -> Mark:
    value, kind = region["value"], _kind(region)
    where = f"{where}: region {shown(region.get('id'))}"
    if region.get("image_rotation"):
        raise AnnotationsError(f"{where}: was marked on a turned picture; expected image_rotation 0")
    width, height = (size_of(region.get(key), where=f"{where}: {key}") for key in ("original_width", "original_height"))

    def number(key: str) -> float:
        return number_of(value.get(key), where=f"{where}: {key}")

    labels = _labels(region)
    if not isinstance(labels, list) or len(labels) != 1:
        raise AnnotationsError(f"{where}: has the labels {shown(labels)}; expected one")
    label, turn = label_of(labels[0], where=where), value.get("rotation") or 0
    degrees = number_of(turn, where=f"{where}: rotation")
    across, down = width / 100, height / 100  # coordinates are percentages; turning needs pixels
    if "points" in value:
        points = value["points"]
        pairs = isinstance(points, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in points)
        if not points or not pairs:
            raise AnnotationsError(f"{where}: points is {shown(points)}; expected pairs of numbers")
        numbers = [[number_of(word, where=f"{where}: points") for word in pair] for pair in points]
        xyxy = bounds((x * across, y * down) for x, y in numbers)
    elif "radiusX" in value:
        radii = number("radiusX") * across, number("radiusY") * down
        xyxy = ellipse(number("x") * across, number("y") * down, *radii, degrees=degrees)
    elif "width" in value and "x" in value:
        x, y = number("x") * across, number("y") * down
        corners = (x, y, x + number("width") * across, y + number("height") * down)
        if min(number("width"), number("height")) <= 0:
            raise AnnotationsError(f"{where}: is {shown(value)}; expected a width and a height above 0")
        xyxy = bounds(turned(corners, about=(x, y), degrees=degrees))  # Label Studio turns about the first corner
    else:
        raise AnnotationsError(f"{where}: of type {kind} cannot be made a box; expected rectangle, ellipse or polygon")
    x0, y0, x1, y1 = xyxy
    return Mark(label, (x0 / width, y0 / height, x1 / width, y1 / height), turned=degrees != 0)


def _names(task: dict[str, Any], *, where: str) -> tuple[str]:
    """The address of a task's picture."""
    data = task.get("data")
    texts = [value for value in data.values() if is_text(value)] if isinstance(data, dict) else []
    if isinstance(data, dict) and is_text(data.get("image")):
        texts = [data["image"]]
    if len(texts) != 1:
        raise AnnotationsError(f"{where}: data is {shown(data)}; expected one picture, under 'image'")
    try:
        picture_names(texts[0])
    except ValueError as error:
        raise AnnotationsError(f"{where}: data is {shown(data)}; expected the address of a picture") from error
    return (texts[0],)
