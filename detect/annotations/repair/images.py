"""Images: named as their pictures are, of their size, and each but once."""

from __future__ import annotations

from pathlib import Path

from detect.annotations.fields import is_box, is_share_box, is_size, is_text, is_whole
from detect.annotations.names import PictureNames, folded, identity, is_file, is_inside_folder
from detect.annotations.repair.work import Record, Work
from detect.errors import ImageError, ReadError
from detect.pictures.header import Header, read_header

__all__ = ["mend_images", "turn_box"]

_Boxes = dict[int, tuple[float, float, float, float]]


def mend_images(work: Work, images_dir: Path, *, upright: bool = False) -> None:
    """Make each image name its picture and be of its size, drop those without a picture, and join those of one.

    An image whose picture cannot be told is left to a person, its boxes with it. `upright` says that boxes are those of
    the upright picture even where the size is that of the stored one.
    """
    found = _pictures(work, images_dir)
    ambiguous = _ambiguous_ids(work)
    for row, image in list(work.images.items()):
        names = found[row]
        if names is None or len(names) > 1 or not is_whole(image.get("id")) or image["id"] in ambiguous:
            _leave(work, image)
        elif not names:
            work.drop_image(row, "its picture is not there")
        else:
            _mend_image(work, row, names[0], images_dir, upright=upright)
    _join(work, images_dir)


def turn_box(
    xyxy: tuple[float, float, float, float], *, width: int, height: int, orientation: int
) -> tuple[float, float, float, float]:
    """Move a box from the picture as it is stored to the upright picture.

    Args:
        xyxy: In pixels of the stored picture.
        width: Of the stored picture.
        height: Of the stored picture.
        orientation: EXIF orientation, 1 to 8.

    Source: Exif 2.32, 4.6.4 A, tag 274: what side of the scene the stored rows and columns begin at.
    """
    x0, y0, x1, y1 = xyxy
    if orientation in (2, 3, 7, 8):  # stored columns run from right to left of the scene, or up it
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if orientation >= 5 else (x0, y0, x1, y1)


def _leave(work: Work, image: Record) -> None:
    if is_whole(image.get("id")):
        work.left.add(image["id"])


def _pictures(work: Work, images_dir: Path) -> dict[int, tuple[str, ...] | None]:
    """The pictures that each image may mean; None where its name says nothing.

    A picture that an image finds by a name that is only nearly its own, and that another image of another name means as
    well, is beyond doubt neither's.
    """
    pictures = PictureNames(images_dir)
    found: dict[int, tuple[str, ...] | None] = {}
    claims: dict[str, set[str]] = {}
    for row, image in work.images.items():
        name = image.get("file_name")
        found[row] = pictures.find(name) if is_text(name) else None
        if is_text(name):
            for picture in found[row] or ():
                claims.setdefault(picture, set()).add(folded(name.replace("\\", "/")))
    for row, image in work.images.items():
        names = found[row]
        if names and len(names) == 1 and len(claims[names[0]]) > 1 and not _exact(image["file_name"], images_dir):
            found[row] = (names[0], image["file_name"])
    return found


def _exact(name: str, images_dir: Path) -> bool:
    return is_inside_folder(name) and is_file(images_dir / name)


def _mend_image(work: Work, row: int, name: str, images_dir: Path, *, upright: bool) -> None:
    image = work.images[row]
    exact = _exact(image["file_name"], images_dir)
    try:
        header = read_header(images_dir / name)
    except (ReadError, ImageError) as error:
        work.drop_image(row, f"its picture cannot be read ({error})")
        return
    size = (image.get("width"), image.get("height"))
    moved = _moved(work, image, header, upright=upright)
    if isinstance(moved, str):
        if exact and moved:
            work.drop_image(row, moved)
        else:
            _leave(work, image)  # it may well be another picture of that name
        return
    if not exact:
        work.set("images", row, "file_name", name, "the picture is in the image folder under this name")
    boxes, reason = moved
    for key, was, value in zip(("width", "height"), size, (header.width, header.height), strict=True):
        if was != value or not is_size(was):
            work.set("images", row, key, value, reason)
    for number, box in boxes.items():
        work.set_box(number, box, reason)


def _moved(work: Work, image: Record, header: Header, *, upright: bool) -> tuple[_Boxes, str] | str:
    """Where the boxes of an image lie in the picture as it is, and why they move; or why that cannot be said.

    The answer is empty where a person may know it.
    """
    width, height = image.get("width"), image.get("height")
    found = (header.width, header.height)
    mine = {
        number: annotation["bbox"]
        for number, annotation in work.annotations.items()
        if annotation.get("image_id") == image["id"] and is_box(annotation.get("bbox"))
    }
    boxes: _Boxes = {number: (x, y, x + across, y + down) for number, (x, y, across, down) in mine.items()}
    if not (is_size(width) and is_size(height)) or (width, height) == found:
        return {}, "as in the picture"
    shares = {number for number, box in mine.items() if is_share_box(box, width=width, height=height)}
    if (width, height) == header.stored:
        if upright:
            return {}, "the picture is stored turned; its boxes are upright already, as Label Studio writes them"
        if shares:
            return ""
        turned = {
            number: turn_box(box, width=width, height=height, orientation=header.orientation)
            for number, box in boxes.items()
        }
        return turned, "the picture is stored turned; its boxes are turned with it"
    if abs(width * found[1] - height * found[0]) <= max(width, height, *found):
        x, y = found[0] / width, found[1] / height
        resized = {
            number: (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
            for number, box in boxes.items()
            if number not in shares
        }
        return resized, "the picture has been resized; its boxes are resized with it"
    return f"its picture is of another shape ({found[0]} x {found[1]}, not {width} x {height})"


def _join(work: Work, images_dir: Path) -> None:
    """Join images of one picture, once their boxes are in its pixels."""
    first: dict[str, Record] = {}
    for row, image in list(work.images.items()):
        number, name = image.get("id"), image.get("file_name")
        if not is_whole(number) or number in work.left or not is_text(name):
            continue
        kept = first.setdefault(identity(name, images_dir), image)
        if kept is image:
            continue
        mine = {_content(each) for each in work.annotations.values() if each.get("image_id") == kept["id"]} - {None}
        for box, annotation in list(work.annotations.items()):
            if annotation.get("image_id") != number or number == kept["id"]:
                continue
            if _content(annotation) in mine:
                work.drop("annotations", box, "the same box is there already, of the same picture under another name")
            else:
                work.set("annotations", box, "image_id", kept["id"], "two images of one picture, joined")
        work.drop("images", row, "its picture is named already")


def _content(annotation: Record) -> tuple[object, ...] | None:
    """What makes a box another's twin; None if it is none."""
    box = annotation.get("bbox")
    if not is_box(box):
        return None
    return (repr(annotation.get("category_id")), *(round(number, 3) for number in box), bool(annotation.get("iscrowd")))


def _ambiguous_ids(work: Work) -> set[int]:
    """The ids that several files share."""
    files: dict[int, set[str]] = {}
    for image in work.images.values():
        if is_whole(image.get("id")):
            files.setdefault(image["id"], set()).add(repr(image.get("file_name")))
    return {number for number, names in files.items() if len(names) > 1}
