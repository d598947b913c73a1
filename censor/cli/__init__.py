"""The `censor` command. Only this package prints and exits; what takes long to import is imported when needed."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from typing import NoReturn, cast

import click
from click_default_group import DefaultGroup

from censor.cli.pictures import check, hide
from censor.cli.serve import serve
from censor.cli.tables import labels, policy
from censor.cli.watch import watch

__all__ = ["main", "run"]

_EPILOG = """\b
Exit codes: 0 done (check: nothing NSFW), 1 something could not be processed, 2 usage,
3 check found something NSFW. 1 wins over 3.
"""


@click.group(
    cls=cast("type[click.Group]", DefaultGroup),
    default="hide",
    default_if_no_args=False,
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
    try:
        main(prog_name="censor")
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)
    raise AssertionError("click always exits")


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    raise KeyboardInterrupt


for _command in (hide, check, watch, serve, labels, policy):
    main.add_command(_command)
