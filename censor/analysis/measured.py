"""What is measured of those who judge labelled pictures: labels, classifiers, policies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from censor.policy import Policy
from censor.verdict import Level, Verdict
from detect.evaluation.intervals import Interval
from detect.evaluation.operating import OperatingPoint
from detect.evaluation.reliability import Reliability, brier_score, reliability
from detect.evaluation.scored import Scored

__all__ = ["Judge", "JudgedPolicy", "Kind", "Rate", "bins", "point_dict"]

Kind = Literal["policy", "classifier", "label"]


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
        confidence = None if self.interval is None else self.interval.confidence
        return {"value": self.value, "interval": ends, "confidence": confidence}


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
        points: Thresholds and what they do, by what they are for: first those that the policy has for it.
    """

    name: str
    kind: Kind
    data: Scored
    counts: bool
    auc: Rate
    ap: Rate
    points: Mapping[str, OperatingPoint]

    @property
    def reliability(self) -> Reliability | None:
        """What a classifier's scores say beside what is so; None of others, whose scores mean nothing of the kind."""
        return reliability(self.data) if self.kind == "classifier" else None

    @property
    def brier_score(self) -> float | None:
        """See `detect.evaluation.reliability.brier_score`; None where there is no `reliability`."""
        return brier_score(self.data) if self.kind == "classifier" else None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        found = self.reliability
        return {
            "name": self.name,
            "kind": self.kind,
            "counts": self.counts,
            "auc": self.auc.to_dict(),
            "average_precision": self.ap.to_dict(),
            "points": {name: point_dict(point) for name, point in self.points.items()},
            **({} if found is None else {"brier_score": self.brier_score, "reliability": _reliability_dict(found)}),
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


def point_dict(point: OperatingPoint) -> dict[str, float | None]:
    """A threshold and what it does, for JSON and tables; None for what cannot be said."""
    confusion, precision = point.confusion, point.confusion.precision
    return {
        "threshold": point.threshold if np.isfinite(point.threshold) else None,
        **dataclasses.asdict(confusion),
        "miss_rate": confusion.miss_rate,
        "false_alarm_rate": confusion.false_alarm_rate,
        "precision": precision if np.isfinite(precision) else None,
        "f1": confusion.f1,
    }


def _reliability_dict(found: Reliability) -> dict[str, object]:
    return {"expected_calibration_error": found.expected_calibration_error, "bins": bins(found)}


def bins(found: Reliability) -> list[dict[str, float | None]]:
    """For JSON and tables: what there is between two scores; None for the means of what is empty."""
    columns = found.edges[:-1], found.edges[1:], found.weights, found.said, found.observed
    rows = np.stack(columns, axis=1).tolist()
    return [
        {
            "from": low,
            "to": high,
            "weight": weight,
            **({"said": said, "observed": seen} if weight else dict.fromkeys(("said", "observed"))),
        }
        for low, high, weight, said, seen in rows
    ]
