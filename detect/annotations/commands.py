"""The commands about annotations: arguments in, text out. What they do is in the modules beside this one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from detect.annotations.check import Problem, check_document
from detect.annotations.document import read_json, write_document
from detect.annotations.fields import is_text, shown
from detect.annotations.repair import Change, repair_document
from detect.annotations.sample import draw_sample
from detect.errors import AnnotationsError

__all__ = ["check", "sample"]

_File = click.Path(path_type=Path, dir_okay=False)
_Folder = click.Path(path_type=Path, file_okay=False)

_images = click.option("--images", "images_dir", type=_Folder, required=True, help="Folder of the pictures.")
_overwrite = click.option("--overwrite", is_flag=True, help="Replace files that exist already.")


@click.command()
@click.argument("file", type=_File)
@_images
@click.option(
    "--categories",
    "categories_file",
    type=_File,
    help="COCO file whose categories are the only ones allowed, such as annotations/categories.json.",
)
@click.option("--fix", "fixed", type=_File, metavar="OUT", help="Write a mended copy to OUT and list what was changed.")
@click.option("--json", "as_json", is_flag=True, help="Print problems, and changes with --fix, as one JSON object.")
@_overwrite
def check(
    file: Path, images_dir: Path, categories_file: Path | None, fixed: Path | None, as_json: bool, overwrite: bool
) -> None:
    """List everything that is wrong with the COCO file FILE and its pictures.

    Exit code 1 where there is something; with --fix, where something is left that could not be mended.
    """
    names = None if categories_file is None else _category_names(categories_file)
    document = read_json(file)
    changes: list[Change] = []
    if fixed is not None:
        if fixed.resolve() == file.resolve():
            raise click.UsageError("--fix writes a copy; OUT must not be FILE")
        try:
            document, changes = repair_document(document, images_dir=images_dir)
        except AnnotationsError as error:
            raise AnnotationsError(f"{file}: {error}") from error
        write_document(fixed, document, overwrite=overwrite)
    problems = check_document(document, file=str(fixed or file), images_dir=images_dir, names=names)
    if as_json:
        found = {"problems": [asdict(problem) for problem in problems], "changes": [asdict(item) for item in changes]}
        click.echo(json.dumps(found, indent=1))
    else:
        for change in changes:
            click.echo(f"changed {change}")
        for problem in problems:
            click.echo(problem)
        click.echo(_summary(problems, changed=None if fixed is None else len(changes)))
    if problems:
        raise SystemExit(1)


@click.command()
@click.argument("out", type=_Folder)
@click.option("--train", type=click.IntRange(1), default=60, show_default=True, help="Pictures to train on.")
@click.option("--val", type=click.IntRange(1), default=20, show_default=True, help="Pictures to validate on.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random numbers.")
def sample(out: Path, train: int, val: int, seed: int) -> None:
    """Draw abstract shapes that stand in for the six classes into the new folder OUT, as COCO files and pictures."""
    draw_sample(out, train=train, val=val, seed=seed)
    click.echo(f"{out}: {train} pictures to train on, {val} to validate on")


def _summary(problems: list[Problem], *, changed: int | None) -> str:
    counts = Counter(str(problem.kind) for problem in problems)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    return f"problems: {found}" if changed is None else f"changes: {changed}; problems left: {found}"


def _category_names(file: Path) -> list[str]:
    document = read_json(file)
    categories = document.get("categories") if isinstance(document, dict) else None
    if not (isinstance(categories, list) and categories) or not all(
        isinstance(category, dict) and is_text(category.get("name")) for category in categories
    ):
        raise AnnotationsError(
            f"{file}: categories is {shown(categories)}; expected a list of objects with a name each"
        )
    return [category["name"] for category in categories]
