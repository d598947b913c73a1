"""`censor explain`: what networks look at, as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from censor.cli.console import EXIT_FAILED, printable, progress
from censor.cli.options import FilePath, photos_argument, shared_options
from censor.cli.preparing import make_censor, preparing

if TYPE_CHECKING:
    from collections.abc import Callable

    from censor.analysis.explained_networks import ExplainedNetwork
    from censor.analysis.explained_pictures import Explanations, Limits
    from censor.cli.groups import SharedOptions
    from censor.pipeline import Censor

__all__ = ["explain"]

METHODS = ("occlusion", "activation", "drise", "deconvnet", "guided", "skin1996")
"""As in `censor.analysis.explaining`, which takes longer to import than a help text should."""


@click.command()
@photos_argument
@click.option("-o", "--output", "out", type=FilePath(), metavar="DIR", required=True,
              help="Folder for page, maps and numbers; must not exist.")  # fmt: skip
@click.option("--method", "methods", type=click.Choice(METHODS), multiple=True,
              help="Which maps [default: occlusion, activation, skin1996]. Repeatable.")  # fmt: skip
@click.option("--by", "networks", multiple=True, metavar="MODEL",
              help="Whose answers: a known model, skin1996, or an ONNX or safetensors file "
                   "[default: added classifiers]. Repeatable.")  # fmt: skip
@click.option("--label", metavar="LABEL", help="What is explained [default: NSFW, or a detector's strongest box].")
@click.option("--window", type=click.IntRange(min=1), metavar="PIXELS",
              help="Of occlusion, in a picture of 448 pixels [default: 2/7 of the shorter side].")  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), metavar="PIXELS", help="Of occlusion [default: half a window].")
@click.option("--masks", type=click.IntRange(min=1), metavar="N", default=600, show_default=True, help="Of D-RISE.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--false-alarms", is_flag=True,
              help="PHOTO... are harmless: show what those have in common that score high.")  # fmt: skip
@click.option("--at", type=click.FloatRange(0, 1), metavar="SCORE", default=0.5, show_default=True,
              help="Score that is high, for --false-alarms.")  # fmt: skip
@click.option("--layer", metavar="NAME|NUMBER", help="With --unit: show what excites one unit of a network.")
@click.option("--unit", type=int, metavar="N", help="Of --layer, from 0.")
@click.option("--uncensored", is_flag=True, help="Show pictures as they are, and maps in full.")
@shared_options
def explain(  # noqa: PLR0913  # options are the command's own
    photos: tuple[str, ...],
    *,
    out: Path,
    methods: tuple[str, ...],
    networks: tuple[str, ...],
    label: str | None,
    window: int | None,
    stride: int | None,
    masks: int,
    seed: int,
    false_alarms: bool,
    at: float,
    layer: str | None,
    unit: int | None,
    uncensored: bool,
    shared: SharedOptions,
) -> None:
    """Show where in pictures networks' answers come from, and whether that can be believed.

    Writes DIR/index.html, DIR/numbers.json and DIR/maps/. Pictures are shown censored. A first page stands
    within seconds, and is replaced while maps become finer. Needs the extra `analysis`; deconvnet, guided and --unit
    need torch.
    """
    if (layer is None) != (unit is None) or (false_alarms and unit is not None):
        raise click.UsageError("--layer and --unit go together, and not with --false-alarms")
    with preparing():
        from censor.analysis.explained_pictures import Limits
        from censor.analysis.explaining import QUICK, Asked
        from censor.analysis.made_folders import refuse_taken
        from censor.gather import gather

        asked = Asked(
            methods=methods or QUICK, label=label, window=window, stride=stride, masks=masks, seed=seed,
            uncensored=uncensored,
        )  # fmt: skip
        refuse_taken(out)
        loaded, items = _loaded(networks, alone=unit is not None), gather(photos).items
        censor = None if uncensored else make_censor(shared, pictures=len(items))
        limits = Limits(max_bytes=shared.limits.max_bytes, max_pixels=shared.limits.max_pixels)
        with progress(len(items), quiet=shared.messages.quiet, least=1) as advance:
            common: _Common = {"censor": censor, "out": out, "limits": limits, "advance": advance}
            if false_alarms:
                from censor.analysis.false_alarms import explain_false_alarms

                done = explain_false_alarms(items, loaded, at=at, seed=seed, **common)
            elif layer is not None and unit is not None:
                from censor.analysis.units import explain_unit

                done = explain_unit(items, loaded[0], layer=layer, unit=unit, **common)
            else:
                from censor.analysis.explain import explain_pictures

                done = explain_pictures(items, loaded, asked, **common)
    _report(done, out, quiet=shared.messages.quiet)


class _Common(TypedDict):
    """What all three ways take."""

    censor: Censor | None
    out: Path
    limits: Limits
    advance: Callable[..., None]


def _loaded(names: tuple[str, ...], *, alone: bool) -> tuple[ExplainedNetwork, ...]:
    from censor.analysis.explained_networks import default_names, load_networks
    from censor.data_folder import models_folder

    folder = models_folder()
    loaded = load_networks(names or default_names(folder), folder=folder)
    if alone and len(loaded) > 1:
        said = " or ".join(each.name for each in loaded)
        raise click.UsageError(f"--unit is one network's: name it with --by, {said}")
    return loaded


def _report(done: Explanations, out: Path, *, quiet: bool) -> None:
    for path, error in done.failed:
        said = " ".join(str(error).split())
        click.echo(printable(f"Error: {said if str(path) in said else f'{path}: {said}'}"), err=True)
    if not quiet and done.explained:
        click.echo(f"{out / 'index.html'}: {done.explained} explained, {len(done.failed)} failed")
    if done.failed:
        sys.exit(EXIT_FAILED)
