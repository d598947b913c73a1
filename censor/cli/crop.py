"""`censor crop`: the part of a picture that may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, fail
from censor.cli.options import FilePath, shared_options
from censor.cli.preparing import make_censor, preparing

if TYPE_CHECKING:
    from censor.analysis.windows import Ratio
    from censor.cli.groups import SharedOptions
    from detect.installed import LoadedClassifier

__all__ = ["crop"]


@click.command()
@click.argument("photo", type=FilePath(exists=True, dir_okay=False), metavar="PHOTO")
@click.option(
    "-o",
    "--output",
    "out",
    type=FilePath(),
    required=True,
    metavar="OUT",
    help="A file, or a folder for NAME.16x9.SUFFIX and so on.",
)
@click.option("--ratio", "ratios", multiple=True, required=True, metavar="W:H", help="Width to height. Repeatable.")
@click.option("--by", metavar="NAME|FILE", help="Take the crop that this classifier finds least NSFW, not the largest.")
@click.option(
    "--smallest",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.25,
    show_default=True,
    metavar="SHARE",
    help="How long the longer side of a crop is at least, as a share of the longest possible.",
)
@click.option("--quality", type=click.IntRange(1, 100), show_default="that of a JPEG for a JPEG, else 95",
              help="Of lossy formats.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
@shared_options
def crop(
    photo: Path,
    *,
    out: Path,
    ratios: tuple[str, ...],
    by: str | None,
    smallest: float,
    quality: int | None,
    force: bool,
    shared: SharedOptions,
) -> None:
    """Write the largest crop of PHOTO in each shape that the policy calls safe, with nothing in it that it hides.

    The crop is looked at again as it will be written. Where one of the shapes has no safe crop, nothing is written.
    """
    wanted = _parse_ratios(ratios)
    with preparing():
        targets = _targets(photo, out, wanted, force=force)
        chooser = None if by is None else load_classifier(by)
        censor = make_censor(shared)

    from censor.analysis.crop import crop_picture
    from censor.errors import CensorError
    from censor.media.writing import write_atomic
    from detect.errors import DetectError
    from detect.pictures.formats import format_of

    try:
        found = crop_picture(
            photo, censor, wanted, by=chooser, smallest=smallest, format=format_of(targets[0]), quality=quality,
            max_bytes=shared.limits.max_bytes, max_pixels=shared.limits.max_pixels,
        )  # fmt: skip
        for each, target in zip(found, targets, strict=True):
            write_atomic(target, each.data, overwrite=force)
    except (CensorError, DetectError) as error:
        fail(error, EXIT_FAILED)
    for each, target in zip(found, targets, strict=True):
        box = f"{each.window.x0},{each.window.y0},{each.window.x1},{each.window.y1}"
        if not shared.messages.quiet:
            click.echo(f"{each.ratio}  {box}  {target}" + ("" if each.score is None else f"  {by} {each.score:.2f}"))


def load_classifier(by: str) -> LoadedClassifier:
    """A known classifier, or one in a file: what ends in ``.onnx`` is one.

    Raises:
        DetectError: It is unknown, was not added, or cannot be had so.
    """
    from censor.loading import folder_of_models
    from detect.installed import load_classifiers

    (found,) = load_classifiers([Path(by) if by.endswith(".onnx") else by], folder=folder_of_models())
    return found


def _parse_ratios(texts: tuple[str, ...]) -> list[Ratio]:
    from censor.analysis.windows import Ratio

    try:
        return list({text: Ratio.parse(text) for text in texts}.values())
    except ValueError as error:
        raise click.UsageError(f"--ratio: {error}") from None


def _targets(photo: Path, out: Path, ratios: list[Ratio], *, force: bool) -> list[Path]:
    """Where each crop goes: the file that was named, or one for each shape in the folder."""
    from censor.errors import OutputExistsError, WriteError
    from censor.gather import gather, mirrored
    from detect.pictures.formats import format_of

    if format_of(out) is not None and not out.is_dir():
        if len(ratios) > 1:
            raise click.UsageError(f"-o {out}: one file cannot take {len(ratios)} crops; name a folder")
        targets = [out]
    else:
        (item,) = gather([photo]).items
        if item.error is not None:
            raise item.error
        named = mirrored(Path(photo.name), item.format)
        targets = [out / f"{named.stem}.{each.width}x{each.height}{named.suffix}" for each in ratios]
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{out}: cannot make this folder: {error.strerror or error}") from error
    for target in targets:
        if target.exists() and target.samefile(photo):
            raise OutputExistsError(f"{target}: is the picture itself, which is never overwritten")
        if not force and (target.exists() or target.is_symlink()):
            raise OutputExistsError(f"{target}: exists already; use --force to overwrite it")
    return targets
