"""Writing a film anew: pictures through an encoder, sound and texts as they are, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from censor.errors import WriteError
from censor.media.film_encoders import encoder_settings, open_encoder, quiet
from censor.media.film_kinds import CODECS, Codec, FilmKind
from censor.media.film_light import with_light
from censor.media.film_reading import FilmInfo, opened, shown_stream
from censor.media.film_source import FilmSource, Window
from censor.media.film_streams import copied_packet, sorted_streams

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

__all__ = ["Recipe", "codec_for", "encoder_opens", "write_film"]

_READS = 1  # AVIO_FLAG_READ
_DEEP = ("av1", "hevc")
"""Codecs whose encoders take ten bits where another's does not."""

_TAGS = {"hevc": "hvc1"}
"""What players of Apple's want a codec to be called in MP4 and QuickTime."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """In what a film is written.

    Attributes:
        kind: The container.
        codec: Of its pictures.
        info: What it was read as.
        quality: 1-100, or None for the default.
        crf: The encoder's own number, in the place of that of `quality`.
    """

    kind: FilmKind
    codec: Codec
    info: FilmInfo
    quality: int | None = None
    crf: int | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What the encoder is told; AVI knows no order of frames but that in which they are decoded."""
        told = with_light(
            encoder_settings(self.codec, self.quality, width=self.info.width), self.info.light, self.codec
        )
        if self.crf is not None:
            told["crf"] = str(self.crf)
        return {**told, "bf": "0"} if self.kind.name == "AVI" else told

    @property
    def rate(self) -> Fraction:
        """Frames a second, as encoders want to know them for how much they look ahead."""
        return (self.info.rate or Fraction(25)).limit_denominator(100_000)


def codec_for(info: FilmInfo, kind: FilmKind) -> Codec:
    """A film's own codec; where its container or the encoder here does not take it, the first that both take."""
    own = info.codec if info.codec in kind.codecs else kind.codecs[0]
    for name in (own, *(each for each in _DEEP if each in kind.codecs)):
        with suppress(ValueError):  # there is no such encoder here
            if _takes(CODECS[name], info.pixel_format):
                return CODECS[name]
    return CODECS[own]


def _takes(codec: Codec, pixel_format: str) -> bool:
    import av

    return pixel_format in {each.name for each in av.Codec(codec.encoder, "w").video_formats or ()}


def encoder_opens(recipe: Recipe, name: str) -> None:
    """Try whether an encoder takes a film's frames: that it is listed says little.

    Raises:
        WriteError: It does not.
    """
    import av

    info, codec = recipe.info, recipe.codec
    try:
        if not _takes(codec, info.pixel_format):
            raise WriteError(f"{name}: {codec.encoder} writes no frames in {info.pixel_format}; another codec might")
        with quiet(codec):
            context: Any = av.CodecContext.create(codec.encoder, "w")
            _describe(context, recipe)
            context.options = recipe.settings
            open_encoder(context)
    except (av.error.FFmpegError, ValueError) as error:
        size = f"{info.width} x {info.height} {info.pixel_format}"
        raise WriteError(f"{name}: {codec.encoder} does not take {size}: {error}") from error


_THE_SAME = {"fflags": "+bitexact"}
"""No random numbers: a film that is censored again is the same to the byte, by which its output is known again."""


def write_film(source: FilmSource, recipe: Recipe, frames: Iterable[VideoFrame], out: BinaryIO) -> None:
    """Write a film.

    Args:
        source: Where sound and texts are copied from.
        recipe: In what it is written.
        frames: Its pictures, in order; they are asked for one after the other.
        out: Where the bytes go; it can be sought in and read.

    Raises:
        WriteError: The container or the encoder refuses.
    """
    import av

    lock = Lock()

    def reopen(url: str, flags: int, options: object) -> Window:  # noqa: ARG001  # as FFmpeg asks
        if flags != _READS:
            raise PermissionError("a film is written to one file")
        return Window(out, lock)  # to move what it wrote behind what players want to read first

    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise WriteError(f"{source.name}: a film without frames")
    with opened(source) as read, quiet(recipe.codec):
        copied, _ = sorted_streams(source)
        try:
            with av.open(
                out, "w", format=recipe.kind.muxer, container_options={**recipe.kind.options, **_THE_SAME},
                io_open=reopen,
            ) as container:  # fmt: skip
                video = _video_stream(container, recipe, shown_stream(read, source.name))
                open_encoder(video.codec_context)
                others = _Others(read, [read.streams[each] for each in copied], container)
                _mux(container, video, others, first, pictures)
        except (av.error.FFmpegError, ValueError, PermissionError) as error:
            raise WriteError(f"{source.name}: cannot be written as {recipe.kind.title}: {error}") from error


def _mux(
    container: OutputContainer, video: VideoStream, others: _Others, first: VideoFrame, rest: Iterator[VideoFrame]
) -> None:
    frame: VideoFrame | None = first
    while frame is not None:
        container.mux(others.until(frame))
        container.mux(video.encode(frame))
        frame = next(rest, None)
    container.mux(video.encode(None))
    container.mux(others.until(None))


class _Others:
    """Packets that are copied, brought when it is their turn."""

    def __init__(self, read: InputContainer, streams: list[Stream], container: OutputContainer) -> None:
        self._streams = {each.index: _like(container, each) for each in streams}
        self._packets: Iterator[Packet[Stream]] = iter(read.demux(streams) if streams else ())
        self._next = self._advance()

    def until(self, frame: VideoFrame | None) -> list[Packet[Stream]]:
        """Those up to the time of a frame; None for all that are left."""
        due = []
        while self._next is not None and (frame is None or self._time(self._next) <= _seconds(frame)):
            due.append(copied_packet(self._next, self._streams[self._next.stream.index]))
            self._next = self._advance()
        return due

    def _advance(self) -> Packet[Stream] | None:
        return next((each for each in self._packets if each.size), None)

    @staticmethod
    def _time(packet: Packet[Stream]) -> Fraction:
        ticks = packet.dts if packet.dts is not None else packet.pts
        return Fraction(0) if ticks is None else ticks * Fraction(packet.time_base)


def _seconds(frame: VideoFrame) -> Fraction:
    return (frame.pts or 0) * Fraction(frame.time_base or 1)


def _like(container: OutputContainer, stream: Stream) -> Stream:
    """A stream of the same kind in another container: its language, whether it is chosen by default, and no more."""
    copy: Stream = container.add_stream_from_template(stream)
    copy.metadata.clear()
    _name_language(stream, copy)
    return copy


def _name_language(stream: Stream, copy: Stream) -> None:
    if stream.language is not None:
        copy.metadata["language"] = stream.language
    chosen = stream.disposition & (type(stream.disposition).default | type(stream.disposition).forced)
    copy.disposition = chosen


def _video_stream(container: OutputContainer, recipe: Recipe, shown: VideoStream) -> VideoStream:
    stream: Any = container.add_stream(recipe.codec.encoder, rate=recipe.rate, options=recipe.settings)
    _describe(stream.codec_context, recipe)
    if recipe.kind.demuxer == "mov" and recipe.codec.name in _TAGS:
        stream.codec_context.codec_tag = _TAGS[recipe.codec.name]
    if recipe.info.rotation:
        stream.set_display_rotation(recipe.info.rotation)
    _name_language(shown, stream)
    video: VideoStream = stream
    return video


def _describe(context: Any, recipe: Recipe) -> None:
    info = recipe.info
    context.width, context.height, context.pix_fmt = info.width, info.height, info.pixel_format
    context.time_base, context.framerate = info.time_base, recipe.rate
    context.sample_aspect_ratio = info.aspect
    for name, value in info.tags.items():
        setattr(context, name, value)
