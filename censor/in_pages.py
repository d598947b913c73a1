"""What a `Censor` does with pages: each is judged, hidden in and looked at again as a still is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from censor.censoring import censor_part, judge_part
from censor.equipment import Equipped
from censor.errors import PlanError
from censor.finding import find
from censor.manual import Box, boxes_of
from censor.media.medium import Medium, Part
from censor.media.opening import Encoded
from censor.media.pages import PAGED, Pages, open_pages
from censor.media.writing import room_for, write_atomic
from censor.redact import Frame, Redaction
from censor.results import Checked, Result
from censor.timing import timed
from censor.verdict import Verdict
from detect.pictures.formats import format_of
from detect.pictures.still import Picture, Source

if TYPE_CHECKING:
    from censor.first_pass import Progress
    from censor.plan import Plan

__all__ = ["CensoredPages", "CheckedPages", "InPages"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedPages(Checked):
    """What was found on pages, and what they are. Verdict, boxes and size are those of the gravest.

    Attributes:
        page: The gravest page's number, from 1.
        verdicts: That on each page.
    """

    page: int
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoredPages(Result):
    """What became of pages that were written. Verdict, boxes and size are those of the gravest, or else of the first.

    Attributes:
        verdict: The judgement on the gravest page, as it came; None as for `Censored`.
        page: Its number, from 1.
        pages: How many there are.
        hidden: What was hidden on each page.
        unhidden: See `Policy.unhidden`.
    """

    verdict: Verdict | None
    page: int
    pages: int
    hidden: tuple[tuple[Redaction, ...], ...]
    unhidden: tuple[str, ...] = ()


class InPages(Equipped):
    """The methods of `Censor` for files of several pages; a class by itself for the length of its file alone."""

    def check_pages(self, source: Source, *, progress: Progress | None = None) -> CheckedPages:
        """Judge every page of a TIFF, without changing it; the gravest is what it is.

        Args:
            source: A path, an encoded TIFF, or a binary file object.
            progress: Told of pages that are done, and of how many there are: of none first, before any is decoded.

        Raises:
            PolicyError: As for `require_verdict`.
            CensorError: A page could not be judged.
            DetectError: It is no TIFF, a page could not be decoded, or a network failed.
            TypeError: `source` is pixels or a Pillow image.
        """
        self.require_verdict()
        seconds: dict[str, float] = {}
        verdicts: list[Verdict] = []
        worst: CheckedPages | None = None
        medium = open_pages(source, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        tell = _telling(medium, progress)
        for part in medium.parts():
            with timed(seconds, "detect"):
                found = find(part.picture, self._networks)
            verdict = judge_part(found.everything, part.picture, self.policy)
            verdicts.append(verdict)
            if worst is None or _gravity(verdict) > _gravity(worst.verdict):
                worst = CheckedPages(
                    verdict=verdict, detections=found.everything.boxes, scores=dict(found.everything.scores),
                    width=part.picture.width, height=part.picture.height, page=len(verdicts), verdicts=(),
                )  # fmt: skip
            tell(len(verdicts))
        if worst is None:
            raise ValueError("a TIFF without pages")
        return replace(worst, seconds=seconds, verdicts=tuple(verdicts))

    def apply_pages(
        self,
        source: Source,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        also: Iterable[Sequence[float]] = (),
        keep: Iterable[Sequence[float]] = (),
        plan: Plan | None = None,
        format: str | None = None,  # noqa: A002  # Pillow's own word
        quality: int | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> CensoredPages:
        """Censor every page of a TIFF into a TIFF, which is written whole or not at all.

        Args:
            source: As for `check_pages`.
            target: Where it goes: a path, or a binary file as for `apply_medium`.
            also: Boxes to hide on every page, as for `apply`.
            keep: Boxes to leave alone on every page, as for `apply`.
            plan: As for `apply`.
            format: "TIFF", or None for what the suffix of `target` says, if it says anything.
            quality: TIFF loses nothing: it counts for nothing.
            overwrite: Replace `target` if it is there, as one step.
            progress: As for `check_pages`.

        Raises:
            BoxError: A box lies wholly outside a page.
            CensorError: A page could not be judged or censored, or the output could not be written.
            DetectError: As for `check_pages`.
            TypeError: As for `check_pages`.
            ValueError: As for `apply`, or a quality out of range.
        """
        path = target if isinstance(target, str | os.PathLike) else None
        planned = self._planned(source, plan, also, keep)
        medium = open_pages(planned, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        medium.require_output(format or (None if path is None else format_of(path)))
        if plan is not None and (plan.moves or plan.frames != medium.promised):
            raise PlanError(f"{medium.name}: the plan's pages are not those of the file, which has {medium.promised}")
        drawn = {"also": boxes_of(also, "also"), "keep": boxes_of(keep, "keep")}
        working = _Working(self, drawn, plan, _telling(medium, progress))
        with room_for(target, large=False) as out:
            medium.write(working.parts(medium), out, format=PAGED, quality=quality)
            done = working.done()
            if path is not None:
                with timed(done.seconds, "write"):
                    write_atomic(path, out, overwrite=overwrite)
        return done

    def _plan_pages(self, encoded: Encoded, also: tuple[Box, ...], keep: tuple[Box, ...]) -> Plan:
        """What would be hidden on each page."""
        from censor.planning import plan_of_pages

        medium = open_pages(encoded, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        working = _Working(self, {"also": also, "keep": keep}, None, lambda done: None)  # noqa: ARG005
        sizes = [(part.picture.width, part.picture.height) for part in working.parts(medium)]
        hidden = working.done().hidden
        return plan_of_pages(encoded, sizes, hidden, keep, policy=self.policy, models=self.models)


class _Working:
    """Censors pages one after the other, and keeps of each what is reported."""

    def __init__(
        self, censor: InPages, drawn: Mapping[str, tuple[Box, ...]], plan: Plan | None, tell: Callable[[int], None]
    ) -> None:
        self._censor, self._drawn, self._plan, self._tell = censor, drawn, plan, tell
        self._seconds: dict[str, float] = {}
        self._hidden: list[tuple[Redaction, ...]] = []
        self._worst: CensoredPages | None = None

    def parts(self, medium: Medium) -> Iterator[Part]:
        censor = self._censor
        for part in medium.parts():
            picture = part.to_paint()
            frame, planned = self._asked(picture)
            done = censor_part(
                picture, frame, self._seconds, networks=censor._networks, policy=censor.policy,  # noqa: SLF001  # its own
                sticker=censor._sticker, again=censor._recheck or planned is not None, planned=planned,  # noqa: SLF001
            )  # fmt: skip
            self._hidden.append(tuple(replace(e, region=replace(e.region, cover=None)) for e in done.redactions))
            if self._worst is None or _gravity(done.verdict) > _gravity(self._worst.verdict):
                self._worst = CensoredPages(
                    verdict=done.verdict, detections=done.detections, scores=done.scores, width=done.width,
                    height=done.height, page=len(self._hidden), pages=0, hidden=(), unhidden=done.unhidden,
                )  # fmt: skip
            self._tell(len(self._hidden))
            yield Part(done.picture, part.where)

    def _asked(self, picture: Picture) -> tuple[Frame, list[Redaction] | None]:
        """What a user drew on the next page, and what a plan hides there."""
        if self._plan is None:
            return Frame.of(picture, **self._drawn), None
        number = len(self._hidden)
        frame = self._plan.frame(picture, number)
        return frame, self._plan.redactions(frame, number)

    def done(self) -> CensoredPages:
        if self._worst is None:
            raise ValueError("a TIFF without pages")
        return replace(self._worst, seconds=self._seconds, pages=len(self._hidden), hidden=tuple(self._hidden))


def _telling(medium: Pages, progress: Progress | None) -> Callable[[int], None]:
    """Says how many pages are done, and at once that none is."""
    if progress is None:
        return lambda done: None  # noqa: ARG005
    total = medium.promised

    def tell(done: int) -> None:
        progress(done, total)

    tell(0)
    return tell


def _gravity(verdict: Verdict | None) -> tuple[int, float]:
    return (-1, -1.0) if verdict is None else (verdict.level.rank, verdict.score)
