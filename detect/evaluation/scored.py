"""What one model said of labelled pictures: the one form in which everything here takes scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detect.errors import EvaluationError

__all__ = ["Scored", "finite_scores", "group_numbers"]


@dataclass(frozen=True, eq=False, init=False)
class Scored:
    """Labels and scores of N pictures, checked when made; the arrays are read-only.

    Attributes:
        labels: bool, (N,): whether the picture is positive, which is to say NSFW.
        scores: float64, (N,), finite: the higher, the likelier positive.
        weights: float64, (N,), not below 0: how often each picture counts.
        groups: intp, (N,): pictures of one number are no two independent ones (near-duplicates, one source's).
    """

    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[np.intp]

    def __init__(
        self,
        labels: ArrayLike,
        scores: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> None:
        """Check and copy.

        Args:
            labels: (N,), true and false or 1 and 0.
            scores: (N,), finite.
            weights: (N,), not below 0; each 1 if left out.
            groups: (N,) numbers or names; each picture by itself if left out.

        Raises:
            ValueError: Lengths differ, a label is something else, a score is not finite, a weight is not finite or
                below 0.
            EvaluationError: There are no pictures, or, among those that weigh anything, none of one class.
        """
        values = finite_scores(scores)
        count = len(values)
        truth = np.asarray(labels)
        if truth.shape != (count,):
            raise ValueError(f"{count} scores need as many labels, not an array of shape {truth.shape}")
        if not count:
            raise EvaluationError("no pictures: expected some of each class")
        if truth.dtype.kind not in "biuf" or not np.isin(truth, (0, 1)).all():
            raise ValueError("each label must be true or false, 1 or 0")
        truth = truth.astype(np.bool_)
        weigh = _checked_weights(weights, truth)
        given = {"labels": truth, "scores": values, "weights": weigh, "groups": group_numbers(groups, count)}
        for name, array in given.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Pictures."""
        return len(self.scores)

    def reweighted(self, weights: ArrayLike) -> Scored:
        """The same pictures with other weights.

        Args:
            weights: (N,), not below 0.

        Raises:
            ValueError: The weights have another length, or one is not finite or below 0.
            EvaluationError: A class has no weight left.
        """
        made = object.__new__(Scored)  # all but the weights has been checked, and an interval takes thousands of these
        weigh = _checked_weights(weights, self.labels)
        weigh.flags.writeable = False
        for name, array in (
            ("labels", self.labels),
            ("scores", self.scores),
            ("weights", weigh),
            ("groups", self.groups),
        ):
            object.__setattr__(made, name, array)
        return made

    def rescored(self, scores: ArrayLike) -> Scored:
        """The same pictures with other scores, such as calibrated ones.

        Args:
            scores: (N,), finite.

        Raises:
            ValueError: The scores have another length, or one is not finite.
        """
        return Scored(self.labels, scores, weights=self.weights, groups=self.groups)

    def part(self, chosen: NDArray[np.bool_]) -> Scored:
        """Some of the pictures.

        Args:
            chosen: bool, (N,).

        Raises:
            ValueError: `chosen` has another shape.
            EvaluationError: Among them is none of one class.
        """
        if chosen.shape != self.labels.shape:
            raise ValueError(f"{len(self)} pictures need as many choices, not an array of shape {chosen.shape}")
        return Scored(
            self.labels[chosen], self.scores[chosen], weights=self.weights[chosen], groups=self.groups[chosen]
        )


def _checked_weights(weights: ArrayLike | None, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A copy, (N,)."""
    count = len(labels)
    weigh = np.ones(count) if weights is None else np.array(weights, np.float64)
    if weigh.shape != (count,):
        raise ValueError(f"{count} scores need as many weights, not an array of shape {weigh.shape}")
    if not (np.isfinite(weigh) & (weigh >= 0)).all():
        raise ValueError("each weight must be finite and not below 0")
    for wanted, name in ((True, "positive (NSFW)"), (False, "negative (safe)")):
        if not weigh[labels == wanted].any():
            raise EvaluationError(f"none of {count} pictures is {name}: expected some of each class")
    return weigh


def finite_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """A copy as float64.

    Args:
        scores: (N,).

    Raises:
        ValueError: Another shape; or a score is NaN or infinite, and the message says which one.
    """
    values = np.array(scores, np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores must have shape (N,), not {values.shape}")
    odd = np.flatnonzero(~np.isfinite(values))
    if len(odd):
        raise ValueError(f"{len(odd)} of {len(values)} scores are not finite, the first at position {odd[0]}")
    return values


def group_numbers(groups: ArrayLike | None, count: int) -> NDArray[np.intp]:
    """Groups by number.

    Args:
        groups: (N,) numbers or names; None for each by itself.
        count: N.

    Returns:
        intp, (N,), numbered from 0 without gaps.

    Raises:
        ValueError: There is another number of them than `count`.
    """
    if groups is None:
        return np.arange(count, dtype=np.intp)
    given = np.asarray(groups)
    if given.shape != (count,):
        raise ValueError(f"{count} pictures need as many groups, not an array of shape {given.shape}")
    return np.unique(given, return_inverse=True)[1].reshape(count).astype(np.intp)
