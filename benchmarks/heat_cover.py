"""How much of what is annotated a policy hides, how much of the picture that takes, and what it refuses.

    python benchmarks/heat_cover.py FOLDER --coco FILE [--policy NAME_OR_FILE ...] [--list] [--out FILE]

FOLDER may be written FOLDER@16:9 where its pictures were squashed; boxes in the COCO file are then those of the stored
pictures, and are stretched with them. For each policy: of how many boxes of each label at least half is hidden in the
end, the share of a picture that is hidden on average, how many pictures are left as they are, and how many give no
output at all, of which nothing is counted as hidden. Without --coco the boxes are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stretched import PictureFolder, picture_folder

from censor import Censor
from censor.errors import CensorError
from censor.redact import Redaction
from detect.annotations import load_coco
from detect.detections import RGBImage
from detect.errors import DetectError
from detect.pictures.rgb import read_rgb

__all__ = ["Cover", "cover_of", "hidden_mask"]

Boxes = Mapping[str, Sequence[tuple[str, tuple[float, float, float, float]]]]
"""Name of a picture, to labels and boxes, left, top, right, bottom as shares of the picture."""


@dataclass(kw_only=True)
class Cover:
    """What a policy does to annotated pictures.

    Attributes:
        hidden: Share of each picture that is hidden.
        covered: Label to the share of each of its boxes that is hidden; 0 in a picture that gives no output.
        refused: What was said of pictures that give no output.
    """

    hidden: list[float] = field(default_factory=list)
    covered: dict[str, list[float]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def half(self, label: str) -> int:
        """Boxes of a label of which at least half is hidden."""
        return sum(share >= 0.5 for share in self.covered[label])

    def line(self) -> str:
        """In words."""
        pictures = len(self.hidden) + len(self.refused)
        boxes = "; ".join(f"{label} {self.half(label)} of {len(each)}" for label, each in self.covered.items())
        mean = f"{np.mean(self.hidden):.1%}" if self.hidden else "nothing"
        unchanged = sum(share == 0 for share in self.hidden)
        return (
            f"{mean} hidden on average; half or more of: {boxes or 'no boxes'}; "
            f"{unchanged} of {pictures} left as they are, {len(self.refused)} refused"
        )


def hidden_mask(redactions: Sequence[Redaction], height: int, width: int) -> NDArray[np.bool_]:
    """Where a picture is hidden wholly."""
    mask = np.zeros((height, width), np.bool_)
    for each in redactions:
        each.region.mark(mask)
    return mask


def cover_of(censor: Censor, folder: PictureFolder, boxes: Boxes) -> Cover:
    """What becomes of the pictures of a folder, and of the boxes in them."""
    found = Cover()
    for name, source in folder.pictures():
        pixels: RGBImage = read_rgb(source) if isinstance(source, Path) else source
        height, width = pixels.shape[:2]
        mask = np.zeros((height, width), np.bool_)
        try:
            done = censor.apply(source if isinstance(source, Path) else pixels)
        except (CensorError, DetectError) as error:
            found.refused.append(f"{name}: {error}")
        else:
            mask = hidden_mask(done.redactions, height, width)
            found.hidden.append(float(mask.mean()))
        for label, (left, top, right, bottom) in boxes.get(name, ()):
            part = mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
            found.covered.setdefault(label, []).append(float(part.mean()) if part.size else 0.0)
    return found


def _boxes(file: Path | None, folder: PictureFolder) -> Boxes:
    if file is None or folder.path is None:
        return {}
    data = load_coco(file, folder.path)
    return {
        image.file_name: [
            (data.names[label], tuple((xyxy / np.array([image.width, image.height] * 2)).tolist()))
            for xyxy, label in zip(image.xyxy, image.labels, strict=True)
        ]
        for image in data.images
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Hide, and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=picture_folder, metavar="FOLDER[@16:9]")
    parser.add_argument("--coco", type=Path, metavar="FILE", help="boxes that should be hidden")
    parser.add_argument("--policy", nargs="+", default=["strict", "default"], metavar="NAME_OR_FILE")
    parser.add_argument("--list", action="store_true", help="also say what was refused")
    parser.add_argument("--out", type=Path, metavar="FILE", help="everything as JSON")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    try:
        boxes = _boxes(options.coco, options.folder)
        for policy in options.policy:
            cover = cover_of(Censor(policy), options.folder, boxes)
            found[policy] = {"hidden": cover.hidden, "covered": cover.covered, "refused": cover.refused}
            print(f"{policy}: {cover.line()}")
            for line in cover.refused if options.list else ():
                print(f"  {line}")
    except (CensorError, DetectError) as error:
        parser.error(str(error))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
