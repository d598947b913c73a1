"""Notices of the system that something happened in a folder; they say when to look, never what is there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from watchfiles import Change, watch

from censor.watch.inbox import is_name_of_upload
from detect.folders import opened_folder

__all__ = ["listen"]

_RETRY = 60.0
"""Seconds after which the system is asked again to watch a folder that it could not."""


def listen(root: Path, *, notice: Callable[[], None], trouble: Callable[[str], None]) -> Callable[[], None]:
    """Call `notice` from a thread of its own whenever files arrive or change below a folder.

    Each folder is named to the system by itself. Asked for a whole tree, it would follow links, and somebody who may
    leave a link to ``/`` in the inbox could keep it busy for minutes.

    Args:
        root: Watched to any depth.
        notice: Called after a burst of changes.
        trouble: Called with a reason if there are no notices for now: too many folders, the folder is gone.

    Returns:
        What ends it.
    """
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            try:
                _follow(root.resolve(), notice, stop)
            except Exception as error:  # noqa: BLE001  # the library hands on what the system says, in several types
                if "decode path" in str(error):  # a name that is no UTF-8: something happened, and goes on
                    notice()
                elif not (isinstance(error, FileNotFoundError) and root.is_dir()):  # else a folder in it went meanwhile
                    trouble(str(error) or type(error).__name__)
                    stop.wait(_RETRY)

    thread = threading.Thread(target=follow, name="censor-notices", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(timeout=3)

    return end


def _follow(root: Path, notice: Callable[[], None], stop: threading.Event) -> None:
    """Watch the folders there are, until there is another one."""
    folders = _folders(root)
    changed = watch(
        *folders,
        recursive=False,
        watch_filter=_concerns,
        stop_event=stop,
        debounce=200,
        rust_timeout=1000,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    with closing(changed):
        for number, changes in enumerate(changed):
            if changes or number == 0:  # before the first, something may have come that nobody watched yet
                notice()
            if number == 0 and _folders(root) != folders:
                return
            if any(Path(path).is_dir() for _, path in changes):  # even one that was there: it may be a new one
                return


def _concerns(change: Change, path: str) -> bool:
    return change is not Change.deleted and is_name_of_upload(Path(path).name)


def _folders(root: Path) -> set[Path]:
    found, left = {root}, [Path()]
    while left:
        folder = left.pop()
        below = []
        # Gone since, or not to be read: the look at the inbox will tell.
        with suppress(OSError), opened_folder(root, folder) as descriptor, os.scandir(descriptor) as entries:
            below = [folder / each.name for each in entries if each.is_dir(follow_symlinks=False) and _is_told(each)]
        left += below
        found.update(root / each for each in below)
    return found


def _is_told(entry: os.DirEntry[str]) -> bool:
    """Whether a folder may hold uploads, and has a name that the library can pass on: one that is UTF-8."""
    return is_name_of_upload(entry.name) and entry.name.encode(errors="ignore").decode() == entry.name
