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
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from censor.errors import WriteError
from censor.files import write_atomic
from censor.watch.inbox import STATE, Stamp, Upload

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

    def __init__(self, folder: Path, descriptor: int, record: Record, inbox: Path) -> None:
        self.record = record
        self.retries = 0
        """How often in a row something around the picture, not the picture itself, stood in the way."""
        self._folder, self._descriptor, self._inbox = folder, descriptor, inbox

    @property
    def name(self) -> str:
        """Like no other claim's."""
        return self._folder.name

    @property
    def original(self) -> Path:
        """Where the upload was sent to."""
        return self._inbox / self.record.relative

    @property
    def held(self) -> Path:
        """Where the upload is if it was moved into the claim."""
        return self._folder / "upload"

    @property
    def path(self) -> Path | None:
        """Where the upload is, None if it is gone."""
        if os.path.lexists(self.held):
            return self.held
        with contextlib.suppress(OSError):
            status = self.original.lstat()
            if (status.st_size, status.st_mtime_ns) == (self.record.size, self.record.mtime_ns):
                return self.original
        return None

    def save(self) -> None:
        """Write the record.

        Raises:
            WriteError: It cannot be written.
        """
        write_atomic(self._folder / "record.json", json.dumps(asdict(self.record)).encode(), overwrite=True)

    def drop(self) -> None:
        """Forget it: the work is done, or was never begun. The upload must have left the folder.

        Raises:
            OSError: The folder cannot be removed.
        """
        if os.path.lexists(self.held):  # its record must not go before it
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self._folder))
        for leftover in self._folder.iterdir():
            leftover.unlink()
        self._folder.rmdir()
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
        self._claims, self._ledger = inbox / STATE / "claims", inbox / STATE / "done"
        self._known: set[str] = set()
        self._make_folders()

    def _make_folders(self) -> None:
        """Not the inbox: made anew, it would hide that its disk is not mounted."""
        for folder in (self._claims.parent, self._claims, self._ledger):
            folder.mkdir(mode=0o700, exist_ok=True)

    def take(self, upload: Upload) -> Claim | None:
        """Claim an upload, None if another has it or it is gone or changed.

        Raises:
            WriteError: There is no space for the record.
            OSError: It cannot be claimed: no right to rename it, another file system.
        """
        record = Record.of(upload)
        folder = self._claims / (record.key if self._keep else secrets.token_hex(16))
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if (claim := self._hold(folder, record)) is None:
            return None
        try:
            changed = Stamp.of((self.inbox / upload.relative).lstat()) != upload.stamp
            if changed or self.is_done(upload):
                claim.drop()
                return None
            if self._keep:
                claim.record = _read(folder) or record  # left by one that was killed
                claim.save()
            else:
                claim.save()
                (self.inbox / upload.relative).rename(claim.held)
        except FileNotFoundError:
            claim.drop()
            return None
        except (OSError, WriteError):
            self._abandon(claim)
            raise
        return claim

    def orphans(self) -> list[Claim]:
        """Claims whose holders are no more, now ours; what holds no upload any more is cleared away.

        Raises:
            OSError: The folder of state cannot be read.
        """
        found = []
        self._make_folders()  # another disk may have been mounted since
        for folder in sorted(self._claims.iterdir()):
            if (claim := self._hold(folder, None)) is None:
                continue
            if self._resume(claim):
                found.append(claim)
            else:
                self._abandon(claim)
        return found

    def _resume(self, claim: Claim) -> bool:
        """Whether there is an upload to go on with. One whose holder died before the rename is moved now."""
        path = claim.path
        if path is not None and path != claim.held and not self._keep:
            try:
                path.rename(claim.held)
            except OSError:
                return False
        return path is not None

    def is_done(self, upload: Upload) -> bool:
        """Whether the ledger of kept originals says so."""
        key = Record.of(upload).key
        if self._keep and key not in self._known and (self._ledger / key).exists():
            self._known.add(key)
        return key in self._known

    def mark_done(self, record: Record) -> None:
        """Write into the ledger that an original that stays in the inbox is done.

        Raises:
            WriteError: It cannot be written.
        """
        entry = {"relative": record.relative, "size": record.size, "mtime_ns": record.mtime_ns, "target": record.target}
        write_atomic(self._ledger / record.key, json.dumps(entry).encode(), overwrite=True)
        self._known.add(record.key)

    def prune(self) -> None:
        """Strike from the ledger what is no longer in the inbox, or no longer the same.

        Raises:
            OSError: The folder of state cannot be read.
        """
        for entry in self._ledger.iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                noted = json.loads(entry.read_bytes())
                try:
                    stamp = Stamp.of((self.inbox / noted["relative"]).lstat())
                except FileNotFoundError:
                    stamp = None
                if stamp is None or (stamp.size, stamp.mtime_ns) != (noted["size"], noted["mtime_ns"]):
                    entry.unlink()

    def _hold(self, folder: Path, record: Record | None) -> Claim | None:
        """Lock a claim's folder; None if another holds it, or it went while we waited for a look at it."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), folder.stat()):
                raise FileNotFoundError(folder)
        except OSError:
            os.close(descriptor)
            return None
        return Claim(folder, descriptor, record or _read(folder) or _lost(folder), self.inbox)

    def _abandon(self, claim: Claim) -> None:
        """Undo a claim that came to nothing; if not even that is possible, whoever looks next clears it away."""
        with contextlib.suppress(OSError):
            claim.drop()
        claim.release()


def _read(folder: Path) -> Record | None:
    try:
        return Record(**json.loads((folder / "record.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _lost(folder: Path) -> Record:
    """For an upload whose record did not survive a crash of the machine: nobody knows its name, so it is refused."""
    reason = {"type": "CrashedError", "message": "the note of where this upload came from is lost"}
    return Record(relative=f"unknown-{folder.name}", size=-1, mtime_ns=-1, reason={"error": reason})
