"""A film's frames, as FFmpeg decodes them: all of them, in order, or an error."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from censor.media.film_light import Light, let_side_data_go, shown_alike, side_data
from censor.media.film_source import FilmSource, cut_short
from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.cicp import Cicp, unknown
from detect.pictures.yuv import MATRICES, STRICT, Colors

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["MAX_FRAMES", "MAX_TOTAL_PIXELS", "FilmInfo", "decoded", "opened", "probed", "shown_stream"]

MAX_FRAMES = 2_000_000
"""Default cap on the number of frames: nine hours at sixty a second."""

MAX_TOTAL_PIXELS = 2_000_000_000_000
"""Default cap on a frame's pixels times frames: nine hours of high definition at thirty a second."""

_PICTURES_OF_OTHERS = ("attached_pic", "timed_thumbnails", "still_image")
_TURNS = {(1, 0, 0, 1): 0, (0, -1, 1, 0): 1, (-1, 0, 0, -1): 2, (0, 1, -1, 0): 3}
_NO_MATRIX = (0, 2, 3)  # of RGB, which pixels in planes of luma cannot be in, unspecified and reserved: players guess
_BEYOND_BT709 = (11, 12)
_DOLBY_TAGS = ("dvh1", "dvhe", "dva1", "dvav", "dav1")
"""Of streams in MP4 that are for players of Dolby Vision alone."""

_WITHOUT_FRAMES = ("vp8", "mpeg4", "msmpeg4v3")
"""Of which packets may hold no frame that is shown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FilmInfo:
    """What a film is, as its first frame and its container say.

    Attributes:
        codec: FFmpeg's name of what it is coded in.
        pixel_format: FFmpeg's name of how its planes lie.
        width: Columns as stored.
        height: Rows as stored.
        turns: Quarter turns, counterclockwise, by which it is shown.
        rotation: The same in degrees, as PyAV counts them.
        aspect: How much wider than high a pixel is shown.
        colors: How numbers stand for colours.
        cicp: Code points of its colours.
        tags: Colour space, range, transfer and primaries as FFmpeg numbers them.
        light: What it says of its light besides.
        rate: Frames a second, on average; None where nobody says.
        time_base: Seconds of a tick.
        start: Ticks at which the first frame is shown.
        promised: How many frames the container speaks of; 0 where it does not.
    """

    codec: str
    pixel_format: str
    width: int
    height: int
    turns: int
    rotation: int
    aspect: Fraction
    colors: Colors
    cicp: Cicp
    tags: dict[str, int]
    light: Light
    rate: Fraction | None
    time_base: Fraction
    start: int
    promised: int


@contextmanager
def opened(source: FilmSource) -> Iterator[InputContainer]:
    """A film, opened as what its first bytes say and as nothing else, from the one file.

    Raises:
        DamagedImageError: It cannot be opened as such, or reading it fails in the context.
    """
    import av

    def refuse(url: str, flags: int, options: object) -> None:  # noqa: ARG001  # as FFmpeg asks
        raise PermissionError("a film opens no other file")

    try:
        with av.open(
            source.window(), "r", format=source.kind.demuxer, metadata_errors="replace", io_open=refuse,
            container_options={"protocol_whitelist": "none"},
        ) as container:  # fmt: skip
            yield container
    except (av.error.FFmpegError, PermissionError) as error:
        raise cut_short(source.name, _reason(error)) from error


def shown_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream that people see: the first one of pictures that is no cover.

    Raises:
        UnsupportedImageError: There is none.
    """
    for stream in container.streams.video:
        if not any(getattr(stream.disposition, each) in stream.disposition for each in _PICTURES_OF_OTHERS):
            if stream.codec_context is None:
                raise UnsupportedImageError(f"{name}: a film in a codec that nobody here can decode")
            return stream
    raise UnsupportedImageError(f"{name}: a film without pictures that move: it has sound or data alone")


def probed(source: FilmSource, *, max_pixels: int) -> FilmInfo:
    """What a film is, by its first frame.

    Raises:
        DamagedImageError: It cannot be decoded.
        LimitError: It has more pixels than `max_pixels`.
        UnsupportedImageError: What it is cannot be judged as people see it.
    """
    with opened(source) as container:
        stream = shown_stream(container, source.name)
        _require_size(stream.codec_context.width, stream.codec_context.height, source.name, max_pixels)
        first = next(_frames(container, stream, source), None)
        if first is None:
            raise cut_short(source.name, "it has no frames")
        _require_size(first.width, first.height, source.name, max_pixels)
        _require_known(first, source.name)
        tags = _tags(first)
        if not shown_alike(first, _cicp(tags)) or _is_for_dolby_alone(stream, first):
            raise _in_dolby_vision(source.name)
        rate = stream.average_rate or stream.guessed_rate
        return FilmInfo(
            codec=_family(stream.codec_context.name),
            pixel_format=first.format.name,
            width=first.width,
            height=first.height,
            turns=_turns(first, source.name),
            rotation=first.rotation,
            aspect=stream.sample_aspect_ratio or Fraction(1),
            colors=Colors.of(first),
            cicp=_cicp(tags),
            tags=tags,
            light=Light.of(first),
            rate=rate,
            time_base=Fraction(first.time_base or stream.time_base or Fraction(1, 1000)),
            start=int(first.pts or 0),
            promised=stream.frames,
        )


def decoded(
    source: FilmSource, info: FilmInfo, *, max_frames: int = MAX_FRAMES, max_total_pixels: int = MAX_TOTAL_PIXELS
) -> Iterator[VideoFrame]:
    """Every frame that people see, in the order of its time.

    Raises:
        DamagedImageError: One cannot be decoded, or there are fewer than packets.
        LimitError: Over a cap.
        UnsupportedImageError: Size, format or colours change, frames are interlaced, or times repeat or go back.
    """
    most = min(max_frames, max_total_pixels // (info.width * info.height))
    before: int | None = None
    with opened(source) as container:
        for number, frame in enumerate(_frames(container, shown_stream(container, source.name), source)):
            if number >= most:
                raise LimitError(f"{source.name}: more than {most:,} frames of {info.width} x {info.height} pixels")
            _require_same(frame, info, f"{source.name}, frame {number + 1}")
            if frame.pts is None or (before is not None and frame.pts <= before):
                raise UnsupportedImageError(f"{source.name}: times of frames that are missing, repeat or go back")
            before = frame.pts
            let_side_data_go(frame)
            yield frame


def _frames(container: InputContainer, stream: VideoStream, source: FilmSource) -> Iterator[VideoFrame]:
    """All frames of a stream; that as many come out as go in is known at the end only."""
    stream.codec_context.options = dict(STRICT)
    stream.thread_type = "AUTO"
    waiting: list[int] = []  # times of packets: AVI knows when a packet is decoded, and not when it is shown
    sent = came = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise cut_short(source.name, "a packet is incomplete")
        if packet.has_sidedata("matroska_block_additional") and stream.metadata.get("alpha_mode") == "1":
            raise _transparent(source.name)
        if packet.size and not packet.is_discard:
            sent += 1
            if packet.dts is not None:
                heapq.heappush(waiting, packet.dts)
        for frame in _decoded(packet, source.name, came):
            came += 1
            if source.kind.name == "AVI":
                frame.pts = heapq.heappop(waiting) if waiting else None
            yield frame
    if came < sent and stream.codec_context.name not in _WITHOUT_FRAMES:
        raise cut_short(source.name, f"{sent - came} of {sent} frames cannot be decoded")


def _decoded(packet: Packet[VideoStream], name: str, came: int) -> list[VideoFrame]:
    import av

    try:
        frames = packet.decode()
    except av.error.FFmpegError as error:
        raise cut_short(name, f"behind frame {came}: {_reason(error)}") from error
    if any(each.is_corrupt for each in frames):
        raise cut_short(name, f"behind frame {came}: a frame is incomplete")
    return frames


def _require_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")


def _require_known(frame: VideoFrame, name: str) -> None:
    """Refuse what people see otherwise than it would be judged here."""
    layout = frame.format
    if "a" in layout.name.removeprefix("gray").split("p")[0]:
        raise _transparent(name)
    if layout.is_rgb or layout.has_palette or [each.plane for each in layout.components] != [*range(len(frame.planes))]:
        raise UnsupportedImageError(f"{name}: a film whose pixels lie as {layout.name}, which is not taken")
    if any(each.type.name == "SPHERICAL" for each in side_data(frame)):
        raise UnsupportedImageError(f"{name}: a film that is shown all around, which is not taken")
    tags = _tags(frame)
    if tags["colorspace"] not in (*MATRICES, *_NO_MATRIX):
        raise UnsupportedImageError(f"{name}: a film whose colours are coded by matrix {tags['colorspace']} of H.273")
    if unknown(_cicp(tags)):
        raise UnsupportedImageError(f"{name}: colours of code points {_cicp(tags)[:2]}, which no player shows")


def _is_for_dolby_alone(stream: VideoStream, frame: VideoFrame) -> bool:
    """Whether its container leaves it to players of Dolby Vision, and nothing in it says of what profile it is."""
    said = any(each.type.name.startswith("DOVI") for each in side_data(frame))
    return stream.codec_context.codec_tag in _DOLBY_TAGS and not said


def _in_dolby_vision(name: str) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{name}: a film in a kind of Dolby Vision that other players show otherwise, which is not taken"
    )


def _transparent(name: str) -> UnsupportedImageError:
    return UnsupportedImageError(f"{name}: a film with transparency: what is seen depends on what lies beneath")


def _require_same(frame: VideoFrame, info: FilmInfo, name: str) -> None:
    if frame.interlaced_frame:
        raise UnsupportedImageError(f"{name}: an interlaced film, which players show in many ways")
    if (frame.width, frame.height, frame.format.name) != (info.width, info.height, info.pixel_format):
        changed = f"{frame.width} x {frame.height} {frame.format.name}"
        raise UnsupportedImageError(f"{name}: the film changes to {changed} midway, which is not taken")
    if not shown_alike(frame, info.cicp):
        raise _in_dolby_vision(name)
    if frame.rotation != info.rotation or _tags(frame) != info.tags:
        raise UnsupportedImageError(f"{name}: the film is turned or changes its colours midway, which is not taken")


def _tags(frame: VideoFrame) -> dict[str, int]:
    return {name: int(getattr(frame, name)) for name in ("colorspace", "color_range", "color_trc", "color_primaries")}


def _cicp(tags: Mapping[str, int]) -> Cicp:
    """Code points of colours as players take them: the curves of xvYCC and BT.1361 for that of BT.709."""
    transfer = tags["color_trc"]
    return Cicp(tags["color_primaries"], 1 if transfer in _BEYOND_BT709 else transfer, video=True)


def _turns(frame: VideoFrame, name: str) -> int:
    """Quarter turns by its display matrix, ISO/IEC 14496-12, 6.2.2."""
    matrix = next((each for each in side_data(frame) if each.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return 0
    numbers = np.frombuffer(memoryview(matrix), np.int32)[:9]
    signs = [round(int(numbers[each]) / 65536) for each in (0, 1, 3, 4)]
    exact = all(int(numbers[each]) == sign << 16 for each, sign in zip((0, 1, 3, 4), signs, strict=True))
    turns = _TURNS.get((signs[0], signs[1], signs[2], signs[3])) if exact else None
    if turns is None:
        raise UnsupportedImageError(f"{name}: a film that is shown mirrored, stretched or askew, which is not taken")
    return turns


def _family(name: str) -> str:
    """The codec that a decoder is of."""
    return {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(name, name)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().split("\n", 1)[0]
