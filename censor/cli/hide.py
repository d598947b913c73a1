"""`censor hide`: censored copies of pictures and films."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, Tally, frames_bar, outcome, singly, work_off
from censor.cli.options import (
    FilePath,
    film_options,
    hiding_options,
    photos_argument,
    shared_options,
    within,
)
from censor.cli.piped import Applying, hide_piped
from censor.cli.preparing import make_censor, make_folder, named_weights, preparing

if TYPE_CHECKING:
    from censor.batch import BatchItem
    from censor.cli.groups import FilmOptions, HidingOptions, OutputOptions, SharedOptions
    from censor.errors import CensorError
    from censor.manual import Box
    from censor.pipeline import Censor
    from censor.report import Outcome
    from detect.errors import DetectError
    from detect.folders import PathBeneath

__all__ = ["hide"]


@click.command()
@photos_argument
@click.option(
    "-o",
    "--output",
    "out",
    type=FilePath(),
    metavar="OUT",
    help="Folder that mirrors the inputs, or one file, whose suffix decides the format.",
)
@hiding_options
@film_options
@click.option(
    "--also",
    multiple=True,
    metavar="X0,Y0,X1,Y1",
    help="Hide this box too, in pixels of the upright picture. For one PHOTO. Repeatable.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="X0,Y0,X1,Y1",
    help="Leave alone what is found wholly inside this box. For one PHOTO. Repeatable.",
)
@click.option(
    "--boxes",
    type=FilePath(file_okay=False),
    metavar="DIR",
    help="For debugging: draw what was found on further copies, in a folder that is not OUT.",
)
@click.option(
    "--json",
    "report",
    type=FilePath(dir_okay=False),
    metavar="REPORT.jsonl",
    help="Write a JSON line for every picture.",
)
@click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
@click.option("--in-place", is_flag=True, help="Replace the sources by their censored copies.")
@shared_options
def hide(  # noqa: PLR0913  # as many options
    photos: tuple[str, ...],
    *,
    out: Path | None,
    also: tuple[str, ...],
    keep: tuple[str, ...],
    boxes: Path | None,
    report: Path | None,
    force: bool,
    in_place: bool,
    hiding: HidingOptions,
    films: FilmOptions,
    shared: SharedOptions,
) -> None:
    """Write censored copies of pictures, films and folders of them; `-` is standard input to standard output.

    A copy stands beside its source as NAME.censored.SUFFIX, or below OUT. What could not be decoded, detected, hidden
    and looked at again has no copy, and the rest goes on.
    """
    from censor.cli.groups import OutputOptions

    if in_place and out is not None:
        raise click.UsageError("--in-place and -o/--output exclude each other")
    _check_out(out, photos)
    output = OutputOptions(
        out=out,
        in_place=in_place,
        force=force,
        boxes=boxes,
        quality=hiding.quality,
        also=_drawn("--also", also, photos),
        keep=_drawn("--keep", keep, photos),
        films=films,
    )
    published = [Path(photo) for photo in photos] if out is None else [out.parent if _is_file_name(out) else out]
    if boxes is not None and within(boxes, published):
        raise click.UsageError(
            "--boxes must lie outside the folders of the outputs: its pictures are not for publishing"
        )
    if "-" in photos:
        tally = _hide_stream(photos, output, hiding, shared, report)
    else:
        tally = _hide_files(photos, output, hiding, shared, report)
    sys.exit(EXIT_INTERRUPTED if tally.interrupted else EXIT_FAILED if tally.incomplete else 0)


def _hide_files(
    photos: tuple[str, ...], output: OutputOptions, hiding: HidingOptions, shared: SharedOptions, report: Path | None
) -> Tally:
    from censor.batch import assign_targets, gather

    gathered = gather(photos, out=output.out)
    items = assign_targets(gathered.items, out=output.out, in_place=output.in_place, overwrite=output.force)
    outputs = 0 if output.in_place else len(gathered.items) - len(items)
    if report is not None:
        _check_report(report, items, hiding, shared)
    with preparing():
        censor = make_censor(shared, hiding, pictures=len(items))
    quiet = shared.messages.quiet or len(items) > 1  # several have a bar of their own
    return work_off(
        items,
        singly(lambda item: outcome(item.source, lambda: _hide_one(censor, output, item, quiet=quiet))),
        workers=shared.limits.workers,
        messages=shared.messages,
        ignored=gathered.ignored + outputs,
        report=report,
        overwrite=output.force,
    )


def _advised(error: CensorError | DetectError) -> CensorError | DetectError:
    """An error with what an option could do about it."""
    from censor.errors import OutputExistsError, OutputIsSourceError, OutputTakenError

    if isinstance(error, OutputIsSourceError):
        return OutputIsSourceError(f"{error}; use --in-place")
    if isinstance(error, OutputExistsError) and not isinstance(error, OutputTakenError):
        return OutputExistsError(f"{error}; use --force to overwrite it")
    return error


def _hide_one(censor: Censor, output: OutputOptions, item: BatchItem, *, quiet: bool) -> Outcome:
    from censor.errors import WriteError
    from censor.media.encoding import encode
    from censor.media.film_kinds import film_named
    from censor.media.opening import still_or_moving
    from censor.media.writing import write_atomic
    from censor.report import Outcome, draw_boxes
    from detect.errors import UnsupportedImageError
    from detect.pictures.formats import unsupported
    from detect.pictures.still import Picture

    if item.error is not None or item.target is None:
        raise _advised(item.error) if item.error is not None else unsupported(str(item.source))
    drawn = None if output.boxes is None else _room_for_boxes(output.boxes, output, item)
    make_folder(item.target)
    source, target = item.beneath or item.source, item.target
    options: Applying = {
        "also": output.also,
        "keep": output.keep,
        "format": item.format if output.in_place else None,
        "quality": output.quality,
        "overwrite": item.overwrite,
    }

    def still() -> Outcome:
        if film_named(target) is not None:
            raise WriteError(f"{item.source}: a picture is not written as a film; name another file")
        done = censor.apply_file(source, target, **options)
        if drawn is not None:
            write_atomic(drawn, encode(Picture(draw_boxes(done)), format="PNG"), overwrite=True)
        return Outcome.of(str(item.source), done, str(item.target))

    def moving() -> Outcome:
        if drawn is not None:
            raise UnsupportedImageError(f"{item.source}: --boxes draws on still pictures, and this one moves")
        from censor.animation_report import animation_outcome

        with frames_bar(quiet=quiet) as progress:
            moved = censor.apply_medium(
                source, target, **options, every=output.films.every, codec=output.films.video_codec, progress=progress
            )
        return animation_outcome(str(item.source), moved, str(target))

    def paged() -> Outcome:
        if drawn is not None:
            raise UnsupportedImageError(f"{item.source}: --boxes draws on one picture, and this one has pages")
        from censor.pages_report import pages_outcome

        return pages_outcome(str(item.source), censor.apply_pages(source, target, **options), str(target))

    return still_or_moving(item.format, still=still, moving=moving, paged=paged)


def _room_for_boxes(folder: Path, output: OutputOptions, item: BatchItem) -> PathBeneath:
    from censor.errors import OutputExistsError
    from detect.folders import PathBeneath

    drawn = PathBeneath(folder, item.relative.with_name(item.relative.name + ".boxes.png"))
    make_folder(drawn)
    if drawn.exists() and not output.force:
        raise OutputExistsError(f"{item.source}: {drawn} exists already; use --force to overwrite it")
    return drawn


def _hide_stream(
    photos: tuple[str, ...], output: OutputOptions, hiding: HidingOptions, shared: SharedOptions, report: Path | None
) -> Tally:
    """Standard input to standard output, or to the file that -o names."""
    if len(photos) > 1 or output.in_place or output.boxes is not None:
        raise click.UsageError("`-` stands alone, without --in-place and --boxes")
    out, stdout = output.out, sys.stdout.buffer
    if out is not None and out.is_dir():
        raise click.UsageError(f"-o {out}: standard input has no name; give the output one")
    if out is None and stdout.isatty():
        raise click.UsageError("a picture is not written to a terminal; redirect the output or use -o")
    with preparing():
        censor = make_censor(shared, hiding, pictures=1)

    return work_off(
        [Path("-")],
        singly(lambda name: outcome(name, lambda: hide_piped(censor, output, max_bytes=shared.limits.max_bytes))),
        workers=1,
        messages=shared.messages._replace(quiet=True),  # standard output is the picture
        report=report,
        overwrite=output.force,
    )


def _check_out(out: Path | None, photos: tuple[str, ...]) -> None:
    """Refuse an OUT whose meaning would have to be guessed."""
    from censor.media.film_kinds import named_format

    if out is None or out.is_dir():
        return
    one_file = len(photos) == 1 and not os.path.isdir(photos[0])  # noqa: PTH112  # false for what can be no path
    if out.suffix and one_file and named_format(out) is None:
        raise click.UsageError(f"-o {out}: no known picture suffix; make the folder first if it is meant to be one")
    if named_format(out) is not None and not one_file:
        raise click.UsageError(f"-o {out}: one file cannot take several pictures; name a folder")


def _drawn(option: str, texts: tuple[str, ...], photos: tuple[str, ...]) -> list[Box]:
    """The boxes that an option draws: they belong to one picture."""
    from censor.manual import parse_box

    if texts and (len(photos) > 1 or os.path.isdir(photos[0])):  # noqa: PTH112  # false for what can be no path
        raise click.UsageError(f"{option} is about one picture; name one PHOTO")
    try:
        return [parse_box(text, option) for text in texts]
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _is_file_name(out: Path) -> bool:
    from censor.media.film_kinds import named_format

    return named_format(out) is not None and not out.is_dir()


def _check_report(report: Path, items: Iterable[BatchItem], hiding: HidingOptions, shared: SharedOptions) -> None:
    """Refuse a report that would take the place of something that this run reads or writes."""
    network = shared.network
    named = [shared.policy.source, named_weights(network.weights), *network.classifiers, hiding.sticker]
    used = [path for item in items for path in (item.source, item.target)] + named
    if os.path.realpath(report) in {os.path.realpath(path) for path in used if path is not None}:
        raise click.UsageError(f"--json {report}: this run reads or writes a file of that name")
