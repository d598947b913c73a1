"""COCO JSON without torch: load, check, repair, convert, split, count, draw and propose boxes.

Coordinates are those of `detect.detections`: pixels of the *upright* picture. A COCO ``bbox`` is ``[x, y, width,
height]`` in those pixels, and an image's ``width`` and ``height`` are those of the upright picture too.
"""

from __future__ import annotations

from detect.annotations.check import Kind, Problem, check_document
from detect.annotations.coco import CocoDataset, CocoImage, load_coco

__all__ = ["CocoDataset", "CocoImage", "Kind", "Problem", "check_document", "load_coco"]
