"""What a medium is: parts in, parts out. A picture has one part; videos, archives and documents have many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

from detect.pictures.still import Picture

__all__ = ["Medium", "Part", "SpareFactor", "Where"]

SpareFactor = Callable[[int, int], int]
"""Asked with rows and columns, says by how much a picture may be shrunk that is only judged: 1, 2, 4 or 8."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where in its medium a part stands; all None for a still, which is the whole of it.

    Attributes:
        frame: Number of a frame, from 0, in the order shown.
        seconds: When it is shown, from the beginning of the medium.
        page: Number of a page, from 1, as people count them.
        member: Path of a file in an archive.
    """

    frame: int | None = None
    seconds: float | None = None
    page: int | None = None
    member: str | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One picture of a medium.

    Attributes:
        picture: The picture.
        where: Where it stands in the medium.
        shared: Somebody else holds its pixels, too: they must not be painted.
    """

    picture: Picture
    where: Where = Where()
    shared: bool = False

    def to_paint(self) -> Picture:
        """The picture with pixels that may be painted: a copy, where somebody else holds them."""
        pixels = self.picture.pixels
        if self.shared or not pixels.flags.writeable:
            return replace(self.picture, pixels=pixels.copy())
        return self.picture


class Medium(Protocol):
    """Something that holds pictures.

    Memory holds a few parts at a time, however many there are. Any error fails the whole: whoever catches one has no
    output, and the verdict on no part counts for the rest.
    """

    def parts(self, *, spare: SpareFactor | None = None) -> Iterator[Part]:
        """All parts, in the order that people see them in, decoded as they are asked for.

        Each call begins anew, if the source is no stream, which can be read but once.

        Args:
            spare: For judging only: parts may be decoded that much smaller, and cannot be written then.

        Raises:
            DetectError: A part could not be read or decoded, or is over a limit.
            TypeError: The source is nothing that a medium can come in.
            ValueError: The source is an array of the wrong type or shape.
        """
        ...

    def write(self, parts: Iterable[Part], out: BinaryIO, *, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Write the medium anew with other parts in place of its own, and with nothing else of what could show them.

        Args:
            parts: As many as the medium has, in the same order; they are asked for one after the other.
            out: Where the bytes go. What it holds after an error is of no use.
            format: What to write.
            quality: 1-100, for formats that lose something.

        Raises:
            WriteError: The format cannot hold it, or there are more or fewer parts than the medium has.
            ValueError: An unknown format, a quality out of range, or a part that was decoded smaller.
        """
        ...
