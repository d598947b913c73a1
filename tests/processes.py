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


def processes_below(ancestor: int, called: str) -> list[int]:
    """The processes below one whose name or command has a word in it."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
            command = (path.parent / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        process = int(path.parent.name)
        parents[process], names[process] = int(rest.split()[1]), name + command

    def below(process: int) -> bool:
        while process > 1:
            process = parents.get(process, 0)
            if process == ancestor:
                return True
        return False

    return [process for process, name in names.items() if called in name and below(process)]
