"""The one file that a film is read from: opened once, read from several places, and held against its own size."""

from __future__ import annotations

import io
import os
from threading import Lock
from typing import BinaryIO

from censor.media.film_kinds import FilmKind, film_in
from detect.errors import DamagedImageError, LimitError, ReadError, UnsupportedImageError
from detect.folders import Stamp, open_file
from detect.pictures.formats import SNIFF_BYTES, empty, refused_kind

__all__ = ["MAX_FILM_BYTES", "FilmSource", "Window", "cut_short"]

MAX_FILM_BYTES = 64 * 2**30
"""Default cap on a film's file, in bytes: no more of it than a buffer is ever in memory."""


class Window(io.RawIOBase):
    """A view of a file that somebody else reads or writes, with a position of its own.

    FFmpeg is given this and nothing else: it has no path, and so no other file is ever opened for what it reads.
    """

    def __init__(self, stream: BinaryIO, lock: Lock) -> None:
        """Begin at the file's beginning; `lock` is held while its own position is another."""
        self._stream, self._lock, self._at = stream, lock, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The window's own position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the window's own position."""
        with self._lock:
            before = self._stream.tell()
            base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
            self._at = max(0, (self._stream.seek(0, os.SEEK_END) if base is None else base) + offset)
            self._stream.seek(before)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read from the window's own position, and leave the file's where it was."""
        with self._lock:
            before = self._stream.tell()
            self._stream.seek(self._at)
            data = self._stream.read(-1 if size is None else size)
            self._stream.seek(before)
        self._at += len(data)
        return data


class FilmSource:
    """A film's file, which is the same one from the first look to the last.

    Attributes:
        name: What errors call it.
        kind: What its first bytes announce.
        size: Its bytes.
    """

    def __init__(self, stream: BinaryIO, name: str, *, max_bytes: int) -> None:
        """Look at its first bytes.

        Raises:
            DamagedImageError: It is empty, or ends before its end.
            LimitError: It has more bytes than `max_bytes`.
            ReadError: It may not be read.
            UnsupportedImageError: It is no film of a kind that is taken.
        """
        self._stream, self._lock, self.name, self._owned = stream, Lock(), name, False
        try:
            self.size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            start = stream.read(SNIFF_BYTES)
        except (OSError, ValueError) as error:
            raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if not start:
            raise empty(name)
        if self.size > max_bytes:
            raise LimitError(f"{name}: more than {max_bytes:,} bytes, the cap on a film's size")
        kind = film_in(start)
        if kind is None:
            what = refused_kind(start)
            raise UnsupportedImageError(f"{name}: not a film that is taken" + (f" but {what}" if what else ""))
        self.kind: FilmKind = kind
        self._stamp = self._now()
        if not _is_whole(self.window(), kind, self.size):
            raise cut_short(name, "its last part is missing, or more follows it")
        if kind.demuxer == "mov":
            from censor.media.film_boxes import check_film_boxes

            check_film_boxes(self.window(), self.size, name)

    @classmethod
    def opened(
        cls, source: str | os.PathLike[str] | bytes | BinaryIO, *, max_bytes: int = MAX_FILM_BYTES
    ) -> FilmSource:
        """Open a path, take bytes or a file object that can be sought in; see the constructor for what it raises."""
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(io.BytesIO(bytes(source)), "bytes", max_bytes=max_bytes)
        if not isinstance(source, str | os.PathLike):
            return cls(source, str(getattr(source, "name", "stream")), max_bytes=max_bytes)
        name = os.fspath(source)
        try:
            stream = open_file(source)
        except (OSError, ValueError) as error:
            raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        try:
            made = cls(stream, name, max_bytes=max_bytes)
        except BaseException:
            stream.close()
            raise
        made._owned = True
        return made

    def window(self) -> Window:
        """A view of it, from the beginning.

        Raises:
            ReadError: It has changed since it was opened: what was judged would not be what is written.
        """
        if self._now() != getattr(self, "_stamp", None):
            raise ReadError(f"{self.name}: was changed while it was read")
        return Window(self._stream, self._lock)

    def close(self) -> None:
        """Close the file, unless somebody else opened it."""
        if self._owned:
            self._stream.close()

    def _now(self) -> Stamp | None:
        try:
            return Stamp.of(os.fstat(self._stream.fileno()))
        except (OSError, AttributeError):  # io.UnsupportedOperation too: it lies in memory
            return None


def cut_short(name: str, reason: str) -> DamagedImageError:
    """The error for a film of which not all can be judged."""
    return DamagedImageError(f"{name}: the film is damaged or cut short ({reason})")


def _is_whole(window: Window, kind: FilmKind, size: int) -> bool:
    """Whether the outermost parts of a file end where the file ends: readers take what is there for all there is.

    Source:
        ISO/IEC 14496-12, 4.2; RFC 8794, 4 to 6; OpenDML AVI 1.02, 3; ISO/IEC 13818-1, 2.4.3.2.
    """
    match kind.demuxer:
        case "mov":
            return _boxes_fit(window, size)
        case "avi":
            return _riffs_fit(window, size)
        case "matroska":
            return _segment_fits(window, size)
    return size % 188 == 0


def _boxes_fit(window: Window, size: int) -> bool:
    at = 0
    while at + 8 <= size:
        window.seek(at)
        header = window.read(16)
        length = int.from_bytes(header[:4])
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:])
        if length == 0:
            return True  # to the end
        if length < 8:
            return False
        at += length
    return at <= size


def _riffs_fit(window: Window, size: int) -> bool:
    at = 0
    while at + 12 <= size:
        window.seek(at)
        header = window.read(12)
        if header[:4] != b"RIFF":
            return False
        length = int.from_bytes(header[4:8], "little")
        at += 8 + length + length % 2
    return at <= size + 1


def _segment_fits(window: Window, size: int) -> bool:
    at = 0
    for _ in range(2):  # the EBML header, and the segment
        window.seek(at)
        header = window.read(12)
        marker = header[4] if len(header) == 12 else 0
        width = 9 - marker.bit_length()
        if not 1 <= width <= 8:
            return False
        length = int.from_bytes(header[4 : 4 + width]) & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return True  # written as it came: nobody knew its length
        at += 4 + width + length
    return at <= size
