"""Who works on which upload, and how far that has come: the state that survives a `kill -9`.

A claim is a folder with a lock on it. The kernel lets go of the lock when its holder dies, however it dies, so a claim
without a holder is work left undone, and needs neither a process id nor a time limit to be known as such. The upload
is renamed into the folder, which one watcher can do and no other after it; whoever sends a file of the same name
meanwhile neither disturbs the one at hand nor loses the new one. Where originals are kept, the upload stays in its
place and the claim is named after what it is for, so that only one can be had.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from censor.errors import WriteError
from censor.media.writing import write_atomic
from censor.watch.inbox import STATE, Upload, is_name_of_upload
from censor.watch.moves import names
from detect.errors import ReadError
from detect.folders import PathBeneath, Stamp, open_file, opened_folder

__all__ = ["Claim", "Claims", "Record"]


@dataclass(kw_only=True)
class Record:
    """How far the work on an upload has come; written before each step that must not be done twice.

    Attributes:
        relative: The upload's path below the inbox.
        size: In bytes, when it was claimed.
        mtime_ns: When it had last been changed.
        attempts: How often a look at the picture was begun. One that was not finished ended the process.
        target: Where the output goes, below the public folder.
        digest: SHA-256 of the output: what stands at `target` with this digest is ours, and whole.
        refused: Where the upload goes below the quarantine.
        reason: Why it goes there.
    """

    relative: str
    size: int
    mtime_ns: int
    attempts: int = 0
    target: str | None = None
    digest: str | None = None
    refused: str | None = None
    reason: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """Names this state of this file. Without its inode, which a restored backup does not keep."""
        text = f"{self.relative}\0{self.size}\0{self.mtime_ns}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    @classmethod
    def of(cls, upload: Upload) -> Record:
        """At the beginning."""
        return cls(relative=str(upload.relative), size=upload.stamp.size, mtime_ns=upload.stamp.mtime_ns)


class Claim:
    """One upload, as long as nobody else may touch it."""

    def __init__(self, folder: PathBeneath, descriptor: int, record: Record) -> None:
        self.record = record
        self.retries = 0
        """How often in a row something around the picture, not the picture itself, stood in the way."""
        self._folder, self._descriptor = folder, descriptor

    @property
    def name(self) -> str:
        """Like no other claim's."""
        return self._folder.relative.name

    @property
    def original(self) -> PathBeneath:
        """Where the upload was sent to."""
        return PathBeneath(self._folder.root, Path(self.record.relative))

    @property
    def held(self) -> PathBeneath:
        """Where the upload is if it was moved into the claim."""
        return PathBeneath(self._folder.root, self._folder.relative / "upload")

    @property
    def path(self) -> PathBeneath | None:
        """Where the upload is, None if it is gone."""
        if self.held.exists():
            return self.held
        with contextlib.suppress(OSError):
            status = self.original.lstat()
            same = (status.st_size, status.st_mtime_ns) == (self.record.size, self.record.mtime_ns)
            if same and stat.S_ISREG(status.st_mode):
                return self.original
        return None

    def seize(self, stamp: Stamp) -> bool:
        """Move the upload into the claim. False, and nothing moved, if another file has taken its name.

        Raises:
            OSError: It cannot be moved, or not put back.
        """
        name = self.original.relative.name
        with self.original.opened_parent() as folder:
            os.rename(name, "upload", src_dir_fd=folder, dst_dir_fd=self._descriptor)
            if Stamp.of(os.stat("upload", dir_fd=self._descriptor, follow_symlinks=False)) == stamp:
                return True
            for free in itertools.islice(names(Path(name)), 1000):
                if not _exists(free.name, folder):
                    os.rename("upload", free.name, src_dir_fd=self._descriptor, dst_dir_fd=folder)
                    return False
        raise FileExistsError(errno.EEXIST, "no name is free", str(self.original))

    def save(self) -> None:
        """Write the record.

        Raises:
            WriteError: It cannot be written.
        """
        record = PathBeneath(self._folder.root, self._folder.relative / "record.json")
        write_atomic(record, json.dumps(asdict(self.record)).encode(), overwrite=True)

    def drop(self) -> None:
        """Forget it: the work is done, or was never begun. The upload must have left the folder.

        Raises:
            OSError: The folder cannot be removed.
        """
        if _exists("upload", self._descriptor):  # its record must not go before it
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self._folder))
        for leftover in os.listdir(self._descriptor):  # noqa: PTH208  # paths cannot be descriptors
            os.unlink(leftover, dir_fd=self._descriptor)
        with self._folder.opened_parent() as claims:
            os.rmdir(self.name, dir_fd=claims)
        self.release()

    def release(self) -> None:
        """Let go of it and leave it for another to finish."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Claims:
    """The claims on the uploads of one inbox, shared by all who watch it."""

    def __init__(self, inbox: Path, *, keep: bool) -> None:
        """Make the folders of state if they are not there.

        Args:
            inbox: The inbox, which must be there.
            keep: Originals stay in their place, and a ledger says which are done.

        Raises:
            OSError: The inbox is missing or may not be written.
        """
        self.inbox, self._keep = inbox, keep
        self._claims, self._ledger = Path(STATE, "claims"), Path(STATE, "done")
        self._known: set[str] = set()
        self._make_folders()

    def _make_folders(self) -> None:
        """Not the inbox: made anew, it would hide that its disk is not mounted."""
        for folder in (self._claims.parent, self._claims, self._ledger):
            self._make_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        with opened_folder(self.inbox, folder.parent) as parent, contextlib.suppress(FileExistsError):
            os.mkdir(folder.name, 0o700, dir_fd=parent)

    def take(self, upload: Upload) -> Claim | None:
        """Claim an upload, None if another has it or it is gone or changed.

        Raises:
            WriteError: There is no space for the record.
            OSError: It cannot be claimed: no right to rename it, another file system.
        """
        record = Record.of(upload)
        folder = self._claims / (record.key if self._keep else secrets.token_hex(16))
        self._make_folder(folder)
        if (claim := self._hold(folder, record)) is None:
            return None
        try:
            changed = Stamp.of(claim.original.lstat()) != upload.stamp
            if changed or self.is_done(upload):
                claim.drop()
                return None
            if self._keep:
                claim.record = _read(self.inbox, folder) or record  # left by one that was killed
                claim.save()
                return claim
            claim.save()
            if claim.seize(upload.stamp):
                return claim
            claim.drop()
        except (FileNotFoundError, NotADirectoryError):  # gone, or its folder is: another thing may have that name now
            claim.drop()
        except (OSError, WriteError):
            self._abandon(claim)
            raise
        return None

    def orphans(self) -> list[Claim]:
        """Claims whose holders are no more, now ours; what holds no upload any more is cleared away.

        Raises:
            OSError: The folder of state cannot be read.
        """
        found = []
        self._make_folders()  # another disk may have been mounted since
        for name in self._listed(self._claims):
            if (claim := self._hold(self._claims / name, None)) is None:
                continue
            if self._resume(claim):
                found.append(claim)
            else:
                self._abandon(claim)
        return found

    def _listed(self, folder: Path) -> list[str]:
        with opened_folder(self.inbox, folder) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208  # paths cannot be descriptors

    def _resume(self, claim: Claim) -> bool:
        """Whether there is an upload to go on with. One whose holder died before the rename is moved now."""
        path = claim.path
        if path is not None and path != claim.held and not self._keep:
            try:
                return claim.seize(Stamp.of(path.lstat()))
            except OSError:
                return False
        return path is not None

    def is_done(self, upload: Upload) -> bool:
        """Whether the ledger of kept originals says so."""
        key = Record.of(upload).key
        if self._keep and key not in self._known and self._entry(key).exists():
            self._known.add(key)
        return key in self._known

    def mark_done(self, record: Record) -> None:
        """Write into the ledger that an original that stays in the inbox is done.

        Raises:
            WriteError: It cannot be written.
        """
        entry = {"relative": record.relative, "size": record.size, "mtime_ns": record.mtime_ns, "target": record.target}
        write_atomic(self._entry(record.key), json.dumps(entry).encode(), overwrite=True)
        self._known.add(record.key)

    def prune(self) -> None:
        """Strike from the ledger what is no longer in the inbox, or no longer the same.

        Raises:
            OSError: The folder of state cannot be read.
        """
        for name in self._listed(self._ledger):
            entry = self._entry(name)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError, ReadError):
                with open_file(entry) as stream:
                    noted = json.loads(stream.read())
                try:
                    status = PathBeneath(self.inbox, Path(noted["relative"])).lstat()
                    there = (status.st_size, status.st_mtime_ns)
                except (FileNotFoundError, NotADirectoryError):
                    there = None
                if there != (noted["size"], noted["mtime_ns"]):
                    entry.unlink()

    def _entry(self, key: str) -> PathBeneath:
        return PathBeneath(self.inbox, self._ledger / key)

    def _hold(self, folder: Path, record: Record | None) -> Claim | None:
        """Lock a claim's folder; None if another holds it, or it went while we waited for a look at it."""
        beneath = PathBeneath(self.inbox, folder)
        try:
            with beneath.opened_parent() as parent:
                descriptor = os.open(folder.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), beneath.lstat()):
                raise FileNotFoundError(folder)
        except OSError:
            os.close(descriptor)
            return None
        return Claim(beneath, descriptor, record or _read(self.inbox, folder) or _lost(folder))

    def _abandon(self, claim: Claim) -> None:
        """Undo a claim that came to nothing; if not even that is possible, whoever looks next clears it away."""
        with contextlib.suppress(OSError):
            claim.drop()
        claim.release()


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _read(inbox: Path, folder: Path) -> Record | None:
    """What the record in a claim's folder says, None if it is missing or makes no sense."""
    try:
        with open_file(PathBeneath(inbox, folder / "record.json")) as stream:
            record = Record(**json.loads(stream.read()))
        return record if _is_sensible(record) else None
    except (OSError, ReadError, ValueError, TypeError, RecursionError):
        return None


def _is_sensible(record: Record) -> bool:
    """Whether a record can be ours: who may write in the inbox may have put it there, to have other files moved."""
    numbers = (record.size, record.mtime_ns, record.attempts)
    reasoned = record.reason is None or isinstance(record.reason.get("error"), dict)
    if not all(isinstance(each, int) for each in numbers) or not isinstance(record.digest, str | None) or not reasoned:
        return False
    paths = [path for path in (record.relative, record.target, record.refused) if path is not None]
    for path in paths:
        os.fsencode(path)  # raises for what is no name at all
        if "\0" in path or Path(path).is_absolute() or ".." in Path(path).parts or not Path(path).name:
            return False
    return all(map(is_name_of_upload, Path(record.relative).parts))


def _lost(folder: Path) -> Record:
    """For an upload whose record did not survive a crash of the machine: nobody knows its name, so it is refused."""
    reason = {"type": "CrashedError", "message": "the note of where this upload came from is lost"}
    return Record(relative=f"unknown-{folder.name}", size=-1, mtime_ns=-1, reason={"error": reason})
