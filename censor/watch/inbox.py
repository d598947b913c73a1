"""What lies in the inbox: which files are uploads, and which of them are whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detect.errors import ReadError
from detect.folders import PathBeneath, Stamp, open_file, walk

__all__ = ["STATE", "Inbox", "Upload", "is_name_of_upload"]

STATE = ".censor-watch"
"""Folder in the inbox where claims are kept: below the inbox, so that to claim is to rename."""

_UNFINISHED = (
    ".!ut", ".crdownload", ".download", ".filepart", ".part", ".partial", ".swp", ".temp", ".tmp", ".upload",
    ".uploading", "~",
)  # fmt: skip
"""How browsers, FTP servers, editors and copying tools end the name of a file that they have not finished."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file in the inbox.

    Attributes:
        relative: Its path below the inbox.
        stamp: As it was when it was last looked at.
    """

    relative: Path
    stamp: Stamp


def is_name_of_upload(name: str) -> bool:
    """Whether a file of this name is meant to be taken: it is neither hidden nor marked as unfinished.

    rsync, ProFTPD, Samba and others write to a hidden name and rename when they are done.
    """
    return not name.startswith(".") and not name.lower().endswith(_UNFINISHED)


class Inbox:
    """Looks at the whole inbox each time it is asked.

    What is there is the only truth. Notices from the system may be lost (a full queue, a folder made and filled before
    it was watched, a program that was not running), so they only say when to look.
    """

    def __init__(self, root: Path, *, settle: float, report: Callable[[Path, str], None]) -> None:
        """Remember nothing yet.

        Args:
            root: The inbox.
            settle: Seconds for which size and times of a file must have stood still.
            report: Called once for each thing that will never be taken, with its path below the inbox and a reason.
        """
        self._root = root
        self._settle = settle
        self._report = report
        self._since: dict[Path, tuple[Stamp, float]] = {}
        self._odd: set[Path] = set()
        self._closed: set[Path] = set()
        self.unsettled = 0
        """Uploads that the last look found to be still arriving."""

    def settled(self, now: float, *, skip: Callable[[Upload], bool]) -> list[Upload]:
        """The uploads that are whole, as far as can be told, the oldest first.

        Args:
            now: Seconds on a clock that never goes back.
            skip: Says of a file that has stood still whether to pass it over.

        Raises:
            OSError: The inbox itself cannot be read.
        """
        since, odd, ready, passed_over = {}, set(), [], 0
        for relative, status in self._walk():
            if not stat.S_ISREG(status.st_mode):
                odd.add(relative)
                if relative not in self._odd:
                    self._report(relative, "not a regular file; links, pipes and devices are left where they are")
                continue
            stamp = Stamp.of(status)
            before, first = self._since.get(relative, (None, now))
            since[relative] = (stamp, first if before == stamp else now)
            upload = Upload(relative=relative, stamp=stamp)
            if now - since[relative][1] < self._settle:
                continue
            if skip(upload):
                passed_over += 1
            elif not self._being_written(relative):
                ready.append(upload)
        self._since, self._odd = since, odd
        self.unsettled = len(since) - len(ready) - passed_over
        return sorted(ready, key=lambda upload: upload.stamp.mtime_ns)

    def _walk(self) -> Iterator[tuple[Path, os.stat_result]]:
        def enter(folder: Path, _: os.stat_result) -> bool:
            return is_name_of_upload(folder.name)

        found = walk(self._root, enter=enter, unreadable=self._unreadable)
        return (each for each in found if is_name_of_upload(each[0].name))

    def _unreadable(self, folder: Path, error: OSError) -> None:
        if folder == Path():
            raise error
        if folder not in self._closed and not isinstance(error, FileNotFoundError):
            self._closed.add(folder)
            self._report(folder, f"this folder cannot be read: {error.strerror}")

    def _being_written(self, relative: Path) -> bool:
        """Whether somebody has the file open for writing, so that an upload which stalls is not taken for whole.

        Where the system cannot tell (network file systems, a file of another user) only the time counts.

        Source:
            fcntl(2): a read lease is granted only on a file that nobody has open for writing.
        """
        try:
            with open_file(PathBeneath(self._root, relative)) as stream:
                fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except (OSError, ReadError, AttributeError) as error:  # AttributeError: a system without leases
            return isinstance(error, OSError) and error.errno == errno.EAGAIN
        return False
