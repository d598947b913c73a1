"""Frames coded as HEIF codes them, by x265."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from censor.media.film_encoders import encoder_settings, open_encoder
from censor.media.film_kinds import CODECS
from detect.pictures.animation.muxer import HEVC, Stream
from detect.pictures.still import Picture
from detect.pictures.tracks import tracks
from detect.pictures.yuv import Colors, frame_of

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["hevc_streams"]

_COLORS = Colors(matrix=5, full=True)
_POINTS = {"color_primaries": 1, "color_trc": 13, "colorspace": 6, "color_range": 2}
"""sRGB by the matrix of BT.601 in its full range: what MIAF, 7.3.6.4, has where nothing is said."""

_NCLX = struct.pack(">I8sHHHB", 19, b"colrnclx", 1, 13, 6, 0x80)
_IN_ORDER = "bframes=0:open-gop=0:frame-threads=1"
"""No picture is coded after one that is shown later, and none otherwise on a machine of more cores."""

_RATE = 25  # frames a second, for what the encoder plans by: each is shown for as long as the container says


def hevc_streams(pictures: Iterator[Picture], *, quality: int) -> list[Stream]:
    """Encode pictures, and their transparency where any of them has some.

    Args:
        pictures: Of one size.
        quality: 1-100.

    Raises:
        ValueError: A picture of another size than the first, or a size that the encoder does not take.
    """
    import av

    first = next(pictures)
    width, height = first.width, first.height
    layout = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    transparent = False
    try:
        with (
            closing(_Encoder(width, height, layout, quality)) as color,
            closing(_Encoder(width, height, "gray", quality)) as alpha,
        ):
            for picture in chain([first], pictures):
                pixels = picture.whole
                if (picture.width, picture.height) != (width, height):
                    raise ValueError(f"a frame of {picture.width} x {picture.height} pixels after one of another size")
                color.add(frame_of(np.ascontiguousarray(pixels[..., :3]), layout, _COLORS))
                levels = pixels[..., 3] if pixels.shape[2] == 4 else np.full((height, width), 255, np.uint8)
                transparent = transparent or bool((levels < 255).any())
                alpha.add(av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="gray"))
            return [color.stream(_colr(first.icc)), *([alpha.stream(b"")] if transparent else [])]
    except av.error.FFmpegError as error:
        raise ValueError(f"{width} x {height} pixels, which x265 does not take: {error}") from error


class _Encoder:
    """An encoder, and the file in memory that what it gives goes to."""

    def __init__(self, width: int, height: int, layout: str, quality: int) -> None:
        import av

        codec = CODECS["hevc"]
        told = encoder_settings(codec, quality, width=width)
        told["x265-params"] += f":{_IN_ORDER}"
        self._out, self._count = io.BytesIO(), 0
        self._container = av.open(self._out, "w", format="mp4", container_options={"use_editlist": "0"})
        self._video: Any = self._container.add_stream(codec.encoder, rate=_RATE, options=told)
        context: Any = self._video.codec_context
        context.width, context.height, context.pix_fmt, context.codec_tag = width, height, layout, "hvc1"
        for name, value in _POINTS.items():
            setattr(context, name, value)
        open_encoder(context)

    def add(self, frame: VideoFrame) -> None:
        """Encode one frame more."""
        frame.pts, frame.time_base = self._count, Fraction(1, _RATE)
        self._count += 1
        self._container.mux(self._video.encode(frame))

    def stream(self, properties: bytes) -> Stream:
        """All that was encoded."""
        self._container.mux(self._video.encode(None))
        self._container.close()
        data = self._out.getvalue()
        ((track,), _) = tracks(data, handlers=frozenset({b"vide"}), name="output", most=self._count)
        (configuration,) = (data[box.start : box.end] for box in track.properties if box.kind == HEVC.configuration)
        view = memoryview(data)
        return Stream(
            configuration=configuration,
            properties=properties,
            samples=[view[start:end] for start, end in track.samples],
            keys=track.keys or range(self._count),
            coding=HEVC,
        )

    def close(self) -> None:
        """Let go of it."""
        self._container.close()


def _colr(icc: bytes | None) -> bytes:
    """Boxes that say what colours a track is in."""
    return _NCLX if icc is None else struct.pack(">I8s", 12 + len(icc), b"colrprof") + icc + _NCLX
