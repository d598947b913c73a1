"""Options of a training script: a dataclass, read from the command line and from the state of a run that goes on."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from detect.training.checkpoint import load_state

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["STATE", "Options", "option", "read_options"]

STATE = "state.safetensors"
"""The file in a run's folder that it goes on from."""


_C = TypeVar("_C", bound="DataclassInstance")


def option(default: Any, text: str, choices: Sequence[str] | None = None) -> Any:
    """A field of a configuration that is an option of the command line too."""
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Options(Generic[_C]):
    """What a command line says.

    Attributes:
        kind: The configuration that it is meant for.
        given: Options that it names.
        saved: Those of the run that goes on; none where it starts.
        resumed: Whether it goes on.
        parser: For what is wrong with them: its `error` does not return.
    """

    kind: type[_C]
    given: dict[str, Any]
    saved: dict[str, Any]
    resumed: bool
    parser: argparse.ArgumentParser

    def config(self, **defaults: Any) -> _C:
        """The configuration: what is named counts first, then what was saved, then `defaults`, then the fields' own."""
        return self.kind(**(defaults | self.saved | self.given))


def read_options(kind: type[_C], arguments: Sequence[str] | None, *, description: str | None) -> Options[_C]:
    """Read a command line; what is wrong with it ends the process with exit code 2.

    Args:
        kind: A frozen dataclass of fields made by `option`, one of which is ``out``, the run's folder.
        arguments: None for those of the process.
        description: Of the script, for its help.

    Raises:
        WeightsError: The state of the run that is to go on cannot be read.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on where it stopped; start if it never did")
    kinds = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        text = f"{field.metadata['help']} (default: {field.default})".replace("%", "%%")
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if kinds[field.name] is bool:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how |= {"type": kinds[field.name], "choices": field.metadata["choices"]}
        parser.add_argument(f"--{field.name.replace('_', '-')}", **how)
    given = vars(parser.parse_args(arguments))
    resume = given.pop("resume")
    (out,) = [field.default for field in dataclasses.fields(kind) if field.name == "out"]
    state = Path(given.get("out", out)) / STATE
    if state.exists() and not resume:
        parser.error(f"{state} exists: add --resume to go on, or name another folder")
    resumed = resume and state.exists()
    saved = load_state(state)[2]["config"] if resumed else {}
    return Options(kind, given, saved, resumed, parser)
