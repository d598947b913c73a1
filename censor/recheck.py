"""Looking again at what was painted, until nothing is left that should be hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.choices import CELL_EFFECTS
from censor.errors import RecheckError
from censor.finding import Networks, find_again
from censor.policy import Policy
from censor.redact import Frame, Redaction, kept, plan
from censor.views import Canvas, Views
from detect.detections import Detections
from detect.pictures.still import Picture
from detect.tiling import joined

__all__ = ["TRIES", "recheck"]

TRIES = 3
"""Looks at the output: what the first finds is hidden as the policy says, what the second finds is hidden solid, and
if the third finds anything there is no output."""


def recheck(
    picture: Picture,
    canvas: Canvas,
    redactions: Sequence[Redaction],
    passed_over: Detections,
    *,
    networks: Networks,
    policy: Policy,
    frame: Frame,
    views: Views,
) -> tuple[list[Redaction], Detections]:
    """Look at the output, hide what is still found, and look again.

    A box that lies wholly where nothing of the picture is left (under solid colour or a sticker) shows nothing, and is
    passed over: a smiling sticker may well be found to be a face.

    Args:
        picture: What is shown; its pixels are the canvas.
        canvas: Where the redactions are painted already, and more will be.
        redactions: What was hidden.
        passed_over: What was found and left alone.
        networks: Those that looked first.
        policy: What to hide, and how.
        frame: That of the first plan.
        views: Those of the first look.

    Returns:
        All that was hidden, in the order it was planned, and all that was found in boxes to be left alone: what several
        looks found in one place is one box around all.

    Raises:
        DetectError: The network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
        RecheckError: The last look finds something still.
    """
    frame, hidden, left_alone = replace(frame, also=()), list(redactions), [passed_over]
    for attempt in range(1, TRIES + 1):
        views.refresh(picture.pixels, canvas.window)
        again = find_again(views, picture, networks)
        wanted = plan(again, policy, frame, rechecked=True, effect=None if attempt == 1 else "solid")
        blank = _blank(picture, hidden)
        fresh = [each for each in wanted if not each.region.within(blank)]
        left_alone.append(kept(again, policy, frame))
        if not fresh:
            more = any(left_alone[1:])
            return hidden, joined(Detections.concatenate(left_alone)) if more else passed_over
        if attempt < TRIES:
            hidden += fresh
            canvas.paint(hidden)
    left = ", ".join(f"{each.label} {each.score:.2f}" for each in fresh)
    raise RecheckError(f"{picture.name}: after {TRIES} looks at the output the detector still finds {left}")


def _blank(picture: Picture, redactions: Sequence[Redaction]) -> NDArray[np.bool_]:
    """Where nothing of the picture is left."""
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for each in redactions:
        if each.effect not in CELL_EFFECTS:
            each.region.mark(mask)
    return mask
