"""Thresholds with a guarantee for pictures to come: at most so many misses, or false alarms.

The guarantee, which has a stated confidence, is about pictures like those it was made from. It holds if these are a
fair sample of what is to come, if none is there twice (near-duplicates and one source's pictures are one group, and a
group counts once), and if nothing that makes the scores was fitted on them: neither weights, nor a calibration, nor the
rules that are tried here. `split_by_group` makes such a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detect.errors import EvaluationError
from detect.evaluation.binomial import (
    binomial_cdf,
    binomial_p_value,
    fewest_without_mistakes,
    hoeffding_bentkus_p_value,
)
from detect.evaluation.scored import finite_scores, group_numbers

__all__ = [
    "Guarantee",
    "Mistake",
    "guarantee_false_alarms",
    "guarantee_fused",
    "guarantee_misses",
    "prove_in_sequence",
    "split_by_group",
    "threshold_path",
]

Mistake: TypeAlias = Literal["misses", "false alarms"]
"""What is guaranteed to be rare: positives that are not flagged, or negatives that are."""

_KINDS: dict[Mistake, str] = {"misses": "positive (NSFW)", "false alarms": "negative (safe)"}


@dataclass(frozen=True)
class Guarantee:
    """With a chance of at least `confidence`, mistakes are no more frequent than `rate`.

    The chance is over samples to make it from, the frequency over all groups that there are: a group in which any
    picture is a mistake is one.

    Attributes:
        of: Which mistakes.
        thresholds: One for each model; a model flags what scores at least this. Infinite where a fused rule flags
            everything, or nothing; above 1 where so many negatives score 1 that nothing may be flagged.
        votes: How many models must flag a picture for it to be flagged.
        rate: In (0, 1).
        confidence: In (0, 1).
        groups: How many independent pictures it rests on.
        mistakes: In how many of these groups the rule makes one.
    """

    of: Mistake
    thresholds: tuple[float, ...]
    votes: int
    rate: float
    confidence: float
    groups: int
    mistakes: int


def guarantee_misses(
    positives: ArrayLike, *, rate: float, confidence: float = 0.95, groups: ArrayLike | None = None
) -> Guarantee:
    """The highest threshold of which it can be said that it misses no more than a share of the positives.

    A group counts with its lowest score. Of n groups' scores in order the k-th is the threshold, where k is the largest
    number with ``BinomialCDF(k - 1; n, rate) <= 1 - confidence``. Equal scores make it safer.

    Args:
        positives: Scores of positive pictures, (N,), finite; flagged is what scores at least the threshold.
        rate: The share that may be missed, in (0, 1).
        confidence: In (0, 1).
        groups: (N,) numbers or names; each picture by itself if left out.

    Raises:
        ValueError: A score is not finite, `groups` has another length, `rate` or `confidence` is out of its range.
        EvaluationError: There are too few groups for the guarantee; the message says how many are missing.

    Source:
        The distribution-free tolerance bound of Wilks 1941: order statistics.
    """
    lowest = _extremes(positives, groups, lowest=True)
    rank = _rank(len(lowest), rate=rate, confidence=confidence, of="misses")
    threshold = float(lowest[rank - 1])
    missed = int((lowest < threshold).sum())
    return Guarantee("misses", (threshold,), 1, rate, confidence, len(lowest), missed)


def guarantee_false_alarms(
    negatives: ArrayLike, *, rate: float, confidence: float = 0.95, groups: ArrayLike | None = None
) -> Guarantee:
    """The lowest threshold of which it can be said that it flags no more than a share of the negatives.

    A group counts with its highest score. Of n groups' scores from the highest down, the threshold is the next number
    above the k-th, with k as for misses.

    Args:
        negatives: Scores of negative pictures, (N,), finite; flagged is what scores at least the threshold.
        rate: The share that may be flagged, in (0, 1).
        confidence: In (0, 1).
        groups: (N,) numbers or names; each picture by itself if left out.

    Raises:
        ValueError: A score is not finite, `groups` has another length, `rate` or `confidence` is out of its range.
        EvaluationError: There are too few groups for the guarantee; the message says how many are missing.

    Source:
        The distribution-free tolerance bound of Wilks 1941: order statistics.
    """
    highest = _extremes(negatives, groups, lowest=False)
    rank = _rank(len(highest), rate=rate, confidence=confidence, of="false alarms")
    threshold = float(np.nextafter(highest[-rank], np.inf))
    flagged = int((highest >= threshold).sum())
    return Guarantee("false alarms", (threshold,), 1, rate, confidence, len(highest), flagged)


def guarantee_fused(
    scores: ArrayLike,
    path: ArrayLike,
    *,
    of: Mistake,
    rate: float,
    confidence: float = 0.95,
    votes: int = 1,
    groups: ArrayLike | None = None,
) -> Guarantee:
    """The last rule along a path of rules on several models' scores of which the guarantee can be given.

    Rules are tried in the order of the path, and the first that is not proven ends it: so each may be tried at the full
    confidence. The path must not come from the pictures that it is tried on; see `threshold_path`.

    Args:
        scores: (N, M): of N pictures that are all positive, for misses, or all negative, for false alarms.
        path: (R, M): each rule's thresholds, the rule that makes fewest mistakes first. For misses thresholds never
            fall along it, for false alarms they never rise.
        of: Which mistakes.
        rate: Their share, in (0, 1).
        confidence: In (0, 1).
        votes: How many models must flag a picture, from 1 to M.
        groups: (N,) numbers or names; each picture by itself if left out. A mistake in any of a group's pictures is
            one of the group.

    Raises:
        ValueError: Shapes do not go together, a score is not finite, a threshold NaN, the path out of order, or
            another argument out of its range.
        EvaluationError: There are too few groups for the guarantee, or the first rule already makes too many mistakes.

    Source:
        Angelopoulos et al. 2021, "Learn then test", arXiv 2110.01052, § 2.3.2: fixed sequence testing.
    """
    values, rules = np.array(scores, np.float64), np.array(path, np.float64)
    _check_fused(values, rules, of=of, votes=votes)
    members = group_numbers(groups, len(values))
    count = int(members.max(initial=-1)) + 1
    _check_enough(count, rate=rate, confidence=confidence, of=of)
    losses = np.zeros((len(rules), count))
    for row, thresholds in enumerate(rules):
        flagged = (values >= thresholds).sum(axis=1) >= votes
        np.maximum.at(losses[row], members, ~flagged if of == "misses" else flagged)
    proven = prove_in_sequence(losses, rate=rate, confidence=confidence)
    if not proven:
        raise EvaluationError(
            f"the first rule makes mistakes in {int(losses[0].sum())} of {count} groups, too many to guarantee a rate "
            f"of {of} of at most {rate:.3g} with a confidence of {confidence:.3g}"
        )
    chosen = tuple(rules[proven - 1].tolist())
    return Guarantee(of, chosen, votes, rate, confidence, count, int(losses[proven - 1].sum()))


def prove_in_sequence(losses: ArrayLike, *, rate: float, confidence: float = 0.95) -> int:
    """How many rules, from the first on, are proven to lose no more than a rate on average, all at once.

    Args:
        losses: (R, N): what each of R rules loses by each of N independent pictures or groups, in [0, 1]. Losses of 0
            and 1 are tested by the binomial distribution, others by the Hoeffding-Bentkus bound.
        rate: In (0, 1).
        confidence: In (0, 1): the chance, at least, that none of those is proven wrongly.

    Returns:
        From 0 to R: the first rule that is not proven ends it.

    Raises:
        ValueError: A loss is not in [0, 1], there are none, or an argument is out of its range.

    Source:
        Angelopoulos et al. 2021, "Learn then test", arXiv 2110.01052, § 2.3.2 and proposition 3.
    """
    table = np.asarray(losses, np.float64)
    if table.ndim != 2 or not table.shape[1] or not ((table >= 0) & (table <= 1)).all():
        raise ValueError(f"losses must lie in [0, 1] and have shape (R, N) with N at least 1, not {table.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), not {confidence}")
    trials, whole = table.shape[1], bool(np.isin(table, (0, 1)).all())
    for position, row in enumerate(table):
        if whole:
            p_value = binomial_p_value(int(row.sum()), trials, rate)
        else:
            p_value = hoeffding_bentkus_p_value(float(row.mean()), trials, rate)
        if p_value > 1 - confidence:
            return position
    return len(table)


def threshold_path(scores: ArrayLike, *, of: Mistake, steps: int = 200) -> NDArray[np.float64]:
    """Rules for `guarantee_fused`: at each, every model by itself makes about the same share of mistakes.

    Args:
        scores: (N, M), finite: of positive pictures for misses, of negative ones for false alarms; other pictures than
            the guarantee is to rest on.
        of: Which mistakes.
        steps: How many rules, at least 2.

    Returns:
        (steps, M). For misses from what flags everything upwards, for false alarms from what flags nothing downwards.

    Raises:
        ValueError: Shapes or arguments are out of their range, or a score is not finite.
        EvaluationError: There are no pictures.
    """
    values = np.array(scores, np.float64)
    if values.ndim != 2 or not values.shape[1] or not np.isfinite(values).all() or steps < 2:
        raise ValueError(f"need finite scores of shape (N, M) and steps >= 2: {values.shape}, {steps}")
    if of not in _KINDS:
        raise ValueError(f"of must be one of {', '.join(_KINDS)}, not {of!r}")
    if not len(values):
        raise EvaluationError(f"no {_KINDS[of]} pictures to make rules of")
    levels = np.linspace(0, 1, steps - 1)
    if of == "misses":
        inner = np.quantile(values, levels, axis=0, method="lower")
        return np.concatenate([np.full((1, values.shape[1]), -np.inf), inner])
    inner = np.nextafter(np.quantile(values, levels[::-1], axis=0, method="higher"), np.inf)
    return np.concatenate([np.full((1, values.shape[1]), np.inf), inner])


def split_by_group(labels: ArrayLike, groups: ArrayLike, *, held_back: float = 0.5, seed: int = 0) -> NDArray[np.bool_]:
    """Divide pictures into what may be fitted on and what a guarantee may rest on; no group is on both sides.

    Groups are shuffled, those with positives only, with negatives only and with both each by themselves, and the share
    is held back of each. Nothing but chance chooses among them, as the guarantee needs.

    Args:
        labels: (N,), true and false or 1 and 0.
        groups: (N,) numbers or names.
        held_back: Share of the groups to hold back, in (0, 1).
        seed: Equal seeds give equal parts.

    Returns:
        bool, (N,): which pictures are held back.

    Raises:
        ValueError: Lengths differ, or `held_back` is out of its range.
        EvaluationError: A side would be without positives or without negatives.
    """
    truth = np.asarray(labels).astype(np.bool_)
    members = group_numbers(groups, len(truth))
    if not 0 < held_back < 1:
        raise ValueError(f"held_back must lie in (0, 1), not {held_back}")
    count = int(members.max(initial=-1)) + 1
    kind = np.zeros(count, np.int64)
    np.bitwise_or.at(kind, members, np.where(truth, 2, 1))
    rng, back = np.random.default_rng(seed), np.zeros(count, np.bool_)
    for each in (1, 2, 3):
        order = rng.permutation(np.flatnonzero(kind == each))
        back[order[: round(held_back * len(order))]] = True
    side = back[members]
    for name, chosen in (("to fit on", ~side), ("held back", side)):
        for wanted, which in ((True, "positive"), (False, "negative")):
            if not (chosen & (truth == wanted)).any():
                raise EvaluationError(
                    f"{len(truth)} pictures make {count} groups, too few for two sides: no {which} picture {name}"
                )
    return side


def _extremes(scores: ArrayLike, groups: ArrayLike | None, *, lowest: bool) -> NDArray[np.float64]:
    """The lowest or the highest score of each group, rising."""
    values = finite_scores(scores)
    members = group_numbers(groups, len(values))
    found = np.full(int(members.max(initial=-1)) + 1, np.inf if lowest else -np.inf)
    (np.minimum if lowest else np.maximum).at(found, members, values)
    return np.sort(found)


def _rank(count: int, *, rate: float, confidence: float, of: Mistake) -> int:
    _check_enough(count, rate=rate, confidence=confidence, of=of)
    # What `fewest_without_mistakes` allows is rank 1, whichever way the last bit of a float falls.
    return max(1, int(np.searchsorted(binomial_cdf(count, rate)[:-1], 1 - confidence, side="right")))


def _check_enough(count: int, *, rate: float, confidence: float, of: Mistake) -> None:
    needed = fewest_without_mistakes(rate, confidence)
    if count < needed:
        raise EvaluationError(
            f"to guarantee a rate of {of} of at most {rate:.3g} with a confidence of {confidence:.3g} takes {needed} "
            f"independent {_KINDS[of]} pictures; there are {count}, so {needed - count} are missing"
        )


def _check_fused(values: NDArray[np.float64], rules: NDArray[np.float64], *, of: Mistake, votes: int) -> None:
    if of not in _KINDS:
        raise ValueError(f"of must be one of {', '.join(_KINDS)}, not {of!r}")
    if values.ndim != 2 or rules.ndim != 2 or values.shape[1] != rules.shape[1] or not rules.size:
        raise ValueError(f"need scores (N, M) and a path (R, M), not {values.shape} and {rules.shape}")
    if not np.isfinite(values).all() or np.isnan(rules).any():
        raise ValueError("scores must be finite and thresholds no NaN")
    if not 1 <= votes <= values.shape[1]:
        raise ValueError(f"votes must be from 1 to the number of models, {values.shape[1]}, not {votes}")
    with np.errstate(invalid="ignore"):  # from infinite to infinite is no step
        steps = np.diff(rules, axis=0)
    if (steps < 0).any() if of == "misses" else (steps > 0).any():
        way = "fall" if of == "misses" else "rise"
        raise ValueError(f"along the path thresholds must never {way}: the rule with the fewest {of} comes first")
