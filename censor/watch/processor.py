"""What is done with one claimed upload, so that it can be broken off anywhere and gone on with."""

from __future__ import annotations

import hashlib
import itertools
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from censor.errors import CrashedError, OutputExistsError, WriteError
from censor.gather import mirrored
from censor.media.encoding import output_format
from censor.media.writing import write_atomic
from censor.pipeline import Censor
from censor.report import Outcome, as_json
from censor.results import Censored
from censor.watch.claims import Claim, Claims, Record
from censor.watch.moves import is_for_good, make_folder, move, move_to_free_name, names
from detect.errors import ReadError
from detect.folders import PathBeneath, Stamp, open_file

__all__ = ["DELETE", "KEEP", "Fate", "PostponedError", "UploadProcessor"]

DELETE, KEEP = "delete", "keep"


class PostponedError(Exception):
    """Nothing is wrong with the upload, but it has to wait: a full disk, a missing mount, a writer not yet done.

    Attributes:
        changing: Whether it was the upload itself that was still being written.
    """

    def __init__(self, message: str, *, changing: bool = False) -> None:
        super().__init__(message)
        self.changing = changing


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of an upload.

    Attributes:
        event: "censored", "quarantined", or "gone" if somebody took it away.
        upload: Its path below the inbox.
        fields: Where it went and why, for the log; nothing of what it shows.
    """

    event: str
    upload: str
    fields: dict[str, Any] = field(default_factory=dict)


class UploadProcessor:
    """Censors claimed uploads into the public folder, or puts them into quarantine. May be used by several threads."""

    def __init__(
        self,
        *,
        censor: Censor,
        claims: Claims,
        public: Path,
        quarantine: Path,
        originals: str | Path,
        quality: int | None,
        attempts: int,
    ) -> None:
        """Say where things go.

        Args:
            censor: Hides what must not be shown.
            claims: Where the ledger of kept originals is.
            public: Folder of the outputs.
            quarantine: Folder of what could not be processed.
            originals: `DELETE`, `KEEP`, or a folder to move them to.
            quality: As `censor.media.encoding.encode` takes it.
            attempts: Looks at one picture that may end the process before it is refused.
        """
        self._censor, self._claims, self._quality, self._attempts = censor, claims, quality, attempts
        self._public, self._quarantine, self._originals = public, quarantine, originals

    def process(self, claim: Claim) -> Fate:
        """Bring an upload to where it belongs, from wherever an earlier try left it.

        Raises:
            PostponedError: It has to wait; the claim stands.
        """
        try:
            return self._process(claim)
        except (OSError, WriteError) as error:
            raise PostponedError(" ".join(str(error).split())) from error

    def _process(self, claim: Claim) -> Fate:
        record = claim.record
        if record.reason is not None:
            return self._refuse(claim, record.reason)
        if self._is_published(record):
            return self._finish(claim, {"output": record.target, "resumed": True})
        if claim.path is None:
            claim.drop()
            return Fate(event="gone", upload=record.relative)
        if record.attempts >= self._attempts:
            message = f"{record.relative}: given up after {record.attempts} tries that ended the process or its memory"
            return self._refuse(claim, self._reason(claim, CrashedError(message)))
        self._count(claim)
        try:
            done, data, target = self._look(claim, claim.path)
            self._publish(claim, data, target)
        except PostponedError:
            record.attempts -= 1  # it was looked at, and the process lives
            with suppress(WriteError):
                claim.save()
            raise
        except MemoryError as error:
            raise PostponedError("out of memory") from error
        except Exception as error:  # noqa: BLE001  # a bug of ours must neither publish nor lose an upload
            return self._refuse(claim, self._reason(claim, error))
        level = None if done.verdict is None else done.verdict.level.value
        told = {"output": record.target, "level": level, "regions": len(done.redactions)}
        seconds = round(sum(done.seconds.values()), 3)
        return self._finish(claim, {**told, "seconds": seconds})

    def _count(self, claim: Claim) -> None:
        """Note an attempt before it is made; it is struck out again unless it ends the process."""
        claim.record.attempts += 1
        try:
            claim.save()
        except WriteError:
            claim.record.attempts -= 1
            raise

    def _look(self, claim: Claim, path: PathBeneath) -> tuple[Censored, bytes, Path]:
        """Censor and encode, and make sure that the upload did not change while it was read."""
        try:
            stream = open_file(path)
        except PermissionError:
            raise
        except OSError as error:  # taken away, or too many files are open
            raise PostponedError(" ".join(str(error).split())) from error
        with stream:
            before = Stamp.of(os.fstat(stream.fileno()))
            try:
                done = self._censor.apply(stream)
                target = mirrored(Path(claim.record.relative), done.picture.format)  # as `censor hide -o` would
                kind = output_format(done.picture, target=target)
                return done, done.encode(kind, self._quality), target
            finally:  # whatever came of a picture that was still being written, it counts for nothing
                if Stamp.of(os.fstat(stream.fileno())) != before:
                    raise PostponedError("the upload changed while it was read", changing=True)

    def _publish(self, claim: Claim, data: bytes, wanted: Path) -> None:
        """Take the first free name. The record says beforehand which: so a successor knows its own from others'."""
        claim.record.digest = hashlib.sha256(data).hexdigest()
        try:
            make_folder(PathBeneath(self._public, wanted))
            for free in itertools.islice(names(wanted), 1000):
                target = PathBeneath(self._public, free)
                if target.exists():
                    continue
                claim.record.target = str(free)
                claim.save()
                with suppress(OutputExistsError):
                    write_atomic(target, data, durable=True)
                    return
            raise FileExistsError("no name is free")
        except (OSError, WriteError) as error:
            cause = error.__cause__ if isinstance(error, WriteError) else error
            if is_for_good(cause):
                raise
            raise PostponedError(" ".join(str(error).split())) from error

    def _is_published(self, record: Record) -> bool:
        if record.target is None:
            return False
        try:
            with open_file(PathBeneath(self._public, Path(record.target))) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == record.digest
        except (FileNotFoundError, NotADirectoryError, ReadError):
            return False

    def _finish(self, claim: Claim, fields: dict[str, Any]) -> Fate:
        """Dispose of the original as told, and close the claim."""
        record, path = claim.record, claim.path
        if path is not None:
            if self._originals == KEEP:
                if path == claim.held:  # claimed by a watcher that was told otherwise
                    back = move_to_free_name(path, self._claims.inbox, Path(record.relative))
                    record = replace(record, relative=str(back.relative))
                self._claims.mark_done(record)
            elif isinstance(self._originals, Path):
                self._move_original(claim, path, self._originals)
            else:
                path.unlink()
        claim.drop()
        return Fate(event="censored", upload=claim.record.relative, fields=fields)

    def _move_original(self, claim: Claim, path: PathBeneath, root: Path) -> None:
        try:
            move_to_free_name(path, root, Path(claim.record.relative))
        except OSError as error:
            if not is_for_good(error):
                raise
            move_to_free_name(path, root, Path(claim.name))  # the name is too long there, or a file is in the way

    def _reason(self, claim: Claim, error: Exception) -> dict[str, Any]:
        relative = claim.record.relative
        reason = Outcome.failed(relative, error).record
        for path in (claim.held, claim.original):
            reason["error"]["message"] = reason["error"]["message"].replace(str(path), relative)
        return reason

    def _refuse(self, claim: Claim, reason: dict[str, Any]) -> Fate:
        """Into quarantine. The reason goes first and takes the name for both; then the upload follows in one step."""
        record = claim.record
        if (path := claim.path) is not None:
            if "claim" not in reason:
                reason = {
                    "upload": record.relative,
                    "error": reason["error"],
                    "bytes": path.lstat().st_size,
                    "attempts": record.attempts,
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "claim": claim.name,
                }
            record.reason = reason
            claim.save()
            self._confine(claim, path, (as_json(reason, indent=1) + "\n").encode())
        claim.drop()
        return Fate(
            event="quarantined", upload=record.relative, fields={"quarantine": record.refused, **reason["error"]}
        )

    def _confine(self, claim: Claim, path: PathBeneath, reason: bytes) -> None:
        """Move into the mirrored tree, or, where the name is too long or a file stands in the way, by the claim's."""
        for wanted in (claim.record.refused, claim.record.relative, claim.name):
            try:
                if wanted is not None and self._confine_as(claim, path, Path(wanted), reason):
                    return
            except (OSError, WriteError) as error:
                cause = error.__cause__ if isinstance(error, WriteError) else error
                if wanted == claim.name or not is_for_good(cause):
                    raise
        raise FileExistsError(f"{claim.record.relative}: no name in the quarantine is free")

    def _confine_as(self, claim: Claim, path: PathBeneath, wanted: Path, reason: bytes) -> bool:
        make_folder(PathBeneath(self._quarantine, wanted))
        for free in itertools.islice(names(wanted), 1000):
            target = PathBeneath(self._quarantine, free)
            beside = PathBeneath(self._quarantine, free.with_name(free.name + ".json"))
            ours = _holds(beside, reason)
            if not ours and (target.exists() or beside.exists()):
                continue
            claim.record.refused = str(free)
            claim.save()
            try:
                if not ours:
                    write_atomic(beside, reason, durable=True)
                move(path, target)
            except (OutputExistsError, FileExistsError):
                continue
            return True
        return False


def _holds(path: PathBeneath, content: bytes) -> bool:
    try:
        with open_file(path) as stream:
            return stream.read(len(content) + 1) == content
    except (FileNotFoundError, ReadError):
        return False
