"""Films: MP4, QuickTime, Matroska, WebM, AVI and transport streams, as a medium of so many frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from censor.errors import WriteError
from censor.follow import LOOK_SIDE, Gray
from censor.media.display import Display
from censor.media.extras import require_pyav
from censor.media.film_encoders import quiet
from censor.media.film_kinds import CODECS, Codec
from censor.media.film_quality import crf_after, tried
from censor.media.film_reading import FilmInfo, decoded, probed
from censor.media.film_source import MAX_FILM_BYTES, FilmSource
from censor.media.film_streams import sorted_streams
from censor.media.film_writing import Recipe, codec_for, encoder_opens, write_film
from censor.media.medium import Part, SpareFactor, Where
from censor.media.planes import blocks_of_turned, copied, luma_of, repainted, shown_rgb
from detect.pictures.blocks import BlockGrid
from detect.pictures.still import MAX_PIXELS, Picture, Source

if TYPE_CHECKING:
    from av import VideoFrame

    from censor.masks import Region

__all__ = ["Film", "FilmFrame", "open_film"]


class FilmFrame(Part):
    """A frame of a film: in RGB when somebody looks at it, and in its own planes when it is written."""

    def __init__(self, frame: VideoFrame, where: Where, info: FilmInfo, name: str) -> None:
        """Nothing is converted yet."""
        object.__setattr__(self, "where", where)
        object.__setattr__(self, "shared", False)
        object.__setattr__(self, "frame", frame)
        object.__setattr__(self, "info", info)
        object.__setattr__(self, "name", name)

    frame: VideoFrame
    info: FilmInfo
    name: str

    @cached_property
    def picture(self) -> Picture:
        """What people see, upright, each pixel one of the frame's."""
        return Picture(
            shown_rgb(self.frame, self.info.colors, self.info.turns), None, None, self.name, blocks=self.blocks
        )

    @property
    def blocks(self) -> BlockGrid:
        """Where the blocks lie that it was coded in."""
        return blocks_of_turned(self.info.width, self.info.height, self.info.turns)

    def look(self) -> Gray:
        """As for any part, of its luma."""
        return luma_of(self.frame, LOOK_SIDE, self.info.turns)

    def painted(self, picture: Picture, regions: Sequence[Region]) -> Part:
        """As for any part; only what regions cover goes back to its planes."""
        frame = repainted(self.frame, picture.pixels, regions, self.info.colors, self.info.turns)
        return FilmFrame(frame, self.where, self.info, self.name)

    def untouched(self) -> Part:
        """As for any part: the planes, and nothing that came with them."""
        return FilmFrame(copied(self.frame), self.where, self.info, self.name)


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """Pictures that are shown one after the other, with sound. See `Medium` for what its methods take and raise.

    Attributes:
        source: Its file.
        info: What it is.
        dropped: What of it does not come out, in words.
        codec: What it is written in.
        trying: Encode a few moments for trial, where no quality is asked for.
    """

    source: FilmSource
    info: FilmInfo
    codec: Codec
    dropped: tuple[str, ...] = ()
    trying: bool = True

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.source.name

    @property
    def format(self) -> str:
        """The name of its kind: one of `FILMS`."""
        return self.source.kind.name

    @property
    def rate(self) -> float:
        """Frames a second, on average; 0 where nobody knows."""
        return float(self.info.rate or 0)

    @property
    def promised(self) -> int:
        """How many frames its container speaks of; 0 where it does not."""
        return self.info.promised

    def parts(self, *, spare: SpareFactor | None = None) -> Iterator[Part]:  # noqa: ARG002  # frames come whole
        """Its frames, each with its number and the second that it is first shown at."""
        for number, frame in enumerate(decoded(self.source, self.info)):
            seconds = float(((frame.pts or 0) - self.info.start) * self.info.time_base)
            yield FilmFrame(frame, Where(frame=number, seconds=seconds), self.info, f"{self.name}, frame {number + 1}")

    def end(self, times: Sequence[float]) -> float:
        """When all is over, in seconds: the last frame is taken to be shown as long as others are."""
        if len(times) > 1:
            return times[-1] + (times[-1] - times[0]) / (len(times) - 1)
        return times[-1] + (1 / self.rate if self.rate else 0.0)

    def exact(self, times: Sequence[float]) -> list[Fraction]:
        """Seconds as whole ticks of the film's clock."""
        return [round(Fraction(each) / self.info.time_base) * self.info.time_base for each in times]

    @property
    def display(self) -> Display | None:
        """What players make of its pixels; None if they show them as they are."""
        aspect = float(self.info.aspect if self.info.turns % 2 == 0 else 1 / self.info.aspect)
        shown = Display(aspect=aspect, cicp=self.info.cicp)
        return None if shown.plain else shown

    def require_output(self, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Check, before all the work, that it can be written."""
        if format != self.format:
            raise WriteError(f"{self.name}: a film is written in the container that it came in, {self.format}")
        if quality is not None and not 1 <= quality <= 100:
            raise ValueError(f"quality lies in 1..100, not {quality}")
        encoder_opens(self.recipe(quality), self.name)

    def write(self, parts: Iterable[Part], out: BinaryIO, *, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Encode its pictures anew, each shown when it was before; sound and texts are copied as they are."""
        self.require_output(format, quality)
        recipe = self.recipe(quality)
        if quality is None and self.trying:
            with quiet(recipe.codec):
                trial = tried(self.source, self.info, recipe.codec, recipe.settings)
            recipe = replace(recipe, crf=crf_after(trial, recipe.codec))
        write_film(self.source, recipe, map(_frame_of, parts), out)

    def close(self) -> None:
        """Close its file."""
        self.source.close()

    def recipe(self, quality: int | None = None) -> Recipe:
        """In what it is written, before any trial."""
        return Recipe(kind=self.source.kind, codec=self.codec, info=self.info, quality=quality)


def open_film(
    source: Source, *, max_bytes: int = MAX_FILM_BYTES, max_pixels: int = MAX_PIXELS, codec: str | None = None
) -> Film:
    """Open a source that is a film.

    Args:
        source: A path, an encoded film or a binary file object that can be sought in.
        max_bytes: Cap on its file.
        max_pixels: Cap on a frame's width times height.
        codec: Name of one of `CODECS` to write it in; by default its own.

    Raises:
        DamagedImageError: Cut short or broken.
        ExtraError: PyAV is not here.
        LimitError: Over a cap.
        ReadError: It is missing or may not be read.
        UnsupportedImageError: It is no film, or one that is not taken.
        ValueError: An unknown codec, or one that its container does not hold.
        TypeError: `source` is a Pillow image or an array.
    """
    if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) and not hasattr(source, "seek"):
        raise TypeError(f"a film must be a path, bytes or a binary file object, not {type(source).__name__}")
    taken: Any = source
    opened = FilmSource.opened(taken, max_bytes=max_bytes)
    try:
        return _opened(opened, max_pixels=max_pixels, codec=codec)
    except BaseException:
        opened.close()
        raise


def _opened(source: FilmSource, *, max_pixels: int, codec: str | None) -> Film:
    require_pyav(source.name, "films")
    held = source.kind.codecs
    if codec is not None and codec not in held:
        raise ValueError(f"{source.name}: {source.kind.title} is written with {', '.join(held)}, not {codec!r}")
    info = probed(source, max_pixels=max_pixels)
    _, dropped = sorted_streams(source)
    written = codec_for(info, source.kind) if codec is None else CODECS[codec]
    return Film(source=source, info=info, dropped=(*dropped, *info.light.dropped(written)), codec=written)


def _frame_of(part: Part) -> VideoFrame:
    if not isinstance(part, FilmFrame):
        raise TypeError(f"a film is written of its own frames, not of {type(part).__name__}")
    return part.frame
