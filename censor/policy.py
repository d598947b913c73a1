"""What is hidden, how, and from which score on: data, not code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from censor.choices import EFFECTS, SHAPES
from censor.errors import PolicyError
from detect.errors import UnknownLabelError
from detect.labels import resolve

__all__ = ["EFFECTS", "MAX_CELLS", "SHAPES", "Policy", "Rule", "parse_color", "reached"]

MAX_CELLS = 8
"""The information bound: never more cells than this along the longer side of a region."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is done about one label.

    Attributes:
        censor_at: Boxes of this score or more are hidden; None hides none.
        review_at: Boxes of this score or more make a person look; None never.
        nsfw_at: Boxes of this score or more make the picture NSFW; None never.
        min_area: Boxes smaller than this share of the picture, in [0, 1], do not count for the verdict. They are
            hidden all the same.
        expand: Each edge of a hidden box moves outwards by this share of the box's width or height, >= 0.
        effect: One of `EFFECTS`.
        shape: One of `SHAPES`.
        required: Whether a detector that does not know the label is refused.

    Raises:
        ValueError: A value out of its range.
    """

    censor_at: float | None = None
    review_at: float | None = None
    nsfw_at: float | None = None
    min_area: float = 0.0
    expand: float = 0.1
    effect: str = "pixelate"
    shape: str = "rounded"
    required: bool = True

    def __post_init__(self) -> None:
        for key in ("censor_at", "review_at", "nsfw_at"):
            if getattr(self, key) is not None:
                _check_number(key, getattr(self, key), 0, 1)
        _check_number("min_area", self.min_area, 0, 1)
        _check_number("expand", self.expand, 0, 10)
        _check_choice("effect", self.effect, EFFECTS)
        _check_choice("shape", self.shape, SHAPES)
        if not isinstance(self.required, bool):
            raise ValueError(f"required must be true or false, not {self.required!r}")
        if self.review_at is not None and self.nsfw_at is not None and self.review_at > self.nsfw_at:
            raise ValueError(f"review_at ({self.review_at}) must not be above nsfw_at ({self.nsfw_at})")

    @property
    def hides(self) -> bool:
        """Whether boxes can be hidden."""
        return self.censor_at is not None

    @property
    def judges(self) -> bool:
        """Whether boxes can count for the verdict."""
        return self.review_at is not None or self.nsfw_at is not None

    @property
    def lowest(self) -> float:
        """The lowest score that this rule acts on; 1 if it never does."""
        return min([at for at in (self.censor_at, self.review_at, self.nsfw_at) if at is not None], default=1.0)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rules by label, and what goes for the whole picture. A value: comparable, hashable, picklable.

    Attributes:
        name: What reports call it.
        rules: Label to `Rule`; immutable. Labels without a rule pass through.
        base: What a label takes that is named later, on a command line say: `[all]` of a file. Boxes that a user draws
            have its effect and its shape.
        cells: Squares along the longer side of a pixelated or blurred region, 1..8.
        color: RGB of solid regions and beneath stickers, each in 0..255.
        sticker: Name of a built-in sticker, or path of an image file.
        feather: Width of the soft edge outside a region, as a share of the box's shorter side, in [0, 1].

    Raises:
        ValueError: A value out of its range, or no rule at all.
    """

    name: str
    rules: Mapping[str, Rule]
    base: Rule = field(default_factory=Rule)
    cells: int = 6
    color: tuple[int, int, int] = (0, 0, 0)
    sticker: str = "smile"
    feather: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", MappingProxyType(dict(self.rules)))
        object.__setattr__(self, "color", tuple(self.color))
        if not any(rule.hides or rule.judges for rule in self.rules.values()):
            raise ValueError(f"policy {self.name!r} acts on no label: nothing would ever be hidden or judged")
        if isinstance(self.cells, bool) or not isinstance(self.cells, int) or not 1 <= self.cells <= MAX_CELLS:
            raise ValueError(f"cells must be a whole number in 1..{MAX_CELLS}, not {self.cells!r}")
        if len(self.color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in self.color):
            raise ValueError(f"color must be three numbers in 0..255, not {self.color!r}")
        if not isinstance(self.sticker, str) or not self.sticker:
            raise ValueError(f"sticker must be a name or a file, not {self.sticker!r}")
        _check_number("feather", self.feather, 0, 1)

    def __hash__(self) -> int:
        given = (getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "rules")
        return hash((frozenset(self.rules.items()), *given))

    def __reduce__(self) -> tuple[Callable[..., Policy], tuple[()]]:
        """Copies and pickles are made by the constructor, which checks: a mapping proxy has no pickle of its own."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return partial(type(self), **{**values, "rules": dict(self.rules)}), ()

    @property
    def lowest(self) -> float:
        """The lowest score that any rule acts on: a detector must report down to it."""
        return min(rule.lowest for rule in self.rules.values())

    def judges(self, names: Iterable[str]) -> bool:
        """Whether there is a rule for a verdict about any of these labels, a detector's own."""
        return any(self.rules[label].judges for label in names if label in self.rules)

    def require(self, names: Iterable[str], *, judging: bool = False) -> None:
        """Check that a detector can serve this policy.

        Args:
            names: The detector's labels.
            judging: For a verdict, not for hiding.

        Raises:
            UnknownLabelError: A label that neither the class table nor the detector knows.
            PolicyError: A required label that the detector never reports, or nothing to act on among those it does:
                every picture would be safe.
        """
        names = tuple(names)
        try:
            for label in self.rules:
                resolve(label, names)
        except UnknownLabelError as error:
            raise UnknownLabelError(f"policy {self.name!r}: {error}") from None
        missing = [label for label, rule in self.rules.items() if rule.required and label not in names]
        if missing:
            raise PolicyError(
                f"policy {self.name!r}: the detector never reports {', '.join(missing)}; what it reports: "
                f"{', '.join(names)}"
            )
        hides = any(rule.hides for label, rule in self.rules.items() if label in names)
        if not self.judges(names) and (judging or not hides):
            aim = "judges" if judging else "acts on"
            raise PolicyError(f"policy {self.name!r} {aim} nothing that the detector reports: {', '.join(names)}")

    def only(self, labels: Iterable[str], names: Iterable[str] = ()) -> Policy:
        """Hide these labels and no others; the rules for the verdict stay.

        Args:
            labels: In any accepted spelling. One without a rule is hidden as `base` says, from its `censor_at` or from
                score 0.2 on, and does not count for the verdict.
            names: The detector's own labels, where they are not in the class table.

        Raises:
            UnknownLabelError: A label nobody knows.
        """
        names = tuple(names)
        wanted = [resolve(label, names) for label in labels]
        rules = {label: dataclasses.replace(rule, censor_at=None) for label, rule in self.rules.items()}
        fallback = 0.2 if self.base.censor_at is None else self.base.censor_at
        unjudged = dataclasses.replace(self.base, review_at=None, nsfw_at=None)
        for label in wanted:
            rule = self.rules.get(label, unjudged)
            censor_at = fallback if rule.censor_at is None else rule.censor_at
            rules[label] = dataclasses.replace(rule, censor_at=censor_at, required=True)
        return dataclasses.replace(self, rules=rules)

    def at(self, threshold: float, labels: Iterable[str] | None = None) -> Policy:
        """Set every threshold that `labels` have (all labels if None) to one score.

        Thresholds that a rule leaves out stay out: a label that is never hidden is not hidden by this.

        Raises:
            UnknownLabelError: A label without a rule.
            ValueError: The threshold lies outside [0, 1].
        """
        wanted = set(self.rules) if labels is None else {resolve(label, self.rules) for label in labels}
        if alien := wanted - set(self.rules):
            raise UnknownLabelError(f"policy {self.name!r} has no rule for {', '.join(sorted(alien))}")
        rules = dict(self.rules)
        for label in wanted:
            keys = ("censor_at", "review_at", "nsfw_at")
            given: dict[str, Any] = {key: threshold for key in keys if getattr(rules[label], key) is not None}
            rules[label] = dataclasses.replace(rules[label], **given)
        return dataclasses.replace(self, rules=rules)

    def each(self, **values: Any) -> Policy:  # Rule's own fields, checked by Rule
        """The same values for every rule and for the base: ``policy.each(effect="solid", expand=0.3)``."""
        rules = {label: dataclasses.replace(rule, **values) for label, rule in self.rules.items()}
        return dataclasses.replace(self, rules=rules, base=dataclasses.replace(self.base, **values))


def reached(score: float, threshold: float | None) -> bool:
    """Whether a float32 score meets a threshold; equal meets, and .7 as float32 is equal to .7."""
    return threshold is not None and bool(np.float32(score) >= np.float32(threshold))


def parse_color(value: object) -> tuple[int, int, int]:
    """An RGB colour from ``"#rrggbb"``, ``"r,g,b"``, a list of three, or any name that CSS knows.

    Raises:
        ValueError: None of these.
    """
    from PIL import ImageColor

    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(c, int) for c in value):
        red, green, blue = value
        return red, green, blue
    if isinstance(value, str):
        text = f"rgb({value})" if re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*){2}", value) else value
        try:
            return ImageColor.getrgb(text)[:3]
        except ValueError:
            pass
    raise ValueError(f"color must be like '#1a2b3c', '26,43,60' or 'black', not {value!r}")


def _check_number(key: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{key} must be a number in [{low}, {high}], not {value!r}")


def _check_choice(key: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{key} must be one of {', '.join(choices)}, not {value!r}")
