"""Processes of the upload service, as /proc shows them."""

from __future__ import annotations

import contextlib
from pathlib import Path


def workers_of(process: int) -> list[int]:
    """Process ids of the workers that a process has started and that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"censor.service.worker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def ended(process: int) -> bool:
    """Whether a process is gone, or only waits for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
