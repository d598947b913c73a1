"""Frames coded as AVIF codes them, by Pillow.

By itself it would hold all of them at once, and knows no plays and no times but milliseconds.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from detect.pictures.animation.muxer import AV1, Stream
from detect.pictures.limits import plugin
from detect.pictures.still import Picture
from detect.pictures.tracks import Track, tracks

__all__ = ["av1_streams"]


def av1_streams(pictures: Iterator[Picture], count: int, *, quality: int) -> list[Stream]:
    """Encode pictures, and their transparency where any of them has some.

    Args:
        pictures: Of one size.
        count: How many there are.
        quality: 1-100.

    Raises:
        ValueError: A picture of another size than the first.
    """
    plugin("AVIF")
    first = next(pictures)
    frames = _Frames(chain([first], pictures))
    # One frame alone would come as a still, without a track.
    frames.n_frames = max(2, count)
    stream = io.BytesIO()
    profile = {} if first.icc is None else {"icc_profile": first.icc}
    # Chromium 156 takes every sequence for one of narrow range.
    frames.save(stream, "AVIF", save_all=True, duration=1, quality=quality, range="limited", **profile)
    next(pictures, None)  # who counts them counts to the end
    data = stream.getvalue()
    found, _ = tracks(data, handlers=frozenset({b"pict", b"auxv"}), name="output", most=frames.n_frames)
    (color,) = (track for track in found if track.handler == b"pict")
    alpha = [track for track in found if track.handler == b"auxv" and frames.transparent]
    return [_stream(data, track, count) for track in (color, *alpha)]


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
    return Stream(configuration=bodies[b"av1C"], properties=properties, samples=samples, keys=list(keys), coding=AV1)
