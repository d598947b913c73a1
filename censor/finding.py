"""Calling a detector on all that somebody may see of a picture, and holding it to its contract."""

from __future__ import annotations

from dataclasses import dataclass

from censor.errors import DetectorError
from censor.looks import Looks, upright, views
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.pictures.still import Picture
from detect.tiling import joined

__all__ = ["Found", "detect_again", "find"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a first look finds.

    Attributes:
        boxes: All there is to judge.
        visible: What of it can be seen in the output, too, unless it is hidden.
        looks: What was looked at, for the next look.
    """

    boxes: Detections
    visible: Detections
    looks: Looks


def find(picture: Picture, detector: Detector) -> Found:
    """Look at a picture for the first time.

    What other viewers show counts, and is hidden where they show it. Colours beneath full transparency count too, but
    they are gone from the output.

    Raises:
        DetectError: The network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    looks = Looks.at(picture, detector)
    visible = detect_again(looks, picture, detector)
    if picture.readings:
        seen = [upright(_detect(detector, view, picture.name), each) for each in picture.readings
                for view in views(each.pixels)]  # fmt: skip
        visible = joined(Detections.concatenate([visible, *seen]))
    boxes = visible
    if picture.beneath is not None:
        boxes = joined(Detections.concatenate([boxes, _detect(detector, picture.beneath, picture.name)]))
    return Found(boxes=boxes, visible=visible, looks=looks)


def detect_again(looks: Looks, picture: Picture, detector: Detector) -> Detections:
    """Look at a picture as it is shown now.

    Raises:
        DetectError: The network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    found = [_detect(detector, view, picture.name) for view in looks]  # one at a time: each may be 300 MB
    return looks.restore(found[0] if len(found) == 1 else joined(Detections.concatenate(found)), picture)


def _detect(detector: Detector, view: RGBImage, name: str) -> Detections:
    try:
        found = detector.detect([view])
    except DetectError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        raise DetectorError(f"{name}: the detector failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], Detections):
        raise DetectorError(f"{name}: the detector must answer a list of one Detections for each image")
    if found[0].names != detector.names:
        raise DetectorError(f"{name}: the detector must answer Detections with its own names")
    return found[0]
