"""What commands about labelled pictures share: which pictures, who looks at them, and where answers are kept."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from censor.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, fail, printable, progress
from censor.cli.options import FilePath, analysis_options
from censor.cli.preparing import named_weights

if TYPE_CHECKING:
    from censor.analysis.looking import Look
    from censor.cli.groups import SharedOptions
    from censor.finding import Networks
    from censor.policy import Policy
    from detect.detections import Detector
    from detect.evaluation.labeled import LabeledPicture

__all__ = [
    "LabeledOptions",
    "Looked",
    "asking_options",
    "labeled_command",
    "looked_at",
    "looked_at_these",
    "require_extra",
    "told_unreadable",
]

_EXTRA = ("imagehash", "jinja2", "matplotlib")
"""Modules that the extra `analysis` brings."""


class LabeledOptions(NamedTuple):
    """The options that these commands have in common.

    Attributes:
        pictures: Folders ``SAFE`` and ``NSFW``, or a CSV file.
        classifiers: Names and files, as they were typed; None for all that were added.
        cache: Where answers are kept; None for nowhere.
        shared: Policy, networks, views, limits, messages.
    """

    pictures: Path
    classifiers: str | None
    cache: Path | None
    shared: SharedOptions


class Looked(NamedTuple):
    """What was found, and by whom."""

    look: Look
    networks: Networks
    facts: Mapping[str, Mapping[str, str]]


def labeled_command(command: Callable[..., object]) -> Callable[..., object]:
    """SOURCE and the options of `LabeledOptions`, for the command's argument `labeled`."""

    @functools.wraps(command)
    def call(**given: object) -> object:
        names = LabeledOptions._fields
        labeled = LabeledOptions(**{name: given.pop(name) for name in names})  # type: ignore[arg-type]  # click's
        return command(labeled=labeled, **given)

    named = click.argument("pictures", type=FilePath(exists=True), metavar="SOURCE")
    return named(asking_options(call))


def asking_options(command: Callable[..., object]) -> Callable[..., object]:
    """Who is asked, and where answers are kept: `classifiers`, `cache`, and `shared`."""
    wrapped = analysis_options(command)
    for option in (
        click.option("--cache", type=FilePath(dir_okay=False), metavar="FILE",
                     help="Keep what networks say (numbers alone), so that another run need not look again."),
        click.option("--classifiers", metavar="NAME|FILE,...",
                     help="Added models or ONNX files; `none` for none [default: all that were added]."),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


def require_extra(*more: str) -> None:
    """End the command in one line where what pages and plots need is missing: before hours of looking, not after."""
    missing = [name for name in (*_EXTRA, *more) if importlib.util.find_spec(name) is None]
    if missing:
        what = ModuleNotFoundError(
            f"{missing[0]} is not installed; install it with: pip install 'nsfw-censor[analysis]'"
        )
        fail(what, EXIT_FAILED)


def looked_at(options: LabeledOptions, policies: Sequence[Policy]) -> Looked:
    """Look at all pictures, with everything that any of the policies may go by.

    Raises:
        CensorError: As `preparing` says.
        DetectError: As `preparing` says.
    """
    from detect.evaluation.labeled import read_labeled

    return looked_at_these(read_labeled(options.pictures), options, policies)


def looked_at_these(pictures: Sequence[LabeledPicture], options: LabeledOptions, policies: Sequence[Policy]) -> Looked:
    """Look at these pictures, with everything that any of the policies may go by; as `looked_at` else."""
    from censor.analysis.looking import look_at
    from detect.evaluation.score_cache import ScoreCache

    networks, facts = _networks(options, policies, len(pictures))
    limits, quiet = options.shared.limits, options.shared.messages.quiet
    with ExitStack() as stack:
        cache = None if options.cache is None else stack.enter_context(ScoreCache(options.cache))
        advance = stack.enter_context(progress(len(pictures), quiet=quiet))
        done = [0]

        def count(number: int) -> None:
            done[0] = number
            advance()

        try:
            look = look_at(
                pictures, networks, facts,
                cache=cache, progress=count, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels,
            )  # fmt: skip
        except KeyboardInterrupt:
            kept = "what was found is kept" if cache else "nothing is kept without --cache"
            click.echo(f"interrupted; {done[0]} of {len(pictures)} pictures looked at, {kept}", err=True)
            sys.exit(EXIT_INTERRUPTED)
    return Looked(look, networks, facts)


def told_unreadable(look: Look) -> int:
    """Say which pictures could not be read; the exit code that makes."""
    for _, reason in look.answers.unreadable:
        click.echo(printable(" ".join(reason.split())), err=True)
    return EXIT_FAILED if look.answers.unreadable else 0


def _networks(
    options: LabeledOptions, policies: Sequence[Policy], pictures: int
) -> tuple[Networks, dict[str, dict[str, str]]]:
    """Who looks, and what is to be known of each: see `censor.analysis.looking.look_at`."""
    from censor.analysis.looking import DETECTOR
    from censor.data_folder import models_folder
    from censor.finding import Networks
    from detect.installed import added_classifiers, load_classifiers
    from detect.load import SessionOptions, find_weights, load_detector
    from detect.models.storage import added_path

    network = options.shared.network
    given: SessionOptions = {
        "engine": network.engine,
        "precision": network.precision,
        "provider": network.provider,
        "pictures": pictures,
    }
    lowest = min([0.05, *(policy.lowest for policy in policies)])
    weights = named_weights(network.weights)
    plain = load_detector(weights, min_score=lowest, **given)
    folder = models_folder()
    models = _named_classifiers(options.classifiers, added_classifiers(folder))
    classifiers = load_classifiers(models, folder=folder, **given)
    facts = {
        DETECTOR: {"file": _sha256(find_weights(weights)[0]), "engine": plain.engine, "precision": plain.precision}
    }
    facts[DETECTOR] |= {"min_score": repr(lowest), "provider": network.provider, "views": repr(options.shared.views)}
    for model, each in zip(models, classifiers, strict=True):
        path = model if isinstance(model, Path) else added_path(folder, model)
        facts[each.name] = {"file": _sha256(path), "engine": each.engine, "precision": each.precision}
        facts[each.name]["provider"] = network.provider
    return Networks(detector=_with_views(plain, options.shared), classifiers=classifiers), facts


def _with_views(detector: Detector, shared: SharedOptions) -> Detector:
    from detect.tiling import FlipDetector, TiledDetector

    if shared.views.tile:
        detector = TiledDetector(detector, tile=shared.views.tile_size)
    return FlipDetector(detector) if shared.views.flip else detector


def _named_classifiers(text: str | None, added: Sequence[str]) -> list[str | Path]:
    """What `--classifiers` names: a file where it looks like one, else a known model."""
    if text is None:
        return list(added)
    names = [name.strip() for name in text.split(",")]
    if names == ["none"]:
        return []
    if not all(names):
        raise click.UsageError(f"--classifiers {text}: a name is empty")
    return [Path(name) if name.endswith(".onnx") else name for name in names]


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
