"""What is to be hidden in a picture, and hiding it: plan and paint, both pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from censor import cells, effects
from censor.masks import Region, region
from censor.policy import Policy, reached
from detect.detections import Detections
from detect.pictures.blocks import BlockGrid

__all__ = ["Frame", "Hidden", "Redaction", "load_sticker", "paint", "plan"]

_SHOWS_LESS = ("blur", "pixelate", "sticker", "solid")
"""Effects in the order they are painted: where regions overlap, what shows least of the picture comes last."""

_AVERAGES = ("blur", "pixelate")
"""Effects that show means of the original. The others show nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """One box that was hidden.

    Attributes:
        label: What it shows.
        score: The detector's score.
        xyxy: The box as detected, in the picture's pixels.
        effect: What is shown instead.
        rechecked: Whether only a look at the output found it.
    """

    label: str
    score: float
    xyxy: tuple[float, float, float, float]
    effect: str
    rechecked: bool


@dataclass(frozen=True, eq=False)
class Redaction:
    """What is hidden, and the pixels that it takes.

    Attributes:
        hidden: The box.
        region: The pixels.
    """

    hidden: Hidden
    region: Region


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a plan needs to know of a picture.

    Attributes:
        width: Columns.
        height: Rows.
        blocks: Those that it was coded in, of which none is hidden in part.
    """

    width: int
    height: int
    blocks: BlockGrid | None = None


def plan(
    found: Detections, policy: Policy, frame: Frame, *, rechecked: bool = False, effect: str | None = None
) -> list[Redaction]:
    """What a policy hides of what was found.

    Args:
        found: Boxes in the picture's pixels.
        policy: Its rules say from which score on, how, and how far around.
        frame: The picture.
        rechecked: The boxes are those of a look at the output.
        effect: Instead of what the rules say.

    Returns:
        In the order of the boxes; none for those that lie outside the picture. Regions that are too small for a mean to
        hide anything are solid.
    """
    redactions = []
    for row in range(len(found)):
        rule = policy.rules.get(found.label(row))
        if rule is None or not reached(float(found.scores[row]), rule.censor_at):
            continue
        x0, y0, x1, y1 = found.xyxy[row].tolist()
        area = region(
            (x0, y0, x1, y1),
            width=frame.width,
            height=frame.height,
            shape=rule.shape,
            expand=rule.expand,
            feather=policy.feather,
            blocks=frame.blocks,
        )
        if area is not None:
            hidden = Hidden(
                label=found.label(row),
                score=float(found.scores[row]),
                xyxy=(x0, y0, x1, y1),
                effect="solid" if _is_tiny(area) else effect or rule.effect,
                rechecked=rechecked,
            )
            redactions.append(Redaction(hidden, area))
    return redactions


def _is_tiny(area: Region) -> bool:
    return (area.x1 - area.x0) * (area.y1 - area.y0) < cells.SMALLEST_CELL**2


def paint(
    pixels: NDArray[np.uint8],
    redactions: Sequence[Redaction],
    policy: Policy,
    *,
    sticker: NDArray[np.uint8] | None = None,
) -> None:
    """Hide in place.

    What is shown of a pixel is a function of what any fewer of the redactions would show: one more never reveals more.

    Args:
        pixels: uint8 (H, W, 3) RGB or (H, W, 4) RGBA, the original: means are taken from it before anything is painted.
        redactions: What to hide.
        policy: Its cells and its colour.
        sticker: RGBA, for redactions whose effect it is; without one they are solid.
    """
    averaged = [each for each in redactions if each.hidden.effect in _AVERAGES]
    regions = [each.region for each in averaged]
    means = cells.merge_overlapping(
        pixels,
        regions,
        [cells.cell_means(pixels, each, cells=policy.cells) for each in regions],
        opaque=[each.region for each in redactions if each.hidden.effect not in _AVERAGES],
        color=policy.color,
    )
    of = {id(each): mean for each, mean in zip(averaged, means, strict=True)}
    for each in sorted(redactions, key=lambda each: _SHOWS_LESS.index(each.hidden.effect)):
        match each.hidden.effect:
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
    if not any(rule.effect == "sticker" for rule in policy.rules.values()):
        return None
    from censor import stickers  # Pillow's drawing and fonts, which few policies need

    return stickers.load_sticker(policy.sticker)
