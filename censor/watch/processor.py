"""What is done with one claimed upload, so that it can be broken off anywhere and gone on with."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from censor.errors import CrashedError, OutputExistsError, WriteError
from censor.gather import mirrored
from censor.in_pages import CensoredPages
from censor.media.encoding import output_format
from censor.media.opening import announced, still_or_moving
from censor.media.pages import PAGED
from censor.media.writing import room_for, write_atomic
from censor.pipeline import Censor
from censor.report import as_json, error_record, log_line
from censor.results import Censored
from censor.timeline import CensoredAnimation
from censor.timing import Standing
from censor.watch.claims import Claim, Claims, Progress
from censor.watch.moves import is_for_good, make_folder, move, move_to_free_name, names
from detect.errors import ReadError
from detect.folders import PathBeneath, Stamp, open_file

__all__ = ["DELETE", "KEEP", "Fate", "PostponedError", "UploadProcessor"]

DELETE, KEEP = "delete", "keep"

_SAID_EVERY = 30.0
"""Seconds between two words on how far work on one upload has come."""


class PostponedError(Exception):
    """Nothing is wrong with the upload, but it has to wait: a full disk, a missing mount, a writer not yet done.

    Attributes:
        changing: Whether it was the upload itself that was still being written.
        broken_off: Whether the watcher was told to stop.
    """

    def __init__(self, message: str, *, changing: bool = False, broken_off: bool = False) -> None:
        super().__init__(message)
        self.changing, self.broken_off = changing, broken_off


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
        report: Callable[..., None],
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
            report: Called now and then while work on what moves goes on, with "working" and, as keywords, how far it
                has come.
        """
        self._censor, self._claims, self._quality, self._attempts = censor, claims, quality, attempts
        self._public, self._quarantine, self._originals = public, quarantine, originals
        self._report, self._breaking_off = report, threading.Event()

    def break_off(self) -> None:
        """Leave for another time what moves and is worked on: it may take hours. May be called by signal handlers."""
        self._breaking_off.set()

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
        progress = claim.progress
        if progress.reason is not None:
            return self._refuse(claim, progress.reason)
        if self._is_published(progress):
            return self._finish(claim, {"output": progress.target, "resumed": True})
        if claim.path is None:
            claim.drop()
            return Fate(event="gone", upload=progress.relative)
        if progress.attempts >= self._attempts:
            tries = f"{progress.attempts} tries that ended the process or its memory"
            error = CrashedError(f"{progress.relative}: given up after {tries}")
            return self._refuse(claim, self._reason(claim, error))
        self._count(claim)
        try:
            with ExitStack() as stack:
                done, data, target = self._look(claim, claim.path, stack)
                self._publish(claim, data, target)
        except PostponedError:
            progress.attempts -= 1  # it was looked at, and the process lives
            with suppress(WriteError):
                claim.save()
            raise
        except MemoryError as error:
            raise PostponedError("out of memory") from error
        except Exception as error:  # noqa: BLE001  # a bug of ours must neither publish nor lose an upload
            return self._refuse(claim, self._reason(claim, error))
        return self._finish(claim, {**log_line(done, progress.target)})

    def _count(self, claim: Claim) -> None:
        """Note an attempt before it is made; it is struck out again unless it ends the process."""
        claim.progress.attempts += 1
        try:
            claim.save()
        except WriteError:
            claim.progress.attempts -= 1
            raise

    def _look(
        self, claim: Claim, path: PathBeneath, stack: ExitStack
    ) -> tuple[Censored | CensoredAnimation | CensoredPages, bytes | BinaryIO, Path]:
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
                kind = announced(stream)
                return still_or_moving(
                    kind,
                    still=lambda: self._still(claim, stream),
                    moving=lambda: self._moving(claim, stream, kind, stack),
                    paged=lambda: self._paged(claim, stream),
                )
            finally:  # whatever came of a picture that was still being written, it counts for nothing
                if Stamp.of(os.fstat(stream.fileno())) != before:
                    raise PostponedError("the upload changed while it was read", changing=True)

    def _still(self, claim: Claim, stream: BinaryIO) -> tuple[Censored, bytes, Path]:
        done = self._censor.apply(stream)
        target = mirrored(Path(claim.progress.relative), done.picture.format)  # as `censor hide -o` would
        return done, done.encode(output_format(done.picture, target=target), self._quality), target

    def _paged(self, claim: Claim, stream: BinaryIO) -> tuple[CensoredPages, BinaryIO, Path]:
        stream.seek(0)
        out = io.BytesIO()
        done = self._censor.apply_pages(stream, out, quality=self._quality)
        return done, out, mirrored(Path(claim.progress.relative), PAGED)

    def _moving(
        self, claim: Claim, stream: BinaryIO, kind: str | None, stack: ExitStack
    ) -> tuple[CensoredAnimation, BinaryIO, Path]:
        """The output grows in a file without a name, in the folder that it goes to."""
        stream.seek(0)
        try:
            out = stack.enter_context(room_for(self._public / "film", large=True))
            done = self._censor.apply_medium(stream, out, quality=self._quality, progress=self._progress(claim))
        except (OSError, WriteError) as error:
            cause = error.__cause__ if isinstance(error, WriteError) else error
            if type(cause).__module__ != "builtins" or is_for_good(cause):  # FFmpeg's own are about the film
                raise
            raise PostponedError(" ".join(str(error).split())) from error
        return done, out, mirrored(Path(claim.progress.relative), kind)

    def _progress(self, claim: Claim) -> Callable[[int, int], None]:
        begun = said = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal said
            if self._breaking_off.is_set():
                raise PostponedError("told to stop", broken_off=True)
            if (now := time.monotonic()) - said >= _SAID_EVERY:
                said = now
                standing = Standing(done=done, total=total, seconds=now - begun)
                self._report("working", upload=claim.progress.relative, **standing.told())

        return tell

    def _publish(self, claim: Claim, data: bytes | BinaryIO, wanted: Path) -> None:
        """Take the first free name. The claim says beforehand which: so a successor knows its own from others'."""
        claim.progress.digest = _digest(data)
        try:
            make_folder(PathBeneath(self._public, wanted))
            for free in itertools.islice(names(wanted), 1000):
                target = PathBeneath(self._public, free)
                if target.exists():
                    continue
                claim.progress.target = str(free)
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

    def _is_published(self, progress: Progress) -> bool:
        if progress.target is None:
            return False
        try:
            with open_file(PathBeneath(self._public, Path(progress.target))) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == progress.digest
        except (FileNotFoundError, NotADirectoryError, ReadError):
            return False

    def _finish(self, claim: Claim, fields: dict[str, Any]) -> Fate:
        """Dispose of the original as told, and close the claim."""
        progress, path = claim.progress, claim.path
        if path is not None:
            if self._originals == KEEP:
                if path == claim.held:  # claimed by a watcher that was told otherwise
                    back = move_to_free_name(path, self._claims.inbox, Path(progress.relative))
                    progress = replace(progress, relative=str(back.relative))
                self._claims.mark_done(progress)
            elif isinstance(self._originals, Path):
                self._move_original(claim, path, self._originals)
            else:
                path.unlink()
        claim.drop()
        return Fate(event="censored", upload=claim.progress.relative, fields=fields)

    def _move_original(self, claim: Claim, path: PathBeneath, root: Path) -> None:
        try:
            move_to_free_name(path, root, Path(claim.progress.relative))
        except OSError as error:
            if not is_for_good(error):
                raise
            move_to_free_name(path, root, Path(claim.name))  # the name is too long there, or a file is in the way

    def _reason(self, claim: Claim, error: Exception) -> dict[str, Any]:
        relative = claim.progress.relative
        told = error_record(error)
        for path in (claim.held, claim.original):
            told["message"] = told["message"].replace(str(path), relative)
        return {"error": told}

    def _refuse(self, claim: Claim, reason: dict[str, Any]) -> Fate:
        """Into quarantine. The reason goes first and takes the name for both; then the upload follows in one step."""
        progress = claim.progress
        if (path := claim.path) is not None:
            if "claim" not in reason:
                reason = {
                    "upload": progress.relative,
                    "error": reason["error"],
                    "bytes": path.lstat().st_size,
                    "attempts": progress.attempts,
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "claim": claim.name,
                }
            progress.reason = reason
            claim.save()
            self._confine(claim, path, (as_json(reason, indent=1) + "\n").encode())
        claim.drop()
        return Fate(
            event="quarantined", upload=progress.relative, fields={"quarantine": progress.refused, **reason["error"]}
        )

    def _confine(self, claim: Claim, path: PathBeneath, reason: bytes) -> None:
        """Move into the mirrored tree, or, where the name is too long or a file stands in the way, by the claim's."""
        for wanted in (claim.progress.refused, claim.progress.relative, claim.name):
            try:
                if wanted is not None and self._confine_as(claim, path, Path(wanted), reason):
                    return
            except (OSError, WriteError) as error:
                cause = error.__cause__ if isinstance(error, WriteError) else error
                if wanted == claim.name or not is_for_good(cause):
                    raise
        raise FileExistsError(f"{claim.progress.relative}: no name in the quarantine is free")

    def _confine_as(self, claim: Claim, path: PathBeneath, wanted: Path, reason: bytes) -> bool:
        make_folder(PathBeneath(self._quarantine, wanted))
        for free in itertools.islice(names(wanted), 1000):
            target = PathBeneath(self._quarantine, free)
            beside = PathBeneath(self._quarantine, free.with_name(free.name + ".json"))
            ours = _holds(beside, reason)
            if not ours and (target.exists() or beside.exists()):
                continue
            claim.progress.refused = str(free)
            claim.save()
            try:
                if not ours:
                    write_atomic(beside, reason, durable=True)
                move(path, target)
            except (OutputExistsError, FileExistsError):
                continue
            return True
        return False


def _digest(data: bytes | BinaryIO) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    data.seek(0)
    return hashlib.file_digest(data, "sha256").hexdigest()  # type: ignore[arg-type]  # a file open for reading and writing


def _holds(path: PathBeneath, content: bytes) -> bool:
    try:
        with open_file(path) as stream:
            return stream.read(len(content) + 1) == content
    except (FileNotFoundError, ReadError):
        return False
