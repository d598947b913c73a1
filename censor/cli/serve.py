"""`censor serve`: the HTTP upload service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from censor.cli.console import EXIT_FAILED, fail
from censor.cli.options import FilePath
from censor.cli.preparing import WEIGHTS_VARIABLE, preparing
from detect.choices import ENGINES, PRECISIONS, PROVIDERS

__all__ = ["serve"]

_INT = click.IntRange(min=1)


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on [default: 127.0.0.1].")
@click.option(
    "--port", type=click.IntRange(0, 65_535), metavar="N", help="TCP port [default: 8000]; 0 takes a free one."
)
@click.option("--workers", type=_INT, metavar="N", help="Processes for the pictures [default: one a core, at most 4].")
@click.option("--policy", metavar="FILE|PRESET", help="Of requests that name none [default: default].")
@click.option("--policies", type=FilePath(file_okay=False), metavar="DIR", help="TOML policies that requests may name.")
@click.option("--weights", type=FilePath(), metavar="FILE", help="ONNX detector in the place of all others.")
@click.option(
    "--classifiers",
    multiple=True,
    metavar="NAME|FILE",
    help="Load this one, of `censor models` or an ONNX file; `none` loads none [default: those here that any policy "
    "counts]. Repeatable.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    help="What runs networks; openvino is an extra [default: auto].",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="What networks compute in [default: auto].",
)
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    help="What networks run on [default: cpu].",
)
@click.option("--max-bytes", type=_INT, metavar="N", help="Refuse larger uploads as they come [default: 20971520].")
@click.option("--max-pixels", type=_INT, metavar="N", help="Refuse larger pictures, undecoded [default: 25000000].")
@click.option("--in-flight", type=_INT, metavar="N", help="Pictures a worker works on at once [default: its cores].")
@click.option("--queue", type=click.IntRange(min=0), metavar="N", help="Pictures that may wait [default: 16].")
@click.option("--picture-seconds", type=float, metavar="SECONDS", help="Time limit of a picture [default: 30].")
@click.option("--upload-seconds", type=float, metavar="SECONDS", help="Patience with slow uploads [default: 10].")
@click.option("--upload-rate", type=_INT, metavar="N", help="Bytes a second asked of an upload [default: 16384].")
@click.option("--upload-memory", type=_INT, metavar="N", help="Bytes of uploads held at once [default: 268435456].")
@click.option(
    "--film-bytes",
    type=click.IntRange(min=0),
    metavar="N",
    help="Refuse larger films as they come [default: 33554432].",
)
@click.option("--film-seconds", type=float, metavar="SECONDS", help="Of a film answered at once [default: 20].")
@click.option("--film-workers", type=click.IntRange(min=0), metavar="N", help="Processes for films [default: 1].")
@click.option("--job-seconds", type=float, metavar="SECONDS", help="Of a film sent as a job [default: 600].")
@click.option("--jobs", type=click.IntRange(min=0), metavar="N", help="Jobs kept at once [default: 8].")
@click.option("--job-ttl", type=float, metavar="SECONDS", help="How long a result waits for its client [default: 300].")
@click.option("--batch", type=_INT, metavar="N", help="Pictures detected in one run of the network [default: 1].")
@click.option("--batch-wait", type=float, metavar="SECONDS", help="Wait for others to join a run [default: 0].")
@click.option(
    "--threads", type=_INT, metavar="N", help="Threads of one run of the network [default: its share of cores]."
)
@click.option("--drain-seconds", type=click.IntRange(min=0), metavar="N", help="Patience after SIGTERM [default: 30].")
@click.option("--api-keys-file", type=FilePath(), metavar="FILE", help="A key a line; requests to /v1 must bear one.")
@click.option("--cors-origins", metavar="ORIGIN,...", help="Origins whose pages may call /v1 [default: none].")
@click.option("--allowed-hosts", metavar="HOST,...", help="Names it may be called by [default: localhost; see docs].")
@click.option("--page/--no-page", default=None, help="Serve the page at / [default: yes].")
def serve(classifiers: tuple[str, ...], **options: str | float | Path | None) -> None:
    """Censor pictures and films over HTTP, and serve a page to try it.

    What no option says, the variable CENSOR_ and the option's name says, as in CENSOR_MAX_BYTES. API keys can stand in
    CENSOR_API_KEYS, separated by commas.
    """
    try:
        import pydantic

        from censor.service.choosing import loader
        from censor.service.policies import Policies
        from censor.service.server import serve as serve_forever
        from censor.service.settings import Settings
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("censor", "detect"):
            raise
        missing = f"{error.name} is not installed; install it with: pip install 'nsfw-censor[service]'"
        fail(ModuleNotFoundError(missing), EXIT_FAILED)
    # Who speaks HTTP is a process of its own and reads the environment.
    options["classifiers"] = ",".join(classifiers) or None
    for name, value in options.items():
        if value is not None:
            os.environ[f"CENSOR_{name.upper()}"] = str(value.resolve() if isinstance(value, Path) else value)
    if not os.environ.get(WEIGHTS_VARIABLE, "unset"):  # empty is as good as unset, for every command
        del os.environ[WEIGHTS_VARIABLE]
    with preparing():
        try:
            settings = Settings()
        except pydantic.ValidationError as error:
            faults = [f"CENSOR_{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
            raise ValueError("; ".join(faults)) from error
        settings.key_digests()
        policies = Policies.load(settings)
        # What is wrong is said here, in one line, and not by each worker. Nothing of it stays: this process supervises.
        networks = loader(settings, policies, pictures=1)()
        policies.served_by(networks.labels, networks.says)
        del networks
    serve_forever(settings)
