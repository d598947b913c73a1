"""What is to be hidden in a picture, and hiding it: plan and paint, both pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from censor import cells, choices, effects
from censor.anchors import Anchors
from censor.errors import BoxError
from censor.evidence import Evidence
from censor.heat import HotRegion, hot_regions
from censor.manual import Box, as_text, meets
from censor.masks import Region, outwards, region, union
from censor.policy import Policy
from censor.rules import NSFW_REGION, Rule, reached
from detect.classifier.regions import cell_box
from detect.detections import Detections
from detect.pictures.blocks import BlockGrid
from detect.pictures.still import Picture

__all__ = [
    "ALSO",
    "Evidence",
    "Frame",
    "Redaction",
    "kept",
    "kept_heat",
    "load_sticker",
    "paint",
    "plan",
    "redact_box",
    "redact_heat",
]

ALSO = "ALSO"
"""Label of what a user hides besides what is found."""

_SHOWS_LESS = ("blur", "pixelate", "sticker", "solid")
"""Effects in the order they are painted: where regions overlap, what shows least of the picture comes last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Redaction:
    """What is hidden, why, and the pixels that it takes.

    Attributes:
        label: What the box shows; `ALSO` for a box that the user drew, `NSFW_REGION` for a classifier's heat.
        score: The detector's score or the classifier's probability, in [0, 1]; 1 for a box that the user drew.
        xyxy: The box as detected, or as drawn, or the one around a region of heat, in the picture's pixels.
        effect: What is shown instead.
        rechecked: Whether only a look at the output found it.
        region: The pixels.
        classifier: Name of the one whose heat it is; None for a box.
        track: Number of the thing through time whose box it is; None in a still.
        shape: What the region was drawn with.
        expand: By how much of the box's sides it was drawn larger.
        cells: Those of a classifier's map whose heat it is, bool (h, w); None for a box.
    """

    label: str
    score: float
    xyxy: Box
    effect: str
    rechecked: bool
    region: Region
    classifier: str | None = None
    track: int | None = None
    shape: str = "box"
    expand: float = 0.0
    cells: NDArray[np.bool_] | None = None

    @property
    def thing(self) -> int | Box:
        """What it is through time: its track, or where nobody follows it the box."""
        return self.xyxy if self.track is None else self.track


class _Drawn(TypedDict):
    width: int
    height: int
    shape: str
    expand: float
    feather: float
    blocks: BlockGrid | None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a plan needs to know of a picture, besides what was found in it.

    Attributes:
        width: Columns.
        height: Rows.
        blocks: Those that it was coded in, of which none is hidden in part.
        also: Boxes to be hidden whatever is found.
        keep: Boxes to be left alone: what is found and lies wholly in one of them is not hidden.
    """

    width: int
    height: int
    blocks: BlockGrid | None = None
    also: tuple[Box, ...] = ()
    keep: tuple[Box, ...] = ()

    @classmethod
    def of(cls, picture: Picture, *, also: tuple[Box, ...] = (), keep: tuple[Box, ...] = ()) -> Frame:
        """A picture's, and the boxes that a user drew on it.

        Raises:
            BoxError: One of these lies wholly outside the picture.
        """
        width, height = picture.width, picture.height
        for name, boxes in (("also", also), ("keep", keep)):
            for box in boxes:
                if not meets(box, width=width, height=height):
                    outside = f"{name} {as_text(box)} lies wholly outside the picture of {width} x {height} pixels"
                    raise BoxError(f"{picture.name}: {outside}")
        cut = tuple((max(0.0, x0), max(0.0, y0), min(width, x1), min(height, y1)) for x0, y0, x1, y1 in also)
        return cls(width=width, height=height, blocks=picture.blocks, also=cut, keep=keep)


def plan(
    evidence: Evidence,
    policy: Policy,
    frame: Frame,
    *,
    rechecked: bool = False,
    alone: bool = False,
    effect: str | None = None,
    more: bool = False,
) -> list[Redaction]:
    """What a policy hides of what was found, and what the user hides besides.

    A box that the user drew takes effect and shape of the policy's base rule, and is not expanded. It is hidden
    whatever is kept.

    Args:
        evidence: What was found.
        policy: Its rules say from which score on, how, and how far around.
        frame: The picture, and what the user drew on it.
        rechecked: The evidence is that of a look at the output.
        alone: No look at the output follows.
        effect: Instead of what the rules say, for what was found.
        more: Hide more heat than the rules say; see `censor.heat.hot_regions`.

    Returns:
        In the order of the boxes, then regions of heat, those of the user last; none for those that lie outside the
        picture. Regions that are too small for a mean to hide anything are solid.
    """
    found = _hidden(evidence.boxes, policy)
    found = found[~_lies_in_kept(found, frame)]
    redactions = []
    for row in range(len(found)):
        label, score = found.label(row), float(found.scores[row])
        rule = policy.rule_for(label) or policy.base
        x0, y0, x1, y1 = found.xyxy[row].tolist()
        rule = replace(rule, effect=effect or rule.effect)
        one = redact_box((x0, y0, x1, y1), label, score, rule, policy, frame, rechecked=rechecked)
        if one is not None and found.track_ids is not None:
            one = replace(one, track=int(found.track_ids[row]))
        redactions.append(one)
    if policy.heat is not None:
        rule = replace(policy.heat, effect=effect or policy.heat.effect)
        hot = _shown_heat(evidence, policy, frame, again=rechecked, alone=alone, more=more)
        redactions += [redact_heat(each, rule, policy, frame, rechecked=rechecked) for each in hot]
    drawn = replace(policy.base, expand=0.0)
    redactions += [redact_box(box, ALSO, 1.0, drawn, policy, frame, rechecked=rechecked) for box in frame.also]
    return [each for each in redactions if each is not None]


def kept(evidence: Evidence, policy: Policy, frame: Frame, *, rechecked: bool = False) -> Detections:
    """What `plan` passes over: what the policy hides, and lies wholly in a box to be left alone.

    Args:
        evidence: What was found.
        policy: Its rules say what is hidden.
        frame: The picture, and the boxes in it that are left alone.
        rechecked: The evidence is that of a look at the output.

    Returns:
        Boxes, and after them one around each region of heat, with the label `NSFW_REGION` and its classifier's
        probability.
    """
    found = _hidden(evidence.boxes, policy)
    found = found[_lies_in_kept(found, frame)]
    if policy.heat is None:
        return found
    hot = kept_heat(evidence, policy, frame, rechecked=rechecked)
    names = tuple(dict.fromkeys((*found.names, NSFW_REGION)))
    around = np.array([_bounds(each, frame) for each in hot], np.float32).reshape(-1, 4)
    return Detections(
        np.concatenate([found.xyxy, around]),
        np.concatenate([found.scores, np.array([each.score for each in hot], np.float32)]),
        np.concatenate([found.labels, np.full(len(hot), names.index(NSFW_REGION), np.int64)]),
        names,
    )


def kept_heat(evidence: Evidence, policy: Policy, frame: Frame, *, rechecked: bool = False) -> list[HotRegion]:
    """The regions of heat among what `kept` says, each with its cells; it takes the same."""
    found = hot_regions(evidence.scores, policy.picture, again=rechecked) if frame.keep else []
    return [hot for hot in found if _is_kept(_bounds(hot, frame), frame)]


def _hidden(found: Detections, policy: Policy) -> Detections:
    rules = [policy.rule_for(found.label(row)) for row in range(len(found))]
    hidden = [
        rule is not None and reached(float(score), rule.censor_at)
        for rule, score in zip(rules, found.scores, strict=True)
    ]
    return found[np.array(hidden, np.bool_)]


def _lies_in_kept(found: Detections, frame: Frame) -> NDArray[np.bool_]:
    """Whether every pixel of the picture that a box touches lies wholly in one and the same kept box.

    There is no tolerance: a find that reaches a hundredth of a pixel beyond touches the next one, and is hidden.
    """
    inside = np.zeros(len(found), np.bool_)
    for row in range(len(found) if frame.keep else 0):
        inside[row] = _is_kept(found.xyxy[row].tolist(), frame)
    return inside


def _is_kept(xyxy: Sequence[float], frame: Frame) -> bool:
    left, top, right, bottom = outwards(xyxy)
    left, top, right, bottom = max(0, left), max(0, top), min(frame.width, right), min(frame.height, bottom)
    return any(x0 <= left and y0 <= top and right <= x1 and bottom <= y1 for x0, y0, x1, y1 in frame.keep)


def _shown_heat(
    evidence: Evidence, policy: Policy, frame: Frame, *, again: bool, alone: bool, more: bool
) -> list[HotRegion]:
    """Regions of heat that do not lie wholly in a kept box; of those that were made larger, the cells that do not."""
    found = hot_regions(evidence.scores, policy.picture, again=again, alone=alone, more=more)
    if more and frame.keep:
        found = [replace(hot, cells=_outside_kept(hot.cells, frame)) for hot in found]
    return [hot for hot in found if hot.cells.any() and not _is_kept(_bounds(hot, frame), frame)]


def _outside_kept(hot: NDArray[np.bool_], frame: Frame) -> NDArray[np.bool_]:
    outside = hot.copy()
    for row, column in np.argwhere(hot).tolist():
        box = cell_box(row, column, hot.shape, width=frame.width, height=frame.height)
        outside[row, column] = not _is_kept(box, frame)
    return outside


def _bounds(hot: HotRegion, frame: Frame) -> Box:
    return hot.bounds(width=frame.width, height=frame.height)


def redact_box(
    box: Box, label: str, score: float, rule: Rule, policy: Policy, frame: Frame, *, rechecked: bool
) -> Redaction | None:
    """What hides one box as a rule says: solid, if it is too small for a mean to hide anything.

    Args:
        box: In the picture's pixels; may reach beyond the picture.
        label: What it shows.
        score: How surely.
        rule: Its effect, shape and expansion.
        policy: What goes for all regions.
        frame: The picture.
        rechecked: Whether only a look at the output found it.

    Returns:
        None where box and picture do not meet.
    """
    area = region(box, **_drawn(rule, policy, frame))
    if area is None:
        return None
    effect = "solid" if _is_tiny(area) else rule.effect
    return Redaction(
        label=label, score=score, xyxy=box, effect=effect, rechecked=rechecked, region=area,
        shape=rule.shape, expand=rule.expand,
    )  # fmt: skip


def redact_heat(hot: HotRegion, rule: Rule, policy: Policy, frame: Frame, *, rechecked: bool) -> Redaction | None:
    """What hides a region of heat; see `redact_box`."""
    hidden = [
        cell_box(row, column, hot.cells.shape, width=frame.width, height=frame.height)
        for row, column in np.argwhere(hot.cells).tolist()
    ]
    area = union(hidden, **_drawn(rule, policy, frame))
    if area is None:
        return None
    return Redaction(
        label=NSFW_REGION,
        score=hot.score,
        xyxy=_bounds(hot, frame),
        effect="solid" if _is_tiny(area) else rule.effect,
        rechecked=rechecked,
        region=area,
        classifier=hot.classifier,
        shape=rule.shape,
        expand=rule.expand,
        cells=hot.cells,
    )


def _drawn(rule: Rule, policy: Policy, frame: Frame) -> _Drawn:
    return {
        "width": frame.width,
        "height": frame.height,
        "shape": rule.shape,
        "expand": rule.expand,
        "feather": policy.feather,
        "blocks": frame.blocks,
    }


def _is_tiny(area: Region) -> bool:
    return (area.x1 - area.x0) * (area.y1 - area.y0) < cells.SMALLEST_CELL**2


def paint(
    pixels: NDArray[np.uint8],
    redactions: Sequence[Redaction],
    policy: Policy,
    *,
    sticker: NDArray[np.uint8] | None = None,
    anchors: Anchors | None = None,
) -> None:
    """Hide in place.

    What is shown of a pixel is a function of what any fewer of the redactions would show: one more never reveals more.

    Args:
        pixels: uint8 (H, W, 3) RGB or (H, W, 4) RGBA, the original: means are taken from it before anything is painted.
        redactions: What to hide.
        policy: Its cells and its colour.
        sticker: RGBA, for redactions whose effect it is; without one they are solid.
        anchors: In a frame of something that moves: what has been shown of each thing before, and is shown again.
    """
    averaged = [each for each in redactions if each.effect in choices.CELL_EFFECTS]
    regions = [each.region for each in averaged]
    own = [cells.cell_means(pixels, each, cells=policy.cells) for each in regions]
    if anchors is not None:
        own = [anchors.hold(each.thing, of) for each, of in zip(averaged, own, strict=True)]
    means = cells.merge_overlapping(
        pixels if anchors is None else None,
        regions,
        own,
        opaque=[each.region for each in redactions if each.effect not in choices.CELL_EFFECTS],
        color=policy.color,
    )
    of = {id(each): mean for each, mean in zip(averaged, means, strict=True)}
    for each in sorted(redactions, key=lambda each: _SHOWS_LESS.index(each.effect)):
        match each.effect:
            case "pixelate":
                effects.pixelate(pixels, each.region, means=of[id(each)], out=pixels)
            case "blur":
                effects.blur(pixels, each.region, means=of[id(each)], out=pixels)
            case "sticker" if sticker is not None:
                effects.sticker(pixels, each.region, sticker=sticker, color=policy.color, out=pixels)
            case _:
                effects.solid(pixels, each.region, color=policy.color, out=pixels)


def load_sticker(policy: Policy) -> NDArray[np.uint8] | None:
    """The sticker that a policy's rules ask for, RGBA; None if none does.

    Raises:
        ImageError, ReadError: It is a file, and no picture that can be read.
    """
    if not any(
        rule.effect == "sticker"
        for rule in (*policy.rules.values(), *([policy.heat] if policy.heat else []), policy.base)
    ):
        return None
    from censor import stickers  # Pillow's drawing and fonts, which few policies need

    return stickers.load_sticker(policy.sticker)
