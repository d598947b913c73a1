"""`censor watch`: a folder whose uploads come out censored in another."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from censor.cli.console import EXIT_FAILED, EXIT_USAGE, fail
from censor.cli.options import FilePath, hiding_options, shared_options, within
from censor.cli.preparing import make_censor, preparing

if TYPE_CHECKING:
    from censor.cli.groups import HidingOptions, SharedOptions, WatchOptions
    from censor.pipeline import Censor
    from censor.watch.watcher import Log, Watcher

__all__ = ["watch"]

_ONLY_VERBOSE = ("changing",)


def _parse_originals(ctx: click.Context, param: click.Parameter, value: str) -> str | Path:
    """`delete`, `keep`, or the folder behind `move:`."""
    if value in ("delete", "keep"):
        return value
    if not value.startswith("move:") or value == "move:":
        raise click.BadParameter(f"{value!r} is not delete, keep or move:DIR", ctx, param)
    return Path(value.removeprefix("move:"))


@click.command()
@click.argument("inbox", type=FilePath(exists=True, file_okay=False))
@click.option(
    "--out",
    type=FilePath(file_okay=False),
    required=True,
    metavar="PUBLIC",
    help="Folder that mirrors the inbox, with censored pictures only.",
)
@click.option(
    "--failed",
    type=FilePath(file_okay=False),
    required=True,
    metavar="QUARANTINE",
    help="Folder for what could not be processed, each with a JSON reason beside it.",
)
@click.option(
    "--originals",
    callback=_parse_originals,
    default="keep",
    show_default=True,
    metavar="delete|keep|move:DIR",
    help="What becomes of an upload when its censored copy is out.",
)
@click.option(
    "--settle",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an upload must not have changed.",
)
@click.option(
    "--rescan",
    type=click.FloatRange(0.1, 86400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at the whole inbox at least this often, whatever the system reports.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Crashes on one picture after which it goes to quarantine.",
)
@click.option("--once", is_flag=True, help="Work off what is there, then end.")
@click.option(
    "--health",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Write state and counts here every few seconds, as JSON.",
)
@hiding_options
@shared_options
def watch(  # noqa: PLR0913  # one for each option
    inbox: Path,
    *,
    out: Path,
    failed: Path,
    originals: str | Path,
    settle: float,
    rescan: float,
    attempts: int,
    once: bool,
    health: Path | None,
    hiding: HidingOptions,
    shared: SharedOptions,
) -> None:
    """Censor every picture and film that lands in INBOX, at any depth, into PUBLIC.

    Several may watch one inbox. Nothing is published in part, overwritten, lost or done twice, wherever the process is
    killed. SIGTERM and Ctrl-C finish the pictures that were begun, and leave films for the next start.
    """
    from censor.cli.groups import WatchOptions

    if importlib.util.find_spec("watchfiles") is None:
        missing = "watchfiles is not installed; install it with: pip install 'nsfw-censor[service]'"
        fail(ModuleNotFoundError(missing), EXIT_FAILED)
    folders = {"INBOX": inbox, "--out": out, "--failed": failed}
    if isinstance(originals, Path):
        folders["--originals"] = originals
    _check_apart(folders, health)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # says that somebody wants to write to a file on which we hold a lease
    _make_folders(folders)
    with preparing():
        censor = make_censor(shared, hiding)
    log = _log(quiet=shared.messages.quiet, verbose=shared.messages.verbose)
    own = WatchOptions(
        inbox=inbox,
        out=out,
        failed=failed,
        originals=originals,
        settle=settle,
        rescan=rescan,
        attempts=attempts,
        once=once,
        health=health,
    )
    watcher = _watcher(censor, own, quality=hiding.quality, workers=shared.limits.workers, log=log)
    _run(watcher, inbox, stopped, log)
    left = watcher.health()["retrying"]
    sys.exit(EXIT_FAILED if left or (once and watcher.counts["quarantined"]) else 0)


def _check_apart(folders: dict[str, Path], health: Path | None) -> None:
    """Refuse folders in folders: an inbox below a public folder would publish it, the reverse would never end."""
    for name, folder in folders.items():
        for other, place in folders.items():
            if name != other and within(folder, [place]):
                raise click.UsageError(f"{name} {folder} lies in {other} {place}; they must be apart")
    if health is not None and within(health, list(folders.values())):
        raise click.UsageError(f"--health {health}: must lie outside the folders that are watched and written")


def _make_folders(folders: dict[str, Path]) -> None:
    """Those that are missing; only the public one for others to see."""
    for name, folder in folders.items():
        try:
            folder.mkdir(mode=0o777 if name == "--out" else 0o700, parents=True, exist_ok=True)
        except OSError as error:
            fail(click.UsageError(f"{name} {folder}: cannot make this folder: {error.strerror or error}"), EXIT_USAGE)


def _watcher(censor: Censor, own: WatchOptions, *, quality: int | None, workers: int, log: Log) -> Watcher:
    import time

    from censor.watch.claims import Claims
    from censor.watch.inbox import Inbox
    from censor.watch.moves import sweep
    from censor.watch.processor import KEEP, UploadProcessor
    from censor.watch.watcher import Watcher

    try:
        claims = Claims(own.inbox, keep=own.originals == KEEP)
        claims.prune()
    except OSError as error:
        fail(OSError(f"{own.inbox}: cannot keep its state there: {error.strerror or error}"), EXIT_FAILED)
    for folder in (own.out, own.failed, *([own.originals] if isinstance(own.originals, Path) else [])):
        sweep(folder, time.time())
    return Watcher(
        inbox=Inbox(
            own.inbox,
            settle=own.settle,
            report=lambda path, reason: log("ignored", serious=True, upload=str(path), reason=reason),
        ),
        claims=claims,
        processor=UploadProcessor(
            censor=censor,
            claims=claims,
            public=own.out,
            quarantine=own.failed,
            originals=own.originals,
            quality=quality,
            attempts=own.attempts,
            report=log,
        ),
        threads=workers,
        settle=own.settle,
        rescan=own.rescan,
        log=log,
        beat=_beat(own.health, log),
        once=own.once,
    )


def _run(watcher: Watcher, inbox: Path, stopped: threading.Event, log: Log) -> None:
    """Watch until told to stop."""
    from censor.watch.notices import listen

    def stop(*_: object) -> None:
        watcher.stop()
        for number in (signal.SIGTERM, signal.SIGINT):  # who asks twice does not want to wait, and nothing is lost
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if stopped.is_set():
        watcher.stop()
    end = listen(inbox, notice=watcher.notice, trouble=lambda reason: log("no notices", serious=True, reason=reason))
    log("started", pid=os.getpid())
    try:
        watcher.run()
    finally:
        end()
    health = watcher.health()
    log("stopped", **health["counts"], left=health["retrying"])


def _log(*, quiet: bool, verbose: bool) -> Log:
    """JSON lines on standard error: names are escaped, so nothing in them reaches a terminal or makes a second line."""
    from censor.report import as_json

    def log(event: str, *, serious: bool = False, **fields: object) -> None:
        if (quiet and not serious) or (event in _ONLY_VERBOSE and not verbose):
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with suppress(OSError):  # nobody listens any more; the uploads matter more
            click.echo(as_json({"time": now, "event": event, **fields}), err=True)

    return log


def _beat(path: Path | None, log: Log) -> Callable[[Mapping[str, object]], None]:
    from censor.errors import WriteError
    from censor.media.writing import write_atomic

    def beat(health: Mapping[str, object]) -> None:
        if path is None:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            write_atomic(path, json.dumps({"time": now, "pid": os.getpid(), **health}).encode(), overwrite=True)
        except WriteError as error:
            log("no health file", serious=True, reason=str(error))

    return beat
