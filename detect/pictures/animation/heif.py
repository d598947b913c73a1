"""The samples of a HEIF sequence of HEVC: what they say against what their track says, and their pictures.

pillow-heif has no way to them; PyAV decodes them, sample by sample.

Source:
    ISO/IEC 23008-12, 7 and annex B; ISO/IEC 14496-15, 8 (HEVC in boxes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detect.errors import UnsupportedImageError
from detect.pictures import hevc
from detect.pictures.animation.codec import Decoded
from detect.pictures.animation.muxer import HEVC, Stream
from detect.pictures.animation.shown_tracks import bodies, kept_properties
from detect.pictures.cicp import Cicp
from detect.pictures.tracks import Track
from detect.pictures.yuv import MATRICES, STRICT, Colors, levels_of, rgb_of

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["checked", "decoded"]

_RGB, _UNSPECIFIED = 0, 2  # H.273, table 4
_MARGIN = 128  # pixels on a side that a decoder may make room for beyond what is shown
_BT601 = 6  # MIAF, 7.3.6.4: what unspecified ones are in


def checked(data: bytes, track: Track, name: str, max_pixels: int) -> Stream:
    """As `Codec` has it."""
    view = memoryview(data)
    samples = [view[start:end] for start, end in track.samples]
    ((_, configuration),) = bodies(data, track, HEVC.configuration)
    keys = []
    for number, units in enumerate(hevc.of_samples(memoryview(configuration), samples)):
        for unit in units:
            if unit.layer:
                raise UnsupportedImageError(f"{name}: several layers in a sequence, of which some viewers show others")
            if unit.coded is not None and unit.cropped is not None:
                track.require_size(unit.cropped, name, max_pixels)
                hevc.require_little_cropped(unit.coded, unit.cropped)
        begun = [unit for unit in units if unit.begins]
        if len(begun) > 1:
            raise UnsupportedImageError(f"{name}: several pictures or layers in one sample of a sequence")
        if not begun:
            raise ValueError("a sample without picture")
        if begun[0].access_point:
            keys.append(number)
        if number == 0 and not (keys and any(unit.coded for unit in units)):
            raise ValueError("a sequence that begins with no picture of its own")
    return Stream(
        configuration=configuration, properties=kept_properties(data, track), samples=samples, keys=keys, coding=HEVC
    )


def decoded(
    data: bytes,
    tracks: Sequence[Track],
    streams: Sequence[Stream],
    name: str,
    max_pixels: int,
) -> Iterator[Decoded]:
    """As `Codec` has it.

    Where container and codec say different things of range and matrix, or nothing, all of it is shown by somebody.
    """
    said = next((body for _, body in bodies(data, tracks[0], b"colr") if body[:4] == b"nclx"), None)
    veils: Iterator[VideoFrame | None] = repeat(None)
    if len(streams) > 1:
        veils = iter(_frames(streams[1], tracks[1], name, max_pixels))
    for frame in _frames(streams[0], tracks[0], name, max_pixels):
        veil = next(veils)
        shown = _shown(frame, said, name)
        if veil is not None:
            levels = levels_of(veil, full=True)
            shown = [np.dstack([each, levels]) for each in shown]
        yield Decoded(shown, Cicp(int(frame.color_primaries), int(frame.color_trc), video=True))


def _frames(stream: Stream, track: Track, name: str, max_pixels: int) -> Iterator[VideoFrame]:
    """All of them, in the order shown, or an error."""
    av = _pyav(name)
    context: Any = av.CodecContext.create("hevc", "r")
    context.extradata, context.thread_count = stream.configuration, 1
    context.options = {**STRICT, "max_pixels": str(max_pixels + _MARGIN * (track.width + track.height + _MARGIN))}
    ranks = np.argsort(track.order)
    layout, due = None, 0
    for packet in chain(_packets(av, stream, ranks), [None]):
        for frame in context.decode(packet):
            layout = layout or frame.format.name
            if frame.is_corrupt or frame.pts != due:
                raise ValueError("a picture that is incomplete, or in another order than its time says")
            if (frame.width, frame.height, frame.format.name) != (track.width, track.height, layout):
                raise ValueError(f"a picture of {frame.width} x {frame.height} {frame.format.name}")
            if frame.rotation:
                raise UnsupportedImageError(f"{name}: pictures turned by what the codec says, which few viewers heed")
            due += 1
            yield frame
    if due != len(stream.samples):
        raise ValueError(f"{len(stream.samples) - due} of {len(stream.samples)} pictures cannot be decoded")


def _packets(av: Any, stream: Stream, ranks: NDArray[np.intp]) -> Iterator[Any]:
    for number, sample in enumerate(stream.samples):
        packet = av.Packet(bytes(sample))
        packet.dts, packet.pts = number, int(ranks[number])
        yield packet


def _pyav(name: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise UnsupportedImageError(
            f"{name}: HEIF sequences need the extra `video`: pip install 'nsfw-censor[video]'"
        ) from error
    return av


def _shown(frame: VideoFrame, said: bytes | None, name: str) -> list[NDArray[np.uint8]]:
    """A frame in RGB: as those see it who go by the container, then those who go by the codec, or by neither."""
    layout = frame.format
    if frame.interlaced_frame:
        raise UnsupportedImageError(f"{name}: interlaced pictures, which viewers show in many ways")
    matrices = [int(frame.colorspace)] if said is None else [int.from_bytes(said[8:10]), int(frame.colorspace)]
    matrices = [each for each in matrices if each != _UNSPECIFIED] or [_BT601]
    ranges = [] if said is None else [bool(said[10] & 0x80)]
    ranges += [Colors.of(frame).full, *([True] if said is None else [])]
    if layout.is_rgb:
        if set(matrices) != {_RGB} or not all(ranges):
            raise UnsupportedImageError(f"{name}: red, green and blue that a matrix or a narrow range is said of")
        return [rgb_of(frame, Colors(matrix=MATRICES[_BT601], full=True))]
    if len(layout.components) == 1:
        levels = [levels_of(frame, full=full) for full in dict.fromkeys([*ranges, True, False])]
        return [np.repeat(each[..., None], 3, axis=2) for each in levels]
    if any(each not in MATRICES for each in matrices):
        raise UnsupportedImageError(f"{name}: colours coded by matrix {matrices[0]} of H.273")
    pairs = dict.fromkeys((MATRICES[matrix], full) for matrix in matrices for full in ranges)
    return [rgb_of(frame, Colors(matrix=matrix, full=full)) for matrix, full in pairs]
