"""Calling the networks on all that somebody may see of a picture, and holding them to their contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from censor.errors import DetectorError, PolicyError
from censor.policy import Policy
from censor.redact import Evidence
from censor.views import Views, upright, views_of
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.load import load_detector
from detect.pictures.still import Picture
from detect.tiling import joined, lowest_score

__all__ = ["Found", "Networks", "find", "find_again", "networks_for"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """All that looks at pictures, at the first look as at later ones. What classifies them will stand beside it.

    Attributes:
        detector: Finds boxes.
    """

    detector: Detector


def networks_for(policy: Policy, detector: Detector | None = None) -> Networks:
    """The networks that a policy wants to be served by.

    Args:
        policy: Its rules say what must be reported, and from which score on.
        detector: By default the one that `load_detector` picks, reporting down to the policy's lowest threshold.

    Raises:
        PolicyError: This detector cannot serve it.
        UnknownLabelError: The policy names a label that nobody knows.
        WeightsError: There is no detector to load.
        TypeError: `detector` is something else.
    """
    if detector is not None and not isinstance(detector, Detector):
        raise TypeError(f"detector must have `names` and `detect(images)`, and {type(detector).__name__} has not")
    chosen = load_detector(min_score=policy.lowest) if detector is None else detector
    policy.require(chosen.names)
    if (floor := lowest_score(chosen)) > policy.lowest:
        raise PolicyError(
            f"policy {policy.name!r} acts on scores from {policy.lowest:g}, but the detector reports none below "
            f"{floor:g}; load it with a min_score that low"
        )
    return Networks(detector=chosen)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a first look finds.

    Attributes:
        everything: All there is to judge.
        visible: What of it can be seen in the output, too, unless it is hidden.
        views: What was looked at, for the next look.
    """

    everything: Evidence
    visible: Evidence
    views: Views


def find(picture: Picture, networks: Networks) -> Found:
    """Look at a picture for the first time.

    What other viewers show counts, and is hidden where they show it. Colours beneath full transparency count too, but
    they are gone from the output.

    Raises:
        DetectError: The network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    views = Views.at(picture, networks.detector)
    visible = [find_again(views, picture, networks)]
    for reading in picture.readings:
        for view in views_of(reading.pixels):
            seen = _look(view, networks, picture.name)
            visible.append(replace(seen, boxes=upright(seen.boxes, reading)))
    shown = _together(visible)
    beneath = [] if picture.beneath is None else [_look(picture.beneath, networks, picture.name)]
    return Found(everything=_together([shown, *beneath]), visible=shown, views=views)


def find_again(views: Views, picture: Picture, networks: Networks) -> Evidence:
    """Look at a picture as it is shown now.

    Raises:
        DetectError: The network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    seen = _together([_look(view, networks, picture.name) for view in views])  # one at a time: each may be 300 MB
    return replace(seen, boxes=views.restore(seen.boxes, picture))


def _look(view: RGBImage, networks: Networks, name: str) -> Evidence:
    """What every network says of one view, in the view's own pixels: the one place that asks them."""
    return Evidence(boxes=_detect(networks.detector, view, name))


def _together(seen: Sequence[Evidence]) -> Evidence:
    """What several views show of one picture: what any of them does."""
    if len(seen) == 1:
        return seen[0]
    return Evidence(boxes=joined(Detections.concatenate([each.boxes for each in seen])))


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
