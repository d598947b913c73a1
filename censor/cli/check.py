"""`censor check`: judging pictures and films."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NSFW, frames_bar, outcome, work_off
from censor.cli.options import every_option, photos_argument, shared_options
from censor.cli.piped import read_piped
from censor.cli.preparing import make_censor, preparing

if TYPE_CHECKING:
    from censor.batch import BatchItem
    from censor.cli.groups import SharedOptions
    from censor.media.opening import Encoded
    from censor.pipeline import Censor
    from censor.report import Outcome
    from censor.results import Checked
    from detect.pictures.source import Source

__all__ = ["check"]


@click.command()
@photos_argument
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for every picture instead.")
@click.option("--whole", is_flag=True, help="Decode large JPEGs whole: for files that may be made to deceive.")
@every_option
@click.option("--first", is_flag=True, help="Stop at the first frame of what moves that is NSFW.")
@shared_options
def check(
    photos: tuple[str, ...], *, as_json: bool, whole: bool, every: int | None, first: bool, shared: SharedOptions
) -> None:
    """Judge pictures and films without writing any; `-` is standard input.

    Prints level, score, file and reasons.
    """
    from censor.batch import BatchItem, gather
    from censor.checking import together

    if piped := "-" in photos:
        if len(photos) > 1:
            raise click.UsageError("`-` stands alone")
        items: tuple[BatchItem, ...] = (BatchItem(source=Path("-"), relative=Path("-")),)
        ignored = 0
    else:
        gathered = gather(photos)
        items, ignored = gathered.items, gathered.ignored
    with preparing():
        censor = make_censor(shared, pictures=len(items))
        censor.require_verdict()

    quiet = shared.messages.quiet or len(items) > 1

    def work(group: Sequence[BatchItem]) -> list[Outcome]:
        known = _looked_ahead(censor, group, whole=whole)

        def one(item: BatchItem) -> Outcome:
            piped_in = read_piped(shared.limits.max_bytes) if piped else None
            still = known.get(item) or (lambda: censor.check(piped_in or _source(item), whole=whole))
            return _check_one(censor, item, piped_in, still=still, every=every, first=first, quiet=quiet)

        return [outcome(item.source, partial(one, item)) for item in group]

    tally = work_off(
        items,
        work,
        workers=shared.limits.workers,
        together=together(len(items), shared.limits.at_once(len(items))),
        messages=shared.messages._replace(verbose=not shared.messages.quiet),
        judging=True,
        records=as_json,
        ignored=ignored,
    )
    if tally.interrupted:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_FAILED if tally.incomplete else EXIT_NSFW if tally.levels["nsfw"] else 0)


def _looked_ahead(
    censor: Censor, items: Sequence[BatchItem], *, whole: bool
) -> Mapping[BatchItem, Callable[[], Checked]]:
    """What a look at these together says of each that may be a still, or raises."""
    from censor.checking import settled
    from censor.media.film_kinds import FILMS

    stills = [item for item in items if item.error is None and item.format not in FILMS] if len(items) > 1 else []
    checks = censor.check_together([_source(item) for item in stills], whole=whole) if stills else []
    return {item: partial(settled, checked) for item, checked in zip(stills, checks, strict=True)}


def _source(item: BatchItem) -> Source:
    return item.beneath or item.source


def _check_one(
    censor: Censor,
    item: BatchItem,
    piped: Encoded | None,
    *,
    still: Callable[[], Checked],
    every: int | None,
    first: bool,
    quiet: bool,
) -> Outcome:
    from censor.media.opening import announced, still_or_moving
    from censor.report import Outcome

    if item.error is not None:
        raise item.error
    name, source = str(item.source), piped or _source(item)

    def moving() -> Outcome:
        from censor.animation_report import animation_outcome

        if piped is not None:
            piped.seek(0)
        with frames_bar(quiet=quiet) as progress:
            return animation_outcome(name, censor.check_medium(source, every=every, first=first, progress=progress))

    def paged() -> Outcome:
        from censor.pages_report import pages_outcome

        if piped is not None:
            piped.seek(0)
        return pages_outcome(name, censor.check_pages(source))

    kind = item.format if piped is None else announced(piped)
    return still_or_moving(kind, still=lambda: Outcome.of(name, still()), moving=moving, paged=paged)
