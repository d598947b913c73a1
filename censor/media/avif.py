"""Writing an AVIF sequence: Pillow would hold all frames at once, and knows no plays and no times but milliseconds.

Source:
    AV1 Image File Format, 3; ISO/IEC 23008-12, 7 and 9.6.1.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from math import lcm
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from censor.media.steps import in_ticks
from detect.pictures.animation.avis import Stream, sequence_of
from detect.pictures.limits import plugin
from detect.pictures.still import Picture
from detect.pictures.tracks import Track, tracks

__all__ = ["write_avif"]

_MILLISECONDS = 1000
_SCALES = (_MILLISECONDS, 1_000_000)
_MOST = 2**32 - 1  # ticks of a second, and of a frame


def write_avif(
    pictures: Iterator[Picture], out: BinaryIO, durations: Sequence[Fraction], plays: int, *, quality: int
) -> None:
    """Write frames as a sequence, its still picture being the first of them.

    Args:
        pictures: As many as there are durations, all of one size.
        out: Where the bytes go.
        durations: In seconds. Where all of them are nothing, each is written as a millisecond: a track lasts.
        plays: How many times it is to be shown; 0 for without end.
        quality: 1-100.

    Raises:
        ValueError: A frame of another size than the first, or more bytes than its offsets reach.
    """
    plugin("AVIF")
    first = next(pictures)
    frames = _Frames(chain([first], pictures))
    # One frame alone would come as a still, without a track.
    count = max(2, len(durations))
    frames.n_frames = count
    stream = io.BytesIO()
    profile = {} if first.icc is None else {"icc_profile": first.icc}
    # Chromium 156 takes every sequence for one of narrow range.
    frames.save(stream, "AVIF", save_all=True, duration=1, quality=quality, range="limited", **profile)
    next(pictures, None)  # who counts them counts to the end
    data = stream.getvalue()
    found, _ = tracks(data, handlers=frozenset({b"pict", b"auxv"}), name="output", most=count)
    (color,) = (track for track in found if track.handler == b"pict")
    alpha = next((track for track in found if track.handler == b"auxv" and frames.transparent), None)
    timescale, ticks = _times(durations)
    streams = [_stream(data, track, len(durations)) for track in (color, alpha) if track is not None]
    width, height = frames.size
    out.write(sequence_of(*streams, width=width, height=height, ticks=ticks, timescale=timescale, plays=plays))


class _Frames(Image.Image):
    """Frames that are asked for one after the other, as an image that Pillow steps through; all with transparency.

    Attributes:
        n_frames: How many there are; where fewer come, the last stands for the rest.
        transparent: Whether any of those that came is.
    """

    is_animated = True

    def __init__(self, pictures: Iterator[Picture]) -> None:
        super().__init__()
        self._pictures, self._at, self.n_frames = pictures, -1, 0
        self.transparent = False
        self.seek(0)

    def tell(self) -> int:
        return max(self._at, 0)

    def seek(self, frame: int) -> None:
        if frame <= self._at:  # Pillow goes back to where it began once all is written
            return
        if self._at >= 0 and frame >= self.n_frames:
            raise EOFError
        self._at = frame
        picture = next(self._pictures, None)
        if picture is None:
            return
        pixels = picture.whole
        if pixels.shape[2] == 3:
            pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        else:
            self.transparent = self.transparent or bool((pixels[..., 3] < 255).any())
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if frame and image.size != self.size:
            raise ValueError(f"a frame of {image.size[0]} x {image.size[1]} pixels after one of another size")
        self.im, self._mode, self._size = image.im, image.mode, image.size


def _stream(data: bytes, track: Track, count: int) -> Stream:
    view = memoryview(data)
    bodies: dict[bytes, Any] = {box.kind: data[box.start : box.end] for box in track.properties}
    colors = [box for box in track.properties if box.kind == b"colr" and track.handler == b"pict"]
    samples = [view[start:end] for start, end in track.samples[:count]]
    keys = range(count) if track.keys is None else [key for key in track.keys if key < count]
    properties = b"".join(data[box.start - 8 : box.end] for box in colors)
    return Stream(configuration=bodies[b"av1C"], properties=properties, samples=samples, keys=list(keys))


def _times(durations: Sequence[Fraction]) -> tuple[int, list[int]]:
    """A timescale and each duration in it: exact where 32 bits allow, or else with what is rounded off carried on."""
    exact = lcm(_MILLISECONDS, *(each.denominator for each in durations))
    for scale in (exact, *reversed(_SCALES)):
        if scale <= _MOST and max(durations) * scale < _MOST:
            ticks = in_ticks(durations, scale)
            break
    else:
        raise ValueError("a frame that is shown for longer than a track can say")
    return (scale, ticks) if any(ticks) else (_MILLISECONDS, [1] * len(ticks))
