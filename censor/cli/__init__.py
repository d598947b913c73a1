"""The `censor` command. Only this package prints and exits; what takes long to import is imported when needed."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from censor.cli.console import EXIT_FAILED, fail

__all__ = ["main", "run"]

_EPILOG = """\b
Exit codes: 0 done (check: nothing NSFW), 1 something could not be processed, 2 usage,
3 check found something NSFW. 1 wins over 3.
"""


_COMMANDS = {
    "hide": ("hide", "Write censored copies of pictures and folders."),
    "check": ("check", "Judge pictures: safe, review or nsfw."),
    "plan": ("plan", "Write down what would be hidden, to be changed and applied."),
    "apply": ("plan", "Write the censored copy that a plan describes."),
    "watch": ("watch", "Censor every upload that lands in a folder."),
    "serve": ("serve", "Censor uploads over HTTP, with a page to try it."),
    "models": ("models", "List models by other people, and add them."),
    "labels": ("tables", "List what can be named."),
    "policy": ("tables", "Show, check and write policies."),
    "evaluate": ("evaluate", "Hold all that is said of labelled pictures against the labels."),
    "calibrate": ("calibrate", "Make scores probabilities, and thresholds that keep a promise."),
    "explain": ("explain", "Show where in a picture a network's answer comes from."),
    "rank": ("collection", "Put a collection in order of a score."),
    "map": ("collection", "Lay a collection out by what a classifier sees."),
    "mine": ("collection", "Choose pictures that are worth a label."),
    "cluster": ("cluster", "Work off buckets on a Ray cluster, each output exactly once."),
    "crop": ("crop", "Write the largest part of a picture that may be shown."),
}
"""Each command, to its module in this package and what the list says of it.

A module is imported when its command is named, since options take long to be made."""


class _Group(click.Group):
    """Arguments that begin with neither a command nor an option of the group itself are those of `hide`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All that there are."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a name, from its module."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"censor.cli.{_COMMANDS[cmd_name][0]}")
        commands = (each for each in vars(module).values() if isinstance(each, click.Command))
        return next(each for each in commands if each.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of them, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in _COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the command before click looks at the rest: it would take a `--` away, and options stay options."""
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if args and args[0] not in _COMMANDS and args[0] not in own:
            args = ["hide", *args]
        return super().parse_args(ctx, _name_files(args))


def _name_files(args: list[str]) -> list[str]:
    """After `--` a name is a file's if there is one of that name, `-` too: shells write so what `*` stands for."""
    if "--" not in args or not Path("-").is_file():
        return args
    end = args.index("--")
    return args[:end] + [os.path.join(".", each) if each == "-" else each for each in args[end:]]  # noqa: PTH118


@click.group(
    cls=_Group,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
@click.version_option(package_name="nsfw-censor", prog_name="censor", message="%(prog)s %(version)s")
def main() -> None:
    """Hide exposed body parts in pictures.

    \b
      censor photo.jpg                 writes photo.censored.jpg beside it
      censor photos/ -o published/     a whole tree, mirrored
      censor check photo.jpg           verdict only: safe, review or nsfw
      censor watch INBOX --out PUBLIC --failed QUARANTINE
      censor serve                     an upload service, with a page to try it

    PHOTO... without a command means `censor hide PHOTO...`; see `censor hide --help` for its options.
    """  # noqa: D301  # \b is click's mark, not an escape
    if os.open not in os.supports_dir_fd:  # Windows
        fail(OSError("censor needs Linux or another Unix: there is no other way to be sure of folders"), EXIT_FAILED)
    warnings.simplefilter("ignore")  # decoders warn about what is raised, or harmless; stderr is for one line a file
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):  # a file's name may not be text at all
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run() -> NoReturn:
    """`main`, and then an end without taking the interpreter apart: that would add a tenth to one picture's time.

    Everything that is to be closed has been by then; what is left are modules and the network's memory.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy multiplies no matrices here, and its threads would spin
    _open_standard_streams()
    try:
        try:
            main(prog_name="censor")
        except OSError as error:  # of a standard stream, or of a path that nothing can be said of
            what = error.strerror or str(error) if _has_folder() else "the working directory is gone"
            fail(OSError(what), EXIT_FAILED)
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        os._exit(_flushed(end.code))
    raise AssertionError("click always exits")


def _open_standard_streams() -> None:
    """Give the numbers of closed streams to something that fails when used, or for errors takes and forgets them.

    Otherwise the next file that is opened gets them, and what is printed goes into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            flags = os.O_RDONLY if name == "stdout" else os.O_WRONLY
            if (descriptor := os.open(os.devnull, flags)) != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(f"<{name}>", mode, opener=lambda *_, number=number: number))  # noqa: SIM115


def _flushed(code: int) -> int:
    """The exit code, unless what was printed cannot be written after all."""
    for stream, worst in ((sys.stdout, EXIT_FAILED), (sys.stderr, code)):
        with suppress(ValueError):  # closed
            try:
                stream.flush()
            except OSError:
                code = code or worst
    return code


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError as error:
        return error.errno != errno.ENOENT
    return True


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    raise KeyboardInterrupt
