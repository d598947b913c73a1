"""What a person sees while pictures are worked on: lines, a bar, a summary, and the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

if TYPE_CHECKING:
    from censor.report import Outcome

__all__ = ["EXIT_FAILED", "EXIT_USAGE", "fail", "outcome", "work_off"]

EXIT_FAILED, EXIT_USAGE, EXIT_NSFW, EXIT_INTERRUPTED = 1, 2, 3, 130

_NO_WEIGHTS = (
    "no detector weights: name a file with --weights or CENSOR_WEIGHTS, "
    "or install some with: pip install 'nsfw-censor[nudenet]'"
)

_T = TypeVar("_T")


def outcome(file: Path, work: Callable[[], Outcome]) -> Outcome:
    """Whatever happens to one picture becomes its outcome, so that the rest of the batch goes on."""
    from censor.report import Outcome

    try:
        return work()
    except Exception as error:  # noqa: BLE001  # a bug of ours in one picture must not let the others go unreported
        return Outcome.failed(str(file), error)


def work_off(
    items: Sequence[_T],
    work: Callable[[_T], Outcome],
    options: dict[str, Any],
    *,
    ignored: int = 0,
    report: Path | None = None,
) -> NoReturn:
    """Run the items, print as results come, and exit with the right code."""
    from censor.batch import run
    from censor.errors import WriteError
    from censor.report import as_json

    counts: Counter[str] = Counter()
    records, lines = options.get("as_json", False), options["verbose"] or (len(items) == 1 and not options["quiet"])
    try:
        with ExitStack() as stack:
            sink = stack.enter_context(_open_report(report, options)) if report is not None else None
            advance = stack.enter_context(_progress(len(items), quiet=options["quiet"]))
            for each in run(items, work, threads=min(options["workers"], max(1, len(items)))):
                counts["reported"] += 1
                counts["failed" if each.error else each.level or "unjudged"] += 1
                counts["regions"] += each.regions > 0
                record = as_json(each.record)
                if sink is not None:
                    click.echo(record, file=sink)
                if records:
                    click.echo(record)
                if each.error:
                    click.echo(_printable(each.line), err=True)
                elif lines and not records:
                    click.echo(_printable(each.line))
                advance()
    except KeyboardInterrupt:
        click.echo(f"interrupted; {counts['reported']} of {len(items)} reported, what was begun is finished", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:  # of the report or of standard output: those of pictures are outcomes
        with suppress(OSError, ValueError):  # or the interpreter would stumble over the same when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fail(WriteError(f"the results cannot be written: {error.strerror or error}"), EXIT_FAILED)
    if not options["quiet"] and (len(items) > 1 or ignored):
        click.echo(_summary(counts, ignored, judged="as_json" in options), err=True)
    nsfw = "as_json" in options and counts["nsfw"]
    sys.exit(EXIT_FAILED if counts["failed"] else EXIT_NSFW if nsfw else 0)


def _summary(counts: Counter[str], ignored: int, *, judged: bool) -> str:
    levels = {level: counts[level] for level in ("safe", "review", "nsfw")}
    parts = [f"{count} {level}" for level, count in levels.items()]
    if not judged:
        parts = [f"{sum(levels.values()) + counts['unjudged']} done", f"{counts['regions']} with hidden regions"]
        parts += [f"{counts['unjudged']} with no verdict"] if counts["unjudged"] else []
    parts.append(f"{counts['failed']} failed")
    if ignored:
        parts.append(f"{ignored} other file{'s' * (ignored > 1)} passed over")
    return ", ".join(parts)


def _open_report(path: Path, options: dict[str, Any]) -> TextIO:
    try:
        return path.open("w" if options["force"] else "x", encoding="ascii")
    except FileExistsError:
        raise click.UsageError(f"--json {path}: exists already; use --force to overwrite it") from None
    except OSError as error:
        raise click.UsageError(f"--json {path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left on a terminal; nothing where standard error is a file or a pipe."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, rate="")
        start = time.monotonic()

        def advance() -> None:
            bar.advance(task)
            done = bar.tasks[0].completed
            bar.update(task, rate=f"{done / max(1e-9, time.monotonic() - start):.1f}/s")

        yield advance


def _printable(line: str) -> str:
    """Control characters in a file's name must not reach a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def fail(error: Exception, code: int) -> NoReturn:
    """Say what is wrong in one line, and end."""
    from detect.errors import MissingWeightsError

    if isinstance(error, MissingWeightsError):
        error = MissingWeightsError(_NO_WEIGHTS)
    with suppress(OSError, ValueError):  # nobody can be told; the code says it
        click.echo(_printable(f"Error: {' '.join(str(error).split())}"), err=True)
    sys.exit(code)
