"""What a policy says of one label, and of what classifiers say of a picture as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from censor.choices import EFFECTS, SHAPES
from detect.classifier.scores import Scores

__all__ = ["EFFECTS", "HOW", "NSFW_REGION", "SHAPES", "PictureRule", "Rule", "check_choice", "check_number", "reached"]

HOW = ("effect", "shape", "expand")
"""Keys of a rule that say how something is hidden."""

NSFW_REGION = "NSFW_REGION"
"""Label of what classifiers' heat shows: part of a picture that is NSFW, whatever is there."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is done about one label.

    Attributes:
        censor_at: Boxes of this score or more are hidden; None hides none.
        review_at: Boxes of this score or more make a person look; None never.
        nsfw_at: Boxes of this score or more make the picture NSFW; None never.
        confirm_at: They do so only where some classifier gives the picture this probability or more; else a person
            should look. None, or no classifier there: they need none.
        min_area: Boxes smaller than this share of the picture, in [0, 1], do not count for the verdict. They are
            hidden all the same.
        expand: Each edge of a hidden box moves outwards by this share of the box's width or height, >= 0.
        effect: One of `EFFECTS`.
        shape: One of `SHAPES`.
        required: Whether a detector that does not know the label is refused.

    Raises:
        ValueError: A value out of its range, or two that contradict each other.
    """

    censor_at: float | None = None
    review_at: float | None = None
    nsfw_at: float | None = None
    confirm_at: float | None = None
    min_area: float = 0.0
    expand: float = 0.1
    effect: str = "pixelate"
    shape: str = "rounded"
    required: bool = True

    def __post_init__(self) -> None:
        for key in ("censor_at", "review_at", "nsfw_at", "confirm_at"):
            if getattr(self, key) is not None:
                check_number(key, getattr(self, key), 0, 1)
        check_number("min_area", self.min_area, 0, 1)
        check_number("expand", self.expand, 0, 10)
        check_choice("effect", self.effect, EFFECTS)
        check_choice("shape", self.shape, SHAPES)
        if not isinstance(self.required, bool):
            raise ValueError(f"required must be true or false, not {self.required!r}")
        if self.review_at is not None and self.nsfw_at is not None and self.review_at > self.nsfw_at:
            raise ValueError(f"review_at ({self.review_at}) must not be above nsfw_at ({self.nsfw_at})")
        if self.confirm_at is not None and self.nsfw_at is None:
            raise ValueError("confirm_at needs nsfw_at: nothing else is there to be confirmed")

    @property
    def hides(self) -> bool:
        """Whether boxes can be hidden."""
        return self.censor_at is not None

    @property
    def judges(self) -> bool:
        """Whether boxes can count for the verdict."""
        return self.review_at is not None or self.nsfw_at is not None

    @property
    def acts(self) -> bool:
        """Whether anything is done about boxes."""
        return self.hides or self.judges

    @property
    def judges_what_it_shows(self) -> bool:
        """Whether a box can make a picture NSFW that is not hidden."""
        return self.nsfw_at is not None and (self.censor_at is None or self.censor_at > self.nsfw_at)

    @property
    def lowest(self) -> float:
        """The lowest score that this rule acts on; 1 if it never does."""
        return min([at for at in (self.censor_at, self.review_at, self.nsfw_at) if at is not None], default=1.0)


@dataclass(frozen=True, kw_only=True)
class PictureRule:
    """What is done about the probabilities that classifiers give a picture.

    Attributes:
        classifiers: Names of those that count; empty for all that are there.
        review_at: One of this probability of NSFW or more makes a person look; None never.
        nsfw_at: `votes` of this probability or more make the picture NSFW; None never.
        votes: How many, >= 1.
        hide_at: `hide_votes` of this probability or more have their heat hidden; None never.
        hide_votes: How many, >= 1.
        sure_at: One of this probability or more has its heat hidden, whatever the others say; None never.
        heat_at: Cells of this heat or more are hidden.
        hide_first: Names of those that show best where something is, even in a picture that they do not suspect. Their
            heat is hidden first, whatever probability they give; that of others only if a look at the output says so.
        required: Whether to refuse to work without all the classifiers that are named, or with fewer than the votes
            ask for.
        labels: What else a classifier can say ("NSFL", for one), with the probability from which on a person should
            look; in the order of their names.

    Raises:
        ValueError: A value out of its range, or two that contradict each other.
    """

    classifiers: tuple[str, ...] = ()
    review_at: float | None = None
    nsfw_at: float | None = None
    votes: int = 1
    hide_at: float | None = None
    hide_votes: int = 1
    sure_at: float | None = None
    heat_at: float | None = None
    hide_first: tuple[str, ...] = ()
    required: bool = True
    labels: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for key in ("classifiers", "hide_first"):
            _check_names(key, getattr(self, key))
            object.__setattr__(self, key, tuple(getattr(self, key)))
        object.__setattr__(self, "labels", tuple(sorted(dict(self.labels).items())))
        for key in ("review_at", "nsfw_at", "hide_at", "sure_at", "heat_at"):
            if getattr(self, key) is not None:
                check_number(key, getattr(self, key), 0, 1)
        for _, at in self.labels:
            check_number("review_at", at, 0, 1)
        if not isinstance(self.required, bool):
            raise ValueError(f"required must be true or false, not {self.required!r}")
        self._check_votes("votes", self.votes, "nsfw_at")
        self._check_votes("hide_votes", self.hide_votes, "hide_at")
        self._check_order()

    def _check_votes(self, key: str, votes: object, at: str) -> None:
        if isinstance(votes, bool) or not isinstance(votes, int) or votes < 1:
            raise ValueError(f"{key} must be a whole number from 1 on, not {votes!r}")
        if self.classifiers and votes > len(self.classifiers):
            raise ValueError(f"{key} ({votes}) can never be reached: {len(self.classifiers)} classifiers are named")
        if votes > 1 and getattr(self, at) is None:
            raise ValueError(f"{key} needs {at}: there is nothing to vote on")

    def _check_order(self) -> None:
        if self.review_at is not None and self.nsfw_at is not None and self.review_at > self.nsfw_at:
            raise ValueError(f"review_at ({self.review_at}) must not be above nsfw_at ({self.nsfw_at})")
        for key in ("sure_at", "heat_at", "hide_first"):
            if getattr(self, key) not in (None, ()) and self.hide_at is None:
                raise ValueError(f"{key} needs hide_at: nothing is hidden without")
        if alien := [name for name in self.hide_first if not self.counted([name])]:
            raise ValueError(f"hide_first names {', '.join(alien)}, and classifiers does not")
        if self.hide_at is None:
            return
        if self.heat_at is None:
            raise ValueError("hide_at needs heat_at: how hot a cell must be to be hidden")
        if self.sure_at is not None and self.sure_at < self.hide_at:
            raise ValueError(f"sure_at ({self.sure_at}) must not be below hide_at ({self.hide_at})")
        if self.sure_at is not None and self.hide_votes == 1:
            raise ValueError("sure_at needs hide_votes above 1: one classifier suffices at hide_at already")
        if self.suspect_at == 0:
            raise ValueError("hide_at of 0 needs review_at or nsfw_at above 0: what has been hidden reaches it, too")

    @property
    def judges(self) -> bool:
        """Whether classifiers can count for the verdict."""
        return self.review_at is not None or self.nsfw_at is not None or bool(self.labels)

    @property
    def hides(self) -> bool:
        """Whether heat can be hidden."""
        return self.hide_at is not None

    @property
    def acts(self) -> bool:
        """Whether anything is done about what classifiers say."""
        return self.judges or self.hides

    @property
    def hides_what_it_judges(self) -> bool:
        """Whether the heat of every picture that is NSFW by votes is hidden."""
        if self.nsfw_at is None:
            return True
        return self.hide_at is not None and self.hide_at <= self.nsfw_at and self.hide_votes <= self.votes

    def counted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some classifiers that count."""
        return tuple(name for name in names if not self.classifiers or name in self.classifiers)

    def judged_by(self, classifiers: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Those of some classifiers whose answers can raise a verdict.

        Args:
            classifiers: Each one's name, to the names of what it can say.
        """
        counted = self.counted(classifiers)
        if self.review_at is not None or (self.nsfw_at is not None and len(counted) >= self.votes):
            return counted
        labels = set(dict(self.labels))
        return tuple(name for name in counted if labels & set(classifiers[name]))

    def nsfw_by(self, scores: Mapping[str, Scores]) -> tuple[str, ...]:
        """The classifiers that call a picture NSFW; none if there are too few votes."""
        return self._votes(scores, self.nsfw_at, self.votes)

    def reviewed_by(self, scores: Mapping[str, Scores]) -> tuple[str, ...]:
        """The classifiers for which a person should look at a picture, as NSFW."""
        return self._votes(scores, self.review_at, 1)

    @property
    def suspect_at(self) -> float | None:
        """The least probability for which heat is hidden in what has been hidden already; None if none ever is.

        It is `hide_at`, but not below what makes a person look: a policy may hide what is hot in any picture, and what
        it hides need not be free of all heat.
        """
        if self.hide_at is None:
            return None
        level = self.nsfw_at if self.review_at is None else self.review_at
        return self.hide_at if level is None else max(self.hide_at, level)

    def hidden_by(self, scores: Mapping[str, Scores], *, again: bool = False, alone: bool = False) -> tuple[str, ...]:
        """The classifiers whose heat is hidden: who goes first, else all that vote for it, or those that are sure.

        Args:
            scores: Each classifier's answer by its name.
            again: It is a picture in which something has been hidden; they must reach `suspect_at`, too.
            alone: No look at the output follows, so that nobody's turn comes later.
        """
        found = self._votes(scores, self.hide_at, self.hide_votes) or self._votes(scores, self.sure_at, 1)
        if again:
            return tuple(name for name in found if reached(scores[name].probability, self.suspect_at))
        first = [name for name in scores if name in self.hide_first]
        return tuple(name for name in scores if name in first or (name in found and (alone or not first)))

    def _votes(self, scores: Mapping[str, Scores], at: float | None, votes: int) -> tuple[str, ...]:
        voters = tuple(name for name in self.counted(scores) if reached(scores[name].probability, at))
        return voters if len(voters) >= votes else ()


def reached(score: float, threshold: float | None) -> bool:
    """Whether a float32 score meets a threshold; equal meets, and .7 as float32 is equal to .7."""
    return threshold is not None and bool(np.float32(score) >= np.float32(threshold))


def _check_names(key: str, names: object) -> None:
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{key} must be a list of names, not {names!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"{key} must be named once each, not {list(names)}")


def check_number(key: str, value: object, low: float, high: float) -> None:
    """Refuse what is no number in [low, high].

    Raises:
        ValueError: It is none; begins with `key`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{key} must be a number in [{low}, {high}], not {value!r}")


def check_choice(key: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{key} must be one of {', '.join(choices)}, not {value!r}")
