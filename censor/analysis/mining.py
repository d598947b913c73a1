"""Which pictures of a collection are worth a person's label: where models err, disagree, or waver, with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from censor.analysis.collection import Collection, as_csv, said_of
from censor.analysis.looking import Seen
from censor.policy import Policy
from censor.verdict import Level
from detect.annotations.autolabel import box_records
from detect.annotations.convert import category_records
from detect.annotations.document import Document
from detect.labels import canonical

__all__ = [
    "HIGH",
    "LOW",
    "Mined",
    "Reason",
    "coco_document",
    "disagreements",
    "mine",
    "mined_csv",
    "names_below",
    "reasons",
]

LOW, HIGH = 0.2, 0.8
"""Probabilities from which a classifier has made up its mind.

Source:
    README of Yahoo's open_nsfw: below .2 likely safe, above .8 highly probable NSFW.
"""

_LABELED = 0.2
"""Score from which a detector's box goes into the COCO file: people delete faster than they draw."""


@dataclass(frozen=True, order=True)
class Reason:
    """Why a picture is worth a label.

    Attributes:
        strength: In [0, 1].
        kind: ``false alarm``, ``detector against classifier``, ``classifiers disagree`` or ``near a threshold``.
        text: Who says what.
    """

    strength: float
    kind: str
    text: str


@dataclass(frozen=True)
class Mined:
    """A picture that is worth a label: its row in the collection, and why, the strongest reason first."""

    row: int
    reasons: tuple[Reason, ...]


def mine(
    collection: Collection, policy: Policy, *, most: int = 200, margin: float = 0.05, harmless: bool = False
) -> list[Mined]:
    """Choose pictures; of near-duplicates the one with the strongest reason.

    Args:
        collection: The pictures.
        policy: Whose thresholds and verdicts.
        most: At most so many, at least 1.
        margin: See `reasons`.
        harmless: See `reasons`.

    Returns:
        The strongest reason first; of equal ones in the order of their paths.

    Raises:
        PolicyError: The policy judges nothing that was looked for.
        ValueError: `most` is below 1, or `margin` not in [0, 1].
    """
    if most < 1 or not 0 <= margin <= 1:
        raise ValueError(f"need most of at least 1 and margin in [0, 1], not {most} and {margin}")
    found = {
        row: sorted(reasons(each, policy, margin=margin, harmless=harmless), reverse=True)
        for row, each in enumerate(collection.seen)
    }
    order = sorted(
        (row for row, why in found.items() if why),
        key=lambda row: (-found[row][0].strength, str(collection.paths[row])),
    )
    return [Mined(row, tuple(found[row])) for row in collection.leaders(order)[:most]]


def reasons(seen: Seen, policy: Policy, *, margin: float = 0.05, harmless: bool = False) -> Iterator[Reason]:
    """All reasons why a picture is worth a label.

    Args:
        seen: What was found in it.
        policy: Whose thresholds and verdict.
        margin: How near a threshold is near.
        harmless: A person says that there is nothing NSFW among these pictures: whatever is found is a false alarm.

    Raises:
        PolicyError: The policy judges nothing that was looked for.
    """
    verdict = seen.judged(policy)
    if harmless and verdict.level is not Level.SAFE:
        yield Reason(verdict.score, "false alarm", f"{verdict.level.value}: {verdict.reasons[0]}")
    yield from disagreements(seen, policy)
    yield from _near(_judged_boxes(seen, policy), _said(seen, policy), policy, margin)


def disagreements(seen: Seen, policy: Policy) -> Iterator[Reason]:
    """Where the detector and a classifier, or two classifiers, contradict each other: both are sure, and one is wrong.

    Args:
        seen: What was found in a picture.
        policy: From which score on a box counts.
    """
    said = _said(seen, policy)
    yield from _against(_judged_boxes(seen, policy), said, policy)
    if len(said) > 1:
        high, low = max(said, key=lambda name: said[name]), min(said, key=lambda name: said[name])
        if said[high] >= HIGH and said[low] < LOW:
            text = f"{high} {said[high]:.2f}, {low} {said[low]:.2f}"
            yield Reason(said[high] - said[low], "classifiers disagree", text)


def _said(seen: Seen, policy: Policy) -> dict[str, float]:
    """What classifiers say, but for those that are asked for comparison only."""
    return {name: scores.probability for name, scores in seen.counted(policy).scores.items()}


def _judged_boxes(seen: Seen, policy: Policy) -> list[tuple[str, float]]:
    """Label and score of each box that the policy may judge, the best first."""
    boxes = seen.evidence.boxes
    found = [(boxes.label(row), float(boxes.scores[row])) for row in range(len(boxes))]
    judged = [(label, score) for label, score in found if (rule := policy.rule_for(label)) is not None and rule.judges]
    return sorted(judged, key=lambda each: -each[1])


def _against(boxes: Sequence[tuple[str, float]], said: dict[str, float], policy: Policy) -> Iterator[Reason]:
    """Where the detector is sure and a classifier sees nothing, or the reverse."""
    kind = "detector against classifier"
    best = boxes[0] if boxes else ("no box", 0.0)
    rule = policy.rule_for(best[0])
    least = [] if rule is None else [at for at in (rule.review_at, rule.nsfw_at) if at is not None]
    counts = bool(least) and best[1] >= min(least)
    sure = rule is not None and rule.nsfw_at is not None and best[1] >= rule.nsfw_at
    for name, probability in said.items():
        text = f"{best[0]} {best[1]:.2f}, {name} {probability:.2f}"
        if (sure and probability < LOW) or (not counts and probability >= HIGH):
            yield Reason(abs(best[1] - probability), kind, text)


def _near(
    boxes: Sequence[tuple[str, float]], said: dict[str, float], policy: Policy, margin: float
) -> Iterator[Reason]:
    """What lies so near a threshold that another save of the picture may decide otherwise."""
    asked: list[tuple[str, float, object, tuple[str, ...]]] = [
        (label, score, policy.rule_for(label), ("censor_at", "review_at", "nsfw_at")) for label, score in boxes
    ]
    asked += [(name, said[name], policy.picture, ("review_at", "nsfw_at")) for name in policy.picture.counted(said)]
    held = [(name, score, key, getattr(rule, key)) for name, score, rule, keys in asked for key in keys]
    near = [each for each in held if each[3] is not None and abs(each[1] - each[3]) <= margin]
    if near:
        name, score, key, at = min(near, key=lambda each: abs(each[1] - each[3]))
        strength = 0.5 * (1 - abs(score - at) / margin) if margin else 0.5
        yield Reason(strength, "near a threshold", f"{name} {score:.3f}, {key} {at:g}")


def mined_csv(collection: Collection, mined: Sequence[Mined], policy: Policy, names: Sequence[str]) -> bytes:
    """A line for each picture, for a person or a program that labels.

    Args:
        collection: All pictures.
        mined: Those that were chosen.
        policy: Whose verdicts.
        names: What each is called in the COCO file.
    """
    rows = [
        {
            "path": str(collection.paths[each.row]),
            "file_name": name,
            "reason": each.reasons[0].kind,
            "detail": "; ".join(f"{reason.kind}: {reason.text}" for reason in each.reasons),
            "strength": f"{each.reasons[0].strength:.4f}",
            "alike": collection.count(each.row),
            **said_of(collection.seen[each.row], policy),
        }
        for each, name in zip(mined, names, strict=True)
    ]
    return as_csv(rows, list(rows[0]) if rows else ["path", "file_name", "reason", "detail", "strength"])


def coco_document(
    collection: Collection, mined: Sequence[Mined], names: Sequence[str], labels: Sequence[str]
) -> Document:
    """The same as a COCO file, with the detector's boxes to begin from.

    Args:
        collection: All pictures.
        mined: Those that were chosen.
        names: What each is called below the folder of pictures.
        labels: The detector's, which become the categories.
    """
    categories = [canonical(label) for label in labels]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (each, name) in enumerate(zip(mined, names, strict=True), 1):
        seen = collection.seen[each.row]
        why = "; ".join(f"{reason.kind}: {reason.text}" for reason in each.reasons)
        images.append({"id": number, "file_name": name, "width": seen.width, "height": seen.height, "reason": why})
        boxes = seen.evidence.boxes.by_score()
        for record in box_records(boxes, width=seen.width, height=seen.height, min_score=_LABELED):
            category = categories.index(record.pop("label")) + 1
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category, **record, "iscrowd": 0}
            )
    return {"categories": category_records(categories), "images": images, "annotations": annotations}


def names_below(paths: Sequence[Path]) -> tuple[Path, list[str]]:
    """The folder that all files lie in, and what they are called from there."""
    absolute = [os.path.abspath(path) for path in paths]  # noqa: PTH100  # resolve() would follow links
    folder = Path(os.path.commonpath([os.path.dirname(path) for path in absolute])) if absolute else Path.cwd()  # noqa: PTH120
    return folder, [Path(path).relative_to(folder).as_posix() for path in absolute]
