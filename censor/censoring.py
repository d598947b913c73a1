"""What is done with each part of any medium: look, judge, plan, paint, look again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.evidence import Evidence
from censor.finding import Found, Networks, find
from censor.policy import Policy
from censor.recheck import recheck
from censor.redact import Frame, Redaction, kept, plan
from censor.results import Censored
from censor.timing import timed
from censor.verdict import Verdict, judge
from censor.views import Canvas
from detect.pictures.still import Picture

__all__ = ["censor_part", "judge_part"]


def judge_part(evidence: Evidence, picture: Picture, policy: Policy) -> Verdict:
    """The verdict of a picture, by what was found in it."""
    return judge(evidence, policy, width=picture.width, height=picture.height)


def censor_part(
    picture: Picture,
    frame: Frame,
    seconds: dict[str, float],
    *,
    networks: Networks,
    policy: Policy,
    sticker: NDArray[np.uint8] | None,
    again: bool,
    found: Found | None = None,
    planned: Iterable[Redaction] | None = None,
) -> Censored:
    """Censor one picture.

    Args:
        picture: Painted in place.
        frame: Its size, its blocks, and what a user drew.
        seconds: What each step took is added here.
        networks: What looks.
        policy: What to hide, and how.
        sticker: RGBA, for the effect of that name.
        again: Whether to look at the output, and hide what is still found.
        found: What the networks said of it already; by default they look.
        planned: What is hidden in the place of what is found.

    Raises:
        RecheckError: The last look still finds something.
        ClassifierError, DetectError, DetectorError: A network failed.
    """
    with timed(seconds, "detect"):
        found = find(picture, networks) if found is None else found
    verdict = judge_part(found.everything, picture, policy) if policy.judges(networks.names, networks.says) else None
    redactions = plan(found.visible, policy, frame, alone=not again) if planned is None else list(planned)
    passed_over = kept(found.visible, policy, frame)
    canvas = Canvas(picture.pixels, policy, sticker=sticker)
    with timed(seconds, "hide"):
        canvas.paint(redactions)
    shown = replace(picture, beneath=None, readings=())
    if again:
        with timed(seconds, "recheck"):
            redactions, passed_over = recheck(
                shown, canvas, redactions, passed_over,
                seen=found.visible, networks=networks, policy=policy, frame=frame, views=found.views,
            )  # fmt: skip
    return Censored(
        verdict=verdict,
        detections=found.everything.boxes,
        scores=dict(found.everything.scores),
        width=picture.width,
        height=picture.height,
        seconds=seconds,
        picture=shown,
        redactions=tuple(redactions),
        kept=passed_over,
        unhidden=policy.unhidden,
    )
