"""What would be hidden in a picture, on pages or in what moves, as a value that people may change before it is done."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from censor.choices import EFFECTS, SHAPES
from censor.errors import OtherModelsError, PlanError
from censor.heat import HotRegion
from censor.manual import Box, as_text
from censor.media.opening import Encoded, EncodedFilm
from censor.models_used import ModelUsed, check_digest
from censor.policy import Policy
from censor.redact import ALSO, Frame, Redaction, redact_box, redact_heat
from censor.rules import Rule, check_choice, check_number
from detect.pictures.still import Picture

__all__ = [
    "EXPANSIONS",
    "FARTHEST",
    "KEEP",
    "LONGEST",
    "MOST_CELLS",
    "SCORES",
    "Plan",
    "PlannedBox",
    "PlannedThing",
]

KEEP = "KEEP"
"""Label of a box that a user drew to be left alone."""

_ROOM = 0.1
"""By how much of its sides what is kept of a thing reaches beyond what would have been hidden: the next look finds it
a little elsewhere, and what reaches beyond a kept box is hidden."""

FARTHEST = 1e7
"""An edge lies no farther from the picture's corner, in pixels."""

MOST_CELLS = 1024
"""Along a side of a map."""

LONGEST = 200
"""Characters of a name."""

SCORES, EXPANSIONS = (0, 1), (0, 10)
"""The least and the most of each."""


@dataclass(frozen=True, kw_only=True)
class PlannedBox:
    """Where a thing is in some frames, one after the other, or on a page.

    Attributes:
        first: Number of the first frame, from 0; of a page too.
        end: Number of the frame after the last.
        xyxy: A box in pixels of the upright picture; None where cells say it.
        cells: Rows of a classifier's map that is laid over the whole picture, ``#`` for what is hot, ``.`` for
            what is not; None where a box says it.
        effect: Instead of the thing's; None for that.

    Raises:
        ValueError: A value out of its range, both a box and cells, or neither.
    """

    first: int = 0
    end: int = 1
    xyxy: Box | None = None
    cells: tuple[str, ...] | None = None
    effect: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.end:
            raise ValueError(f"from must be a frame before to, not {self.first} and {self.end}")
        if (self.xyxy is None) == (self.cells is None):
            raise ValueError("xyxy or cells must say where, one of them")
        if self.xyxy is not None:
            _check_box(self.xyxy)
        if self.cells is not None:
            _check_cells(self.cells)
        if self.effect is not None:
            check_choice("effect", self.effect, EFFECTS)

    @property
    def hot(self) -> NDArray[np.bool_]:
        """The cells as bool (h, w)."""
        return np.array([[each == "#" for each in row] for row in self.cells or ()], np.bool_)


@dataclass(frozen=True, kw_only=True)
class PlannedThing:
    """One thing, through time where there is any.

    Attributes:
        boxes: Where, in the order of time; at least one.
        number: Which of what was found it is, from 1; None for what somebody added.
        hide: Whether it is hidden. What is not is left alone at every look.
        label: What it is; `ALSO` for a box that somebody drew, `KEEP` for one that is left alone.
        score: The best that it was found with, in [0, 1].
        effect: What is shown instead.
        shape: Of its regions.
        expand: Each edge moves outwards by this share of the box's width or height.
        classifier: Whose heat it is; None for boxes.
        rechecked: Whether only a look at the output found it.

    Raises:
        ValueError: A value out of its range, or boxes that are not in the order of time.
    """

    boxes: tuple[PlannedBox, ...]
    number: int | None = None
    hide: bool = True
    label: str = ALSO
    score: float = 1.0
    effect: str = "solid"
    shape: str = "box"
    expand: float = 0.0
    classifier: str | None = None
    rechecked: bool = False

    def __post_init__(self) -> None:
        if not self.boxes:
            raise ValueError('boxes must be one at least; to show a thing, give it "hide": false')
        if any(before.end > after.first for before, after in pairwise(self.boxes)):
            raise ValueError(
                "boxes must be in the order of time, each beginning where the one before has ended or later"
            )
        if self.number is not None and self.number < 1:
            raise ValueError(f"number must be 1 or more, not {self.number}")
        for key, text in (
            ("label", self.label),
            ("classifier", "none" if self.classifier is None else self.classifier),
        ):
            if not text or len(text) > LONGEST:
                raise ValueError(f"{key} must be a text of 1 to {LONGEST} characters")
        check_number("score", self.score, *SCORES)
        check_number("expand", self.expand, *EXPANSIONS)
        check_choice("effect", self.effect, EFFECTS)
        check_choice("shape", self.shape, SHAPES)

    def at(self, frame: int) -> PlannedBox | None:
        """Where it is in a frame; None if it is not there."""
        row = bisect_right(self._firsts, frame) - 1
        return self.boxes[row] if row >= 0 and frame < self.boxes[row].end else None

    @cached_property
    def _firsts(self) -> list[int]:
        return [each.first for each in self.boxes]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be hidden in one input, under one policy, by one set of networks.

    Attributes:
        file: The input, as it was named.
        sha256: Of its bytes, in hexadecimal.
        width: Columns of the upright picture, of every frame, or of the first page.
        height: Its rows.
        policy: What goes for the look again, and for how regions are painted.
        models: The networks that looked.
        things: What is hidden, and what is left alone.
        found: How many of the things have a number: those that were found.
        times: When each frame is shown, in seconds from the beginning; none for a still.
        end: When all is over, in seconds; 0 for a still.
        pages: Columns and rows of each page; none for what has no pages.

    Raises:
        ValueError: A value out of its range; a thing that was found is missing; a box lies wholly outside the picture,
            or in frames that there are not; or times are not in order.
    """

    file: str
    sha256: str
    width: int
    height: int
    policy: Policy
    models: tuple[ModelUsed, ...] = ()
    things: tuple[PlannedThing, ...] = ()
    found: int = 0
    times: tuple[Fraction, ...] = ()
    end: Fraction = field(default_factory=Fraction)
    pages: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_digest(self.sha256)
        for width, height in ((self.width, self.height), *self.pages):
            if width < 1 or height < 1:
                raise ValueError(f"width and height must be 1 or more, not {width} and {height}")
        if self.pages and (self.times or self.pages[0] != (self.width, self.height)):
            raise ValueError("pages have no times, and the first of them is as large as the input")
        if any(before > after for before, after in pairwise((*self.times, self.end))):
            raise ValueError("times must be in order, and none after the end")
        numbers = sorted(each.number for each in self.things if each.number is not None)
        if twice := [str(one) for one, other in pairwise(numbers) if one == other]:
            raise ValueError(f"number {twice[0]} is that of two things; one that is added has none")
        if missing := sorted(set(range(1, self.found + 1)) ^ set(numbers)):
            there = "is missing" if missing[0] <= self.found else f"is one of {self.found}"
            raise ValueError(
                f'thing {missing[0]} {there}: to show what was found, give it "hide": false, and do not delete it'
            )
        for row, thing in enumerate(self.things):
            for place, box in enumerate(thing.boxes):
                self._check_place(f"things[{row}].boxes[{place}]", thing, box)

    def _check_place(self, where: str, thing: PlannedThing, box: PlannedBox) -> None:
        if box.end > self.frames:
            key, what = ("page", "pages") if self.pages else ("to", "frames")
            raise ValueError(f"{where}: {key} must be {self.frames} at most, the number of {what}, not {box.end}")
        if self.pages and box.end > box.first + 1:
            raise ValueError(f"{where}: a box is on one page")
        width, height = self.size(box.first)
        if box.xyxy is not None and self._redaction(thing, box, Frame(width=width, height=height)) is None:
            size = f"{width} x {height}"
            raise ValueError(f"{where}: xyxy {as_text(box.xyxy)} lies wholly outside the picture of {size} pixels")

    def size(self, number: int) -> tuple[int, int]:
        """Columns and rows of a frame or a page, by its number from 0."""
        return self.pages[number] if self.pages else (self.width, self.height)

    def bounds(self, thing: PlannedThing, box: PlannedBox) -> Box:
        """The box itself, or the one around its cells, in pixels of the upright picture."""
        if box.xyxy is not None:
            return box.xyxy
        hot = HotRegion(classifier=thing.classifier or thing.label, score=thing.score, cells=box.hot)
        width, height = self.size(box.first)
        return hot.bounds(width=width, height=height)

    @property
    def moves(self) -> bool:
        """Whether it is of something that moves."""
        return bool(self.times)

    @property
    def frames(self) -> int:
        """How many there are, or how many pages; 1 for a still."""
        return len(self.times) or len(self.pages) or 1

    def require(self, encoded: Encoded | EncodedFilm, *, policy: Policy, models: tuple[ModelUsed, ...]) -> None:
        """Check that this can be applied: to these bytes, under this policy, looked at again by these models.

        Raises:
            OtherModelsError: It was made by other models.
            PlanError: It was made for other bytes, or under another policy.
        """
        if encoded.sha256 != self.sha256:
            raise PlanError(
                f"{encoded.name}: not what the plan is of: its SHA-256 is {encoded.sha256}, not {self.sha256}"
            )
        if policy != self.policy:
            named = f"the policy {self.policy.name!r}, and this is another; take the plan's own: Censor(plan.policy)"
            raise PlanError(f"{encoded.name}: the plan was made under {named}")
        if others := sorted({each.name for each in {*models} ^ {*self.models}}):
            raise OtherModelsError(
                f"{encoded.name}: the plan was made by other models than look here: {', '.join(others)}"
            )

    def frame(self, picture: Picture, number: int = 0) -> Frame:
        """What is to be known of one picture besides what was found in it; boxes to be left alone among it.

        Args:
            picture: The decoded picture.
            number: Of the frame or the page, from 0.

        Raises:
            PlanError: The picture has another size.
        """
        width, height = self.size(number)
        if (picture.width, picture.height) != (width, height):
            planned, found = f"{width} x {height}", f"{picture.width} x {picture.height}"
            raise PlanError(f"{picture.name}: the plan is of a picture of {planned} pixels, and this one has {found}")
        return self.keeping(Frame.of(picture), number)

    def keeping(self, frame: Frame, number: int = 0) -> Frame:
        """What is to be known of another frame: what is left alone in it.

        Args:
            frame: One of the same medium.
            number: Of the frame that is meant.
        """
        kept = (self._kept(thing, box, frame) for _, thing, box in self._there(number) if not thing.hide)
        return replace(frame, keep=tuple(each for each in kept if each is not None))

    def redactions(self, frame: Frame, number: int = 0) -> list[Redaction]:
        """What is hidden in one picture, in the order of the things.

        Args:
            frame: The picture.
            number: Of the frame or the page, from 0.
        """
        hidden = []
        for row, thing, box in self._there(number):
            made = self._redaction(thing, box, frame) if thing.hide else None
            if made is not None:
                hidden.append(replace(made, track=row) if self.moves else made)
        return hidden

    def _there(self, number: int) -> Iterator[tuple[int, PlannedThing, PlannedBox]]:
        for row, thing in enumerate(self.things):
            box = thing.at(number)
            if box is not None:
                yield row, thing, box

    def _redaction(self, thing: PlannedThing, box: PlannedBox, frame: Frame) -> Redaction | None:
        rule = Rule(effect=box.effect or thing.effect, shape=thing.shape, expand=thing.expand)
        if box.xyxy is not None:
            made = redact_box(box.xyxy, thing.label, thing.score, rule, self.policy, frame, rechecked=thing.rechecked)
            return made if made is None else replace(made, classifier=thing.classifier)
        hot = HotRegion(classifier=thing.classifier or thing.label, score=thing.score, cells=box.hot)
        made = redact_heat(hot, rule, self.policy, frame, rechecked=thing.rechecked)
        return made if made is None else replace(made, label=thing.label)

    def _kept(self, thing: PlannedThing, box: PlannedBox, frame: Frame) -> Box | None:
        """What is left alone: as much as would have been hidden, and some room; of a box drawn for it the box."""
        if thing.label == KEEP and box.xyxy is not None:
            return box.xyxy
        made = self._redaction(thing, box, frame)
        if made is None:
            return None
        area = made.region
        wide, high = _ROOM * (area.x1 - area.x0), _ROOM * (area.y1 - area.y0)
        return area.x0 - wide, area.y0 - high, area.x1 + wide, area.y1 + high


def _check_box(box: Box) -> None:
    if not all(math.isfinite(edge) and abs(edge) <= FARTHEST for edge in box) or box[0] > box[2] or box[1] > box[3]:
        within = f"each within {FARTHEST:.0e} pixels"
        raise ValueError(
            f"xyxy must be four numbers x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, {within}, not {as_text(box)}"
        )


def _check_cells(cells: tuple[str, ...]) -> None:
    width = len(cells[0]) if cells else 0
    same = all(len(row) == width and not row.strip("#.") for row in cells)
    if not (1 <= width <= MOST_CELLS and len(cells) <= MOST_CELLS and same and "#" in "".join(cells)):
        raise ValueError(f"cells must be rows of one length, 1 to {MOST_CELLS}, of `#` and `.`, one `#` at least")
