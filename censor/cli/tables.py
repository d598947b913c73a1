"""`censor labels` and `censor policy`: what can be named, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import click

from censor.cli.console import EXIT_FAILED, fail
from censor.cli.options import FilePath, load_policy

__all__ = ["labels", "policy"]


@click.command()
@click.option("--weights", type=FilePath(), metavar="FILE", help="Show what this detector reports.")
def labels(weights: Path | None) -> None:
    """List every label that can be named, its older spellings, and whether the detector here reports it."""
    from detect.errors import WeightsError
    from detect.labels import ALIASES, CLASSES, KNOWN_LABELS
    from detect.load import load_detector

    try:
        reported: tuple[str, ...] | None = load_detector(weights, pictures=1).names
    except WeightsError as error:
        if weights is not None:
            fail(error, EXIT_FAILED)
        reported = None
    for label in (*KNOWN_LABELS, *(name for name in reported or () if name not in KNOWN_LABELS)):
        notes = [f"class {CLASSES.index(label) + 1}"] if label in CLASSES else []
        notes += [] if reported is None or label in reported else ["not reported by this detector"]
        older = [alias for alias, meant in ALIASES.items() if meant == label]
        notes += [f"also {', '.join(older)}"] if older else []
        click.echo(f"{label:26}{'; '.join(notes)}".rstrip())
    if reported is None:
        click.echo("No detector is installed here; see `censor --help`.", err=True)


@click.group()
def policy() -> None:
    """Show, check and write policies: what is hidden, how, and what counts as NSFW."""


@policy.command("list")
def policy_list() -> None:
    """Name the presets."""
    from censor.policy_toml import PRESETS

    for name in PRESETS:
        click.echo(name)


@policy.command("show")
@click.argument("source", default="default", metavar="FILE|PRESET")
def policy_show(source: str) -> None:
    """Print a policy with every value spelled out."""
    from censor.policy_toml import format_policy

    click.echo(format_policy(load_policy(source)), nl=False)


@policy.command("check")
@click.argument("source", metavar="FILE|PRESET")
@click.option("--weights", type=FilePath(), metavar="FILE", help="Against this detector.")
def policy_check(source: str, weights: Path | None) -> None:
    """Say whether a policy is valid, and whether the detector here can serve it."""
    from censor.errors import CensorError
    from detect.errors import DetectError, UnknownLabelError, WeightsError
    from detect.labels import resolve
    from detect.load import load_detector

    loaded = load_policy(source)
    try:
        loaded.require(load_detector(weights, pictures=1).names)
    except WeightsError as error:
        if weights is not None:
            fail(error, EXIT_FAILED)
        try:
            for label in loaded.rules:
                resolve(label)
        except UnknownLabelError as unknown:
            fail(unknown, EXIT_FAILED)
        click.echo(f"{source}: valid; not checked against a detector, since none is installed")
        return
    except (CensorError, DetectError) as error:
        fail(error, EXIT_FAILED)
    click.echo(f"{source}: valid")


@policy.command("write")
@click.argument("source", metavar="FILE|PRESET")
@click.argument("target", type=FilePath(), metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def policy_write(source: str, target: Path, force: bool) -> None:
    """Write a policy, every value spelled out, as a start for one's own."""
    from censor.errors import CensorError
    from censor.media.writing import write_atomic
    from censor.policy_toml import format_policy

    try:
        write_atomic(target, format_policy(load_policy(source)).encode(), overwrite=force)
    except CensorError as error:
        fail(error, EXIT_FAILED)
