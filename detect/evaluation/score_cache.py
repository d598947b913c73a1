"""What was found out about pictures before, so that a second run need not look again, and a stopped one goes on.

Numbers under hashes, in SQLite: no name of a file, and no picture but small ones that were made to be shown.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from detect.annotations.fields import is_number
from detect.duplicates import PictureHash
from detect.errors import EvaluationError

__all__ = ["ScoreCache", "content_key", "model_key"]

_APPLICATION = 0x6E736663  # "nsfc": says whose file it is
_VERSION = 1
_TABLES = """
CREATE TABLE scores (content TEXT, model TEXT, numbers TEXT NOT NULL, PRIMARY KEY (content, model)) WITHOUT ROWID;
CREATE TABLE hashes (content TEXT PRIMARY KEY, upright TEXT NOT NULL, mirrored TEXT NOT NULL) WITHOUT ROWID;
"""

_THUMBNAILS = """
CREATE TABLE IF NOT EXISTS thumbnails (content TEXT, maker TEXT, image BLOB NOT NULL, PRIMARY KEY (content, maker))
"""


def content_key(content: bytes) -> str:
    """What a picture is called in a cache: the SHA-256 of its file, which another name does not change."""
    return hashlib.sha256(content).hexdigest()


def model_key(**facts: str) -> str:
    """What a model is called in a cache.

    Args:
        facts: All that may change its scores: the hash of its file, engine, precision, how pictures are shown to it.
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class ScoreCache:
    """Scores by content and model, for one thread; several processes may share the file.

    What was put is there even if the process is killed in the next moment. A context manager: it closes the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a cache, or begin one.

        Args:
            path: Its file; the folder must exist.

        Raises:
            EvaluationError: It cannot be opened, or is something else, or is of another version.
        """
        self._path = path
        with self._errors():
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            with self._errors():
                self._begin()
                self._database.execute("PRAGMA journal_mode = WAL")  # or each picture would wait for the disk
                self._database.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def scores(self, content: str, model: str) -> dict[str, float] | None:
        """What a model said of a picture; None if it was not asked.

        Args:
            content: See `content_key`.
            model: See `model_key`.

        Raises:
            EvaluationError: The file cannot be read, or holds something else than numbers.
        """
        with self._errors():
            found = self._database.execute(
                "SELECT numbers FROM scores WHERE content = ? AND model = ?", (content, model)
            ).fetchone()
        if found is None:
            return None
        try:
            numbers = json.loads(found[0])
        except (ValueError, TypeError):
            numbers = None
        if not isinstance(numbers, dict) or not all(is_number(number) for number in numbers.values()):
            raise EvaluationError(f"{self._path}: is damaged: the scores of {content} are no numbers; remove the file")
        return {name: float(number) for name, number in numbers.items()}

    def put(self, content: str, model: str, scores: Mapping[str, float]) -> None:
        """Keep what a model said of a picture, in place of what it said before.

        Args:
            content: See `content_key`.
            model: See `model_key`.
            scores: Finite numbers by name.

        Raises:
            ValueError: A score is not finite.
            EvaluationError: The file cannot be written.
        """
        numbers = {name: float(score) for name, score in scores.items()}
        if not all(is_number(number) for number in numbers.values()):
            raise ValueError(f"scores must be finite numbers: {numbers}")
        with self._errors():
            self._database.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", (content, model, json.dumps(numbers))
            )

    def picture_hash(self, content: str) -> PictureHash | None:
        """What a picture looks like; None if nobody has put it here.

        Args:
            content: See `content_key`.

        Raises:
            EvaluationError: The file cannot be read, or holds something else.
        """
        with self._errors():
            found = self._database.execute(
                "SELECT upright, mirrored FROM hashes WHERE content = ?", (content,)
            ).fetchone()
        try:
            return None if found is None else PictureHash(*(int(bits, 16) for bits in found))
        except (ValueError, TypeError) as error:
            raise EvaluationError(f"{self._path}: is damaged: {content} has no hash; remove the file") from error

    def put_picture_hash(self, content: str, found: PictureHash) -> None:
        """Keep what a picture looks like.

        Args:
            content: See `content_key`.
            found: See `detect.duplicates.hash_picture`.

        Raises:
            EvaluationError: The file cannot be written.
        """
        row = (content, f"{found.upright:016x}", f"{found.mirrored:016x}")
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", row)

    def thumbnail(self, content: str, maker: str) -> bytes | None:
        """A small picture of a picture, as somebody made it to be shown; None if nobody did.

        Args:
            content: See `content_key`.
            maker: Like `model_key`, of all that may change it.

        Raises:
            EvaluationError: The file cannot be read.
        """
        with self._errors():
            found = self._database.execute(
                "SELECT image FROM thumbnails WHERE content = ? AND maker = ?", (content, maker)
            ).fetchone()
        return None if found is None else bytes(found[0])

    def put_thumbnail(self, content: str, maker: str, image: bytes) -> None:
        """Keep a small picture; it must hold nothing that may not be shown.

        Args:
            content: See `content_key`.
            maker: Like `model_key`, of all that may change it.
            image: An encoded picture.

        Raises:
            EvaluationError: The file cannot be written.
        """
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (content, maker, image))

    def _begin(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")  # two processes may begin it at the same moment
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not any((tables, *self._stamp())):
            for statement in filter(str.strip, _TABLES.split(";")):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute(f"PRAGMA user_version = {_VERSION}")
        self._database.execute("COMMIT")
        application, version = self._stamp()
        if application != _APPLICATION:
            raise EvaluationError(f"{self._path}: is a database, but no cache of scores")
        if version != _VERSION:
            raise EvaluationError(f"{self._path}: is a cache of version {version}, and this is {_VERSION}; remove it")
        self._database.execute(_THUMBNAILS)

    def _stamp(self) -> tuple[int, int]:
        names = ("application_id", "user_version")
        application, version = (self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return application, version

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EvaluationError(f"{self._path}: cannot be used as a cache of scores: {error}") from error
