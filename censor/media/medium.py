"""What a medium is: parts in, parts out. A picture has one part; videos, archives and documents have many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import BinaryIO, Protocol

from censor.follow import Gray, look_of
from censor.masks import Region
from censor.media.display import Display
from detect.pictures.alpha import over
from detect.pictures.still import Picture

__all__ = ["Medium", "Moving", "Part", "SpareFactor", "Where"]

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

    def look(self) -> Gray:
        """It in grey and small, as it is seen on a white page."""
        pixels = self.picture.pixels
        return look_of(over(pixels, 255) if pixels.shape[2] == 4 else pixels)

    def painted(self, picture: Picture, regions: Sequence[Region]) -> Part:  # noqa: ARG002  # a film's frame asks
        """It, to be written, with a picture in which regions were painted and nothing else was."""
        return Part(picture, self.where)

    def untouched(self) -> Part:
        """It, to be written, with nothing that only some viewers show."""
        return Part(replace(self.picture, beneath=None, readings=()), self.where)


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


class Moving(Medium, Protocol):
    """A medium whose parts are shown one after the other."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def format(self) -> str:
        """Name of the format that it is in."""
        ...

    @property
    def rate(self) -> float:
        """Parts a second, on average, where so many are alike that not each must be looked at; 0 where each must."""
        ...

    @property
    def promised(self) -> int:
        """How many parts it says it has; 0 where it does not say."""
        ...

    @property
    def dropped(self) -> tuple[str, ...]:
        """What of it does not come out, in words."""
        ...

    @property
    def display(self) -> Display | None:
        """What players make of its pixels; None if they show them as they are."""
        ...

    def end(self, times: Sequence[float]) -> float:
        """When all is over, in seconds, given when each part is first shown."""
        ...

    def exact(self, times: Sequence[float]) -> list[Fraction]:
        """The seconds of all parts, and that of the end, exactly as the medium has them."""
        ...

    def require_output(self, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Check, before all the work, that `write` could write it.

        Raises:
            UnsupportedImageError: It can be judged, and not written.
            WriteError: The format cannot hold it.
            ValueError: A quality out of range.
        """
        ...

    def close(self) -> None:
        """Let go of its file."""
        ...
