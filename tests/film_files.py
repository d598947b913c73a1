"""Films that tests make: tiny, and of every kind."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from animations import stripes
from numpy.typing import NDArray

from censor.media.film_encoders import open_encoder
from detect.detections import Detections, RGBImage

__all__ = ["BLOB", "RedSeer", "add_sound", "blob", "changing", "film", "frames_of", "packets_of", "red_in", "times_of"]

SIZE = (96, 160)
BLOB = (235, 20, 30)
"""A red that codecs carry over well enough for `RedSeer` to see it."""

_AUDIO = {"webm": "libopus", "matroska": "aac", "avi": "pcm_s16le", "mpegts": "aac"}


class RedSeer:
    """A detector of red, as codecs leave it: the box around all pixels that are much more red than anything else."""

    def __init__(self, label: str = "FEMALE_BREAST_EXPOSED", score: float = 0.9) -> None:
        self.names = (label,)
        self.score = score
        self.calls = 0
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        self.calls += 1
        return [self._find(each) for each in images]

    def _find(self, image: RGBImage) -> Detections:
        self.sizes.append(image.shape[:2])
        ys, xs = np.nonzero(red_in(image))
        if len(ys) < 6:
            return Detections.empty(self.names)
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        return Detections(np.array([box], np.float32), np.array([self.score]), np.array([0]), self.names)


def red_in(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) bool: where the blob shows."""
    red, green, blue = (pixels[..., each].astype(int) for each in range(3))
    return np.asarray((red > 140) & (green < 110) & (blue < 110))


def blob(left: int, top: int = 32, side: int = 24, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Stripes with a red square that has a pattern, so that its mean is no red."""
    pixels = stripes(*size).copy()
    if left >= 0:
        rows, columns = np.indices((side, side))
        even = ((rows // 4 + columns // 4) % 2 == 0)[..., None]
        patch = np.where(even, np.array(BLOB, np.uint8), np.array((20, 200, 200), np.uint8))
        pixels[top : top + side, left : left + side] = patch
    return pixels


def film(
    frames: Sequence[NDArray[np.uint8]],
    container: str = "mp4",
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    matrix: int | None = None,
    times: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 600),
    rate: int = 24,
    audio: str | None = "",
    rotation: int = 0,
    options: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    language: str | None = None,
) -> bytes:
    """A film of these frames, with a second of sound."""
    stream = io.BytesIO()
    base = Fraction(1, rate) if container == "avi" else base
    step = round(1 / base / rate)
    times = [step * each for each in range(len(frames))] if times is None else times
    with av.open(stream, "w", format=container) as out:
        out.metadata.update(metadata or {})
        how = {"crf": "10", **({"x265-params": "log-level=none"} if codec == "libx265" else {}), **(options or {})}
        if container == "avi":
            how["bf"] = "0"
        if codec in ("mpeg4", "mjpeg"):
            how = {"q": "2"}
        video: Any = out.add_stream(codec, rate=rate, options=how)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixels
        video.codec_context.time_base = base
        for key, value in (settings or {}).items():
            setattr(video.codec_context, key, value)
        if rotation:
            video.set_display_rotation(rotation)
        if language:
            video.metadata["language"] = language
        if codec == "libsvtav1":
            open_encoder(video.codec_context)
        name: str | None = _AUDIO.get(container, "aac") if audio == "" else audio
        sound: Any = out.add_stream(name, rate=48000 if name == "libopus" else 44100, layout="mono") if name else None
        if sound is not None and language:
            sound.metadata["language"] = language
        for pts, each in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(each))
            frame = frame.reformat(format=pixels, dst_colorspace=matrix)
            frame.pts, frame.time_base = pts, base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound is not None:
            add_sound(out, sound)
    return stream.getvalue()


def add_sound(out: Any, sound: Any) -> None:
    """A second of it."""
    size = sound.codec_context.frame_size or 1024
    rate = sound.codec_context.sample_rate
    for each in range(rate // size):
        wave = (np.sin(np.arange(size) * 0.05 + each) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, each * size, Fraction(1, rate)
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def frames_of(data: bytes, *, upright: bool = False) -> list[NDArray[np.uint8]]:
    """The first stream's frames in RGB."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = [(each.to_ndarray(format="rgb24"), each.rotation // 90) for each in container.decode(video=0)]
    return [np.rot90(pixels, turns) if upright else pixels for pixels, turns in frames]  # type: ignore[misc]  # uint8


def times_of(data: bytes) -> list[Fraction]:
    """When each frame of the first stream is shown, in seconds."""
    with av.open(io.BytesIO(data), "r") as container:
        return [Fraction(each.pts or 0) * Fraction(each.time_base or 0) for each in container.decode(video=0)]


def packets_of(data: bytes, kind: str = "audio") -> list[tuple[Fraction, Fraction, bytes]]:
    """Time, duration and bytes of every packet of all streams of a kind."""
    with av.open(io.BytesIO(data), "r") as container:
        streams = [each for each in container.streams if each.type == kind]
        return [
            (Fraction(each.pts or 0) * each.time_base, Fraction(each.duration or 0) * each.time_base, bytes(each))
            for each in container.demux(streams)
            if each.size
        ]


def changing(sizes: Sequence[tuple[int, int]]) -> bytes:
    """A transport stream whose pictures become larger or smaller midway."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="mpegts") as out:
        video: Any = out.add_stream("libx264", rate=24)
        video.height, video.width = sizes[0]
        number = 0
        for size in sizes:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width = size
            encoder.pix_fmt, encoder.time_base, encoder.options = "yuv420p", Fraction(1, 24), {"bf": "0"}
            for _ in range(6):
                frame = av.VideoFrame.from_ndarray(blob(8, size=size)).reformat(format="yuv420p")
                frame.pts, frame.time_base, number = number, Fraction(1, 24), number + 1
                _mux(out, video, encoder.encode(frame))
            _mux(out, video, encoder.encode(None))
    return stream.getvalue()


def _mux(out: Any, video: Any, packets: Sequence[Any]) -> None:
    for each in packets:
        each.stream = video
        out.mux(each)
