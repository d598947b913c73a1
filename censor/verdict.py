"""From boxes to a verdict that can be defended: a level, a score, and for each box that counted the rule it met."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from censor.errors import PolicyError
from censor.policy import Policy, reached
from censor.records import ReasonRecord, VerdictRecord
from detect.boxes import area, clip
from detect.detections import Detections

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
    """One box that met a rule.

    Attributes:
        label: The box's label.
        score: The box's score, in [0, 1].
        rule: The policy's key that it met: "nsfw_at" or "review_at".
        threshold: That key's value.
        area: Share of the picture that the box covers, in [0, 1].
        xyxy: The box, in the picture's pixels.
    """

    label: str
    score: float
    rule: str
    threshold: float
    area: float
    xyxy: tuple[float, float, float, float]

    def __str__(self) -> str:
        return f"{self.label} {self.score:.2f} >= {self.rule} {self.threshold:g}, {self.area:.1%} of the picture"

    def to_dict(self) -> ReasonRecord:
        """For JSON; numbers rounded to what they are worth."""
        return {
            "label": self.label,
            "score": round(self.score, 4),
            "rule": self.rule,
            "threshold": self.threshold,
            "area": round(self.area, 5),
            "xyxy": [round(edge, 1) for edge in self.xyxy],
        }


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a picture is under a policy, and why.

    Attributes:
        level: The gravest level that any box reached.
        score: The best score among boxes whose label can count for the verdict, met or not; 0 without any.
        reasons: The boxes that met a rule, gravest first, then best score first.
        policy: Name of the policy.
    """

    level: Level
    score: float
    reasons: tuple[Reason, ...]
    policy: str

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
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


def judge(detections: Detections, policy: Policy, *, width: int, height: int) -> Verdict:
    """Judge one picture.

    Args:
        detections: The detector's boxes.
        policy: Rules by label; boxes of other labels do not count.
        width: The picture's columns.
        height: Its rows.

    Returns:
        The verdict. A score equal to a threshold meets it.

    Raises:
        PolicyError: No rule judges anything that the detector reports, so every picture would be safe.
    """
    if not policy.judges(detections.names):
        raise PolicyError(f"policy {policy.name!r} judges nothing that the detector reports")
    shares = area(clip(detections.xyxy, width=width, height=height)) / (width * height)
    best = 0.0
    reasons: list[Reason] = []
    for row in range(len(detections)):
        label, score, share = detections.label(row), float(detections.scores[row]), float(shares[row])
        rule = policy.rules.get(label)
        if rule is None or not rule.judges or share < rule.min_area:
            continue
        best = max(best, score)
        for key, threshold in (("nsfw_at", rule.nsfw_at), ("review_at", rule.review_at)):
            if threshold is not None and reached(score, threshold):
                x0, y0, x1, y1 = detections.xyxy[row].tolist()
                reasons.append(
                    Reason(label=label, score=score, rule=key, threshold=threshold, area=share, xyxy=(x0, y0, x1, y1))
                )
                break
    reasons.sort(key=lambda reason: (reason.rule != "nsfw_at", -reason.score))
    level = Level.SAFE if not reasons else Level.NSFW if reasons[0].rule == "nsfw_at" else Level.REVIEW
    return Verdict(level=level, score=best, reasons=tuple(reasons), policy=policy.name)
