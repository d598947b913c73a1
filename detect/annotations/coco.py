"""A COCO file as arrays: what training and evaluation read, checked whole before any of it is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from detect import boxes
from detect.annotations.check import check_document
from detect.annotations.document import Document, read_json
from detect.errors import AnnotationsError
from detect.labels import canonical

__all__ = ["CocoDataset", "CocoImage", "load_coco", "read_checked"]

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class CocoImage:
    """An image and its boxes; the arrays are read-only and in the file's order.

    Attributes:
        id: The file's id of the image, at least 1.
        path: The picture.
        file_name: The picture's path within the image folder, as the file spells it.
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        xyxy: float32, shape (N, 4), within the picture, each side above 0; N is 0 for a negative.
        labels: int64, shape (N,), positions in the dataset's `names`.
        iscrowd: bool, shape (N,); a crowd's box is neither to be learnt nor to be held against a detector.
        annotation_ids: int64, shape (N,), at least 1.
    """

    id: int
    path: Path
    file_name: str
    width: int
    height: int
    xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    iscrowd: NDArray[np.bool_]
    annotation_ids: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CocoDataset:
    """Images in the file's order.

    Attributes:
        file: The COCO file.
        names: What the labels are called, as `detect.labels.canonical` spells them.
        category_ids: The file's id of each name; None for a name that the file does not have.
        images: Every image, negatives included.
    """

    file: Path
    names: tuple[str, ...]
    category_ids: tuple[int | None, ...]
    images: tuple[CocoImage, ...]

    def __len__(self) -> int:
        return len(self.images)


def load_coco(
    path: str | Path,
    images_dir: str | Path,
    *,
    names: Sequence[str] | None = None,
    look_at_pictures: bool = True,
) -> CocoDataset:
    """Load a COCO file of boxes, checking all of it first.

    Args:
        path: The JSON file.
        images_dir: The folder that each ``file_name`` is joined to.
        names: What the labels are to be called, in their order; then a label is a position in `names`, whatever the
            order of the file's ids, and the file may lack some. None takes the file's categories in the order of id.
        look_at_pictures: Check that each picture is there and of the size that the file says. Leave it out only where
            the same files have just been checked.

    Raises:
        AnnotationsError: The file cannot be read or something in it is wrong; the message names file, field, id,
            value and expectation of the first problem and counts the others.
        ValueError: `names` repeats one, in whatever spelling.
    """
    path, images_dir = Path(path), Path(images_dir)
    document = read_checked(path, images_dir if look_at_pictures else None, names=names)
    by_id = sorted(document["categories"], key=lambda category: cast("int", category["id"]))
    id_of = {canonical(category["name"]): category["id"] for category in by_id}
    called = tuple(id_of) if names is None else tuple(canonical(name) for name in names)
    if len(set(called)) != len(called):
        raise ValueError(f"names must not repeat: {called}")
    label_of = {id_of[name]: label for label, name in enumerate(called) if name in id_of}
    rows: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        rows[annotation["image_id"]].append(annotation)
    images = tuple(_image(image, rows[image["id"]], images_dir, label_of) for image in document["images"])
    return CocoDataset(path, called, tuple(id_of.get(name) for name in called), images)


def read_checked(path: Path, images_dir: Path | None, *, names: Sequence[str] | None = None) -> Document:
    """Read a COCO file as JSON, refusing it where `check_document` finds anything.

    Args:
        path: The JSON file.
        images_dir: As in `check_document`.
        names: As in `check_document`.

    Raises:
        AnnotationsError: As `load_coco`.
    """
    document = read_json(path)
    if problems := check_document(document, file=str(path), images_dir=images_dir, names=names):
        more = f" (and {len(problems) - 1} more: `python -m detect check` lists them)" if len(problems) > 1 else ""
        raise AnnotationsError(f"{problems[0]}{more}")
    return cast("Document", document)


def _image(
    image: dict[str, Any], annotations: list[dict[str, Any]], images_dir: Path, label_of: dict[int, int]
) -> CocoImage:
    width, height = image["width"], image["height"]
    xywh = np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
    return CocoImage(
        id=image["id"],
        path=images_dir / image["file_name"],
        file_name=image["file_name"],
        width=width,
        height=height,
        xyxy=_frozen(boxes.clip(xyxy, width=width, height=height)),
        labels=_frozen(np.array([label_of[annotation["category_id"]] for annotation in annotations], np.int64)),
        iscrowd=_frozen(np.array([annotation.get("iscrowd", 0) for annotation in annotations], np.bool_)),
        annotation_ids=_frozen(np.array([annotation["id"] for annotation in annotations], np.int64)),
    )


def _frozen(array: NDArray[_T]) -> NDArray[_T]:
    array.flags.writeable = False
    return array
