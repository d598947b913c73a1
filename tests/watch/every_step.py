"""Kill a watcher before each single step it takes on the disk, let another go on, and look what is where.

    python tests/watch/every_step.py delete|keep|move FOLDER [ELSEWHERE]

A child is forked for each step: Python's audit events are raised before files are opened for writing, renamed, linked
and removed, and at the n-th of them the child kills itself. ELSEWHERE, on another file system, is for quarantine and
moved originals. Prints how many steps there were.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from watched import WatchedFolders, files, is_censored

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
BROKEN = b"no picture"


def run(watched: WatchedFolders, originals: str | Path, fatal: int | None) -> bool:
    """Run a watcher in a process of its own, to be killed at one step. Returns whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event not in STEPS or (event == "open" and not int(arguments[2]) & WRITES):  # type: ignore[call-overload]
                return
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = lambda fd: None  # a killed process loses nothing that it wrote; only a machine does
        sys.addaudithook(hook)
        watched.once(originals=originals, threads=1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def import_beforehand(folder: Path) -> None:
    """Import what a watcher imports while it runs: else each of the children would, some hundred times.

    A child runs one and says what it has imported; run in this process, it might leave threads, which no fork survives.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        folder.mkdir(parents=True)
        watched = WatchedFolders(folder)
        watched.send("a.png", 1)
        watched.send("b.png", body=BROKEN)
        watched.once(threads=1)
        with os.fdopen(writing, "w") as file:
            file.write("\n".join(sys.modules))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        names = file.read().split()
    assert os.waitpid(child, 0)[1] == 0
    shutil.rmtree(folder)
    for name in names:
        with contextlib.suppress(ImportError):  # names that only their makers can import
            importlib.import_module(name)
    gc.freeze()  # what a child's collector looks at, the child must copy


def check(watched: WatchedFolders, *, kept: bool, moved: Path | None, far: bool, finished: bool) -> None:
    """Each upload is in one place, or in its place and on its way to another; nothing else is anywhere."""
    public, quarantine = files(watched.public), files(watched.quarantine)
    assert set(public) <= {"sub/a.png"}, public
    assert all(is_censored(watched.public / name) for name in public)
    assert set(quarantine) <= {"b.png", "b.png.json"}, quarantine
    assert "b.png.json" in quarantine or "b.png" not in quarantine
    held = [path.read_bytes() for path in (watched.inbox / ".censor-watch").rglob("upload")]
    waiting = [(watched.inbox / name).read_bytes() for name in files(watched.inbox)]
    bad = held.count(BROKEN) + waiting.count(BROKEN) + quarantine.count("b.png")
    assert bad == 1 or (far and bad == 2 and not finished), (held.count(BROKEN), waiting.count(BROKEN), quarantine)
    good = [body for body in held + waiting if body != BROKEN]
    there = files(moved) if moved is not None else []
    assert len(good) + len(public) + len(there) >= 1
    assert len(good) <= 1
    if finished:
        assert public == ["sub/a.png"]
        assert quarantine == ["b.png", "b.png.json"]
        assert files(watched.inbox) == (["sub/a.png"] if kept else [])
        assert there == (["sub/a.png"] if moved is not None else [])
        assert watched.claimed() == []


def main() -> None:
    """Go on killing one step later until a run gets through."""
    mode, root = sys.argv[1], Path(sys.argv[2])
    elsewhere = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    import_beforehand(root / "first")
    step, killed = 0, True
    while killed:
        step += 1
        (root / str(step)).mkdir(parents=True)
        watched = WatchedFolders(root / str(step))

        if elsewhere is not None:
            watched.quarantine, watched.moved = elsewhere / "quarantine", elsewhere / "moved"
            for folder in (watched.quarantine, watched.moved):
                folder.mkdir()
        moved = watched.moved if mode == "move" else None
        originals: str | Path = moved or mode
        facts: dict[str, Any] = {"kept": mode == "keep", "moved": moved, "far": elsewhere is not None}
        watched.send("sub/a.png", 1)
        watched.send("b.png", body=BROKEN)
        killed = run(watched, originals, step)
        check(watched, **facts, finished=not killed)
        for _ in range(2):
            assert not run(watched, originals, None)
            check(watched, **facts, finished=True)
        for folder in (watched.moved, watched.quarantine):
            shutil.rmtree(folder)
        shutil.rmtree(root / str(step))
    sys.stdout.write(f"{step - 1}\n")


if __name__ == "__main__":
    main()
