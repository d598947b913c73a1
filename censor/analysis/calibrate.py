"""A policy whose scores are probabilities, and whose thresholds keep a promise: made from labelled pictures.

What is fitted is fitted on one part of the pictures, and what is promised rests on the other, which chance holds back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from censor.analysis.looking import Look, Seen
from censor.calibration import calibrated_evidence
from censor.policy import Policy
from censor.rules import Rule
from censor.verdict import Level
from detect.boxes import area, clip
from detect.errors import EvaluationError
from detect.evaluation.calibration import Calibration, fit_isotonic, fit_platt, fit_temperature
from detect.evaluation.guarantee import (
    Guarantee,
    Mistake,
    guarantee_false_alarms,
    guarantee_fused,
    guarantee_misses,
    split_by_group,
    threshold_path,
)
from detect.evaluation.scored import Scored

__all__ = ["METHODS", "Calibrated", "Fitted", "Promise", "Wanted", "calibrate"]

METHODS: Mapping[str, Callable[[Scored], Calibration]] = {
    "temperature": fit_temperature,
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}
"""How scores are made probabilities."""

_NO_BOX = -1.0
"""The score of a picture in which no box counts: below every threshold that there can be."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes:
        methods: One of `METHODS` for each classifier that is calibrated, by its name.
        miss_rate: At most this share of NSFW pictures may be judged safe, in (0, 1); None for no such promise.
        false_alarm_rate: At most this share of safe pictures may be judged NSFW, in (0, 1); None for no such promise.
        confidence: Of each promise, in (0, 1).
        held_back: Share of the groups that promises rest on, and fits are measured on, in (0, 1).
        seed: Equal seeds hold back the same.
        floor: Below this score the detector reports no boxes.
    """

    methods: Mapping[str, str]
    miss_rate: float | None = None
    false_alarm_rate: float | None = None
    confidence: float = 0.95
    held_back: float = 0.5
    seed: int = 0
    floor: float = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A classifier's calibration, and what it does on pictures that it was not fitted on.

    Attributes:
        classifier: Its name.
        method: One of `METHODS`.
        before: Scores as they come, of the pictures that were held back.
        after: Probabilities of the same.
    """

    classifier: str
    method: str
    before: Scored
    after: Scored


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A guarantee, and the thresholds of the policy that keep it.

    Attributes:
        guarantee: What is promised, and what it rests on.
        boxes: Threshold of boxes; None where they do not count. For misses a label that is NSFW from a lower score on
            still is.
        classifiers: Threshold of classifiers; None where they do not count.
    """

    guarantee: Guarantee
    boxes: float | None
    classifiers: float | None

    def __str__(self) -> str:
        """In words."""
        found = self.guarantee
        what = "NSFW pictures are judged safe" if found.of == "misses" else "safe pictures are judged NSFW"
        rests = f"it rests on {found.groups} independent pictures that were held back, of which {found.mistakes}"
        are = "is" if found.mistakes == 1 else "are"
        share = f"At most {100 * found.rate:.3g} % of the {what}"
        return f"{share}, with a confidence of {found.confidence:.3g}: {rests} {are} judged so"


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """What came of it.

    Attributes:
        policy: With calibrations and thresholds.
        fitted: One for each classifier that was calibrated.
        promises: Those that were asked for.
        held_back: bool, (N,): which pictures were; all of them where nothing was fitted.
        truth: Labels, weights and groups of all pictures.
        levels: Before and after, the level of each picture.
    """

    policy: Policy
    fitted: tuple[Fitted, ...]
    promises: tuple[Promise, ...]
    held_back: NDArray[np.bool_]
    truth: Scored
    levels: tuple[tuple[Level, ...], tuple[Level, ...]]


def calibrate(look: Look, policy: Policy, wanted: Wanted) -> Calibrated:
    """Fit, and choose thresholds.

    A picture that is judged safe is below every `review_at`, one that is judged NSFW reaches an `nsfw_at`: for misses
    the first is chosen, for false alarms the second, one for all labels that count and one for the classifiers.

    Args:
        look: What was found in the pictures.
        policy: Says who counts, and how many classifiers must agree.
        wanted: What is asked for.

    Raises:
        ValueError: A method or a rate is out of its range, or a classifier is named that did not look.
        EvaluationError: There are too few pictures for the promise, or to divide; scores do not rise with the labels;
            or no thresholds that a policy can have keep the promise.
        PolicyError: The policy judges nothing that was looked for.
    """
    if unknown := [name for name in wanted.methods if name not in look.seen[0].evidence.scores]:
        raise ValueError(f"no classifier {', '.join(unknown)} looked at the pictures")
    labels = np.array([picture.nsfw for picture in look.answers.pictures])
    weights = [picture.weight for picture in look.answers.pictures]
    truth = Scored(labels, labels.astype(np.float64), weights=weights, groups=look.answers.groups())
    columns = _columns(look.seen, policy)
    fits = bool(wanted.methods) or (len(columns) > 1 and (wanted.miss_rate or wanted.false_alarm_rate) is not None)
    back = np.ones(len(truth), np.bool_)
    if fits:
        back = split_by_group(labels, truth.groups, held_back=wanted.held_back, seed=wanted.seed)
    fitted, calibrations = [], dict(policy.calibrations)
    for name, method in wanted.methods.items():
        data = truth.rescored([each.evidence.scores[name].probability for each in look.seen])
        calibrations[name] = calibration = METHODS[method](data.part(~back))
        unseen = data.part(back)
        after = unseen.rescored(calibration.apply(unseen.scores))
        fitted.append(Fitted(classifier=name, method=method, before=unseen, after=after))
    made = dataclasses.replace(policy, calibrations=calibrations)
    promises: list[Promise] = []
    asked: tuple[tuple[Mistake, float | None], ...] = (
        ("misses", wanted.miss_rate),
        ("false alarms", wanted.false_alarm_rate),
    )
    for of, rate in asked:
        if rate is not None:
            promises.append(_promise(look.seen, made, truth, back, of=of, rate=rate, wanted=wanted))
    for promise in promises:
        made = _kept(made, promise)
    levels = tuple(tuple(each.judged(which).level for each in look.seen) for which in (policy, made))
    promises = [_held(promise, levels[1], truth, back) for promise in promises]
    return Calibrated(
        policy=made,
        fitted=tuple(fitted),
        promises=tuple(promises),
        held_back=back,
        truth=truth,
        levels=(levels[0], levels[1]),
    )


def _promise(
    seen: Sequence[Seen],
    policy: Policy,
    truth: Scored,
    back: NDArray[np.bool_],
    *,
    of: Mistake,
    rate: float,
    wanted: Wanted,
) -> Promise:
    """A guarantee of thresholds that a policy can have."""
    columns = _columns(seen, policy, nsfw=of == "false alarms")
    if not columns:
        raise EvaluationError(f"policy {policy.name!r} has no rule that {of} could be promised of")
    values = np.stack(list(columns.values()), axis=1)
    chosen = truth.labels == (of == "misses")
    rows, groups = values[chosen & back], truth.groups[chosen & back]
    if len(columns) == 1:
        guarantee = guarantee_misses if of == "misses" else guarantee_false_alarms
        found = guarantee(rows[:, 0], groups=groups, rate=rate, confidence=wanted.confidence)
    else:
        floors = [wanted.floor if name == "boxes" else 0.0 for name in columns]
        path = np.maximum(_path(values[chosen & ~back], of), floors)
        found = guarantee_fused(rows, _raised(path), of=of, groups=groups, rate=rate, confidence=wanted.confidence)
    thresholds = dict(zip(columns, map(_short, _raised(np.array(found.thresholds)).tolist()), strict=True))
    _check_thresholds(thresholds, of, wanted.floor)
    if (
        of == "misses"
        and "classifiers" in thresholds
        and policy.picture.nsfw_at is not None
        and policy.picture.votes == 1
    ):
        thresholds["classifiers"] = min(thresholds["classifiers"], policy.picture.nsfw_at)
    return Promise(guarantee=found, boxes=thresholds.get("boxes"), classifiers=thresholds.get("classifiers"))


def _path(values: NDArray[np.float64], of: Mistake) -> NDArray[np.float64]:
    """Rules to try one after the other, from the safest on, (R, M).

    Few pictures that may be fitted on leave a wide step between flagging all, or nothing, and the first of their
    scores; small ones are laid into it.
    """
    path = threshold_path(values, of=of)
    start, steps = (0.0 if of == "misses" else 1.0), np.linspace(0, 1, 101)[:, None] ** 3
    return np.concatenate([path[:1], start + (path[1] - start) * steps, path[1:]])


def _columns(seen: Sequence[Seen], policy: Policy, *, nsfw: bool = False) -> dict[str, NDArray[np.float64]]:
    """What boxes and classifiers say under a policy, each a score that is held against one threshold, (N,).

    Args:
        seen: What was found.
        policy: Who counts, and what makes scores probabilities.
        nsfw: Whether it is for `nsfw_at`, for which classifiers vote, and not for `review_at`.
    """
    first = seen[0].evidence
    rules = {label: policy.rule_for(label) for label in first.boxes.names}
    counted = {
        label: rule.min_area
        for label, rule in rules.items()
        if rule is not None and (rule.nsfw_at is not None if nsfw else rule.judges)
    }
    columns = {}
    if counted:
        columns["boxes"] = np.array([_best(each, counted) for each in seen])
    names = policy.picture.counted(first.classifiers) if policy.picture.acts else ()
    votes = policy.picture.votes if nsfw else 1
    if len(names) >= votes:
        said = [calibrated_evidence(each.evidence, policy.calibrations).scores for each in seen]
        probabilities = np.array([[scores[name].probability for name in names] for scores in said], np.float32)
        columns["classifiers"] = np.sort(probabilities, axis=1)[:, -votes].astype(np.float64)
    return columns


def _best(seen: Seen, counted: Mapping[str, float]) -> float:
    """The score of the best box whose label counts and that is large enough."""
    found = seen.evidence.boxes
    shares = area(clip(found.xyxy, width=seen.width, height=seen.height)) / (seen.width * seen.height)
    scores = [
        float(score) for row, score in enumerate(found.scores) if shares[row] >= counted.get(found.label(row), np.inf)
    ]
    return max(scores, default=_NO_BOX)


def _raised(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least float32 not below each: scores are held against thresholds as float32, where less than that is lost."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near < thresholds, np.nextafter(near, np.float32(np.inf)), near).astype(np.float64)


def _short(threshold: float) -> float:
    """The shortest number that is the same float32: what a file should say."""
    return float(str(np.float32(threshold)))


def _check_thresholds(thresholds: Mapping[str, float], of: Mistake, floor: float) -> None:
    boxes, classifiers = thresholds.get("boxes"), thresholds.get("classifiers")
    if of == "misses" and classifiers == 0:
        raise EvaluationError(
            "misses can be promised only if every picture is judged at least review: too few score high"
        )
    if boxes is not None and classifiers is None and boxes < min(floor, 1):
        raise EvaluationError(
            f"{of} cannot be promised of boxes alone: in too many pictures there is no box that counts; a policy that "
            "asks classifiers may do"
        )
    if any(each > 1 for each in thresholds.values()):
        raise EvaluationError(f"{of} can be promised only if nothing is judged NSFW: too many safe pictures score 1")


def _kept(policy: Policy, promise: Promise) -> Policy:
    """The policy with the thresholds of a promise."""
    change = _reviewed if promise.guarantee.of == "misses" else _called
    rules = dict(policy.rules)
    if promise.boxes is not None:
        rules = {label: change(rule, promise.boxes) if rule.judges else rule for label, rule in rules.items()}
    picture = policy.picture
    if promise.classifiers is not None and promise.guarantee.of == "misses":
        lowest = min(promise.classifiers, 1.0 if picture.nsfw_at is None else picture.nsfw_at)
        picture = dataclasses.replace(picture, review_at=lowest)
    elif promise.classifiers is not None:
        at = promise.classifiers
        hides = picture.hide_at is not None and picture.nsfw_at is not None and picture.hide_at <= picture.nsfw_at
        picture = dataclasses.replace(
            picture,
            nsfw_at=at,
            review_at=None if picture.review_at is None else min(picture.review_at, at),
            hide_at=min(picture.hide_at, at) if hides and picture.hide_at is not None else picture.hide_at,
        )
    return dataclasses.replace(policy, rules=rules, picture=picture)


def _reviewed(rule: Rule, at: float) -> Rule:
    """What is NSFW is not lost to review: its threshold stays, and review begins no later."""
    return dataclasses.replace(rule, review_at=at if rule.nsfw_at is None else min(at, rule.nsfw_at))


def _called(rule: Rule, at: float) -> Rule:
    """NSFW from there on; what was hidden before it was NSFW still is."""
    if rule.nsfw_at is None:
        return rule
    hides = rule.censor_at is not None and rule.censor_at <= rule.nsfw_at
    return dataclasses.replace(
        rule,
        nsfw_at=at,
        review_at=None if rule.review_at is None else min(rule.review_at, at),
        censor_at=min(rule.censor_at, at) if hides and rule.censor_at is not None else rule.censor_at,
    )


def _held(promise: Promise, levels: Sequence[Level], truth: Scored, back: NDArray[np.bool_]) -> Promise:
    """The promise with the mistakes that the whole policy makes on what was held back: no more than it rests on.

    There may be fewer, since other rules of the policy flag pictures too.
    """
    ranks, misses = np.array([level.rank for level in levels]), promise.guarantee.of == "misses"
    wrong = back & ((truth.labels & (ranks == 0)) if misses else (~truth.labels & (ranks == Level.NSFW.rank)))
    if (count := len(np.unique(truth.groups[wrong]))) > promise.guarantee.mistakes:
        raise EvaluationError(
            f"the policy judges {count} groups wrongly where the promise allows {promise.guarantee.mistakes}: it has "
            "rules that cannot be promised of"
        )
    return dataclasses.replace(promise, guarantee=dataclasses.replace(promise.guarantee, mistakes=count))
