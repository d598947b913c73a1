"""What besides its pictures a film holds, and which of it comes out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from censor.media.film_kinds import FilmKind
from censor.media.film_reading import opened, shown_stream
from censor.media.film_source import FilmSource

if TYPE_CHECKING:
    from av.stream import Stream

__all__ = ["copied_packet", "sorted_streams"]

_TEXTS = {
    "MP4": ("mov_text",),
    "MOV": ("mov_text",),
    "MKV": ("subrip", "text", "webvtt"),
    "WEBM": ("webvtt",),
}
"""Subtitles that are text and nothing else, by what they are copied into. ASS draws, and holds fonts and pictures."""

_SIDE_DATA: tuple[Any, ...] = ("skip_samples", "webvtt_identifier", "webvtt_settings")
"""Of packets: how much of a sound is silence that its encoder added, and where a text stands."""

_COVERS = ("attached_pic", "timed_thumbnails", "still_image")


def sorted_streams(source: FilmSource) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which streams are copied as they are, and what does not come out.

    Returns:
        Numbers of the streams, and words for the rest.

    Raises:
        DamagedImageError: The film cannot be opened.
        UnsupportedImageError: It has no pictures.
    """
    copied: list[int] = []
    dropped: Counter[str] = Counter()
    with opened(source) as container:
        shown = shown_stream(container, source.name)
        for stream in container.streams:
            if stream.index == shown.index:
                continue
            what = _left_out(stream, source.kind)
            if what is None:
                copied.append(stream.index)
            else:
                dropped[what] += 1
        if container.chapters():
            dropped["chapters"] = 1
        if _says_something(container.metadata) or any(_says_something(each.metadata) for each in container.streams):
            dropped["metadata"] = 1
    return tuple(copied), tuple(
        what if count == 1 or what.endswith("s") else f"{count} {what}s" for what, count in dropped.items()
    )


def copied_packet(packet: Any, stream: Stream) -> Any:
    """A packet's bytes and times in another stream, and of what else came with it only what says how it is shown."""
    from av import Packet

    copy: Any = Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.is_keyframe = packet.is_keyframe
    for kind in _SIDE_DATA:
        if packet.has_sidedata(kind):
            copy.set_sidedata(packet.get_sidedata(kind))
    copy.stream = stream
    return copy


def _left_out(stream: Stream, kind: FilmKind) -> str | None:
    """Words for a stream that does not come out; None for one that does."""
    codec = stream.codec_context.name if stream.codec_context is not None else None
    if stream.type == "audio":
        return None if codec is not None else "sound in an unknown codec"
    if stream.type == "subtitle":
        if codec in _TEXTS.get(kind.name, ()):
            return None
        return "subtitle stream that is not plain text"
    if stream.type == "video":
        cover = any(getattr(stream.disposition, each) in stream.disposition for each in _COVERS)
        return "cover" if cover else "further video stream"
    return "attachment" if stream.type == "attachment" else "data stream"


_OF_FFMPEG = frozenset(
    {
        "major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER", "DURATION", "language",
        "handler_name", "vendor_id", "software", "variant_bitrate",
    }
)  # fmt: skip
"""What every file says of how it was written."""


def _says_something(metadata: dict[str, str]) -> bool:
    return not metadata.keys() <= _OF_FFMPEG
