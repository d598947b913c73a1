"""Boxes: found from outlines, scaled from shares, cut to their image, turned right side out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from detect.annotations.check import TOLERANCE, rotation_of
from detect.annotations.fields import is_area, is_box, is_number, is_score, is_share_box, is_size, is_whole
from detect.annotations.readers.marks import bounds, turned
from detect.annotations.repair.work import Record, Work

__all__ = ["mend_boxes", "mend_turned", "outline", "scale_shares"]

_ROUNDING = 0.001


def scale_shares(work: Work) -> None:
    """Make pixels of boxes in shares of their image, if every box of the file is one, and of which kind is certain.

    Tools that write shares write the upper left corner or the middle; a file in which both are possible is left.
    """
    boxes = {row: each["bbox"] for row, each in work.annotations.items() if is_box(each.get("bbox"))}
    owners = _owners(work)
    sizes = {row: size for row in boxes if (size := _size(owners, work.annotations[row])) is not None}
    certain = any(is_share_box(boxes[row], *size) for row, size in sizes.items())
    if not certain or len(sizes) != len(boxes) or any(not 0 <= number <= 1 for box in boxes.values() for number in box):
        return
    if _fits(boxes.values(), before=0) and not _fits(boxes.values(), before=0.5):
        for row, (x, y, across, down) in boxes.items():
            width, height = sizes[row]
            corners = (x * width, y * height, (x + across) * width, (y + down) * height)
            x0, y0, x1, y1 = (round(number, 3) for number in corners)
            work.set_box(row, (x0, y0, x1, y1), "every box of the file is in shares of its image")


def mend_turned(work: Work) -> None:
    """Replace boxes that CVAT says are turned about their middle by the boxes around them."""
    for row, annotation in work.annotations.items():
        if (degrees := rotation_of(annotation)) and is_box(annotation.get("bbox")):
            x, y, width, height = annotation["bbox"]
            middle = (x + width / 2, y + height / 2)
            x0, y0, x1, y1 = bounds(turned((x, y, x + width, y + height), about=middle, degrees=degrees))
            around = (round(x0, 3), round(y0, 3), round(x1, 3), round(y1, 3))
            work.set_box(row, around, f"the box around the one turned by {degrees:g} degrees")
            attributes = annotation["attributes"] | {"rotation": 0}
            work.set("annotations", row, "attributes", attributes, "its box encloses the turned one")


def mend_boxes(work: Work) -> None:
    """Take boxes from outlines where there are none, cut them to their image, and drop those of which nothing is left.

    A box that is none stays: what it should be is for a person to say.
    """
    owners = _owners(work)
    for row, annotation in list(work.annotations.items()):
        size = _size(owners, annotation)
        if size is None:
            continue  # the image was left to a person, and its boxes are with it
        _mend_outlined(work, row, annotation)
        if is_box(annotation.get("bbox")):
            _mend_box(work, row, annotation, *size)


def outline(segmentation: object) -> tuple[float, float, float, float] | None:
    """The box x0, y0, x1, y1 around COCO's polygons, None where there are none, or one is no polygon."""
    if not isinstance(segmentation, list) or not segmentation:
        return None
    xs: list[float] = []
    ys: list[float] = []
    for polygon in segmentation:
        right = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not right or not all(is_number(number) for number in polygon):
            return None
        xs += polygon[0::2]
        ys += polygon[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _mend_outlined(work: Work, row: int, annotation: Record) -> None:
    box = annotation.get("bbox")
    if is_box(box) and min(abs(box[2]), abs(box[3])) > 2 * TOLERANCE:
        return
    around = outline(annotation.get("segmentation"))
    if around is None or max(around) <= 1:  # in shares
        return
    x0, y0, x1, y1 = around
    if min(x1 - x0, y1 - y0) > 2 * TOLERANCE:
        work.set("annotations", row, "bbox", [x0, y0, x1 - x0, y1 - y0], "the box around its polygons")


def _mend_box(work: Work, row: int, annotation: Record, image_width: int, image_height: int) -> None:
    x, y, width, height = annotation["bbox"]
    (x0, x1), (y0, y1) = sorted((x, x + width)), sorted((y, y + height))
    if min(x1 - x0, y1 - y0) <= 2 * TOLERANCE:
        work.drop("annotations", row, "its box has no area")
        return
    if is_share_box(annotation["bbox"], image_width, image_height):
        return
    cut = (max(x0, 0), max(y0, 0), min(x1, image_width), min(y1, image_height))
    if min(cut[2] - cut[0], cut[3] - cut[1]) <= 2 * TOLERANCE:
        work.drop("annotations", row, "its box lies outside its image")
        return
    beyond = max(cut[0] - x0, cut[1] - y0, x1 - cut[2], y1 - cut[3]) > TOLERANCE
    if beyond and is_share_box([*cut[:2], cut[2] - cut[0], cut[3] - cut[1]], image_width, image_height):
        work.drop("annotations", row, "its box lies outside its image")  # but for a part of the first pixel
        return
    if beyond or min(width, height) < 0:
        reason = "cut to its image" if beyond and min(width, height) > 0 else "turned right side out"
        work.set_box(row, cut, reason)
    if "area" in annotation and not is_area(annotation["area"]):
        work.set("annotations", row, "area", (cut[2] - cut[0]) * (cut[3] - cut[1]), "out of its range")
    if "score" in annotation and not is_score(annotation["score"]):
        work.unset("annotations", row, "score", "out of its range")


def _owners(work: Work) -> dict[int, Record]:
    images = [image for image in work.images.values() if is_whole(image.get("id"))]
    times = Counter(image["id"] for image in images)
    return {image["id"]: image for image in images if times[image["id"]] == 1 and image["id"] not in work.left}


def _size(owners: dict[int, Record], annotation: Record) -> tuple[int, int] | None:
    number = annotation.get("image_id")
    image = owners.get(number) if is_whole(number) else None
    if image is None or not (is_size(image.get("width")) and is_size(image.get("height"))):
        return None
    return image["width"], image["height"]


def _fits(boxes: Collection[list[float]], *, before: float) -> bool:
    """Whether all lie within 0 to 1 if the first two numbers say a point with this share of the side before it."""
    return all(
        start - before * side >= -_ROUNDING and start + (1 - before) * side <= 1 + _ROUNDING
        for x, y, width, height in boxes
        for start, side in ((x, width), (y, height))
    )
