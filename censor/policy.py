"""What is hidden, how, and from which score on: data, not code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from censor.calibration import Calibrations
from censor.errors import PolicyError
from censor.rules import EFFECTS, HOW, NSFW_REGION, SHAPES, PictureRule, Rule, check_number, reached
from detect.errors import UnknownLabelError
from detect.labels import KINDS, resolve, serves, taken

__all__ = ["EFFECTS", "MAX_CELLS", "NSFW_REGION", "SHAPES", "PictureRule", "Policy", "Rule", "parse_color", "reached"]

MAX_CELLS = 8
"""The information bound: never more cells than this along the longer side of a region."""

_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
"""No classifiers."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rules by label, and what goes for the whole picture. A value: comparable, hashable, picklable.

    Attributes:
        name: What reports call it.
        rules: Label to `Rule`; immutable. Labels without a rule pass through.
        picture: What is done about what classifiers say of the picture as a whole.
        calibrations: What makes a classifier's scores probabilities, by the classifier's name; immutable. Thresholds of
            `picture` and `confirm_at` are about what comes out of them.
        heat: Effect, shape and expansion of hidden heat, `NSFW_REGION`; there if and only if `picture` hides any.
        base: What a label takes that is named later, on a command line say: `[all]` of a file. Boxes that a user draws
            have its effect and its shape.
        cells: Squares along the longer side of a pixelated or blurred region, 1..8.
        color: RGB of solid regions and beneath stickers, each in 0..255.
        sticker: Name of a built-in sticker, or path of an image file.
        feather: Width of the soft edge outside a region, as a share of the box's shorter side, in [0, 1].

    Raises:
        ValueError: A value out of its range, values that contradict each other, or no rule at all.
    """

    name: str
    rules: Mapping[str, Rule]
    picture: PictureRule = field(default_factory=PictureRule)
    calibrations: Calibrations = field(default_factory=dict)
    heat: Rule | None = None
    base: Rule = field(default_factory=Rule)
    cells: int = 6
    color: tuple[int, int, int] = (0, 0, 0)
    sticker: str = "smile"
    feather: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", MappingProxyType(dict(self.rules)))
        object.__setattr__(self, "calibrations", MappingProxyType(dict(self.calibrations)))
        object.__setattr__(self, "color", tuple(self.color))
        self._check_heat()
        self._check_calibrations()
        if not self.acting and not self.picture.acts:
            raise ValueError(f"policy {self.name!r} acts on no label: nothing would ever be hidden or judged")
        if isinstance(self.cells, bool) or not isinstance(self.cells, int) or not 1 <= self.cells <= MAX_CELLS:
            raise ValueError(f"cells must be a whole number in 1..{MAX_CELLS}, not {self.cells!r}")
        if len(self.color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in self.color):
            raise ValueError(f"color must be three numbers in 0..255, not {self.color!r}")
        if not isinstance(self.sticker, str) or not self.sticker:
            raise ValueError(f"sticker must be a name or a file, not {self.sticker!r}")
        check_number("feather", self.feather, 0, 1)

    def _check_heat(self) -> None:
        if NSFW_REGION in self.rules:
            raise ValueError(f"{NSFW_REGION} is no label of a box: it is what `heat` is for")
        if self.picture.hides and self.heat is None:
            raise ValueError(f"hide_at needs [labels.{NSFW_REGION}]: how heat is hidden")
        if self.heat is not None and not self.picture.hides:
            raise ValueError(f"[labels.{NSFW_REGION}] needs hide_at in [picture]: heat is never hidden without")
        if self.heat is not None and (self.heat.hides or self.heat.judges):
            raise ValueError(f"[labels.{NSFW_REGION}] has no thresholds of its own: those of [picture] go for heat")

    def _check_calibrations(self) -> None:
        for name, calibration in self.calibrations.items():
            if not isinstance(name, str) or not name or not callable(getattr(calibration, "apply", None)):
                raise ValueError(f"calibrations must be of classifiers' names, not {name!r}: {calibration!r}")
            if not self.picture.counted([name]):
                raise ValueError(f"calibration of {name}, which does not count: {', '.join(self.picture.classifiers)}")

    def __hash__(self) -> int:
        mappings = ("rules", "calibrations")
        given = (getattr(self, each.name) for each in dataclasses.fields(self) if each.name not in mappings)
        return hash((*(frozenset(getattr(self, name).items()) for name in mappings), *given))

    def __reduce__(self) -> tuple[Callable[..., Policy], tuple[()]]:
        """Copies and pickles are made by the constructor, which checks: a mapping proxy has no pickle of its own."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return partial(type(self), **{**values, "rules": dict(self.rules), "calibrations": dict(self.calibrations)}), ()

    @property
    def acting(self) -> tuple[str, ...]:
        """The labels that it does something about."""
        return tuple(label for label, rule in self.rules.items() if rule.acts)

    @property
    def lowest(self) -> float:
        """The lowest score that any rule acts on: a detector must report down to it."""
        return min((rule.lowest for rule in self.rules.values()), default=1.0)

    @property
    def unhidden(self) -> tuple[str, ...]:
        """What makes a picture NSFW and is not hidden: labels, and `NSFW_REGION` for what classifiers say."""
        labels = [label for label, rule in self.rules.items() if rule.judges_what_it_shows]
        return (*labels, *([] if self.picture.hides_what_it_judges else [NSFW_REGION]))

    @property
    def hides_what_it_judges(self) -> bool:
        """Whether something makes a picture NSFW, and all that does is hidden.

        Then nothing may leave that still looks NSFW. False for a policy that never calls a picture NSFW.
        """
        judges = self.picture.nsfw_at is not None or any(rule.nsfw_at is not None for rule in self.rules.values())
        return judges and not self.unhidden

    def rule_for(self, label: str) -> Rule | None:
        """What is done about a label that a detector reports, or about `NSFW_REGION`.

        A rule of the label's own goes before one for a label that says less: ``FACE`` takes ``FACE_FEMALE``, too.
        """
        if label == NSFW_REGION:
            return self.heat
        own = self.rules.get(label)
        wider = (self.rules[each] for each, kinds in KINDS.items() if label in kinds and each in self.rules)
        return own if own is not None else next(wider, None)

    @property
    def asks_classifiers(self) -> bool:
        """Whether anything is done about what classifiers say."""
        return self.picture.acts or any(rule.confirm_at is not None for rule in self.rules.values())

    def judges(self, names: Iterable[str], classifiers: Mapping[str, Sequence[str]] = _NONE) -> bool:
        """Whether there is a rule for a verdict about anything that can be said of a picture.

        Args:
            names: A detector's labels.
            classifiers: Each one's name, to the names of what it can say.
        """
        rules = (self.rule_for(label) for label in names)
        return any(rule is not None and rule.judges for rule in rules) or bool(self.picture.judged_by(classifiers))

    def require(
        self,
        names: Iterable[str],
        *,
        judging: bool = False,
        classifiers: Mapping[str, Sequence[str]] = _NONE,
        known: Collection[str] = (),
    ) -> None:
        """Check that a detector and classifiers can serve this policy.

        Without any detector, labels are required where `needs_detector` says so.

        Args:
            names: The detector's labels; none without one.
            judging: For a verdict, not for hiding.
            classifiers: Those that look, each one's name to the names of what it can say.
            known: Names of all classifiers that could be had; if given, a name that is not among them, nor here, is
                refused.

        Raises:
            UnknownLabelError: A label that neither the class table nor the detector knows.
            PolicyError: A required label that the detector never reports, a required classifier that is missing, one
                that nobody knows, votes that cannot be reached, or nothing to act on among all that can be said: every
                picture would be safe.
        """
        names = tuple(names)
        self.resolve_labels(names)
        self._require_classifiers(classifiers, known)
        if names or self.needs_detector(classifiers):
            self._require_labels(names)
        hides = any(rule.hides for rule in map(self.rule_for, names) if rule is not None)
        hides = hides or (self.picture.hides and bool(self.picture.counted(classifiers)))
        if not self.judges(names, classifiers) and (judging or not hides):
            aim = "judges" if judging else "acts on"
            raise PolicyError(
                f"policy {self.name!r} {aim} nothing that the detector reports: {', '.join(names) or 'there is none'}"
            )

    def resolve_labels(self, names: Iterable[str]) -> None:
        """Check that every label means something.

        Args:
            names: The detector's labels, which need not be in the class table.

        Raises:
            UnknownLabelError: A label that neither the class table nor the detector knows.
        """
        names = tuple(names)
        try:
            for label in self.rules:
                resolve(label, names)
        except UnknownLabelError as error:
            raise UnknownLabelError(f"policy {self.name!r}: {error}") from None

    def needs_detector(self, classifiers: Mapping[str, Sequence[str]]) -> bool:
        """Whether labels must be looked for, though these classifiers look.

        Where a policy requires no classifiers, boxes hold without these, and these without boxes: what they say stands
        for labels that count for the verdict, and what they see is hidden in their place. It never stands for a label
        that is only hidden, as faces are.

        Args:
            classifiers: Each one's name, to the names of what it can say.
        """
        judged = not self.picture.required and bool(self.picture.judged_by(classifiers))
        return any(
            rule.required and rule.acts and not (judged and rule.judges and (self.picture.hides or not rule.hides))
            for rule in self.rules.values()
        )

    def _require_labels(self, names: Sequence[str]) -> None:
        missing = [label for label, rule in self.rules.items() if rule.required and not serves(label, names)]
        if missing:
            reported = f"what it reports: {', '.join(names)}" if names else "there is no detector"
            raise PolicyError(f"policy {self.name!r}: the detector never reports {', '.join(missing)}; {reported}")

    def _require_classifiers(self, classifiers: Mapping[str, Sequence[str]], known: Collection[str]) -> None:
        rule = self.picture
        missing = [name for name in rule.classifiers if name not in classifiers]
        calibrated = (name for name in self.calibrations if name not in classifiers)
        named = dict.fromkeys((*missing, *rule.hide_first, *calibrated))
        if unknown := [name for name in named if known and name not in (*classifiers, *known)]:
            there = ", ".join(dict.fromkeys((*classifiers, *known)))
            raise PolicyError(
                f"policy {self.name!r}: nobody knows a classifier {', '.join(unknown)}; known are {there}"
            )
        if not rule.acts or not rule.required:
            return
        if missing:
            raise PolicyError(
                f"policy {self.name!r} needs the classifier {', '.join(missing)}, which is not installed; "
                f"`censor models add {missing[0]}` brings it"
            )
        counted = rule.counted(classifiers)
        needed = max(1, rule.votes, rule.hide_votes)
        if len(counted) < needed:
            raise PolicyError(
                f"policy {self.name!r} needs {needed} classifier{'s' * (needed > 1)}, and there "
                f"{'is' if len(counted) == 1 else 'are'} {', '.join(counted) or 'none'}; `censor models` lists more"
            )
        for label, _ in rule.labels:
            if not any(label in classifiers[name] for name in counted):
                raise PolicyError(f"policy {self.name!r}: no classifier here can say {label}")

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
        given = [_spelled(label) for label in labels]
        wanted = [resolve(label, names) for label in given if label != NSFW_REGION]
        rules = {label: dataclasses.replace(rule, censor_at=None) for label, rule in self.rules.items()}
        fallback = 0.2 if self.base.censor_at is None else self.base.censor_at
        unjudged = dataclasses.replace(self.base, review_at=None, nsfw_at=None, confirm_at=None)
        for label in dict.fromkeys(each for name in wanted for each in (name, *taken(name, self.rules))):
            rule = self.rule_for(label) or unjudged
            censor_at = fallback if rule.censor_at is None else rule.censor_at
            rules[label] = dataclasses.replace(rule, censor_at=censor_at, required=rule.required or label in wanted)
        if NSFW_REGION in given and not self.picture.hides:
            raise UnknownLabelError(f"policy {self.name!r} has no hide_at in [picture]: {NSFW_REGION} is never hidden")
        if NSFW_REGION in given or not self.picture.hides:
            return dataclasses.replace(self, rules=rules)
        picture = dataclasses.replace(
            self.picture, hide_at=None, hide_votes=1, sure_at=None, heat_at=None, hide_first=()
        )
        return dataclasses.replace(self, rules=rules, picture=picture, heat=None)

    def at(self, threshold: float, labels: Iterable[str] | None = None) -> Policy:
        """Set every threshold that `labels` have (all labels if None) to one score.

        Thresholds that a rule leaves out stay out: a label that is never hidden is not hidden by this. Probabilities
        that classifiers must reach stay as they are.

        Raises:
            UnknownLabelError: A label without a rule.
            ValueError: The threshold lies outside [0, 1].
        """
        wanted = set(self.rules) if labels is None else {resolve(label, self.rules) for label in labels}
        found = {label: self.rule_for(label) for label in wanted}
        if alien := [label for label, rule in found.items() if rule is None]:
            raise UnknownLabelError(f"policy {self.name!r} has no rule for {', '.join(sorted(alien))}")
        rules = dict(self.rules)
        for label, rule in found.items():
            keys = ("censor_at", "review_at", "nsfw_at")
            given: dict[str, Any] = {key: threshold for key in keys if getattr(rule, key) is not None}
            rules[label] = dataclasses.replace(rule, **given) if rule is not None else Rule()
        return dataclasses.replace(self, rules=rules)

    def each(self, **values: Any) -> Policy:  # Rule's own fields, checked by Rule
        """The same values for every rule and for the base: ``policy.each(effect="solid", expand=0.3)``.

        Heat takes effect, shape and expansion.
        """
        rules = {label: dataclasses.replace(rule, **values) for label, rule in self.rules.items()}
        of_heat = {key: value for key, value in values.items() if key in HOW}
        heat = None if self.heat is None else dataclasses.replace(self.heat, **of_heat)
        return dataclasses.replace(self, rules=rules, heat=heat, base=dataclasses.replace(self.base, **values))


def _spelled(label: str) -> str:
    """`NSFW_REGION` in any spelling that other labels are forgiven."""
    return NSFW_REGION if re.sub(r"[\s\-]+", "_", label.strip()).upper() == NSFW_REGION else label


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
