"""``python -m detect``: annotations, training's surroundings and export, from the command line."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from detect.errors import DetectError, MissingWeightsError

__all__ = ["main"]

_COMMANDS = {
    "autolabel": "detect.cli.annotations",
    "check": "detect.cli.annotations",
    "convert": "detect.cli.annotations",
    "evaluate": "detect.cli.detectors",
    "export": "detect.cli.detectors",
    "preannotate": "detect.cli.annotations",
    "prepare": "detect.cli.classes",
    "quantize": "detect.cli.detectors",
    "sample": "detect.cli.annotations",
    "split": "detect.cli.annotations",
    "stats": "detect.cli.annotations",
}
"""Command to the module that has a click command of this name; imported when the command is called."""

_EXTRAS = {
    "defusedxml": "annotations",
    "imagehash": "annotations",
    "matplotlib": "annotations",
    "albumentations": "train",
    "nncf": "quantize",
    "onnx": "train",
    "onnxscript": "train",
    "pycocotools": "train",
    "safetensors": "train",
    "tensorboard": "train",
    "timm": "train",
    "torch": "train",
    "torchvision": "train",
    "yaml": "annotations",
}
"""A module that may not be installed, and the extra that brings it."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called, and reports what it raises in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(_COMMANDS[cmd_name]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMMANDS[cmd_name]}.{cmd_name} is no click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MissingWeightsError as error:
            raise click.ClickException(
                "no detector weights: name a file with --weights, or install some with: "
                "pip install 'nsfw-censor[nudenet]'"
            ) from error
        except DetectError as error:
            raise click.ClickException(" ".join(str(error).splitlines())) from error
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            raise click.ClickException(
                f"{error.name} is not installed; install it with: pip install 'nsfw-censor[{extra}]'"
            ) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nsfw-censor")
def main() -> None:
    """Prepare annotations, and see what a detector makes of pictures.

    Exit codes: 0 done, 1 something is wrong with the data, 2 usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text at all


if __name__ == "__main__":
    main(prog_name="python -m detect")
