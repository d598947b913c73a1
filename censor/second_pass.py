"""The second pass over what moves: hide what the first one found, and look again at what comes out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from censor.anchors import Anchors
from censor.choices import CELL_EFFECTS
from censor.displayed import as_stored
from censor.evidence import Evidence
from censor.finding import Networks, find_again
from censor.first_pass import Progress, Seen
from censor.manual import Box
from censor.media.medium import Moving, Part
from censor.plan import Plan
from censor.policy import Policy
from censor.recheck import recheck
from censor.redact import Frame, Redaction, kept, plan
from censor.rules import reached
from censor.timeline import HiddenThing
from censor.track import HOLD_SECONDS, cover
from censor.views import Canvas, Views
from detect.classifier.scores import Scores
from detect.classifier.tiling import most_suspicious
from detect.detections import Detections
from detect.errors import DamagedImageError, LimitError
from detect.pictures.still import Picture

__all__ = ["SecondPass"]

_HELD_PIXELS = 2**30  # of frames that wait for what a later look says


@dataclass(kw_only=True, eq=False)
class _Waiting:
    """A frame that is planned, and not written: a look at a later one may still find something to hide in it.

    Attributes:
        part: It.
        seconds: When it is shown.
        redactions: What is hidden in it.
        canvas: Where that is painted already; None before.
        shown: The canvas's picture.
    """

    part: Part
    seconds: float
    redactions: list[Redaction]
    canvas: Canvas | None = None
    shown: Picture | None = None
    more: list[Redaction] = field(default_factory=list)


class SecondPass:
    """Decodes a medium anew, and hides in each frame what is to be hidden in it.

    Attributes:
        hidden: What was hidden, each thing once, by what tells it from others.
    """

    def __init__(
        self,
        medium: Moving,
        seen: Seen,
        networks: Networks,
        policy: Policy,
        *,
        sticker: NDArray[np.uint8] | None,
        again: bool,
        also: tuple[Box, ...],
        keep: tuple[Box, ...],
        planned: Plan | None = None,
        report: list[list[Redaction]] | None = None,
    ) -> None:
        """See `censor.moving.apply_medium`; heat is hidden by solid colour. `report` takes what each frame hides."""
        self._planned, self._each = planned, report
        self._policy = policy if policy.heat is None else replace(policy, heat=replace(policy.heat, effect="solid"))
        self._medium, self._seen, self._networks, self._again = medium, seen, networks, again
        self._inks = as_stored(self._policy, sticker, medium.display)
        self._also, self._keep = also, keep
        self._anchors, self._frame = Anchors(), Frame(width=seen.width, height=seen.height)
        self._checked = _second_looks(seen.looked) if again else frozenset()
        self._looked = frozenset(seen.looked)
        self._waiting: deque[_Waiting] = deque()
        self._carried: list[tuple[float, Redaction]] = []
        self.hidden: dict[object, HiddenThing] = {}

    def parts(self, progress: Progress | None = None) -> Iterator[Part]:
        """The frames, censored.

        Raises:
            BoxError: A box lies wholly outside the frames.
            DamagedImageError: They are not the frames that were looked at.
            LimitError: More of them must be held at once than memory has room for.
            RecheckError: The last look at one still finds something.
            ClassifierError, DetectError, DetectorError: As for `find`.
        """
        times, shots = self._seen.times, frozenset(self._seen.shots)
        planned = _evidence_in_time(self._seen, self._policy, self._networks.names)
        count = 0
        for number, part in enumerate(self._medium.parts()):
            if number >= len(times) or part.where.seconds != times[number]:
                raise self._changed()
            if number == 0:
                frame = Frame.of(part.picture, also=self._also, keep=self._keep)
                self._frame = frame if self._planned is None else self._planned.frame(part.picture)
            elif self._planned is not None:
                self._frame = self._planned.keeping(self._frame, number)
            if number in shots:
                yield from self._released(None)
                self._carried = []
            self._take(number, part, next(planned))
            yield from self._released(times[number])
            self._require_held()
            count = number + 1
            if progress is not None:
                progress(len(times) + count, 2 * len(times))
        if count != len(times):
            raise self._changed()
        yield from self._released(None)

    def _take(self, number: int, part: Part, evidence: Evidence) -> None:
        """Plan a frame, and look at it if it is one of those."""
        seconds = self._seen.times[number]
        if self._planned is None:
            redactions = plan(evidence, self._policy, self._frame, alone=not self._again)
        else:
            redactions = self._planned.redactions(self._frame, number)
        one = _Waiting(part=part, seconds=seconds, redactions=redactions)
        self._carried = [(until, each) for until, each in self._carried if seconds <= until]
        one.more = [each for _, each in self._carried]
        self._waiting.append(one)
        if number in self._checked:
            self._look_again(one, number, evidence)

    def _look_again(self, one: _Waiting, number: int, evidence: Evidence) -> None:
        """Look at a frame as it is to come out; what that finds is hidden in those around it, too."""
        redactions = one.redactions + one.more
        seen = self._seen.evidence.get(number)
        if not redactions and seen is None and number in self._looked:
            return  # there was nothing, and there is nothing else in it now
        picture = one.part.to_paint()
        views = Views.at(picture, self._networks.reduction)
        if not redactions and seen is None:
            seen = find_again(views, picture, self._networks)
        one.canvas = self._canvas(picture)
        one.canvas.paint(redactions)
        one.shown = replace(picture, beneath=None, readings=())
        passed_over = kept(evidence, self._policy, self._frame).replace(track_ids=None)  # as later looks have none
        one.redactions, _ = recheck(
            one.shown, one.canvas, redactions, passed_over, seen=seen or evidence, networks=self._networks,
            policy=self._policy.each(effect="solid"), frame=self._frame, views=views,
        )  # fmt: skip
        self._anchors.settle({each.thing for each in one.redactions if each.effect in CELL_EFFECTS})
        one.more = []
        known = {id(each) for each in redactions}
        fresh = [each for each in one.redactions if each.rechecked and id(each) not in known]
        for other in self._waiting:
            if other is not one and one.seconds - other.seconds <= HOLD_SECONDS:
                other.more += fresh
        self._carried += [(one.seconds + HOLD_SECONDS, each) for each in fresh]

    def _canvas(self, picture: Picture) -> Canvas:
        policy, sticker = self._inks
        return Canvas(picture.pixels, policy, sticker=sticker, anchors=self._anchors)

    def _released(self, now: float | None) -> Iterator[Part]:
        """Frames of which no later look can say anything, painted; all of them, where a shot has ended."""
        while self._waiting:
            first = self._waiting[0]
            if now is not None and self._checked and now - first.seconds <= HOLD_SECONDS:
                return
            yield self._finished(self._waiting.popleft())

    def _require_held(self) -> None:
        if len(self._waiting) * self._seen.width * self._seen.height > _HELD_PIXELS:
            raise LimitError(
                f"{self._medium.name}: {len(self._waiting)} frames of {self._seen.width} x {self._seen.height} pixels "
                f"within {HOLD_SECONDS:g} s, which are more than are held at once"
            )

    def _finished(self, one: _Waiting) -> Part:
        redactions = one.redactions + one.more
        self._report(redactions, one.seconds)
        if not redactions:
            part = one.part.untouched()
            return part.painted(_with_alpha(part.picture), ()) if self._seen.transparent else part
        if one.canvas is None or one.shown is None:
            picture = one.part.to_paint()
            one.canvas = self._canvas(picture)
            one.shown = replace(picture, beneath=None, readings=())
            one.canvas.paint(redactions)
        elif one.more:
            one.canvas.paint(redactions)
        shown = _with_alpha(one.shown) if self._seen.transparent else one.shown
        return one.part.painted(shown, [each.region for each in redactions])

    def _report(self, redactions: Sequence[Redaction], seconds: float) -> None:
        if self._each is not None:
            self._each.append([replace(each, region=replace(each.region, cover=None)) for each in redactions])
        for each in redactions:
            key = each.track if each.track is not None else (each.label, each.classifier, each.rechecked)
            before = self.hidden.get(key)
            if before is None:
                window = replace(each.region, cover=None)  # nobody needs its pixels any more
                self.hidden[key] = HiddenThing(first=replace(each, region=window), start=seconds, end=seconds)
            else:
                self.hidden[key] = replace(before, end=seconds)

    def _changed(self) -> DamagedImageError:
        return DamagedImageError(f"{self._medium.name}: its frames are not those that were looked at first")


def _second_looks(looked: Sequence[int]) -> frozenset[int]:
    """The frames in the middle between those that were looked at first, and the last."""
    between = (one if other - one == 1 else (one + other) // 2 for one, other in pairwise(looked))
    return frozenset([*between, looked[-1]])


def _evidence_in_time(seen: Seen, policy: Policy, names: tuple[str, ...]) -> Iterator[Evidence]:
    """What a plan of each frame goes by: boxes of things through time, and the heat of the time around."""
    nothing = Detections.empty(names)
    covered = cover(seen.tracks, seen.times, names, rule_for=policy.rule_for)
    said = _ScoresInTime(seen)
    for number, tracked in enumerate(covered):
        own = seen.evidence.get(number)
        raw = nothing if own is None else own.boxes
        boxes = Detections.concatenate([tracked, _numbered(raw, policy, tracked, len(seen.tracks))])
        yield Evidence(boxes=boxes, scores=said.at(number))


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


class _ScoresInTime:
    """What classifiers say of a frame, with what was hot in those around it in the same shot."""

    def __init__(self, seen: Seen) -> None:
        self._seen, self._shots = seen, [*seen.shots, len(seen.times)]
        self._numbers = sorted(seen.evidence)

    def at(self, number: int) -> dict[str, Scores]:
        """Each classifier's answer by its name; none where nothing was hot."""
        times, shots = self._seen.times, self._shots
        after = bisect_right(shots, number)
        first = bisect_left(times, times[number] - HOLD_SECONDS, shots[after - 1], shots[after])
        end = bisect_right(times, times[number] + HOLD_SECONDS, shots[after - 1], shots[after])
        numbers = self._numbers[bisect_left(self._numbers, first) : bisect_left(self._numbers, end)]
        near = [self._seen.evidence[each].scores for each in numbers]
        own = self._seen.evidence.get(number)
        names = dict.fromkeys(name for each in near for name in each)
        return {
            name: _hottest([each[name] for each in near], None if own is None else own.scores[name]) for name in names
        }


def _hottest(near: Sequence[Scores], own: Scores | None) -> Scores:
    """Of looks that gave a map: they were asked for one, since what they saw is to be hidden."""
    mapped = [each for each in near if each.heat is not None]
    if mapped:
        return most_suspicious(mapped, [(0.0, 0.0, 1.0, 1.0)] * len(mapped))
    return own or max(near, key=lambda each: each.probability)


def _with_alpha(picture: Picture) -> Picture:
    if picture.pixels.shape[2] == 4:
        return picture
    opaque = np.full((*picture.pixels.shape[:2], 1), 255, np.uint8)
    return replace(picture, pixels=np.concatenate([picture.pixels, opaque], axis=2))
