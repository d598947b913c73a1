"""`censor hide` and `censor check`: what is done with pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from censor.cli.console import EXIT_USAGE, fail, outcome, work_off
from censor.cli.options import FilePath, hiding, make_censor, photos_argument, shared, within

if TYPE_CHECKING:
    from censor.batch import BatchItem
    from censor.manual import Box
    from censor.pipeline import Censor
    from censor.report import Outcome
    from detect.folders import PathBeneath

__all__ = ["check", "hide"]


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
@hiding
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
    help="For debugging: draw all boxes on further copies, in a folder that is not OUT.",
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
@shared
def hide(photos: tuple[str, ...], **options: Any) -> None:
    """Write censored copies of pictures and of folders of pictures; `-` is standard input to standard output.

    A copy stands beside its source as NAME.censored.SUFFIX, or below OUT. What could not be decoded, detected, hidden
    and looked at again has no copy, and the rest goes on.
    """
    out, in_place, boxes = options["out"], options["in_place"], options["boxes"]
    if in_place and out is not None:
        raise click.UsageError("--in-place and -o/--output exclude each other")
    _check_out(out, photos)
    options |= _drawn(options, photos)
    published = [Path(photo) for photo in photos] if out is None else [out.parent if _is_file_name(out) else out]
    if boxes is not None and within(boxes, published):
        raise click.UsageError(
            "--boxes must lie outside the folders of the outputs: its pictures are not for publishing"
        )
    if "-" in photos:
        _hide_stream(photos, options)
        return

    from censor.batch import assign_targets, gather

    gathered = gather(photos, out=out)
    items = assign_targets(gathered.items, out=out, in_place=in_place, overwrite=options["force"])
    outputs = 0 if in_place else len(gathered.items) - len(items)
    _check_report(options, items)
    censor = make_censor(options, pictures=len(items))
    work_off(
        items,
        lambda item: outcome(item.source, lambda: _hide_one(censor, options, item)),
        options,
        ignored=gathered.ignored + outputs,
        report=options["report"],
    )


def _hide_one(censor: Censor, options: dict[str, Any], item: BatchItem) -> Outcome:
    from censor.errors import OutputExistsError
    from censor.media.encoding import encode
    from censor.media.writing import write_atomic
    from censor.report import Outcome, draw_boxes
    from detect.folders import PathBeneath
    from detect.pictures.formats import unsupported
    from detect.pictures.still import Picture

    if item.error is not None or item.target is None:
        raise item.error or unsupported(str(item.source))
    drawn = None
    if options["boxes"] is not None:
        drawn = PathBeneath(options["boxes"], item.relative.with_name(item.relative.name + ".boxes.png"))
        _make_folder(drawn)
        if drawn.exists() and not options["force"]:
            raise OutputExistsError(f"{item.source}: {drawn} exists already; use --force to overwrite it")
    _make_folder(item.target)
    done = censor.apply_file(
        item.beneath or item.source,
        item.target,
        also=options["also"],
        keep=options["keep"],
        format=item.format if options["in_place"] else None,
        quality=options["quality"],
        overwrite=item.overwrite,
    )
    if drawn is not None:
        write_atomic(drawn, encode(Picture(draw_boxes(done)), format="PNG"), overwrite=True)
    return Outcome.of(str(item.source), done, str(item.target))


def _hide_stream(photos: tuple[str, ...], options: dict[str, Any]) -> None:
    """Standard input to standard output, or to the file that -o names."""
    if len(photos) > 1 or options["in_place"] or options["boxes"] is not None:
        raise click.UsageError("`-` stands alone, without --in-place and --boxes")
    out, stdout = options["out"], sys.stdout.buffer
    if out is not None and out.is_dir():
        raise click.UsageError(f"-o {out}: standard input has no name; give the output one")
    if out is None and stdout.isatty():
        raise click.UsageError("a picture is not written to a terminal; redirect the output or use -o")
    censor = make_censor(options, pictures=1)

    from censor.errors import WriteError
    from censor.report import Outcome

    def work() -> Outcome:
        done = censor.apply(sys.stdin.buffer, also=options["also"], keep=options["keep"])
        if out is not None:
            done.save(out, overwrite=options["force"], quality=options["quality"])
        else:
            data = done.encode(quality=options["quality"])
            try:
                stdout.write(data)
                stdout.flush()
            except OSError as error:
                raise WriteError(f"standard output: cannot be written: {error.strerror or error}") from error
        return Outcome.of("-", done, "-" if out is None else str(out))

    quiet = {**options, "quiet": True}  # standard output is the picture
    work_off([Path("-")], lambda name: outcome(name, work), quiet, report=options["report"])


@click.command()
@photos_argument
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for every picture instead.")
@click.option("--whole", is_flag=True, help="Decode large JPEGs whole: for files that may be made to deceive.")
@shared
def check(photos: tuple[str, ...], whole: bool, **options: Any) -> None:
    """Judge pictures without writing any; `-` is standard input.

    Prints level, score, file and reasons.
    """
    from censor.batch import BatchItem, gather
    from censor.errors import PolicyError
    from censor.report import Outcome

    if piped := "-" in photos:
        if len(photos) > 1:
            raise click.UsageError("`-` stands alone")
        items: tuple[BatchItem, ...] = (BatchItem(source=Path("-"), relative=Path("-")),)
        ignored = 0
    else:
        gathered = gather(photos)
        items, ignored = gathered.items, gathered.ignored
    censor = make_censor(options, pictures=len(items))
    try:
        censor.policy.require(censor.detector.names, judging=True)
    except PolicyError as error:
        fail(error, EXIT_USAGE)

    def work(item: BatchItem) -> Outcome:
        if item.error is not None:
            raise item.error
        return Outcome.of(
            str(item.source), censor.check(sys.stdin.buffer if piped else item.beneath or item.source, whole=whole)
        )

    work_off(
        items,
        lambda item: outcome(item.source, lambda: work(item)),
        {**options, "verbose": not options["quiet"]},
        ignored=ignored,
    )


def _check_out(out: Path | None, photos: tuple[str, ...]) -> None:
    """Refuse an OUT whose meaning would have to be guessed."""
    from detect.pictures.formats import format_of

    if out is None or out.is_dir():
        return
    one_file = len(photos) == 1 and not os.path.isdir(photos[0])  # noqa: PTH112  # false for what can be no path
    if out.suffix and one_file and format_of(out) is None:
        raise click.UsageError(f"-o {out}: no known picture suffix; make the folder first if it is meant to be one")
    if format_of(out) is not None and not one_file:
        raise click.UsageError(f"-o {out}: one file cannot take several pictures; name a folder")


def _drawn(options: dict[str, Any], photos: tuple[str, ...]) -> dict[str, list[Box]]:
    """The boxes that were drawn, by option: they belong to one picture."""
    from censor.manual import parse_box

    drawn = {}
    for name in ("also", "keep"):
        if options[name] and (len(photos) > 1 or os.path.isdir(photos[0])):  # noqa: PTH112  # false for what can be no path
            raise click.UsageError(f"--{name} is about one picture; name one PHOTO")
        try:
            drawn[name] = [parse_box(text, f"--{name}") for text in options[name]]
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return drawn


def _is_file_name(out: Path) -> bool:
    from detect.pictures.formats import format_of

    return format_of(out) is not None and not out.is_dir()


def _check_report(options: dict[str, Any], items: Iterable[BatchItem]) -> None:
    """Refuse a report that would take the place of something that this run reads or writes."""
    if options["report"] is None:
        return
    report = os.path.realpath(options["report"])
    named = [options["policy"], options["weights"], options["sticker"]]
    used = [path for item in items for path in (item.source, item.target)] + named
    if report in {os.path.realpath(path) for path in used if path is not None}:
        raise click.UsageError(f"--json {options['report']}: this run reads or writes a file of that name")


def _make_folder(path: PathBeneath) -> None:
    from censor.errors import WriteError

    try:
        path.root.mkdir(parents=True, exist_ok=True)
        with path.opened_parent(make=True):
            pass
    except OSError as error:
        raise WriteError(f"{Path(path).parent}: cannot make this folder: {error.strerror or error}") from error
