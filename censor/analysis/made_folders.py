"""New folders: there whole or not at all, or from their first page on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from censor.errors import OutputExistsError, WriteError
from detect.atomic import write_whole

__all__ = ["GrowingFolder", "growing_folder", "made_folder", "refuse_taken"]


@contextmanager
def made_folder(out: Path) -> Iterator[Path]:
    """A folder to be filled, which then takes its name in one step; nothing is left where that is not reached.

    Who removes it meanwhile wants none.

    Raises:
        OutputExistsError: There is something of that name, other than an empty folder.
        WriteError: It cannot be written.
    """
    with growing_folder(out) as growing:
        yield growing.path
        if growing.path.exists():
            growing.appear()


def refuse_taken(out: Path) -> None:
    """Say so at once, where the work before the first file takes long.

    Raises:
        OutputExistsError: There is something of that name, other than an empty folder.
    """
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out}: exists already, and nothing is overwritten; name another folder")


class GrowingFolder:
    """A folder that is filled under another name until there is something to be seen in it.

    Attributes:
        path: Where it is now.
    """

    def __init__(self, path: Path, out: Path) -> None:
        self.path = path
        self._out = out

    def appear(self) -> None:
        """Take its name, if it has not."""
        if self.path != self._out:
            self.path.chmod(0o755)
            self.path.rename(self._out)
            self.path = self._out

    def write(self, name: str, content: bytes) -> None:
        """Write a file in it, or replace it: at no moment is there a part of one."""
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        write_whole(target, content, overwrite=True)

    def remove(self) -> None:
        """Take it away, with all that is in it."""
        shutil.rmtree(self.path)


@contextmanager
def growing_folder(out: Path) -> Iterator[GrowingFolder]:
    """A folder that appears when it is told to. What has not appeared until the end is not kept.

    Raises:
        OutputExistsError: There is something of that name, other than an empty folder.
        WriteError: It cannot be written.
    """
    refuse_taken(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise WriteError(f"{out}: cannot be made: {error.strerror or error}") from error
    try:
        yield GrowingFolder(folder, out)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # where it has appeared there is none of that name
