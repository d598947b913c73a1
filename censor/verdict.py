"""From evidence to a verdict that can be defended: a level, a score, and for all that counted the rule it met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from censor.errors import PolicyError
from censor.evidence import Evidence
from censor.heat import hottest
from censor.policy import Policy
from censor.records import ReasonRecord, VerdictRecord
from censor.rules import Rule, reached
from detect.boxes import area, clip
from detect.classifier.scores import Scores

__all__ = ["Level", "Reason", "Verdict", "judge"]


class Level(StrEnum):
    """What a picture is, from harmless to not: safe < review < nsfw.

    Equal to its text and written as it (JSON, f-strings).

    Raises:
        TypeError: `<`, `<=`, `>` or `>=` with anything but a level.
    """

    SAFE = "safe"
    REVIEW = "review"
    NSFW = "nsfw"

    @property
    def rank(self) -> int:
        """0 for safe, 1 for review, 2 for nsfw."""
        return list(Level).index(self)

    # Text would order itself by its letters, and `max` call a picture safe. Only levels are compared: a plain text
    # would answer by its letters if these said NotImplemented.

    def __lt__(self, other: str) -> bool:
        return self.rank < _rank(other)

    def __le__(self, other: str) -> bool:
        return self.rank <= _rank(other)

    def __gt__(self, other: str) -> bool:
        return self.rank > _rank(other)

    def __ge__(self, other: str) -> bool:
        return self.rank >= _rank(other)


def _rank(other: object) -> int:
    if not isinstance(other, Level):
        raise TypeError(f"a Level is compared with a Level, not with {other!r}")
    return other.rank


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One box or one classifier that met a rule.

    Attributes:
        label: The box's label; "NSFW" for what a classifier's probability is of, or another of the names that it gives.
        score: The box's score or the classifier's probability, in [0, 1].
        rule: The policy's key that it met: "nsfw_at" or "review_at"; "confirm_at" for a box that met "nsfw_at" while no
            classifier met this, so that a person should look.
        threshold: That key's value.
        area: Share of the picture that the box covers, in [0, 1]; 1 for a classifier, which judges all of it.
        xyxy: The box, in the picture's pixels; of a classifier, where it sees most, or None if it does not say where.
        classifier: Its name; None for a box.
        calibrated: Whether the score is what the policy's calibration made of what the classifier said: a probability.
    """

    label: str
    score: float
    rule: str
    threshold: float
    area: float
    xyxy: tuple[float, float, float, float] | None
    classifier: str | None = None
    calibrated: bool = False

    @property
    def level(self) -> Level:
        """What it makes of the picture by itself."""
        return Level.NSFW if self.rule == "nsfw_at" else Level.REVIEW

    def __str__(self) -> str:
        if self.classifier is not None:
            what = f"{self.label} {self.score:.2f}{' calibrated' * self.calibrated}"
            said = f"{self.classifier}: {what} >= {self.rule} {self.threshold:g}"
            return said if self.xyxy is None else f"{said}, most at {','.join(f'{edge:.0f}' for edge in self.xyxy)}"
        share = f"{self.area:.1%} of the picture"
        if self.rule == "confirm_at":
            return f"{self.label} {self.score:.2f}, {share}; no classifier >= confirm_at {self.threshold:g}"
        return f"{self.label} {self.score:.2f} >= {self.rule} {self.threshold:g}, {share}"

    def to_dict(self) -> ReasonRecord:
        """For JSON; numbers rounded to what they are worth."""
        return {
            "label": self.label,
            "score": round(self.score, 4),
            "rule": self.rule,
            "threshold": self.threshold,
            "area": round(self.area, 5),
            "xyxy": None if self.xyxy is None else [round(edge, 1) for edge in self.xyxy],
            "classifier": self.classifier,
            "calibrated": self.calibrated,
        }


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a picture is under a policy, and why.

    Attributes:
        level: The gravest level that any box or classifier reached.
        score: The best score among boxes whose label can count for the verdict and classifiers that can, met or not; 0
            without any.
        reasons: The boxes and the classifiers that met a rule, gravest first, then best score first.
        policy: Name of the policy.
        models: Names of the detectors and classifiers that judged.
    """

    level: Level
    score: float
    reasons: tuple[Reason, ...]
    policy: str
    models: tuple[str, ...] = ()

    @property
    def nsfw(self) -> bool:
        """Whether the level is `Level.NSFW`."""
        return self.level is Level.NSFW

    def to_dict(self) -> VerdictRecord:
        """For JSON."""
        return {
            "level": self.level.value,
            "nsfw": self.nsfw,
            "score": round(self.score, 4),
            "policy": self.policy,
            "models": list(self.models),
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


def judge(evidence: Evidence, policy: Policy, *, width: int, height: int) -> Verdict:
    """Judge one picture.

    Args:
        evidence: Boxes, and what classifiers say.
        policy: Rules by label and for the whole picture; boxes of other labels and other classifiers do not count.
        width: The picture's columns.
        height: Its rows.

    Returns:
        The verdict. A score equal to a threshold meets it. What classifiers say never makes it milder than review
        where a box says so, nor do boxes where a classifier says so.

    Raises:
        PolicyError: No rule judges anything that was looked for, so every picture would be safe.
    """
    names, classifiers = evidence.boxes.names, evidence.classifiers
    if not policy.judges(names, classifiers):
        raise PolicyError(f"policy {policy.name!r} judges nothing that the detector reports")
    of_boxes, best = _box_reasons(evidence, policy, width=width, height=height)
    reasons = [*of_boxes, *_score_reasons(evidence.scores, policy, width=width, height=height)]
    reasons.sort(key=lambda reason: (-reason.level.rank, -reason.score))
    judged_by = policy.picture.judged_by(classifiers)
    return Verdict(
        level=reasons[0].level if reasons else Level.SAFE,
        score=max([best, *(evidence.scores[name].probability for name in judged_by)]),
        reasons=tuple(reasons),
        policy=policy.name,
        models=(*(model for model, found in evidence.detectors.items() if policy.judges(found)), *judged_by),
    )


def _box_reasons(evidence: Evidence, policy: Policy, *, width: int, height: int) -> tuple[list[Reason], float]:
    """The boxes that met a rule, and the best score of those that could have."""
    found, best, reasons = evidence.boxes, 0.0, []
    shares = area(clip(found.xyxy, width=width, height=height)) / (width * height)
    counted = policy.picture.counted(evidence.scores)
    said = max((evidence.scores[name].probability for name in counted), default=1.0)  # nobody there denies anything
    for row in range(len(found)):
        label, score, share = found.label(row), float(found.scores[row]), float(shares[row])
        rule = policy.rule_for(label)
        if rule is None or not rule.judges or share < rule.min_area:
            continue
        best = max(best, score)
        x0, y0, x1, y1 = found.xyxy[row].tolist()
        if (met := _met(rule, score, said)) is not None:
            key, at = met
            reasons.append(Reason(label=label, score=score, rule=key, threshold=at, area=share, xyxy=(x0, y0, x1, y1)))
    return reasons, best


def _met(rule: Rule, score: float, said: float) -> tuple[str, float] | None:
    """The key that a box meets, with its threshold, where the classifier that says most says so much."""
    if rule.nsfw_at is not None and reached(score, rule.nsfw_at):
        if rule.confirm_at is not None and not reached(said, rule.confirm_at):
            return "confirm_at", rule.confirm_at
        return "nsfw_at", rule.nsfw_at
    if rule.review_at is not None and reached(score, rule.review_at):
        return "review_at", rule.review_at
    return None


def _score_reasons(scores: Mapping[str, Scores], policy: Policy, *, width: int, height: int) -> list[Reason]:
    """What classifiers say that met a rule of the picture."""
    rule = policy.picture
    reasons, nsfw_by = [], rule.nsfw_by(scores)
    for name in rule.counted(scores):
        given = scores[name]
        met = [("NSFW", given.probability, "review_at", rule.review_at)]
        if name in nsfw_by:
            met = [("NSFW", given.probability, "nsfw_at", rule.nsfw_at)]
        met += [(label, given.value(label), "review_at", at) for label, at in rule.labels if label in given.names]
        for label, score, key, at in met:
            if at is not None and reached(score, at):
                whole = label == "NSFW"
                reasons.append(
                    Reason(
                        label=label,
                        score=score,
                        rule=key,
                        threshold=at,
                        area=1.0,
                        xyxy=hottest(given, width=width, height=height) if whole else None,
                        classifier=name,
                        calibrated=whole and name in policy.calibrations,
                    )
                )
    return reasons
