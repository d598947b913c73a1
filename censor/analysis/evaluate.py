"""All that the product can say of labelled pictures, held against what people say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from censor.analysis.looking import Look, Seen, counted_by
from censor.analysis.measured import Judge, JudgedPolicy, Kind, Rate
from censor.analysis.mining import Reason, disagreements
from censor.calibration import calibrated_scores
from censor.policy import Policy
from censor.policy_toml import load_policy
from censor.verdict import Level, Verdict
from detect.errors import EvaluationError
from detect.evaluation.agreement import Agreement, agreement
from detect.evaluation.curves import areas
from detect.evaluation.intervals import Interval, bootstrap_all, wilson
from detect.evaluation.operating import (
    OperatingPoint,
    at_best_f1,
    at_false_alarm_rate,
    at_miss_rate,
    confusion_at,
)
from detect.evaluation.scored import Scored
from detect.labels import CLASSES

__all__ = [
    "CALIBRATED",
    "PEOPLE",
    "RESAMPLES",
    "Evaluation",
    "Judge",
    "JudgedPolicy",
    "Rate",
    "evaluate",
    "four_classes",
]

PEOPLE = "people"
"""Those who labelled the pictures, among those who agree or not."""

CALIBRATED = ", calibrated"
"""Behind a classifier's name where its scores are as the policy makes them probabilities."""

RESAMPLES = 1000
"""How often groups are drawn for an interval: its ends then move by a few in a thousand from draw to draw."""

_POINTS: Mapping[str, Callable[[Scored], OperatingPoint]] = {
    "best F1": at_best_f1,
    "misses 1 %": lambda data: at_miss_rate(data, 0.01),
    "misses 5 %": lambda data: at_miss_rate(data, 0.05),
    "false alarms 5 %": lambda data: at_false_alarm_rate(data, 0.05),
    "false alarms 1 %": lambda data: at_false_alarm_rate(data, 0.01),
}
"""Thresholds that somebody may want, by what they are for."""


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
        disputed: The row of each picture on which the detector and classifiers disagree, to why; the widest gap first.
    """

    look: Look
    truth: Scored
    policies: tuple[JudgedPolicy, ...]
    judges: tuple[Judge, ...]
    silent: tuple[str, ...]
    agreements: Mapping[tuple[str, str], Agreement]
    disputed: Mapping[int, Reason]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        answers, truth = self.look.answers, self.truth
        return {
            "policy": self.policies[0].policy.name,
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
            "agreements": self.agreement_rows(),
            "disputed": [
                {"file": str(answers.pictures[row].path), "kind": why.kind, "detail": why.text, "gap": why.strength}
                for row, why in self.disputed.items()
            ],
            "seconds_per_picture": {
                stage: {"pictures": len(times), "median": float(np.median(times)), "total": float(sum(times))}
                for stage, times in answers.seconds.items()
                if len(times)
            },
        }

    def agreement_rows(self) -> list[dict[str, object]]:
        """`agreements` for JSON and tables."""
        return [
            {
                "first": first,
                "second": second,
                **dataclasses.asdict(found),
                "agreement": found.rate,
                "kappa": found.kappa if np.isfinite(found.kappa) else None,
            }
            for (first, second), found in self.agreements.items()
        ]

    @property
    def asked_several(self) -> bool:
        """Whether there are several networks, which may contradict each other."""
        first = self.look.seen[0].evidence
        return bool(first.boxes.names) + len(first.classifiers) > 1

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Each judge's scores by a name of its own, (N,)."""
        return {f"{each.kind} {each.name}": each.data.scores for each in self.judges}


def four_classes() -> Policy:
    """The oldest rule of this kind, to hold others beside: a picture is NSFW for a box of one of four trained classes.

    Belly and male chest are the other two. Thresholds are those of the preset `boxes`; nobody else is asked.
    """
    boxes = load_policy("boxes")
    rules = {label: rule for label, rule in boxes.rules.items() if label in CLASSES}
    return dataclasses.replace(boxes, name="four classes", rules=rules)


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
    verdicts = [tuple(each.judged(policy) for each in look.seen) for policy in policies]
    said = [
        _Said(name, kind, truth.rescored(scores), counts)
        for name, kind, scores, counts in _scores(look.seen, policies, verdicts)
    ]
    heard = [each for each in said if each.kind != "label" or each.data.scores.any()]
    ranks = [np.array([verdict.level.rank for verdict in given]) for given in verdicts]
    rates = _rates([each.data for each in heard], ranks, truth, resamples=resamples, seed=seed)
    judges = [
        Judge(
            name=each.name,
            kind=each.kind,
            data=each.data,
            counts=each.counts,
            auc=next(rates),
            ap=next(rates),
            points={
                **_policy_points(each, policies[0]),
                **{aim: find(each.data) for aim, find in _POINTS.items()},
            },
        )
        for each in heard
    ]
    judged = tuple(_judged(*each, truth, rates) for each in zip(policies, verdicts, strict=True))
    return Evaluation(
        look=look,
        truth=truth,
        policies=judged,
        judges=tuple(judges),
        silent=tuple(each.name for each in said if each not in heard),
        agreements=_agreements(judged, judges, truth),
        disputed=_disputed(look.seen, policies[0]),
    )


class _Said(NamedTuple):
    """Scores before they are measured."""

    name: str
    kind: Kind
    data: Scored
    counts: bool


_GRAVER = (Level.REVIEW, Level.NSFW)


def _policy_points(said: _Said, policy: Policy) -> dict[str, OperatingPoint]:
    """What the policy's thresholds for a classifier or a label would do if nobody else were asked.

    Of a classifier whose scores the policy makes probabilities they are about these.
    """
    if not said.counts or said.kind == "policy" or (said.kind == "classifier" and said.name in policy.calibrations):
        return {}
    rule = policy.picture if said.kind == "classifier" else policy.rule_for(said.name)
    thresholds = {} if rule is None else {"review_at": rule.review_at, "nsfw_at": rule.nsfw_at}
    return {
        f"policy's {key}": OperatingPoint(at, confusion_at(said.data, float(np.float32(at))))  # as `reached` has it
        for key, at in thresholds.items()
        if at is not None
    }


def _disputed(seen: Sequence[Seen], policy: Policy) -> dict[int, Reason]:
    widest = {row: max(disagreements(each, policy), default=None) for row, each in enumerate(seen)}
    found = [(row, why) for row, why in widest.items() if why is not None]
    return dict(sorted(found, key=lambda each: -each[1].strength))


def _rates(
    said: Sequence[Scored], ranks: Sequence[NDArray[np.int64]], truth: Scored, *, resamples: int, seed: int
) -> Iterator[Rate]:
    """AUC and average precision of all scores in turn; then of verdicts, by level, what is missed below it and flagged.

    Where such a share is all or nothing every draw says the same, which is no certainty: then groups are counted, as if
    each had been drawn by itself.
    """
    wrong = [(of, (given >= level.rank) != of) for given in ranks for level in _GRAVER for of in (True, False)]

    def measures(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = [row for data in said for row in areas(data, weights)]
        for of, mistaken in wrong:
            those = weights * (truth.labels == of)
            rows.append((those * mistaken).sum(axis=1) / those.sum(axis=1))
        return np.array(rows)

    values = measures(truth.weights[None])[:, 0]
    try:
        intervals: list[Interval] | None = bootstrap_all(measures, truth, resamples=resamples, seed=seed)
    except EvaluationError:
        intervals = None
    for row, value in enumerate(values.tolist()):
        interval = None if intervals is None else intervals[row]
        if interval is not None and row >= 2 * len(said) and value in (0, 1):
            of, _ = wrong[row - 2 * len(said)]
            groups = len(np.unique(truth.groups[(truth.labels == of) & (truth.weights > 0)]))
            interval = wilson(int(value) * groups, groups)
        yield Rate(value=value, interval=interval)


def _judged(policy: Policy, verdicts: tuple[Verdict, ...], truth: Scored, rates: Iterator[Rate]) -> JudgedPolicy:
    ranks = np.array([verdict.level.rank for verdict in verdicts])

    def weight(level: Level, nsfw: bool) -> float:
        return float(truth.weights[(ranks == level.rank) & (truth.labels == nsfw)].sum())

    found = {level: (next(rates), next(rates)) for level in _GRAVER}
    return JudgedPolicy(
        policy=policy,
        verdicts=verdicts,
        weights={level: (weight(level, False), weight(level, True)) for level in Level},
        missed={level: missed for level, (missed, _) in found.items()},
        flagged={level: flagged for level, (_, flagged) in found.items()},
    )


def _scores(
    seen: Sequence[Seen], policies: Sequence[Policy], verdicts: Sequence[Sequence[Verdict]]
) -> Iterator[tuple[str, Kind, NDArray[np.float64], bool]]:
    """Name, kind, scores, and whether the first policy goes by them."""
    main = policies[0]
    for policy, given in zip(policies, verdicts, strict=True):
        yield policy.name, "policy", np.array([verdict.score for verdict in given]), policy is main
    first = seen[0].evidence
    asked = counted_by(main, first.classifiers)
    judging = main.picture.judged_by({name: first.classifiers[name] for name in asked})
    for name in first.classifiers:
        scores = np.array([each.evidence.scores[name].probability for each in seen])
        counted = name in judging
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
