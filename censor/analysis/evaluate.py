"""All that the product can say of labelled pictures, held against what people say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from censor.analysis.looking import Look, Seen
from censor.calibration import calibrated_scores
from censor.policy import Policy
from censor.verdict import Level, Verdict
from detect.errors import EvaluationError
from detect.evaluation.agreement import Agreement, agreement
from detect.evaluation.curves import average_precision, roc_auc
from detect.evaluation.intervals import Interval, bootstrap, wilson
from detect.evaluation.operating import (
    Confusion,
    OperatingPoint,
    at_best_f1,
    at_false_alarm_rate,
    at_miss_rate,
    confusion_at,
)
from detect.evaluation.scored import Scored

__all__ = ["CALIBRATED", "PEOPLE", "RESAMPLES", "Evaluation", "Judge", "JudgedPolicy", "Rate", "evaluate"]

PEOPLE = "people"
"""Those who labelled the pictures, among those who agree or not."""

CALIBRATED = ", calibrated"
"""Behind a classifier's name where its scores are as the policy makes them probabilities."""

RESAMPLES = 1000
"""How often groups are drawn for an interval: its ends then move by a few in a thousand from draw to draw."""

Kind = Literal["policy", "classifier", "label"]

_POINTS: Mapping[str, Callable[[Scored], OperatingPoint]] = {
    "best F1": at_best_f1,
    "misses 1 %": lambda data: at_miss_rate(data, 0.01),
    "misses 5 %": lambda data: at_miss_rate(data, 0.05),
    "false alarms 5 %": lambda data: at_false_alarm_rate(data, 0.05),
    "false alarms 1 %": lambda data: at_false_alarm_rate(data, 0.01),
}
"""Thresholds that somebody may want, by what they are for."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A measure, and where it would lie on other pictures of the same kind.

    Attributes:
        value: In [0, 1].
        interval: None where there are too few groups to say.
    """

    value: float
    interval: Interval | None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        ends = None if self.interval is None else [self.interval.low, self.interval.high]
        return {"value": self.value, "interval": ends}


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """One that gives each picture a score: a label's best box, a classifier, a policy's verdict.

    Attributes:
        name: Label, classifier or policy.
        kind: Which of these.
        data: Its scores with the pictures' labels, weights and groups.
        counts: Whether the policy that is evaluated goes by it.
        auc: The area under the ROC curve.
        ap: Average precision.
        points: Thresholds and what they do, by what they are for.
    """

    name: str
    kind: Kind
    data: Scored
    counts: bool
    auc: Rate
    ap: Rate
    points: Mapping[str, OperatingPoint]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        points = {
            name: {"threshold": point.threshold if np.isfinite(point.threshold) else None, **rates(point.confusion)}
            for name, point in self.points.items()
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "auc": self.auc.to_dict(),
            "average_precision": self.ap.to_dict(),
            "points": points,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPolicy:
    """A policy's verdicts on all pictures.

    Attributes:
        policy: Which one.
        verdicts: One for each picture.
        weights: Level to the weight of the safe pictures and of the NSFW ones that got it.
        missed: Share of the NSFW pictures whose level lies below another, by that one.
        flagged: Share of the safe pictures whose level is this or a graver one, by level.
    """

    policy: Policy
    verdicts: tuple[Verdict, ...]
    weights: Mapping[Level, tuple[float, float]]
    missed: Mapping[Level, Rate]
    flagged: Mapping[Level, Rate]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        levels = [Level.REVIEW, Level.NSFW]
        return {
            "policy": self.policy.name,
            "weights": {level.value: {"safe": safe, "nsfw": nsfw} for level, (safe, nsfw) in self.weights.items()},
            "missed": {f"below {level}": self.missed[level].to_dict() for level in levels},
            "false_alarms": {f"at least {level}": self.flagged[level].to_dict() for level in levels},
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What came of it.

    Attributes:
        look: What was found in which pictures.
        truth: The pictures' labels, weights and groups; scores are the labels.
        policies: The policy that is evaluated, then those that it is held beside.
        judges: Policies, classifiers, and the labels of which any box was found.
        silent: The labels of which none was.
        agreements: Of each pair of those who flag pictures, each flagging at what the policy calls NSFW.
    """

    look: Look
    truth: Scored
    policies: tuple[JudgedPolicy, ...]
    judges: tuple[Judge, ...]
    silent: tuple[str, ...]
    agreements: Mapping[tuple[str, str], Agreement]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        answers, truth = self.look.answers, self.truth
        return {
            "pictures": {
                "safe": int((~truth.labels).sum()),
                "nsfw": int(truth.labels.sum()),
                "groups": len(np.unique(truth.groups)),
                "unreadable": [
                    {"file": str(picture.path), "label": "nsfw" if picture.nsfw else "safe", "reason": reason}
                    for picture, reason in answers.unreadable
                ],
            },
            "policies": [each.to_dict() for each in self.policies],
            "judges": [each.to_dict() for each in self.judges],
            "labels_never_found": list(self.silent),
            "agreements": [_agreement_dict(pair, found) for pair, found in self.agreements.items()],
            "seconds_per_picture": {
                stage: {"pictures": len(times), "median": float(np.median(times))}
                for stage, times in answers.seconds.items()
                if len(times)
            },
        }

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Each judge's scores by a name of its own, (N,)."""
        return {f"{each.kind} {each.name}": each.data.scores for each in self.judges}


def rates(confusion: Confusion) -> dict[str, float | None]:
    """What a threshold does, for JSON."""
    precision = confusion.precision
    return {
        "miss_rate": confusion.miss_rate,
        "false_alarm_rate": confusion.false_alarm_rate,
        "precision": precision if np.isfinite(precision) else None,
        "f1": confusion.f1,
    }


def evaluate(look: Look, policies: Sequence[Policy], *, resamples: int = RESAMPLES, seed: int = 0) -> Evaluation:
    """Measure.

    Args:
        look: What was found in the pictures.
        policies: The one to evaluate, then those to hold it beside; of different names.
        resamples: How often to draw for an interval.
        seed: Equal seeds give equal intervals.

    Raises:
        ValueError: There is no policy, or two have one name.
        EvaluationError: Among the pictures that could be read is none of one label.
        PolicyError: A policy judges nothing that was looked for.
    """
    if not policies or len({policy.name for policy in policies}) < len(policies):
        raise ValueError(f"need policies of different names: {', '.join(policy.name for policy in policies) or 'none'}")
    answers = look.answers
    labels = np.array([picture.nsfw for picture in answers.pictures])
    weights = [picture.weight for picture in answers.pictures]
    truth = Scored(labels, labels.astype(np.float64), weights=weights, groups=answers.groups())

    def rate(measure: Callable[[Scored], float], data: Scored) -> Rate:
        return _rate(measure, data, resamples=resamples, seed=seed)

    judged = tuple(_judged(policy, look.seen, truth, resamples=resamples, seed=seed) for policy in policies)
    judges, silent = [], []
    for name, kind, scores, counts in _scores(look.seen, judged):
        if kind == "label" and not scores.any():
            silent.append(name)
            continue
        data = truth.rescored(scores)
        points = {aim: find(data) for aim, find in _POINTS.items()}
        auc, ap = rate(roc_auc, data), rate(average_precision, data)
        judges.append(Judge(name=name, kind=kind, data=data, counts=counts, auc=auc, ap=ap, points=points))
    return Evaluation(
        look=look,
        truth=truth,
        policies=judged,
        judges=tuple(judges),
        silent=tuple(silent),
        agreements=_agreements(judged, judges, truth),
    )


def _rate(measure: Callable[[Scored], float], data: Scored, *, resamples: int, seed: int) -> Rate:
    try:
        interval = bootstrap(measure, data, resamples=resamples, seed=seed)
    except EvaluationError:
        interval = None
    return Rate(value=measure(data), interval=interval)


def _share(measure: Callable[[Scored], float], data: Scored, *, of: bool, resamples: int, seed: int) -> Rate:
    """A share of the pictures of one label.

    Where it is all or nothing every draw says the same, which is no certainty: then groups are counted, as if each had
    been drawn by itself.
    """
    rate = _rate(measure, data, resamples=resamples, seed=seed)
    if rate.value not in (0, 1) or rate.interval is None:
        return rate
    groups = len(np.unique(data.groups[(data.labels == of) & (data.weights > 0)]))
    return Rate(value=rate.value, interval=wilson(int(rate.value) * groups, groups))


def _judged(policy: Policy, seen: Sequence[Seen], truth: Scored, *, resamples: int, seed: int) -> JudgedPolicy:
    verdicts = tuple(each.judged(policy) for each in seen)
    data = truth.rescored([verdict.level.rank for verdict in verdicts])
    share = partial(_share, data=data, resamples=resamples, seed=seed)

    def weight(level: Level, nsfw: bool) -> float:
        return float(truth.weights[(data.scores == level.rank) & (truth.labels == nsfw)].sum())

    graver = (Level.REVIEW, Level.NSFW)
    return JudgedPolicy(
        policy=policy,
        verdicts=verdicts,
        weights={level: (weight(level, False), weight(level, True)) for level in Level},
        missed={each: share(partial(_missed, at=each.rank), of=True) for each in graver},
        flagged={each: share(partial(_flagged, at=each.rank), of=False) for each in graver},
    )


def _missed(data: Scored, *, at: int) -> float:
    return confusion_at(data, at).miss_rate


def _flagged(data: Scored, *, at: int) -> float:
    return confusion_at(data, at).false_alarm_rate


def _scores(
    seen: Sequence[Seen], judged: Sequence[JudgedPolicy]
) -> Iterator[tuple[str, Kind, NDArray[np.float64], bool]]:
    """Name, kind, scores, and whether the first policy goes by them."""
    main = judged[0].policy
    for each in judged:
        yield each.policy.name, "policy", np.array([verdict.score for verdict in each.verdicts]), each is judged[0]
    first = seen[0].evidence
    for name in first.classifiers:
        scores = np.array([each.evidence.scores[name].probability for each in seen])
        counted = name in main.picture.judged_by(first.classifiers)
        yield name, "classifier", scores, counted
        if name in main.calibrations:
            yield f"{name}{CALIBRATED}", "classifier", _probabilities(seen, name, main), counted
    rules = {label: main.rule_for(label) for label in first.boxes.names}
    counts = {label: rule is not None and rule.judges for label, rule in rules.items()}
    for label in sorted(counts, key=lambda label: not counts[label]):
        yield label, "label", np.array([_best(each, label) for each in seen]), counts[label]


def _probabilities(seen: Sequence[Seen], name: str, policy: Policy) -> NDArray[np.float64]:
    """A classifier's scores as the policy makes them probabilities."""
    calibration = policy.calibrations[name]
    said = (calibrated_scores(each.evidence.scores[name], calibration) for each in seen)
    return np.array([scores.probability for scores in said])


def _best(seen: Seen, label: str) -> float:
    """The score of the best box of a label, 0 where there is none."""
    found = seen.evidence.boxes
    return float(found.scores[found.labels == found.names.index(label)].max(initial=0))


def _agreements(
    judged: Sequence[JudgedPolicy], judges: Sequence[Judge], truth: Scored
) -> dict[tuple[str, str], Agreement]:
    at = judged[0].policy.picture.nsfw_at
    flags = {PEOPLE: truth.labels}
    for each in judged:
        flags[f"policy {each.policy.name}"] = np.array([verdict.nsfw for verdict in each.verdicts])
    for judge in judges:
        if judge.kind == "classifier" and judge.name not in judged[0].policy.calibrations:
            flags[judge.name] = judge.data.scores.astype(np.float32) >= np.float32(0.5 if at is None else at)
    names = list(flags)
    return {
        (one, other): agreement(flags[one], flags[other], weights=truth.weights)
        for row, one in enumerate(names)
        for other in names[row + 1 :]
    }


def _agreement_dict(pair: tuple[str, str], found: Agreement) -> dict[str, object]:
    return {
        "first": pair[0],
        "second": pair[1],
        "both": found.both,
        "first_only": found.first_only,
        "second_only": found.second_only,
        "neither": found.neither,
        "agreement": found.rate,
        "kappa": found.kappa if np.isfinite(found.kappa) else None,
    }
