"""What moves: look at its frames, say what is one thing through time, hide it in all of it, and look again.

The medium is decoded twice, and no more than a few frames of it are held: what is kept of the first time are boxes,
scores, and half a minute of small grey pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from censor.displayed import as_displayed
from censor.errors import PlanError
from censor.finding import Networks
from censor.first_pass import Progress, Seen, look_through
from censor.manual import Box
from censor.media.medium import Moving
from censor.media.opening import Encoded, EncodedFilm, open_moving
from censor.models_used import ModelUsed
from censor.plan import Plan
from censor.planning import planned_things
from censor.policy import Policy
from censor.redact import Redaction
from censor.second_pass import SecondPass
from censor.timeline import CensoredAnimation, CheckedAnimation
from censor.timing import timed
from censor.verdict import Verdict

__all__ = ["apply_medium", "check_medium", "open_moving", "plan_medium"]


def check_medium(
    medium: Moving,
    networks: Networks,
    policy: Policy,
    *,
    every: int | None = None,
    enough: Callable[[Verdict], bool] | None = None,
    progress: Progress | None = None,
) -> CheckedAnimation:
    """Judge what moves, under a policy that has rules for a verdict.

    Args:
        medium: What moves.
        networks: What looks.
        policy: What counts.
        every: As `look_through` takes it.
        enough: As `look_through` takes it; what follows counts as what was seen last.
        progress: Told of each frame.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A frame could not be decoded, or a network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "detect"):
        looking = as_displayed(networks, medium.display)
        seen = look_through(medium, looking, policy, every=every, enough=enough, progress=progress)
    if seen.worst.verdict is None:
        raise ValueError(f"policy {policy.name!r} has no rule for a verdict")
    return CheckedAnimation(
        verdict=seen.worst.verdict,
        detections=seen.worst.evidence.boxes,
        scores=dict(seen.worst.evidence.scores),
        width=seen.width,
        height=seen.height,
        seconds=seconds,
        where=seen.worst.where,
        spans=seen.spans,
        frames=len(seen.times),
    )


def apply_medium(  # noqa: PLR0913  # all that can be said of one
    medium: Moving,
    out: BinaryIO,
    networks: Networks,
    policy: Policy,
    *,
    sticker: NDArray[np.uint8] | None = None,
    again: bool = True,
    format: str | None = None,  # noqa: A002  # Pillow's own word
    quality: int | None = None,
    also: tuple[Box, ...] = (),
    keep: tuple[Box, ...] = (),
    every: int | None = None,
    progress: Progress | None = None,
    planned: Plan | None = None,
) -> CensoredAnimation:
    """Censor what moves, and write it.

    Args:
        medium: What moves.
        out: Where the bytes go. What it holds after an error is of no use.
        networks: What looks.
        policy: What to hide, and how. Heat is hidden by solid colour: a grid under which things move would tell of
            them.
        sticker: RGBA, for the effect of that name.
        again: Whether to look at frames after painting, others than those that were looked at first where not all were.
            What only that look finds is hidden by solid colour, and in the frames around, too.
        format: The name of one; by default that of the medium.
        quality: As `Medium.write` takes it.
        also: Boxes to hide in every frame.
        keep: Boxes to leave alone in every frame.
        every: As `look_through` takes it.
        progress: Told of each frame, at either pass.
        planned: What is hidden, and left alone, in the place of what is found.

    Raises:
        BoxError, RecheckError: As for `SecondPass.parts`.
        PlanError: The plan's frames are not those of the medium.
        WriteError, ValueError: As for `Moving.require_output`.
        ClassifierError, DetectError, DetectorError: As for `check_medium`.
    """
    format = format or medium.format  # noqa: A001
    medium.require_output(format, quality)
    seconds: dict[str, float] = {}
    looking = as_displayed(networks, medium.display)
    with timed(seconds, "detect"):
        seen = look_through(medium, looking, policy, every=every, progress=_twice(progress))
    if planned is not None and (planned.times, planned.end) != _exact(medium, seen):
        raise PlanError(f"{medium.name}: the plan's times are not those of its frames")
    second = SecondPass(
        medium, seen, looking, policy, sticker=sticker, again=again, also=also, keep=keep, planned=planned
    )
    with timed(seconds, "hide"):
        medium.write(second.parts(progress), out, format=format, quality=quality)
    return _censored(medium, seen, second, policy, seconds)


def plan_medium(
    medium: Moving,
    encoded: Encoded | EncodedFilm,
    networks: Networks,
    policy: Policy,
    *,
    models: tuple[ModelUsed, ...],
    sticker: NDArray[np.uint8] | None = None,
    again: bool = True,
    also: tuple[Box, ...] = (),
    keep: tuple[Box, ...] = (),
) -> Plan:
    """What `apply_medium` would hide, looks at what is painted included.

    Args:
        medium: What moves.
        encoded: Its bytes.
        networks: As for `apply_medium`, like the rest, and with what is raised.
        policy: What to hide, and how.
        models: The files of the networks.
        sticker: RGBA, for the effect of that name.
        again: Whether to look at each frame after painting.
        also: Boxes to hide in every frame.
        keep: Boxes to leave alone in every frame.
    """
    looking = as_displayed(networks, medium.display)
    seen = look_through(medium, looking, policy)
    planning: list[list[Redaction]] = []
    second = SecondPass(
        medium, seen, looking, policy, sticker=sticker, again=again, also=also, keep=keep, report=planning
    )
    for _ in second.parts():
        pass
    things, found = planned_things(planning, keep)
    times, end = _exact(medium, seen)
    return Plan(
        file=encoded.name, sha256=encoded.sha256, width=seen.width, height=seen.height, policy=policy, models=models,
        things=things, found=found, times=times, end=end,
    )  # fmt: skip


def _censored(
    medium: Moving, seen: Seen, second: SecondPass, policy: Policy, seconds: dict[str, float]
) -> CensoredAnimation:
    """What is reported of what was written."""
    worst = seen.worst
    return CensoredAnimation(
        verdict=worst.verdict,
        detections=worst.evidence.boxes,
        scores=dict(worst.evidence.scores),
        width=seen.width,
        height=seen.height,
        seconds=seconds,
        where=worst.where,
        spans=seen.spans,
        frames=len(seen.times),
        hidden=tuple(second.hidden.values()),
        unhidden=policy.unhidden,
        dropped=medium.dropped,
    )


def _exact(medium: Moving, seen: Seen) -> tuple[tuple[Fraction, ...], Fraction]:
    """When each frame is shown, in seconds, and when all is over: as the medium has it."""
    *times, end = medium.exact([*seen.times, medium.end(seen.times)])
    return tuple(times), end


def _twice(progress: Progress | None) -> Progress | None:
    """A first pass is half of the work."""
    if progress is None:
        return None
    told = progress
    return lambda done, promised: told(done, 2 * promised)
