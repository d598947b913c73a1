"""What commands about labelled pictures share: which pictures, who looks at them, and where answers are kept."""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from censor.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, fail, printable, progress
from censor.cli.model_files import detector_files, file_sha256
from censor.cli.options import FilePath, analysis_options
from censor.cli.preparing import looking_closer, named_weights, tiled

if TYPE_CHECKING:
    from censor.analysis.looking import Look
    from censor.analysis.thumbnails import Thumbnails
    from censor.cli.groups import LimitOptions, SharedOptions
    from censor.finding import Networks
    from censor.policy import Policy
    from detect.evaluation.labeled import LabeledPicture

__all__ = [
    "LabeledOptions",
    "Looked",
    "asked_by",
    "asking_options",
    "labeled_command",
    "looked_at",
    "looked_at_these",
    "require_extra",
    "require_place",
    "thumbnails_of",
    "told_unreadable",
]

_EXTRA = ("imagehash", "jinja2", "matplotlib")
"""Modules that the extra `analysis` brings."""


class LabeledOptions(NamedTuple):
    """The options that these commands have in common.

    Attributes:
        pictures: Folders ``SAFE`` and ``NSFW``, or a CSV file.
        cache: Where answers are kept; None for nowhere.
        shared: Policy, networks, views, limits, messages.
    """

    pictures: Path
    cache: Path | None
    shared: SharedOptions


class Looked(NamedTuple):
    """What was found, by whom, how many pictures are worked on at once, and how their files are read again."""

    look: Look
    networks: Networks
    facts: Mapping[str, Mapping[str, str]]
    threads: int
    read: Callable[[Path, int], tuple[bytes, str]] | None = None


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
    """Who is asked, and where answers are kept: `cache` and `shared`."""
    return click.option(
        "--cache",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="Keep what networks say, and censored thumbnails, so that another run need not look again.",
    )(analysis_options(command))


def require_extra(*more: str) -> None:
    """End the command in one line where what pages and plots need is missing: before hours of looking, not after."""
    missing = [name for name in (*_EXTRA, *more) if importlib.util.find_spec(name) is None]
    if missing:
        what = ModuleNotFoundError(
            f"{missing[0]} is not installed; install it with: pip install 'nsfw-censor[analysis]'"
        )
        fail(what, EXIT_FAILED)


def require_place(path: Path, *, make: bool = True) -> None:
    """End the command in one line where nothing could be written: before hours of looking, not after.

    Args:
        path: What is to be written, which may be there.
        make: Whether folders above it will be made.
    """
    above = path if path.is_dir() else path.parent
    while make and not os.path.lexists(above):
        above = above.parent
    code = 0 if os.access(above, os.W_OK | os.X_OK) else errno.EACCES
    if not above.is_dir():
        code = errno.ENOTDIR if os.path.lexists(above) else errno.ENOENT
    if code:
        fail(OSError(f"{path}: cannot be written: {above}: {os.strerror(code)}"), EXIT_FAILED)


def looked_at(options: LabeledOptions, policies: Sequence[Policy]) -> Looked:
    """Look at all pictures, with everything that any of the policies may go by.

    Args:
        options: What and how.
        policies: The first must have a verdict here.

    Raises:
        CensorError: As `preparing` says.
        DetectError: As `preparing` says.
    """
    from detect.errors import EvaluationError
    from detect.evaluation.labeled import LABELS, read_labeled

    looked = looked_at_these(read_labeled(options.pictures), options, policies)
    for name, nsfw in LABELS.items():
        failed = [reason for picture, reason in looked.look.answers.unreadable if picture.nsfw == nsfw]
        if failed and not any(picture.nsfw == nsfw for picture in looked.look.answers.pictures):
            raise EvaluationError(f"none of {len(failed)} {name} pictures can be read; the first: {failed[0]}")
    return looked


def looked_at_these(pictures: Sequence[LabeledPicture], options: LabeledOptions, policies: Sequence[Policy]) -> Looked:
    """Look at these pictures, with everything that any of the policies may go by; as `looked_at` else."""
    from censor.analysis.looking import look_at
    from detect.evaluation.score_cache import ScoreCache

    threads = _at_once(len(pictures))
    networks, facts = asked_by(options, policies, pictures=len(pictures), workers=threads)
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
                cache=cache, progress=count, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, threads=threads,
            )  # fmt: skip
        except KeyboardInterrupt:
            kept = "what was found is kept" if cache else "nothing is kept without --cache"
            click.echo(f"interrupted; {done[0]} of {len(pictures)} pictures looked at, {kept}", err=True)
            sys.exit(EXIT_INTERRUPTED)
    return Looked(look, networks, facts, threads)


@contextmanager
def thumbnails_of(looked: Looked, cache: Path | None, limits: LimitOptions) -> Iterator[Thumbnails]:
    """What makes thumbnails of these pictures; they are kept beside the answers, where those are kept."""
    from importlib.metadata import version

    from censor.analysis.thumbnails import Thumbnails, thumbnail_censor
    from censor.policy_toml import format_policy
    from detect.evaluation.score_cache import ScoreCache, model_key
    from detect.pictures.source import read_source

    sizes = {"max_bytes": limits.max_bytes, "max_pixels": limits.max_pixels}
    censor = thumbnail_censor(looked.networks, **sizes)
    facts = {f"{name} {key}": said for name, each in looked.facts.items() for key, said in each.items()}
    policy = "" if censor is None else format_policy(censor.policy)
    key = model_key(form="3", policy=policy, version=version("nsfw-censor"), **facts)
    with ExitStack() as stack:
        kept = None if cache is None else stack.enter_context(ScoreCache(cache))
        read = looked.read or read_source
        yield Thumbnails(censor=censor, key=key, cache=kept, threads=looked.threads, read=read, **sizes)


def asked_by(
    options: LabeledOptions, policies: Sequence[Policy], *, pictures: int, workers: int
) -> tuple[Networks, dict[str, dict[str, str]]]:
    """Who would look, and what is to be known of each, for so many pictures and so many at once."""
    networks, facts = _networks(options, policies, pictures, workers)
    policies[0].require(networks.names, judging=True, classifiers=networks.says)
    return networks, facts


def _at_once(pictures: int) -> int:
    """How many pictures are worked on at once, each by one core: networks gain less by sharing one."""
    from detect.runtime.sessions import cores

    return max(1, min(cores(), pictures))


def told_unreadable(look: Look) -> int:
    """Say which pictures could not be read; the exit code that makes."""
    for _, reason in look.answers.unreadable:
        click.echo(printable(" ".join(reason.split())), err=True)
    return EXIT_FAILED if look.answers.unreadable else 0


def _networks(
    options: LabeledOptions, policies: Sequence[Policy], pictures: int, workers: int
) -> tuple[Networks, dict[str, dict[str, str]]]:
    """Who looks, and what is to be known of each: see `censor.analysis.looking.look_at`."""
    import cv2

    from censor.analysis.looking import DETECTOR
    from censor.finding import Networks
    from censor.loading import folder_of_models, load_networks, parse_classifiers
    from detect.detections import HasEngine
    from detect.explain.skin1996 import Skin1996
    from detect.installed import added_classifiers, load_classifiers
    from detect.load import SessionOptions
    from detect.models.storage import added_path
    from detect.runtime.sessions import cores

    network, views, folder = options.shared.network, options.shared.views, folder_of_models()
    threads = max(1, cores() // workers)
    cv2.setNumThreads(threads)  # its own pool would take every core for each of the workers
    given: SessionOptions = {
        "threads": threads,
        "streams": workers,
        "engine": network.engine,
        "precision": network.precision,
        "provider": network.provider,
        "pictures": pictures,
    }
    rules_of_1996 = [each for each in network.classifiers if each.casefold() == Skin1996.name]
    named = parse_classifiers([each for each in network.classifiers if each not in rules_of_1996])
    models = added_classifiers(folder) if named is None else named
    classifiers = load_classifiers(models, folder=folder, **given)
    lowest, weights = min([0.05, *(policy.lowest for policy in policies)]), named_weights(network.weights)
    detector, _ = load_networks(
        _all_labels(policies), detector=weights, classifiers=classifiers, min_score=lowest, **given
    )
    shown = {"provider": network.provider, "views": repr(views)}
    facts = {DETECTOR: {**shown, "min_score": repr(lowest), "files": repr(detector_files(detector, weights, folder))}}
    if isinstance(detector, HasEngine):
        facts[DETECTOR] |= {"engine": detector.engine, "precision": detector.precision}
    for model, each in zip(models, classifiers, strict=True):
        path = model if isinstance(model, Path) or folder is None else added_path(folder, model)
        facts[each.name] = {
            **shown,
            "file": file_sha256(Path(path)),
            "engine": each.engine,
            "precision": each.precision,
        }
    closer = None if detector is None else looking_closer(detector, views)
    asked = [*tiled(classifiers, views), *([Skin1996()] if rules_of_1996 else [])]
    facts |= {each.name: {"rules": "1"} for each in asked if each.name not in facts}
    return Networks(detector=closer, classifiers=tuple(asked)), facts


def _all_labels(policies: Sequence[Policy]) -> Policy:
    """The first policy, by which labels of the others are looked for too if a model here finds them."""
    import dataclasses

    first, *others = policies
    wanted = {label: rule for policy in others for label, rule in policy.rules.items()}
    optional = {label: dataclasses.replace(rule, required=False) for label, rule in wanted.items()}
    return dataclasses.replace(first, rules={**optional, **first.rules})
