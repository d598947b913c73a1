"""Annotations as other tools write them: Pascal VOC, YOLO, CVAT and Label Studio, each read into the same marks.

What a reader does not understand is an error. What it understands and COCO boxes have no place for, such as a score, is
left out and counted.
"""

from __future__ import annotations

from detect.annotations.readers.cvat import read_cvat
from detect.annotations.readers.labelstudio import read_labelstudio
from detect.annotations.readers.marks import Mark, Marked
from detect.annotations.readers.voc import read_voc
from detect.annotations.readers.yolo import read_yolo
from detect.annotations.readers.yolo_names import Names, read_names

__all__ = ["Mark", "Marked", "Names", "read_cvat", "read_labelstudio", "read_names", "read_voc", "read_yolo"]
