"""The options that commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from censor.choices import EFFECTS, SHAPES
from detect.choices import ENGINES, PRECISIONS, PROVIDERS

__all__ = [
    "FilePath",
    "analysis_options",
    "applying_options",
    "every_option",
    "film_options",
    "hiding_options",
    "photos_argument",
    "planning_options",
    "shared_options",
    "within",
]

_Command = Callable[..., object]


class FilePath(click.Path):
    """A path option. Empty is refused: `Path("")` is the current folder, and an unset shell variable must not be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert to a `Path`."""
        if value in ("", "-"):
            self.fail(f"{value!r} is no path", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


def photos_argument(command: _Command) -> _Command:
    """PHOTO..., none of them empty: that would be the current folder."""
    return click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", callback=_refuse_empty)(command)


def _refuse_empty(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(value):
        raise click.BadParameter("must not be empty", ctx, param)
    return value


_POLICY = (
    click.option(
        "--policy",
        "source",
        default="default",
        metavar="FILE|PRESET",
        show_default=True,
        help="What is hidden and judged: default, strict, boxes, faces, or a TOML file.",
    ),
    click.option(
        "-t",
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="[LABEL=]SCORE",
        help="Score from which boxes count, for every label or for one. Repeatable.",
    ),
)

_NETWORK = (
    click.option(
        "--weights",
        type=FilePath(),
        metavar="FILE",
        help="ONNX detector in the place of all others [default: $CENSOR_WEIGHTS, else the models that are here].",
    ),
    click.option(
        "--classifiers",
        multiple=True,
        metavar="NAME|FILE",
        help="Ask this one, of `censor models` or an ONNX file; `none` asks none [default: all that are here and that "
        "the policy counts]. Repeatable.",
    ),
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="What runs the networks; openvino is an extra.",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="What the networks compute in; bf16 is openvino's and torch's, int8 a quantised file's.",
    ),
    click.option(
        "--provider",
        type=click.Choice(PROVIDERS),
        default="cpu",
        show_default=True,
        help="What the networks run on; all but cpu need another build of onnxruntime, or torch for safetensors.",
    ),
)

_VIEWS = (
    click.option("--tile", is_flag=True, help="Look at overlapping tiles too: finds small parts, costs more."),
    click.option(
        "--tile-size",
        type=click.IntRange(min=32),
        default=640,
        metavar="PIXELS",
        show_default=True,
        help="Longest side of a tile.",
    ),
    click.option("--flip", is_flag=True, help="Look at the mirror image too: finds more, costs twice."),
)

_WORKERS = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    default=lambda: min(os.cpu_count() or 1, 4),
    show_default="one a core, at most 4",
    help="Pictures worked on at once.",
)

_LIMITS = (
    click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=100_000_000,
        metavar="N",
        show_default=True,
        help="Refuse larger pictures before decoding them.",
    ),
    click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        default=64 * 2**20,
        metavar="N",
        show_default=True,
        help="Refuse larger files before reading them.",
    ),
)

_MESSAGES = (
    click.option("-q", "--quiet", is_flag=True, help="Errors only."),
    click.option("-v", "--verbose", is_flag=True, help="A line for every picture."),
)

_PLANNED = (
    click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="LABEL",
        help="Hide this label, and only those named so; see `censor labels`. Repeatable.",
    ),
    click.option(
        "--replacewith",
        type=click.Choice(sorted(EFFECTS)),
        help="What is shown instead [default: the policy's].",
    ),
    click.option("--shape", type=click.Choice(SHAPES), help="[default: the policy's]"),
    click.option(
        "--mask-scale",
        type=click.FloatRange(1, 20),
        metavar="FACTOR",
        help="Hide this many times the box's width and height [default: the policy's].",
    ),
    click.option(
        "--feather",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Soft edge outside a region, as a share of the box's shorter side.",
    ),
    click.option(
        "--cells",
        type=click.IntRange(1, 8),
        metavar="N",
        help="Squares along a blurred or pixelated region: fewer hide more [default: the policy's].",
    ),
    click.option("--color", metavar="COLOR", help="Of solid regions: a name, #rrggbb or r,g,b."),
    click.option("--sticker", metavar="NAME|FILE", help="smile, star, heart, stop (or their emoji), or an image file."),
)

_QUALITY = click.option(
    "--quality",
    type=click.IntRange(1, 100),
    show_default="that of a JPEG for a JPEG, else 95",
    help="Of lossy formats.",
)

_HIDING = (
    *_PLANNED,
    _QUALITY,
    click.option("--no-recheck", is_flag=True, help="Do not look at the output again."),
)


every_option = click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="about eight a second of a film, each of an animation",
    help="Look at each N-th frame of what moves, and at the first and the last of each shot.",
)

_CODEC = click.option(
    "--video-codec",
    type=click.Choice(("h264", "hevc", "vp9", "av1")),
    help="What films are written in [default: their own, or what their container takes].",
)


def shared_options(command: _Command) -> _Command:
    """The options that `hide`, `check` and `watch` have in common, for the command's argument `shared`."""

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import SharedOptions

        shared = SharedOptions.taken(given)
        return command(shared=shared, **given)

    return _with_options(call, *_POLICY, *_NETWORK, *_VIEWS, _WORKERS, *_LIMITS, *_MESSAGES)


def analysis_options(command: _Command) -> _Command:
    """The options of commands that look at pictures one after the other, for the command's argument `shared`.

    They are those of `shared_options` without the number of workers.
    """

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import SharedOptions

        given["workers"] = 1
        shared = SharedOptions.taken(given)
        return command(shared=shared, **given)

    return _with_options(call, *_POLICY, *_NETWORK, *_VIEWS, *_LIMITS, *_MESSAGES)


def applying_options(command: _Command) -> _Command:
    """The options of a command whose policy is a plan's, for its arguments `shared` and `quality`."""

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import SharedOptions

        given |= {"source": "", "thresholds": (), "workers": 1}
        shared = SharedOptions.taken(given)
        return command(shared=shared, **given)

    return _with_options(call, _QUALITY, *_NETWORK, *_VIEWS, *_LIMITS, *_MESSAGES)


def planning_options(command: _Command) -> _Command:
    """The options of `hiding_options` that say what a plan holds, for the command's argument `hiding`."""

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import HidingOptions

        given |= {"quality": None, "no_recheck": False}
        hiding = HidingOptions.taken(given)
        return command(hiding=hiding, **given)

    return _with_options(call, *_PLANNED)


def hiding_options(command: _Command) -> _Command:
    """The options that `hide` and `watch` have in common, for the command's argument `hiding`.

    They say what is hidden, and what is shown instead.
    """

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import HidingOptions

        hiding = HidingOptions.taken(given)
        return command(hiding=hiding, **given)

    return _with_options(call, *_HIDING)


def film_options(command: _Command) -> _Command:
    """The options of `hide` that are about films, for the command's argument `films`."""

    @functools.wraps(command)
    def call(**given: object) -> object:
        from censor.cli.groups import FilmOptions

        films = FilmOptions.taken(given)
        return command(films=films, **given)

    return _with_options(call, every_option, _CODEC)


def _with_options(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path lies in one of the folders, links followed."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder.resolve()) for folder in folders)
