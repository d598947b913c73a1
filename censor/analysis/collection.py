"""Pictures of which nobody has said what they are: what is found in them, and which of them look alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from censor.analysis.looking import Look, Seen
from censor.analysis.page import Block, Paragraph, Section, Table
from censor.analysis.thumbnails import Wanted
from censor.policy import Policy
from detect.errors import EvaluationError
from detect.evaluation.labeled import LabeledPicture
from detect.labels import resolve, taken

__all__ = ["TIMES", "VERDICT", "Collection", "as_csv", "said_of", "score_by", "unlabeled", "unreadable_section"]

TIMES = "\u00d7"
"""The sign of multiplication, before how many pictures one stands for."""

VERDICT = "verdict"
"""What pictures may be ranked by besides classifiers and labels: the score of the policy's verdict."""


def unlabeled(files: Sequence[Path]) -> list[LabeledPicture]:
    """Pictures for those who ask networks: they go by the label of none, and here each has the same."""
    return [LabeledPicture(path=path, nsfw=False) for path in files]


@dataclass(frozen=True, eq=False)
class Collection:
    """What was found in the N pictures that could be read.

    Attributes:
        paths: In the order found.
        contents: The hash of each one's file.
        seen: What was found in each.
        groups: intp, (N,): those of one number look alike.
        unreadable: Why each of the others could not be read; each reason names its file. They have no score.
    """

    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    seen: tuple[Seen, ...]
    groups: NDArray[np.intp]
    unreadable: tuple[str, ...]

    @classmethod
    def of(cls, look: Look, refused: Sequence[str] = ()) -> Collection:
        """What was looked at, and reasons why other files were not even begun."""
        failed = tuple(reason for _, reason in look.answers.unreadable)
        paths = tuple(picture.path for picture in look.answers.pictures)
        return cls(paths, look.answers.contents, look.seen, look.answers.groups(), (*refused, *failed))

    def leaders(self, order: Sequence[int]) -> list[int]:
        """Of each group the picture that comes first in an order, in that order."""
        first: dict[int, int] = {}
        for row in order:
            first.setdefault(int(self.groups[row]), row)
        return list(first.values())

    def count(self, row: int) -> int:
        """How many pictures look like this one, itself among them."""
        return int((self.groups == self.groups[row]).sum())

    def wanted(self, row: int, caption: str) -> Wanted:
        """What is to be known for a picture's thumbnail.

        Args:
            row: Which one.
            caption: What is said of it.
        """
        return Wanted(path=self.paths[row], content=self.contents[row], seen=self.seen[row], caption=caption)


def score_by(by: str, seen: Sequence[Seen], policy: Policy, *, names: Sequence[str]) -> NDArray[np.float64]:
    """One number of each picture to rank by.

    Args:
        by: `VERDICT`, the name of a classifier that was asked, or a label.
        seen: What was found in N pictures.
        policy: Whose verdict.
        names: The detector's labels.

    Returns:
        float64, (N,), each in [0, 1]: a classifier's probability of NSFW, the score of the best box, or of the verdict.

    Raises:
        EvaluationError: The detector never reports the label.
        PolicyError: The policy judges nothing that was looked for.
        UnknownLabelError: It is none of these.
    """
    if by == VERDICT:
        return np.array([each.judged(policy).score for each in seen])
    if seen and by in seen[0].evidence.scores:
        return np.array([each.evidence.scores[by].probability for each in seen])
    label = resolve(by, names)
    wanted = set(taken(label, names))
    if not wanted:
        raise EvaluationError(f"the detector never reports {label}; it reports {', '.join(names)}")

    def best(each: Seen) -> float:
        boxes = each.evidence.boxes
        return max((float(boxes.scores[row]) for row in range(len(boxes)) if boxes.label(row) in wanted), default=0.0)

    return np.array([best(each) for each in seen])


def said_of(each: Seen, policy: Policy) -> dict[str, str]:
    """What tables say of a picture: the verdict, and each classifier's probability."""
    scores = {name: f"{said.probability:.4f}" for name, said in each.evidence.scores.items()}
    verdict = each.judged(policy)
    return {"level": verdict.level.value, VERDICT: f"{verdict.score:.4f}", **scores}


def as_csv(rows: Sequence[Mapping[str, object]], header: Sequence[str]) -> bytes:
    """A table; bytes of names that are no text are spelled out."""
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


def unreadable_section(collection: Collection) -> list[Section]:
    """What could not be read, if anything: nobody should take it for safe."""
    if not collection.unreadable:
        return []
    count = len(collection.unreadable)
    said = f"{count} file{'s' * (count > 1)} could not be read, and {'have' if count > 1 else 'has'} no score."
    blocks: list[Block] = [Paragraph(said, emphasis=True)]
    return [Section("Not read", [*blocks, Table(["why"], [[reason] for reason in collection.unreadable])])]
