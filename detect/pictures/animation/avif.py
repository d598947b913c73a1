"""The samples of an AVIF sequence: what they say against what their track says, and their pictures.

Source:
    AV1 Image File Format, 3 and 6.3; AV1 Codec ISO Media File Format Binding, 2.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures import av1
from detect.pictures.animation.codec import Decoded
from detect.pictures.animation.muxer import AV1, Stream, sequence_of
from detect.pictures.animation.shown_tracks import bodies, kept_properties
from detect.pictures.cicp import Cicp
from detect.pictures.limits import check_size, plugin
from detect.pictures.samples import to_pixels
from detect.pictures.tracks import Track

__all__ = ["checked", "decoded"]

_ALIKE = frozenset({1, 2, 4, 5, 6, 7, 9})
"""Matrices (H.273, table 4) of which one shows as another a little off in hue, and no more; 2 says none."""

_CODED = 4  # coded frames that a sample has at most, on average: encoders have two

_SLACK = 64  # and so many more in a short sequence


def checked(data: bytes, track: Track, name: str, max_pixels: int) -> Stream:
    """As `Codec` has it."""
    if track.order != list(range(len(track.order))):
        raise UnsupportedImageError(f"{name}: a sequence shown in another order than it is stored in")
    view = memoryview(data)
    samples = [view[start:end] for start, end in track.samples]
    ((_, configuration),) = bodies(data, track, AV1.configuration)
    if len(configuration) < 4:
        raise ValueError("a configuration of AV1 that ends early")
    keys, coded = [], 0
    for number, found in enumerate(av1.frames_of_samples(memoryview(configuration)[4:], samples)):
        for frame in found:
            track.require_size((frame.width, frame.height), name, max_pixels)
        pictures = [frame for frame in found if frame.layer is not None]
        shown = sum(frame.shown for frame in pictures)
        if any(frame.layer for frame in pictures) or shown > 1:
            raise UnsupportedImageError(f"{name}: several pictures or layers in one sample of a sequence")
        if not shown:
            raise ValueError("a sample without picture")
        if pictures[0].key and pictures[0].shown:
            keys.append(number)
        if number == 0 and (not keys or found[0].layer is not None):
            raise ValueError("a sequence that begins with no picture of its own")
        coded += sum(frame.coded for frame in pictures)
    if coded > _CODED * len(samples) + _SLACK:
        raise LimitError(f"{name}: {coded:,} coded frames for {len(samples):,} that are shown")
    _check_matrix(data, track, samples[0], name)
    return Stream(
        configuration=configuration[:4],
        properties=kept_properties(data, track),
        samples=samples,
        keys=keys,
        coding=AV1,
    )


def decoded(
    data: bytes,  # noqa: ARG001  # of HEIF, the track's own colours are asked for
    tracks: Sequence[Track],
    streams: Sequence[Stream],
    name: str,
    max_pixels: int,
) -> Iterator[Decoded]:
    """As `Codec` has it, all of a file that is put together anew of the samples that were checked.

    No decoder sees another table, another track or another size than was looked at.
    """
    width, height, count = tracks[0].width, tracks[0].height, len(tracks[0].samples)
    made = sequence_of(*streams, width=width, height=height, ticks=[1] * count, timescale=1000, plays=0)
    image = plugin("AVIF")(io.BytesIO(made))
    check_size(image, name, max_pixels)
    if image.size != (width, height) or getattr(image, "n_frames", 0) != count:
        raise ValueError("another size or number of frames than announced")
    points = av1.points(memoryview(streams[0].samples[0]))
    colors = None if points is None else Cicp(*points, video=True)
    for number in range(count):
        image.seek(number)
        image.load()
        pixels, others = to_pixels(image, name)
        yield Decoded([pixels, *others], colors)


def _check_matrix(data: bytes, track: Track, sample: memoryview, name: str) -> None:
    """Chromium heeds the codec's matrix, others the track's: under another one green may be what was skin."""
    codec = av1.matrix(sample)
    for _, body in bodies(data, track, b"colr") if track.handler == b"pict" else ():
        said = int.from_bytes(body[8:10])
        if body[:4] == b"nclx" and codec != said and not {codec, said} <= _ALIKE:
            raise UnsupportedImageError(f"{name}: a matrix of colours, {said}, that is another in the codec, {codec}")
