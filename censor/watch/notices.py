"""Notices of the system that something happened in a folder; they say when to look, never what is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, watch

from censor.watch.inbox import STATE

__all__ = ["listen"]


def listen(folder: Path, *, notice: Callable[[], None], trouble: Callable[[str], None]) -> Callable[[], None]:
    """Call `notice` from a thread of its own whenever files arrive or change below a folder.

    Args:
        folder: Watched to any depth.
        notice: Called after a burst of changes.
        trouble: Called with a reason if there will be no further notices: too many folders, the folder is gone.

    Returns:
        What ends it.
    """
    stop = threading.Event()
    own = str(folder / STATE)

    def concerns(change: Change, path: str) -> bool:
        return change is not Change.deleted and not path.startswith(own)

    def follow() -> None:
        try:
            for _ in watch(
                folder, watch_filter=concerns, stop_event=stop, debounce=200, raise_interrupt=False, rust_timeout=1000
            ):
                notice()
        except Exception as error:  # noqa: BLE001  # the library hands on what the system says, in several types
            trouble(str(error) or type(error).__name__)

    thread = threading.Thread(target=follow, name="censor-notices", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(timeout=3)

    return end
