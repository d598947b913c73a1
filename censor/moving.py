"""What moves: look at every frame, say what is one thing through time, hide it in all of it, and look again.

The medium is decoded twice, and no more than a few frames of it are held: what is kept of the first time are boxes,
scores and small grey pictures.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from censor.anchors import Anchors
from censor.choices import CELL_EFFECTS
from censor.errors import PlanError
from censor.evidence import Evidence
from censor.finding import Networks, find
from censor.follow import Gray, is_cut, look_of
from censor.manual import Box
from censor.media.animation import Animation, open_animation
from censor.media.medium import Medium, Part, Where
from censor.media.opening import Encoded
from censor.models_used import ModelUsed
from censor.plan import Plan
from censor.planning import planned_things
from censor.policy import Policy
from censor.recheck import recheck
from censor.redact import Frame, Redaction, kept, plan
from censor.rules import reached
from censor.timeline import CensoredAnimation, CheckedAnimation, HiddenThing, spans_of, worst_of
from censor.timing import timed
from censor.track import HOLD_SECONDS, cover, link
from censor.verdict import Verdict, judge
from censor.views import Canvas, Views
from detect.classifier.scores import Scores
from detect.classifier.tiling import most_suspicious
from detect.detections import Detections
from detect.pictures.alpha import over
from detect.pictures.still import Picture

__all__ = ["apply_medium", "check_medium", "open_animation", "plan_medium", "starts_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """What a first look at all frames found.

    Attributes:
        visible: Of each frame, what can be seen in the output, too, unless it is hidden.
        verdicts: Of each frame; empty where the policy has no rule for a verdict.
        where: Where each frame stands.
        looks: Each frame, small and grey.
        shots: Numbers of the frames that shots begin with.
        width: Columns of every frame.
        height: Rows of every frame.
        transparent: Whether any frame has transparency.
    """

    visible: tuple[Evidence, ...]
    verdicts: tuple[Verdict, ...]
    where: tuple[Where, ...]
    looks: tuple[Gray, ...]
    shots: tuple[int, ...]
    width: int
    height: int
    transparent: bool

    @property
    def times(self) -> list[float]:
        """When each frame is shown, in seconds."""
        return [each.seconds or 0.0 for each in self.where]


def check_medium(medium: Animation, networks: Networks, policy: Policy) -> CheckedAnimation:
    """Judge every frame, under a policy that has rules for a verdict.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A frame could not be decoded, or a network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "detect"):
        seen = _look_through(medium, networks, policy)
    worst = worst_of(seen.verdicts)
    return CheckedAnimation(
        verdict=seen.verdicts[worst],
        detections=seen.visible[worst].boxes,
        scores=dict(seen.visible[worst].scores),
        width=seen.width,
        height=seen.height,
        seconds=seconds,
        where=seen.where[worst],
        spans=spans_of(seen.verdicts, seen.where, float(sum(medium.durations()))),
        frames=len(seen.where),
    )


def apply_medium(  # noqa: PLR0913  # what each option of a command says
    medium: Animation,
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
    planned: Plan | None = None,
) -> CensoredAnimation:
    """Censor every frame, and write them.

    Args:
        medium: What moves.
        out: Where the bytes go. What it holds after an error is of no use.
        networks: What looks.
        policy: What to hide, and how. Heat is hidden by solid colour: a grid under which things move would tell of
            them.
        sticker: RGBA, for the effect of that name.
        again: Whether to look at each frame after painting. What only that look finds is hidden by solid colour.
        format: Pillow's name of one; by default that of the medium.
        quality: As `Medium.write` takes it.
        also: Boxes to hide in every frame.
        keep: Boxes to leave alone in every frame.
        planned: What is hidden, and left alone, in the place of what is found.

    Raises:
        BoxError: A box lies wholly outside the frames.
        PlanError: The plan's frames are not those of the medium.
        RecheckError: The last look at a frame still finds something.
        WriteError: The format cannot hold it.
        ValueError: An unknown format, or a quality out of range.
        ClassifierError, DetectError, DetectorError: As for `check_medium`.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "detect"):
        seen = _look_through(medium, networks, policy)
    report: list[tuple[Redaction, ...]] = []
    with timed(seconds, "hide"):
        parts = _censored_parts(medium, seen, networks, policy, sticker=sticker, again=again, also=also, keep=keep,
                                report=report, planned=planned)  # fmt: skip
        medium.write(parts, out, format=format or medium.format, quality=quality)
    worst = worst_of(seen.verdicts) if seen.verdicts else 0
    return CensoredAnimation(
        verdict=seen.verdicts[worst] if seen.verdicts else None,
        detections=seen.visible[worst].boxes,
        scores=dict(seen.visible[worst].scores),
        width=seen.width,
        height=seen.height,
        seconds=seconds,
        where=seen.where[worst],
        spans=spans_of(seen.verdicts, seen.where, float(sum(medium.durations()))),
        frames=len(seen.where),
        hidden=_hidden_things(report, seen.times),
        unhidden=policy.unhidden,
    )


def plan_medium(
    medium: Animation,
    encoded: Encoded,
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
    seen = _look_through(medium, networks, policy)
    report: list[tuple[Redaction, ...]] = []
    for _ in _censored_parts(
        medium, seen, networks, policy, sticker=sticker, again=again, also=also, keep=keep, report=report
    ):
        pass
    things, found = planned_things(report, keep)
    times, end = starts_of(medium)
    return Plan(
        file=encoded.name, sha256=encoded.sha256, width=seen.width, height=seen.height, policy=policy, models=models,
        things=things, found=found, times=times, end=end,
    )  # fmt: skip


def starts_of(medium: Animation) -> tuple[tuple[Fraction, ...], Fraction]:
    """When each frame is shown, in seconds, and when all is over: exactly as the medium has it."""
    *starts, end = accumulate(medium.durations(), initial=Fraction(0))
    return tuple(starts), end


def _look_through(medium: Medium, networks: Networks, policy: Policy) -> _Seen:
    """Look at every frame."""
    visible, verdicts, where, looks, shots = [], [], [], [], [0]
    judging = policy.judges(networks.names, networks.says)
    before: NDArray[np.uint8] | None = None
    picture: Picture | None = None
    transparent = False
    for part in medium.parts():
        picture = part.picture
        transparent = transparent or picture.pixels.shape[2] == 4
        if before is None or not np.array_equal(before, picture.pixels) or picture.beneath is not None:
            found = find(picture, networks)
        visible.append(found.visible)
        if judging:
            verdicts.append(judge(found.everything, policy, width=picture.width, height=picture.height))
        where.append(part.where)
        looks.append(look_of(_shown(picture)))
        if len(looks) > 1 and is_cut(looks[-2], looks[-1]):
            shots.append(len(looks) - 1)
        before = picture.pixels
    if picture is None:
        raise ValueError("a medium without parts")
    return _Seen(
        visible=tuple(visible),
        verdicts=tuple(verdicts),
        where=tuple(where),
        looks=tuple(looks),
        shots=tuple(shots),
        width=picture.width,
        height=picture.height,
        transparent=transparent,
    )


def _censored_parts(
    medium: Animation,
    seen: _Seen,
    networks: Networks,
    policy: Policy,
    *,
    sticker: NDArray[np.uint8] | None,
    again: bool,
    also: tuple[Box, ...],
    keep: tuple[Box, ...],
    report: list[tuple[Redaction, ...]],
    planned: Plan | None = None,
) -> Iterator[Part]:
    """Decode the medium anew, and hide in each frame what is to be hidden in it; `report` takes what was."""
    policy = policy if policy.heat is None else replace(policy, heat=replace(policy.heat, effect="solid"))
    if planned is not None and (planned.times, planned.end) != starts_of(medium):
        raise PlanError(f"{medium.name}: the plan's times are not those of its frames")
    in_time = _evidence_in_time(seen, policy)
    anchors = Anchors()
    for number, part in enumerate(medium.parts()):
        picture = part.to_paint()
        evidence = in_time[number]
        if planned is None:
            frame = Frame.of(picture, also=also, keep=keep)
            redactions = plan(evidence, policy, frame, alone=not again)
        else:
            frame = planned.frame(picture, number)
            redactions = planned.redactions(frame, number)
        passed_over = kept(evidence, policy, frame).replace(track_ids=None)  # as later looks have none
        views = Views.at(picture, networks.reduction)
        canvas = Canvas(picture.pixels, policy, sticker=sticker, anchors=anchors)
        canvas.paint(redactions)
        shown = replace(picture, beneath=None, readings=())
        if again:
            redactions, _ = recheck(
                shown, canvas, redactions, passed_over, seen=seen.visible[number], networks=networks,
                policy=policy.each(effect="solid"), frame=frame, views=views,
            )  # fmt: skip
        anchors.settle({each.thing for each in redactions if each.effect in CELL_EFFECTS})
        report.append(tuple(redactions))
        yield Part(_with_alpha(shown) if seen.transparent else shown, part.where)


def _hidden_things(report: Sequence[Sequence[Redaction]], times: Sequence[float]) -> tuple[HiddenThing, ...]:
    """What was hidden, each thing once."""
    things: dict[object, HiddenThing] = {}
    for redactions, seconds in zip(report, times, strict=True):
        for each in redactions:
            key = each.track if each.track is not None else (each.label, each.classifier, each.rechecked)
            before = things.get(key)
            things[key] = (
                HiddenThing(first=each, start=seconds, end=seconds) if before is None else replace(before, end=seconds)
            )
    return tuple(things.values())


def _evidence_in_time(seen: _Seen, policy: Policy) -> list[Evidence]:
    """What a plan of each frame goes by: boxes of things through time, and the heat of the time around."""
    found = [each.boxes for each in seen.visible]
    tracks = link(found, seen.times, seen.shots, rule_for=policy.rule_for)
    names = found[0].names
    boxes = cover(
        tracks,
        seen.times,
        seen.shots,
        names,
        rule_for=policy.rule_for,
        size=(seen.width, seen.height),
        looks=seen.looks,
    )
    scores = _scores_in_time(seen)
    return [
        replace(each, boxes=Detections.concatenate([tracked, _numbered(raw, policy, tracked, len(tracks))]), scores=of)
        for each, raw, tracked, of in zip(seen.visible, found, boxes, scores, strict=True)
    ]


def _numbered(raw: Detections, policy: Policy, tracked: Detections, after: int) -> Detections:
    """A frame's own boxes that no track covers: there should be none, and there must be none left bare."""
    bare = []
    for row in range(len(raw)):
        rule = policy.rule_for(raw.label(row))
        x0, y0, x1, y1 = raw.xyxy[row]
        inside = (tracked.xyxy[:, :2] <= [x0, y0]).all(axis=1) & (tracked.xyxy[:, 2:] >= [x1, y1]).all(axis=1)
        if rule is not None and reached(float(raw.scores[row]), rule.censor_at) and not inside.any():
            bare.append(row)
    rest = raw[bare]
    return rest.replace(track_ids=np.arange(after, after + len(rest)), masks=None)


def _scores_in_time(seen: _Seen) -> list[dict[str, Scores]]:
    """What classifiers say of a frame, with what was hot in those around it in the same shot."""
    times, shots = seen.times, [*seen.shots, len(seen.times)]
    together = []
    for number, evidence in enumerate(seen.visible):
        after = bisect_right(shots, number)
        first = bisect_left(times, times[number] - HOLD_SECONDS, shots[after - 1], shots[after])
        end = bisect_right(times, times[number] + HOLD_SECONDS, shots[after - 1], shots[after])
        near = [each.scores for each in seen.visible[first:end]]
        together.append({name: _hottest([each[name] for each in near], own) for name, own in evidence.scores.items()})
    return together


def _hottest(near: Sequence[Scores], own: Scores) -> Scores:
    """Of looks that gave a map: they were asked for one, since what they saw is to be hidden."""
    mapped = [each for each in near if each.heat is not None]
    return most_suspicious(mapped, [(0.0, 0.0, 1.0, 1.0)] * len(mapped)) if mapped else own


def _shown(picture: Picture) -> NDArray[np.uint8]:
    return over(picture.pixels, 255) if picture.pixels.shape[2] == 4 else picture.pixels


def _with_alpha(picture: Picture) -> Picture:
    if picture.pixels.shape[2] == 4:
        return picture
    opaque = np.full((*picture.pixels.shape[:2], 1), 255, np.uint8)
    return replace(picture, pixels=np.concatenate([picture.pixels, opaque], axis=2))
