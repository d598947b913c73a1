"""How finely a film is encoded: as finely as its size allows, and never so coarsely that somebody would see it.

A film that was saved finely needs a fine encoder to look the same; one that was saved coarsely would only become large
by it. So a few moments of it are encoded for trial, and the encoder's number moves from its default by what that says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from censor.media.film_encoders import open_encoder
from censor.media.film_kinds import Codec
from censor.media.film_reading import FilmInfo, opened, shown_stream
from censor.media.film_source import FilmSource
from censor.media.planes import copied
from detect.pictures.yuv import plane_arrays

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["LARGEST", "LEAST_PSNR", "Trial", "crf_after", "tried"]

LEAST_PSNR = 43.5
"""dB between a frame and its encoding: somewhat more than what is promised, since a trial says little of the rest."""

LARGEST = 1.0
"""Bytes of the encoding over bytes of the source's pictures, if that many dB allow it."""

_MOMENTS = (0.1, 0.4, 0.7)  # of its duration
_FRAMES, _PIXELS = 12, 25_000_000  # of a moment, at most
_DOUBLING = 6.0  # steps of an H.264 or HEVC encoder in which bytes double; others take more
_FINER, _COARSER = 0.5, 0.75  # dB that a step of 51 gives at least, and takes at most
_REACH = 9  # steps of 51 away from the default, at most


class Trial(NamedTuple):
    """What a trial said.

    Attributes:
        psnr: dB, of all planes together.
        ratio: Bytes of the encoding over those of the source.
    """

    psnr: float
    ratio: float


def crf_after(trial: Trial | None, codec: Codec) -> int:
    """What the encoder is told after a trial at its default.

    Args:
        trial: What it said; None if there was none.
        codec: Whose encoder.
    """
    if trial is None:
        return codec.crf
    step = codec.scale / 51
    by_size = _DOUBLING * math.log2(max(trial.ratio, 1e-3) / LARGEST)
    spare = trial.psnr - LEAST_PSNR
    by_sight = spare / (_COARSER if spare > 0 else _FINER)
    moved = max(-_REACH, min(by_size, by_sight, _REACH))
    return max(1, min(codec.scale - 1, math.floor(codec.crf + moved * step)))


def tried(source: FilmSource, info: FilmInfo, codec: Codec, settings: dict[str, str]) -> Trial | None:
    """Encode a few moments of a film for trial; None where that is not possible.

    Args:
        source: The film.
        info: What it is.
        codec: What it is encoded in.
        settings: What the encoder is told.
    """
    import av

    errors, samples = 0.0, 0
    original, encoded = _Sizes(), _Sizes()
    try:
        for frames, sizes in _moments(source, info):
            packets, shown = _there_and_back(frames, info, codec, settings)
            encoded += packets
            original += sizes
            for before, after in zip(frames, shown, strict=True):
                scale = 1 << (before.format.components[0].bits - 8)
                for one, other in zip(plane_arrays(before), plane_arrays(after), strict=True):
                    errors += float(np.square((one.astype(np.float32) - other) / scale).sum(dtype=np.float64))
                    samples += one.size
    except (av.error.FFmpegError, ValueError):
        return None  # the film itself will say what is wrong with it
    if not samples or not original:
        return None
    keys = not original.total(keys=False)
    ratio = encoded.total(keys=keys) / original.total(keys=keys)
    return Trial(psnr=10 * math.log10(255**2 / max(errors / samples, 1e-6)), ratio=ratio)


class _Sizes(list[tuple[int, bool]]):
    """Bytes of packets, and whether each is a key frame's: in a whole film these are few, and in a moment many."""

    def total(self, *, keys: bool) -> int:
        """Bytes of all, or of all that are no key frames'."""
        return sum(size for size, key in self if keys or not key)


def _moments(source: FilmSource, info: FilmInfo) -> Iterator[tuple[list[VideoFrame], _Sizes]]:
    """Frames from a few key frames on, and the bytes of as many packets."""
    count = max(3, min(_FRAMES, _PIXELS // (info.width * info.height)))
    with opened(source) as container:
        stream = shown_stream(container, source.name)
        duration = (container.duration or 0) / 1_000_000
        begun: set[int | None] = set()
        for share in _MOMENTS if duration else (0.0,):
            if share:
                container.seek(info.start + int(share * duration / info.time_base), stream=stream)
            sizes: list[tuple[int, bool]] = []
            frames: list[VideoFrame] = []
            for packet in container.demux(stream):
                if packet.size:
                    sizes.append((packet.size, packet.is_keyframe))
                frames += map(copied, islice(packet.decode(), count - len(frames)))
                if len(frames) == count:
                    break
            stream.codec_context.flush_buffers()
            if frames and frames[0].pts not in begun:
                begun.add(frames[0].pts)
                yield frames, _Sizes(sizes[: len(frames)])


def _there_and_back(
    frames: list[VideoFrame], info: FilmInfo, codec: Codec, settings: dict[str, str]
) -> tuple[_Sizes, list[VideoFrame]]:
    """Bytes of their encoding, and what it decodes to."""
    import av

    encoder: Any = av.CodecContext.create(codec.encoder, "w")
    decoder: Any = av.CodecContext.create(codec.name, "r")
    encoder.width, encoder.height, encoder.pix_fmt = info.width, info.height, info.pixel_format
    encoder.time_base, encoder.options = info.time_base, settings
    open_encoder(encoder)
    sizes, shown = _Sizes(), []
    for frame in (*frames, None):
        for packet in encoder.encode(frame):
            sizes.append((packet.size, packet.is_keyframe))
            shown += decoder.decode(packet)
    return sizes, [*shown, *decoder.decode(None)]
