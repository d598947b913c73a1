"""What a command has before it begins: a policy, a detector, and the `Censor` of the options that describe them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, EXIT_USAGE, fail

if TYPE_CHECKING:
    from censor.cli.groups import HidingOptions, PolicyOptions, SharedOptions, ViewOptions
    from censor.pipeline import Censor
    from censor.policy import Policy
    from detect.classifier.scores import Classifier
    from detect.detections import Detector
    from detect.folders import PathBeneath

__all__ = [
    "WEIGHTS_VARIABLE",
    "chosen_policy",
    "looking_closer",
    "make_censor",
    "make_folder",
    "named_weights",
    "preparing",
    "tiled",
]

WEIGHTS_VARIABLE = "CENSOR_WEIGHTS"
"""Environment variable that names a weights file where no option does."""

_TILES = 20
"""About so many tiles a picture has: from a few to fifty."""


@contextmanager
def preparing() -> Iterator[None]:
    """What goes wrong before a command begins ends it in one line: as usage, unless it is the detector that fails."""
    from censor.errors import CensorError
    from detect.errors import DetectError, ImageError, ReadError, UnknownLabelError

    try:
        yield
    except (CensorError, ImageError, ReadError, UnknownLabelError, ValueError) as error:  # of a picture: the sticker
        fail(error, EXIT_USAGE)
    except DetectError as error:
        fail(error, EXIT_FAILED)


def named_weights(option: Path | None) -> Path | None:
    """The weights file that the option names, or else the environment; None for the installed weights."""
    named = os.environ.get(WEIGHTS_VARIABLE)
    return option or (Path(named) if named else None)


def chosen_policy(options: PolicyOptions) -> Policy:
    """The policy as options say.

    Raises:
        CensorError: It is not valid.
        UnknownLabelError: A threshold for a label without a rule.
        UsageError: A threshold that is none.
    """
    from censor.policy_toml import load_policy

    return _at(load_policy(options.source), [_parse_threshold(text) for text in options.thresholds])


def make_censor(
    shared: SharedOptions,
    hiding: HidingOptions | None = None,
    *,
    pictures: int | None = None,
    base: Policy | None = None,
    share: int | None = None,
) -> Censor:
    """Policy, networks and limits as options say.

    Args:
        shared: The options that all commands have.
        hiding: Those of commands that hide.
        pictures: How many there will be; None if nobody knows.
        base: The policy, in the place of the one that they name: its file may be on another machine.
        share: Cores that the networks may take; None for all that this process has.

    Raises:
        CensorError: The policy is not valid, or these networks cannot serve it.
        DetectError: There is no detector where one is needed, or a network cannot be had so; or the sticker is no
            picture.
        UsageError: A threshold that is none.
        ValueError: Another option's value.
    """
    from concurrent.futures import ThreadPoolExecutor

    from censor.policy_toml import load_policy

    base, weights = base or load_policy(shared.policy.source), named_weights(shared.network.weights)
    thresholds = [_parse_threshold(text) for text in shared.policy.thresholds]
    # A file may know labels that are in no table; models that were added are chosen by the labels.
    policy = base if weights is not None or hiding is None else _hiding(base, hiding, ())
    if any(name != "none" for name in shared.network.classifiers) and not policy.asks_classifiers:
        raise click.UsageError(f"--classifiers: the policy {policy.name!r} asks none")
    lowest = min([base.lowest, 0.05, *(score for _, score in thresholds)])
    with ThreadPoolExecutor(1) as pool:  # networks load while Pillow and what needs it are imported
        loading = pool.submit(_load_networks, shared, policy, weights, lowest, pictures, share)
        from censor.pipeline import Censor

        detector, classifiers = loading.result()
    if weights is not None and hiding is not None and detector is not None:
        policy = _hiding(base, hiding, detector.names)
    return Censor(
        policy=_at(policy, thresholds),
        detector=None if detector is None else looking_closer(detector, shared.views),
        classifiers=tiled(classifiers, shared.views),
        recheck=hiding is None or not hiding.no_recheck,
        max_bytes=shared.limits.max_bytes,
        max_pixels=shared.limits.max_pixels,
    )


def _load_networks(
    shared: SharedOptions,
    policy: Policy,
    weights: Path | None,
    min_score: float,
    pictures: int | None,
    share: int | None,
) -> tuple[Detector | None, Sequence[Classifier]]:
    """Networks that as many pictures share as are worked on at once, and the cores among them."""
    import cv2

    from censor.loading import load_networks, parse_classifiers
    from detect.runtime.sessions import cores

    workers = shared.limits.at_once(pictures)
    threads = max(1, (share or cores()) // workers)
    cv2.setNumThreads(threads)  # its own pool would take every core for each of the workers
    detector, classifiers = load_networks(
        policy,
        detector=weights,
        classifiers=parse_classifiers(shared.network.classifiers),
        min_score=min_score,
        threads=threads,
        streams=workers,
        engine=shared.network.engine,
        precision=shared.network.precision,
        provider=shared.network.provider,
        pictures=pictures * _TILES if pictures is not None and shared.views.tile else pictures,
    )
    if shared.messages.verbose:
        _tell(detector, classifiers, threads)
    if detector is None and policy.acting and not shared.messages.quiet:
        names = ", ".join(each.name for each in classifiers)
        alone = f"no detector is here: {names} judge and hide alone; get one with: censor models add 320n"
        click.echo(alone, err=True)
    return detector, classifiers


def _tell(detector: Detector | None, classifiers: Sequence[Classifier], threads: int) -> None:
    """What runs the networks."""
    from detect.detections import HasEngine
    from detect.tiling import models_of

    named = [*([] if detector is None else [(", ".join(models_of(detector)), detector)])]
    for name, network in (*named, *((each.name, each) for each in classifiers)):
        if isinstance(network, HasEngine):
            runs = f"engine {network.engine}, precision {network.precision}, threads {threads}"
            click.echo(f"{name}: {runs}", err=True)


def looking_closer(detector: Detector, views: ViewOptions) -> Detector:
    """The detector, looking at what else of a picture the options say."""
    from detect.tiling import FlipDetector, TiledDetector

    if views.tile:
        detector = TiledDetector(detector, tile=views.tile_size)
    return FlipDetector(detector) if views.flip else detector


def tiled(classifiers: Sequence[Classifier], views: ViewOptions) -> Sequence[Classifier]:
    """The classifiers, looking at tiles too if the options say so."""
    from detect.classifier.tiling import TiledClassifier

    return [TiledClassifier(each, tile=views.tile_size) for each in classifiers] if views.tile else classifiers


def _at(policy: Policy, thresholds: Sequence[tuple[str | None, float]]) -> Policy:
    """The policy with these thresholds; what is said of one label wins."""
    for label, score in sorted(thresholds, key=lambda each: each[0] is not None):
        policy = policy.at(score, None if label is None else [label])
    return policy


def _hiding(policy: Policy, options: HidingOptions, names: tuple[str, ...]) -> Policy:
    """The policy as changed by what is to be hidden, and how."""
    from censor.policy import parse_color

    if options.labels:
        policy = policy.only(options.labels, names)
    effect = options.replacewith or (None if options.sticker is None else "sticker")
    if effect is not None:
        policy = policy.each(effect=effect)
    if options.shape is not None:
        policy = policy.each(shape=options.shape)
    if options.mask_scale is not None:
        policy = policy.each(expand=(options.mask_scale - 1) / 2)
    return dataclasses.replace(
        policy,
        feather=policy.feather if options.feather is None else options.feather,
        cells=policy.cells if options.cells is None else options.cells,
        color=policy.color if options.color is None else parse_color(options.color),
        sticker=policy.sticker if options.sticker is None else options.sticker,
    )


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


def make_folder(path: PathBeneath) -> None:
    """Make the folder that an output goes to, and those above it.

    Raises:
        WriteError: It cannot be made.
    """
    from censor.errors import WriteError

    try:
        path.root.mkdir(parents=True, exist_ok=True)
        with path.opened_parent(make=True):
            pass
    except OSError as error:
        raise WriteError(f"{Path(path).parent}: cannot make this folder: {error.strerror or error}") from error
