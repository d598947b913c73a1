"""The options that commands share, and the `Censor` that they describe."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from censor.cli.console import EXIT_FAILED, EXIT_USAGE, fail

if TYPE_CHECKING:
    from censor.pipeline import Censor
    from censor.policy import Policy
    from detect.detections import Detector

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "PROVIDERS",
    "FilePath",
    "hiding",
    "load_policy",
    "make_censor",
    "photos_argument",
    "shared",
    "within",
]

# As in `detect.load` and `detect.runtime.sessions`, which take longer to import than a help text should.
ENGINES = ("auto", "onnxruntime", "openvino")
PRECISIONS = ("auto", "f32", "bf16", "int8")
PROVIDERS = ("cpu", "cuda", "tensorrt", "coreml", "directml")

_TILES = 20
"""About so many tiles a picture has: from a few to fifty."""

_F = TypeVar("_F", bound=Callable[..., Any])


class FilePath(click.Path):
    """A path option. Empty is refused: `Path("")` is the current folder, and an unset shell variable must not be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert to a `Path`."""
        if value in ("", "-"):
            self.fail(f"{value!r} is no path", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


def photos_argument(command: _F) -> _F:
    """PHOTO..., none of them empty: that would be the current folder."""
    return click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", callback=_refuse_empty)(command)


def _refuse_empty(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(value):
        raise click.BadParameter("must not be empty", ctx, param)
    return value


def shared(command: _F) -> _F:
    """The options that `hide`, `check` and `watch` have in common."""
    options = [
        click.option(
            "--policy",
            default="default",
            metavar="FILE|PRESET",
            show_default=True,
            help="What is hidden and judged: default, strict, faces, or a TOML file.",
        ),
        click.option(
            "-t",
            "--threshold",
            "thresholds",
            multiple=True,
            metavar="[LABEL=]SCORE",
            help="Score from which boxes count, for every label or for one. Repeatable.",
        ),
        click.option(
            "--weights",
            type=FilePath(),
            metavar="FILE",
            help="ONNX detector [default: $CENSOR_WEIGHTS, else the nudenet package's].",
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="auto",
            show_default=True,
            help="What runs the network; openvino is an extra.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="auto",
            show_default=True,
            help="What the network computes in; bf16 is openvino's and torch's, int8 a quantised file's.",
        ),
        click.option(
            "--provider",
            type=click.Choice(PROVIDERS),
            default="cpu",
            show_default=True,
            help="What the network runs on; all but cpu need another build of onnxruntime, or torch for safetensors.",
        ),
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
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            default=lambda: min(os.cpu_count() or 1, 4),
            show_default="one a core, at most 4",
            help="Pictures worked on at once.",
        ),
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
        click.option("-q", "--quiet", is_flag=True, help="Errors only."),
        click.option("-v", "--verbose", is_flag=True, help="A line for every picture."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def hiding(command: _F) -> _F:
    """The options that `hide` and `watch` have in common: what is hidden, and what is shown instead."""
    options = [
        click.option(
            "--label",
            "labels",
            multiple=True,
            metavar="LABEL",
            help="Hide this label, and only those named so; see `censor labels`. Repeatable.",
        ),
        click.option(
            "--replacewith",
            type=click.Choice(["blur", "pixelate", "solid", "sticker"]),
            help="What is shown instead [default: the policy's].",
        ),
        click.option("--shape", type=click.Choice(["box", "rounded", "ellipse"]), help="[default: the policy's]"),
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
        click.option(
            "--sticker", metavar="NAME|FILE", help="smile, star, heart, stop (or their emoji), or an image file."
        ),
        click.option(
            "--quality",
            type=click.IntRange(1, 100),
            show_default="that of a JPEG for a JPEG, else 95",
            help="Of lossy formats.",
        ),
        click.option("--no-recheck", is_flag=True, help="Do not run the detector on the output."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path lies in one of the folders, links followed."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder.resolve()) for folder in folders)


def load_policy(source: str) -> Policy:
    """A preset or a file; what is wrong with it ends the program."""
    from censor import policy_toml
    from censor.errors import PolicyError

    try:
        return policy_toml.load_policy(source)
    except PolicyError as error:
        fail(error, EXIT_USAGE)


def make_censor(options: dict[str, Any], *, pictures: int | None = None) -> Censor:
    """Policy, detector and limits as options say, for so many pictures. What is wrong with them ends the program."""
    from concurrent.futures import ThreadPoolExecutor

    from censor.errors import CensorError
    from detect.errors import DetectError, ImageError, ReadError, UnknownLabelError, WeightsError
    from detect.tiling import FlipDetector, TiledDetector

    base = load_policy(options["policy"])
    thresholds = [_parse_threshold(text) for text in options["thresholds"]]
    lowest = min([base.lowest, 0.05, *(score for _, score in thresholds)])
    try:
        with ThreadPoolExecutor(1) as pool:  # the network loads while Pillow and what needs it are imported
            loading = pool.submit(_load_detector, options, lowest, pictures)
            from censor.pipeline import Censor

            detector = loading.result()
        if options["tile"]:
            detector = TiledDetector(detector, tile=options["tile_size"])
        if options["flip"]:
            detector = FlipDetector(detector)
        return Censor(
            policy=_adjust(base, options, thresholds, detector.names),
            detector=detector,
            recheck=not options.get("no_recheck", False),
            max_bytes=options["max_bytes"],
            max_pixels=options["max_pixels"],
        )
    except WeightsError as error:
        fail(error, EXIT_FAILED)
    except (CensorError, ImageError, ReadError, UnknownLabelError, ValueError) as error:  # of a picture: the sticker
        fail(error, EXIT_USAGE)
    except DetectError as error:
        fail(error, EXIT_FAILED)


def _at_once(options: dict[str, Any], pictures: int | None) -> int:
    workers: int = options["workers"]
    return workers if pictures is None else min(workers, max(1, pictures))


def _load_detector(options: dict[str, Any], min_score: float, pictures: int | None) -> Detector:
    """A detector that as many pictures share as are worked on at once, and the cores among them."""
    import cv2

    from detect.load import load_detector
    from detect.runtime.sessions import cores

    workers = _at_once(options, pictures)
    threads = max(1, cores() // workers)
    views = pictures * _TILES if pictures is not None and options["tile"] else pictures
    cv2.setNumThreads(threads)  # its own pool would take every core for each of the workers
    detector = load_detector(
        options["weights"],
        min_score=min_score,
        threads=threads,
        streams=workers,
        engine=options["engine"],
        precision=options["precision"],
        provider=options["provider"],
        pictures=views,
    )
    if options["verbose"]:
        click.echo(f"engine {detector.engine}, precision {detector.precision}, threads {threads}", err=True)
    return detector


def _adjust(
    base: Policy, options: dict[str, Any], thresholds: list[tuple[str | None, float]], names: tuple[str, ...]
) -> Policy:
    """The policy as changed by options."""
    from censor.policy import parse_color

    adjusted = base.only(options["labels"], names) if options.get("labels") else base
    for label, score in sorted(thresholds, key=lambda each: each[0] is not None):  # what is said of one label wins
        adjusted = adjusted.at(score, None if label is None else [label])
    own = {"effect": options.get("replacewith"), "shape": options.get("shape")}
    if options.get("mask_scale") is not None:
        own["expand"] = (options["mask_scale"] - 1) / 2
    if options.get("sticker") is not None and own["effect"] is None:
        own["effect"] = "sticker"
    adjusted = adjusted.each(**{key: value for key, value in own.items() if value is not None})
    whole = {key: options.get(key) for key in ("feather", "cells", "sticker")}
    if options.get("color") is not None:
        whole["color"] = parse_color(options["color"])
    given: dict[str, Any] = {key: value for key, value in whole.items() if value is not None}
    return dataclasses.replace(adjusted, **given)


def _parse_threshold(text: str) -> tuple[str | None, float]:
    label, equals, score = text.rpartition("=")
    if equals and not label.strip():
        raise click.UsageError(f"-t {text}: no label before the equals sign")
    try:
        value = float(score)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise click.UsageError(f"-t {text}: must be a score in [0, 1], or LABEL=SCORE")
    return label or None, value
