"""Films on their way in and out: files in memory that have no name, so that nothing of them is ever on a disk."""

from __future__ import annotations

import contextlib
import fcntl
import io
import mmap
import os
from collections.abc import Callable

__all__ = ["Spool", "SpoolFile", "can_spool"]

_NAME = "bytes"
"""What errors call what came from a client: it has no other name."""


def can_spool() -> bool:
    """Whether the system has files without a name in memory: Linux does."""
    return hasattr(os, "memfd_create")


class SpoolFile(io.FileIO):
    """A view of a `Spool` to be read, or written up to a number of bytes."""

    def __init__(self, descriptor: int, *, most: int | None = None, refuse: Callable[[int], Exception] | None = None):
        """Begin at its beginning.

        Args:
            descriptor: Of the file; this owns it from here on.
            most: How many bytes it may have.
            refuse: Makes the error of what would have more, from `most`.
        """
        super().__init__(descriptor, "r+b")
        self.name = _NAME
        self._most, self._refuse = most, refuse
        self.seek(0)

    def write(self, data: object) -> int:
        """As any file does, unless it would become too large."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever has bytes
        if self._most is not None and self._refuse is not None and self.tell() + len(view) > self._most:
            raise self._refuse(self._most)
        written = 0
        while written < len(view):
            written += super().write(view[written:])
        return written


class Spool:
    """A file in memory; whoever makes one counts its bytes, and closes it."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make one, or take over the descriptor of one."""
        self._descriptor = -1
        if descriptor is None:
            descriptor = os.memfd_create("censor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return os.fstat(self._descriptor).st_size

    def write(self, data: bytes) -> None:
        """Add bytes at its end."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def empty(self) -> None:
        """Have it hold nothing, be it that somebody has begun to fill it."""
        os.ftruncate(self._descriptor, 0)

    def opened(self, *, most: int | None = None, refuse: Callable[[int], Exception] | None = None) -> SpoolFile:
        """A view of it, as `SpoolFile` takes the rest; two of them at once share one position."""
        return SpoolFile(os.dup(self._descriptor), most=most, refuse=refuse)

    def sealed(self) -> memoryview:
        """All it holds, which nobody can change from here on, whoever else has it open.

        Raises:
            ValueError: It holds nothing.

        Source:
            fcntl(2), file sealing: what shrank under a map would end the process that looks at it.
        """
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
        return memoryview(mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ))

    def let_go(self) -> None:
        """Close it here alone: who made it has it still."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        """Give its memory back, unless it was sealed and somebody looks at it."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # it is sealed: the memory goes with the last who looks
                self.empty()
            self.let_go()

    def __del__(self) -> None:
        """Nobody can close it any more."""
        self.let_go()
