"""`censor plan` and `censor apply`: what would be hidden, as a file that people change before it is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, fail, outcome, printable, singly, work_off
from censor.cli.labeled import require_extra
from censor.cli.options import FilePath, analysis_options, applying_options, planning_options
from censor.cli.preparing import make_censor, make_folder, preparing

if TYPE_CHECKING:
    from censor.batch import BatchItem
    from censor.cli.groups import HidingOptions, SharedOptions
    from censor.pipeline import Censor
    from censor.plan import Plan
    from censor.report import Outcome
    from detect.folders import PathBeneath

__all__ = ["apply", "plan"]


def _write_schema(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click's
    if not value or context.resilient_parsing:
        return
    import json

    from censor.plan_json import plan_schema

    click.echo(json.dumps(plan_schema(), indent=2))
    context.exit()


@click.command()
@click.argument("photo", type=FilePath(dir_okay=False), metavar="PHOTO")
@click.option("-o", "--output", "out", type=FilePath(dir_okay=False), required=True, metavar="PLAN.json",
              help="Where the plan goes.")  # fmt: skip
@planning_options
@click.option("--also", multiple=True, metavar="X0,Y0,X1,Y1",
              help="Hide this box too, in pixels of the upright picture. Repeatable.")  # fmt: skip
@click.option("--keep", multiple=True, metavar="X0,Y0,X1,Y1",
              help="Leave alone what is found wholly inside this box. Repeatable.")  # fmt: skip
@click.option("--sheet", type=FilePath(dir_okay=False), metavar="PLAN.html",
              help="Show each thing too, on a page of censored thumbnails; needs the extra `analysis`.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
@click.option("--schema", is_flag=True, is_eager=True, expose_value=False, callback=_write_schema,
              help="Write what a plan may hold as a JSON Schema, and do nothing else.")  # fmt: skip
@analysis_options
def plan(
    photo: Path,
    *,
    out: Path,
    also: tuple[str, ...],
    keep: tuple[str, ...],
    sheet: Path | None,
    force: bool,
    hiding: HidingOptions,
    shared: SharedOptions,
) -> None:
    """Write down what `censor PHOTO` would hide, and write no picture.

    The plan is JSON: set `"hide": false` to show a thing, add things, change boxes and times, and let `censor apply` do
    what it says. It names what is on the picture: it is as private as that.
    """
    if sheet is not None:
        require_extra()
    with preparing():
        from censor.manual import parse_box

        drawn = {"also": [parse_box(text, "--also") for text in also],
                 "keep": [parse_box(text, "--keep") for text in keep]}  # fmt: skip
        _refuse_existing([out] if sheet is None else [out, sheet], photo, force=force)
        censor = make_censor(shared, hiding, pictures=1)

    from dataclasses import replace

    from censor.errors import CensorError
    from censor.plan_json import save_plan
    from detect.errors import DetectError

    try:
        made = censor.plan(photo, **drawn)
        made = replace(made, file=_seen_from(out, photo))
        save_plan(made, out, overwrite=force)
        if sheet is not None:
            _write_sheet(photo, made, censor, shared, sheet, force=force)
    except (CensorError, DetectError) as error:
        fail(error, EXIT_FAILED)
    if not shared.messages.quiet:
        things = sum(each.hide for each in made.things)
        when = f" in {made.frames} frames" if made.moves else f" on {made.frames} pages" if made.pages else ""
        click.echo(printable(f"{photo} -> {out}  ({things} thing{'' if things == 1 else 's'} to hide{when})"))


@click.command()
@click.argument("planned", type=FilePath(dir_okay=False), metavar="PLAN.json")
@click.argument("photo", type=FilePath(dir_okay=False), metavar="[PHOTO]", required=False)
@click.option("-o", "--output", "out", type=FilePath(), metavar="OUT",
              help="A folder, or one file, whose suffix decides the format.")  # fmt: skip
@click.option("--json", "report", type=FilePath(dir_okay=False), metavar="REPORT.jsonl",
              help="Write a JSON line for every picture.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
@click.option("--other-models", is_flag=True, help="Look again with other models than the plan was made by.")
@applying_options
def apply(
    planned: Path,
    photo: Path | None,
    *,
    out: Path | None,
    report: Path | None,
    force: bool,
    other_models: bool,
    quality: int | None,
    shared: SharedOptions,
) -> None:
    """Write the censored copy that PLAN.json describes, of the picture that it was made of and no other.

    PHOTO is by default where the plan says, seen from the plan. The result is looked at again: what is found that the
    plan neither hides nor shows on purpose is hidden as well, and said.
    """
    from censor.batch import assign_targets, gather
    from censor.errors import CensorError, PlanError
    from censor.plan_json import load_plan

    try:
        plan = load_plan(planned)
        source = photo or Path(os.path.normpath(planned.parent / plan.file))
        if photo is None and not source.exists():
            raise PlanError(f"{planned}: its picture {source} is not there; name it: censor apply {planned} PHOTO")
    except CensorError as error:
        fail(error, EXIT_FAILED)
    items = assign_targets(gather([source]).items, out=out, in_place=False, overwrite=force)
    if report is not None and os.path.realpath(report) in {os.path.realpath(each) for each in (planned, source)}:
        raise click.UsageError(f"--json {report}: this run reads a file of that name")
    with preparing():
        censor = make_censor(shared, pictures=1, base=plan.policy)
    tally = work_off(
        items,
        singly(
            lambda item: outcome(
                item.source, lambda: _apply_one(censor, plan, item, quality, other_models=other_models)
            )
        ),
        workers=1,
        messages=shared.messages,
        report=report,
        overwrite=force,
    )
    sys.exit(EXIT_FAILED if tally.incomplete else 0)


def _apply_one(censor: Censor, plan: Plan, item: BatchItem, quality: int | None, *, other_models: bool) -> Outcome:
    from dataclasses import replace

    from censor.errors import OtherModelsError, OutputExistsError, OutputIsSourceError
    from detect.pictures.formats import unsupported

    if isinstance(item.error, OutputExistsError) and not isinstance(item.error, OutputIsSourceError):
        raise OutputExistsError(f"{item.error}; use --force to overwrite it")
    if item.error is not None or item.target is None:
        raise item.error or unsupported(str(item.source))
    if other_models:
        plan = replace(plan, models=censor.models)
    make_folder(item.target)
    try:
        return _applied(censor, plan, item.source, item.target, quality, overwrite=item.overwrite)
    except OtherModelsError as error:
        raise OtherModelsError(f"{error}; use --other-models to look again with these") from error


def _applied(
    censor: Censor, plan: Plan, source: Path, target: PathBeneath, quality: int | None, *, overwrite: bool
) -> Outcome:
    from dataclasses import replace

    from censor.report import Outcome

    if plan.moves:
        from censor.animation_report import animation_outcome

        moved = censor.apply_medium(source, target, plan=plan, quality=quality, overwrite=overwrite)
        done = animation_outcome(str(source), moved, str(target))
        besides = sum(each.first.track is None for each in moved.hidden)
    elif plan.pages:
        from censor.pages_report import pages_outcome

        paged = censor.apply_pages(source, target, plan=plan, quality=quality, overwrite=overwrite)
        done = pages_outcome(str(source), paged, str(target))
        besides = sum(map(len, paged.hidden)) - sum(len(each.boxes) for each in plan.things if each.hide)
    else:
        still = censor.apply_file(source, target, plan=plan, quality=quality, overwrite=overwrite)
        done = Outcome.of(str(source), still, str(target))
        besides = len(still.redactions) - sum(each.hide for each in plan.things)
    said = f"; hidden besides the plan, since the look at the output found it: {besides}" if besides else ""
    return replace(done, line=done.line + said)


def _write_sheet(photo: Path, made: Plan, censor: Censor, shared: SharedOptions, sheet: Path, *, force: bool) -> None:
    from censor.analysis.plan_sheet import plan_sheet
    from censor.media.opening import read_encoded
    from censor.media.writing import write_atomic

    limits = shared.limits
    encoded = read_encoded(photo, max_bytes=limits.max_bytes)
    page = plan_sheet(encoded, made, censor, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels)
    write_atomic(sheet, page.encode("utf-8"), overwrite=force)


def _refuse_existing(outputs: Sequence[Path], photo: Path, *, force: bool) -> None:
    """Say so before the work, not after it."""
    from censor.errors import OutputExistsError

    for out in outputs:
        if not force and os.path.lexists(out):
            raise OutputExistsError(f"{out}: exists already; use --force to overwrite it")
        if os.path.realpath(out) == os.path.realpath(photo):
            raise OutputExistsError(f"{out}: is the picture itself, which is never overwritten")
    if len(outputs) > len({os.path.realpath(each) for each in outputs}):
        raise ValueError(f"{outputs[0]}: one file cannot be both the plan and its sheet")


def _seen_from(out: Path, photo: Path) -> str:
    """The way from a plan's folder to its picture, in characters that JSON can hold."""
    way = os.path.relpath(photo.absolute(), out.absolute().parent)
    return way.encode("utf-8", "backslashreplace").decode()
