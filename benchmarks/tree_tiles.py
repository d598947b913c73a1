"""A small real set of boxes that a package ships, cut for training: crowns of trees, seen from an aeroplane.

    pip download --no-deps deepforest==2.1.0
    python benchmarks/tree_tiles.py deepforest-2.1.0-py3-none-any.whl DIR

The wheel (MIT) carries annotated aerial photographs, two of them large. The larger is cut into tiles to train on, the
other, of another place, into tiles to measure on. DIR comes to hold train.json and test.json (COCO) and the folders
train/ and test/, as benchmarks/retinanet_cards.py wants them. Nothing of the wheel is installed or run.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray
from PIL import Image

SPLITS = {"train": "2019_YELL_2_528000_4978000_image_crop2", "test": "2019_YELL_2_541000_4977000_image_crop"}
VISIBLE = 0.5
"""A box of which a tile shows less than this share becomes a crowd: neither to be found nor to be held against."""
_SLIVER = 4.0  # pixels; of a box of which a tile shows less in one direction nothing is said


def boxes_of(annotation: Element) -> NDArray[np.float32]:
    """The boxes of a Pascal VOC annotation, (N, 4) ``xyxy``."""
    corners = ("xmin", "ymin", "xmax", "ymax")
    rows = [[float(box.findtext(corner, "")) for corner in corners] for box in annotation.iter("bndbox")]
    return np.array(rows, np.float32).reshape(-1, 4)


def starts(length: int, side: int) -> list[int]:
    """Where tiles of `side` begin along `length`: as few as cover it, evenly spread."""
    count = -(-length // side)
    return [round(at) for at in np.linspace(0, max(0, length - side), count)]


def cut(pixels: NDArray[np.uint8], xyxy: NDArray[np.float32], *, side: int, folder: Path) -> dict[str, Any]:
    """Write the tiles of one photograph; gives what COCO says of them."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for top in starts(pixels.shape[0], side):
        for left in starts(pixels.shape[1], side):
            tile = pixels[top : top + side, left : left + side]
            height, width = tile.shape[:2]
            name = f"{top:04}-{left:04}.png"
            Image.fromarray(tile).save(folder / name)
            images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
            moved = xyxy - np.array([left, top] * 2, np.float32)
            inside = np.clip(moved, 0, np.array([width, height] * 2, np.float32))
            for whole, part in zip(moved, inside, strict=True):
                w, h = map(float, part[2:] - part[:2])
                if min(w, h) < _SLIVER:
                    continue
                share = w * h / float(np.prod(whole[2:] - whole[:2]))
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": images[-1]["id"], "category_id": 1,
                        "bbox": [float(part[0]), float(part[1]), w, h], "area": w * h, "iscrowd": int(share < VISIBLE),
                    }
                )  # fmt: skip
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "tree"}]}


def prepare(wheel: Path, out: Path, *, side: int) -> dict[str, tuple[int, int]]:
    """Make the set; gives how many tiles and boxes each split has."""
    counts = {}
    with zipfile.ZipFile(wheel) as files:
        for split, name in SPLITS.items():
            with Image.open(io.BytesIO(files.read(f"deepforest/data/{name}.png"))) as image:
                pixels = np.asarray(image.convert("RGB"))
            xyxy = boxes_of(fromstring(files.read(f"deepforest/data/{name}.xml")))
            document = cut(pixels, xyxy, side=side, folder=out / split)
            (out / f"{split}.json").write_text(json.dumps(document))
            counts[split] = len(document["images"]), sum(not row["iscrowd"] for row in document["annotations"])
    return counts


def main() -> None:
    """Make the set and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=200, help="of a tile, in pixels")
    options = parser.parse_args()
    for split, (tiles, boxes) in prepare(options.wheel, options.out, side=options.side).items():
        print(f"{split}: {tiles} tiles, {boxes} boxes")


if __name__ == "__main__":
    main()
