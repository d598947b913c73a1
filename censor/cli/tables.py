"""`censor labels` and `censor policy`: what can be named, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import click

from censor.cli.console import EXIT_FAILED, fail
from censor.cli.options import FilePath
from censor.cli.preparing import named_weights, preparing

__all__ = ["labels", "policy"]


@click.command()
@click.option("--weights", type=FilePath(), metavar="FILE", help="Show what this detector reports.")
def labels(weights: Path | None) -> None:
    """List every label that can be named, its older spellings, and whether a detector here finds it."""
    from detect.errors import WeightsError
    from detect.labels import ALIASES, CLASSES, KNOWN_LABELS

    with preparing():
        try:
            reported, of_whom = _reported(named_weights(weights))
        except WeightsError:
            if weights is not None:
                raise
            reported, of_whom = (), ""
    for label in (*KNOWN_LABELS, *(name for name in reported if name not in KNOWN_LABELS)):
        notes = [f"class {CLASSES.index(label) + 1}"] if label in CLASSES else []
        notes += [f"not reported by {of_whom}"] if reported and label not in reported else []
        older = [alias for alias, meant in ALIASES.items() if meant == label]
        notes += [f"also {', '.join(older)}"] if older else []
        click.echo(f"{label:26}{'; '.join(notes)}".rstrip())
    if not reported:
        click.echo("No detector is here; get one with: censor models add 320n", err=True)


def _reported(weights: Path | None) -> tuple[tuple[str, ...], str]:
    """The labels that are found here, and by whom others are not."""
    from censor.loading import folder_of_models
    from detect.installed import found_labels
    from detect.labels import KINDS, KNOWN_LABELS, serves
    from detect.load import load_detector

    if weights is None:
        return found_labels(KNOWN_LABELS, folder=folder_of_models()), "the models here"
    names = load_detector(weights, pictures=1).names
    return (*names, *(label for label in KINDS if label not in names and serves(label, names))), "this detector"


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
    from censor.policy_toml import format_policy, load_policy

    with preparing():
        text = format_policy(load_policy(source))
    click.echo(text, nl=False)


@policy.command("check")
@click.argument("source", metavar="FILE|PRESET")
@click.option("--weights", type=FilePath(), metavar="FILE", help="Against this detector.")
def policy_check(source: str, weights: Path | None) -> None:
    """Say whether a policy is valid, and whether the models here can serve it."""
    from censor.finding import networks_for
    from censor.loading import load_networks
    from censor.policy_toml import load_policy
    from detect.errors import WeightsError

    with preparing():
        loaded = load_policy(source)
        try:
            networks_for(loaded, *load_networks(loaded, detector=named_weights(weights), pictures=1))
        except WeightsError as error:
            if weights is not None:
                raise
            loaded.resolve_labels(())
            click.echo(f"{source}: valid; not checked against models: {error}")
            return
    click.echo(f"{source}: valid")


@policy.command("write")
@click.argument("source", metavar="FILE|PRESET")
@click.argument("target", type=FilePath(), metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def policy_write(source: str, target: Path, force: bool) -> None:
    """Write a policy, every value spelled out, as a start for one's own."""
    from censor.errors import CensorError
    from censor.media.writing import write_atomic
    from censor.policy_toml import format_policy, load_policy

    with preparing():
        text = format_policy(load_policy(source))
    try:
        write_atomic(target, text.encode(), overwrite=force)
    except CensorError as error:
        fail(error, EXIT_FAILED)
