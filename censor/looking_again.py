"""What a look at the output says, and what is hidden further for it: the last word before a picture leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.choices import CELL_EFFECTS
from censor.evidence import Evidence
from censor.manual import as_text
from censor.policy import Policy
from censor.redact import Frame, Redaction, kept, plan
from censor.verdict import Level, judge
from censor.wording import in_short

__all__ = ["hide_further", "remaining", "still_nsfw"]


def still_nsfw(evidence: Evidence, policy: Policy) -> tuple[str, ...]:
    """The classifiers for which a picture may not leave as it is.

    Those whose heat would still be hidden, and under a policy that hides what it judges those whose votes call it NSFW.
    Boxes that a user wants left alone do not silence them.

    Args:
        evidence: Of a look at the output; at the picture itself where nothing was hidden.
        policy: Its rules say who must say what.
    """
    hiding = policy.picture.hidden_by(evidence.scores, again=True)
    voting = policy.picture.nsfw_by(evidence.scores) if policy.hides_what_it_judges else ()
    return tuple(dict.fromkeys((*hiding, *voting)))


def remaining(
    evidence: Evidence, policy: Policy, frame: Frame, redactions: Sequence[Redaction] = ()
) -> tuple[str, ...]:
    """What speaks against letting a picture out: nothing, or one text for each box and each classifier.

    What lies wholly where nothing of the picture is left shows nothing, and is passed over: a smiling sticker may well
    be found to be a face. A classifier is passed over nowhere; what it sees may lie in the boxes that are left alone,
    whether it says where or not, so that these are named, too.

    Args:
        evidence: Of a look at the output; at the picture itself where nothing was hidden.
        policy: Its rules say what is hidden, and what is NSFW.
        frame: The picture, and the boxes in it that are left alone.
        redactions: All that has been hidden.
    """
    left = [f"{each.label} {each.score:.2f}" for each in _fresh(evidence, policy, frame, redactions) if _is_box(each)]
    says = [f"{name} says NSFW {evidence.scores[name].probability:.2f}" for name in still_nsfw(evidence, policy)]
    left += says
    if not left and not redactions and policy.hides_what_it_judges:
        left += _unhidden(evidence, policy, frame)
    if left and frame.keep and (says or len(kept(evidence, policy, frame, rechecked=True))):
        left.append(f"keeping {in_short([as_text(box) for box in frame.keep], between='; ')}")
    return tuple(left)


def hide_further(
    evidence: Evidence, policy: Policy, frame: Frame, redactions: Sequence[Redaction], *, last: bool = False
) -> list[Redaction]:
    """All that is to be hidden now that a look at the output found something.

    Args:
        evidence: Of that look.
        policy: Its rules say how.
        frame: The picture, and the boxes in it that are left alone.
        redactions: What has been hidden.
        last: Nothing was gained by hiding as the policy says. What is found is hidden by solid colour; and if
            classifiers are among those who find something, so is all that shows means, and more of the heat.

    Returns:
        What has been hidden, as it is to be now, and what comes on top.
    """
    classifiers = last and bool(still_nsfw(evidence, policy))
    fresh = _fresh(evidence, policy, frame, redactions, effect="solid" if last else None, more=classifiers)
    return [*(_solid(each) if classifiers else each for each in redactions), *fresh]


def _fresh(
    evidence: Evidence,
    policy: Policy,
    frame: Frame,
    redactions: Sequence[Redaction],
    *,
    effect: str | None = None,
    more: bool = False,
) -> list[Redaction]:
    wanted = plan(evidence, policy, replace(frame, also=()), rechecked=True, effect=effect, more=more)
    blank = _blank(frame, redactions) if wanted else None
    return [each for each in wanted if blank is None or not each.region.within(blank)]


def _is_box(redaction: Redaction) -> bool:
    return redaction.classifier is None


def _solid(redaction: Redaction) -> Redaction:
    return redaction if redaction.effect not in CELL_EFFECTS else replace(redaction, effect="solid")


def _unhidden(evidence: Evidence, policy: Policy, frame: Frame) -> list[str]:
    """Boxes that make a picture NSFW though nothing was to be hidden, and nobody wants them left alone."""
    if not policy.judges(evidence.boxes.names):
        return []
    reasons = judge(evidence, policy, width=frame.width, height=frame.height).reasons
    of_boxes = [each for each in reasons if each.classifier is None and each.level is Level.NSFW]
    let = {tuple(xyxy) for xyxy in kept(evidence, policy, frame).xyxy.tolist()}
    return [f"{each.label} {each.score:.2f}" for each in of_boxes if each.xyxy not in let]


def _blank(frame: Frame, redactions: Sequence[Redaction]) -> NDArray[np.bool_]:
    mask = np.zeros((frame.height, frame.width), np.bool_)
    for each in redactions:
        if each.effect not in CELL_EFFECTS:
            each.region.mark(mask)
    return mask
