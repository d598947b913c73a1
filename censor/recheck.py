"""Looking again at what was painted, until nothing is left that should be hidden."""

from __future__ import annotations

from collections.abc import Sequence

from censor.errors import RecheckError, StillNsfwError
from censor.evidence import Evidence
from censor.finding import Networks, find_again
from censor.looking_again import hide_further, remaining, still_nsfw
from censor.policy import Policy
from censor.redact import Frame, Redaction, kept
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
    seen: Evidence,
    networks: Networks,
    policy: Policy,
    frame: Frame,
    views: Views,
) -> tuple[list[Redaction], Detections]:
    """Look at the output, hide what is still found, and look again.

    Where nothing was hidden, what has been seen is what a look at the output would see.

    Args:
        picture: What is shown; its pixels are the canvas.
        canvas: Where the redactions are painted already, and more will be.
        redactions: What was hidden.
        passed_over: What was found and left alone.
        seen: What the first look found that can be seen.
        networks: Those that looked first.
        policy: What to hide, and how.
        frame: That of the first plan.
        views: Those of the first look.

    Returns:
        All that was hidden, in the order it was planned, and all that was found in boxes to be left alone: what several
        looks found in one place is one box around all.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
        RecheckError: The last look finds something still; `StillNsfwError` where a classifier is among those that do.
    """
    hidden, left_alone = list(redactions), [passed_over]
    for attempt in range(1, TRIES + 1):
        if hidden:
            views.refresh(picture.pixels, canvas.window)
            seen = find_again(views, picture, networks)
            left_alone.append(kept(seen, policy, frame, rechecked=True))
        left = remaining(seen, policy, frame, hidden)
        if not left:
            more = any(left_alone[1:])
            return hidden, joined(Detections.concatenate(left_alone)) if more else passed_over
        if attempt < TRIES:
            hidden = hide_further(seen, policy, frame, hidden, last=attempt == TRIES - 1)
            canvas.paint(hidden)
    if still_nsfw(seen, policy):
        raise StillNsfwError(f"{picture.name}: still looks NSFW after hiding: {', '.join(left)}")
    raise RecheckError(f"{picture.name}: after {TRIES} looks at the output the detector still finds {', '.join(left)}")
