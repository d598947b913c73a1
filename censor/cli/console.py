"""What a person sees while pictures are worked on: lines, a bar, a summary."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeVar

import click

if TYPE_CHECKING:
    from censor.cli.groups import MessageOptions
    from censor.report import Outcome

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_NSFW",
    "EXIT_USAGE",
    "Tally",
    "fail",
    "frames_bar",
    "outcome",
    "printable",
    "progress",
    "singly",
    "work_off",
]

EXIT_FAILED, EXIT_USAGE, EXIT_NSFW, EXIT_INTERRUPTED = 1, 2, 3, 130

_T = TypeVar("_T")


class Tally:
    """What became of the items.

    Attributes:
        total: How many there are.
        reported: How many were worked on, and said so.
        failed: Those of which an error was reported.
        levels: The others by the level of their verdict, None where there is none.
        hidden: Those with hidden regions.
        interrupted: Whether the work was broken off.
        unwritten: Why the results could not be written, and the work broken off.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.reported = self.failed = self.hidden = 0
        self.levels: Counter[str | None] = Counter()
        self.interrupted = False
        self.unwritten: Exception | None = None

    @property
    def incomplete(self) -> bool:
        """Whether something is missing of what was to be done."""
        return self.failed > 0 or self.unwritten is not None

    def add(self, each: Outcome) -> None:
        """Count one more."""
        self.reported += 1
        self.hidden += each.regions > 0
        if each.error:
            self.failed += 1
        else:
            self.levels[each.level] += 1


def outcome(file: Path, work: Callable[[], Outcome]) -> Outcome:
    """Whatever happens to one picture becomes its outcome, so that the rest of the batch goes on."""
    from censor.report import Outcome

    try:
        return work()
    except Exception as error:  # noqa: BLE001  # a bug of ours in one picture must not let the others go unreported
        return Outcome.failed(str(file), error)


def singly(work: Callable[[_T], Outcome]) -> Callable[[Sequence[_T]], Sequence[Outcome]]:
    """Work for `work_off` that is done with one item after the other."""
    return lambda items: [work(item) for item in items]


def work_off(
    items: Sequence[_T],
    work: Callable[[Sequence[_T]], Sequence[Outcome]],
    *,
    workers: int,
    together: int = 1,
    messages: MessageOptions,
    judging: bool = False,
    records: bool = False,
    ignored: int = 0,
    report: Path | None = None,
    overwrite: bool = False,
) -> Tally:
    """Run the items, print as results come, and a summary at the end.

    Args:
        items: What is worked on.
        work: What becomes of some of them, each in its turn.
        workers: How many are worked on at once, or groups of so many as are worked on together.
        together: How many that are at most.
        messages: Whether to print errors only, or a line for each of several items.
        judging: The summary is about verdicts, not about what was hidden.
        records: Print JSON in the lines' place.
        ignored: How many files were passed over; for the summary.
        report: Write JSON there too.
        overwrite: Replace `report` if it is there.

    Returns:
        What became of them. Where the work was broken off, a line has said why.

    Raises:
        UsageError: The report cannot be begun.
    """
    from censor.batch import run_grouped
    from censor.errors import WriteError

    tally, quiet = Tally(len(items)), messages.quiet
    lines = messages.verbose or (len(items) == 1 and not quiet)
    try:
        with ExitStack() as stack:
            sink = stack.enter_context(_open_report(report, overwrite=overwrite)) if report is not None else None
            advance = stack.enter_context(progress(len(items), quiet=quiet))
            threads = min(workers, max(1, len(items)))
            for each in run_grouped(items, work, threads=threads, size=together):
                tally.add(each)
                _print(each, sink, records=records, lines=lines)
                advance()
    except KeyboardInterrupt:
        click.echo(f"interrupted; {tally.reported} of {tally.total} reported, what was begun is finished", err=True)
        tally.interrupted = True
    except OSError as error:  # of the report or of standard output: those of pictures are outcomes
        with suppress(OSError, ValueError):  # or the interpreter would stumble over the same when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        tally.unwritten = WriteError(f"the results cannot be written: {error.strerror or error}")
        _say(tally.unwritten)
    else:
        if not quiet and (len(items) > 1 or ignored):
            click.echo(_summary(tally, ignored, judging=judging), err=True)
    return tally


def _print(each: Outcome, report: TextIO | None, *, records: bool, lines: bool) -> None:
    from censor.report import as_json

    record = as_json(each.record)
    if report is not None:
        click.echo(record, file=report)
    if records:
        click.echo(record)
    if each.error:
        click.echo(printable(each.line), err=True)
    elif lines and not records:
        click.echo(printable(each.line))


def _summary(tally: Tally, ignored: int, *, judging: bool) -> str:
    if judging:
        parts = [f"{tally.levels[level]} {level}" for level in ("safe", "review", "nsfw")]
    else:
        parts = [f"{tally.levels.total()} done", f"{tally.hidden} with hidden regions"]
        parts += [f"{tally.levels[None]} with no verdict"] if tally.levels[None] else []
    parts.append(f"{tally.failed} failed")
    if ignored:
        parts.append(f"{ignored} other file{'s' * (ignored > 1)} passed over")
    return ", ".join(parts)


def _open_report(path: Path, *, overwrite: bool) -> TextIO:
    """A new file under this name, to be written as the work goes on."""
    try:
        return _replaced(path) if overwrite and os.path.lexists(path) else path.open("x", encoding="ascii")
    except FileExistsError:
        raise click.UsageError(f"--json {path}: exists already; use --force to overwrite it") from None
    except OSError as error:
        raise click.UsageError(f"--json {path}: cannot be written: {error.strerror or error}") from error


def _replaced(path: Path) -> TextIO:
    """The report in the place of a file or a link; what is neither, a device or a pipe, is written to.

    What the link leads to, and what else the file is called, is left alone, as with every output. Not so a link to a
    device or to a standard stream, such as `/dev/stdout`: to replace that would take it from every other program.

    Raises:
        OSError: It cannot be written.
    """
    from detect.atomic import write_whole

    kind = path.lstat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOFOLLOW), "w", encoding="ascii")
    if stat.S_ISLNK(kind) and _leads_to_stream(path):
        raise OSError("a link to something that is not a file of its own")
    write_whole(path, b"", overwrite=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    stream = os.fdopen(descriptor, "w", encoding="ascii")
    now = os.fstat(descriptor)
    if not stat.S_ISREG(now.st_mode) or now.st_size or now.st_nlink > 1:
        stream.close()
        raise OSError("it was replaced meanwhile")
    return stream


def _leads_to_stream(link: Path) -> bool:
    try:
        there = link.stat()
    except OSError:  # to nothing
        return False
    if not stat.S_ISREG(there.st_mode):
        return True
    for number in (0, 1, 2):
        with suppress(OSError):
            if os.path.samestat(there, os.fstat(number)):
                return True
    return False


@contextmanager
def progress(total: int, *, quiet: bool, least: int = 2) -> Iterator[Callable[..., None]]:
    """A bar with rate and time left on a terminal; nothing where standard error is a file or a pipe.

    Args:
        total: How many there are.
        quiet: Show nothing.
        least: Of how many there is a bar.

    Returns:
        What is to be called when one is done, or with the part of one that is.
    """
    if quiet or total < least or not sys.stderr.isatty():
        yield lambda _done=1.0: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, rate="")
        start = time.monotonic()

        def advance(part: float = 1.0) -> None:
            bar.advance(task, part)
            done = bar.tasks[0].completed
            bar.update(task, rate=f"{done / max(1e-9, time.monotonic() - start):.1f}/s")

        yield advance


@contextmanager
def frames_bar(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar of frames, with rate and time left, on a terminal; what is told of frames that are done, or None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, rate="")
        start = time.monotonic()

        def tell(done: int, total: int) -> None:
            rate = f"{done / max(1e-9, time.monotonic() - start):.1f} frames/s"
            bar.update(task, completed=done, total=total or None, rate=rate)

        yield tell


def printable(line: str) -> str:
    """Control characters in a file's name must not reach a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _say(error: Exception) -> None:
    with suppress(OSError, ValueError):  # nobody can be told; the exit code says it
        click.echo(printable(f"Error: {' '.join(str(error).split())}"), err=True)


def fail(error: Exception, code: int) -> NoReturn:
    """Say what is wrong in one line, and end with this code."""
    _say(error)
    sys.exit(code)
