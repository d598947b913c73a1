"""An AVIF sequence: what its track holds against what it says, and its pictures as they are shown.

The pictures of a track are decoded one behind the other, from a file that is put together anew of the samples that were
checked: no decoder sees another table, another track or another size than was looked at here.

Source:
    AV1 Image File Format, 3 and 6.3; AV1 Codec ISO Media File Format Binding, 2; ISO/IEC 23008-12, 7 (sequences).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures import av1
from detect.pictures.alpha import straight
from detect.pictures.animation.avis import ALPHA, Stream, sequence_of
from detect.pictures.bmff import Box, top_boxes
from detect.pictures.cicp import Cicp
from detect.pictures.color import Declared
from detect.pictures.colr import colors_of_boxes
from detect.pictures.formats import damaged
from detect.pictures.heif import check_items
from detect.pictures.limits import check_size, plugin
from detect.pictures.orientation import orientation_of
from detect.pictures.samples import to_pixels
from detect.pictures.source import DecoderErrors
from detect.pictures.still import Picture, Reading, decode_bytes, finish
from detect.pictures.tracks import Track, tracks

__all__ = ["Pictures", "as_still", "open_sequence", "seconds_of"]

_HANDLERS = frozenset({b"pict", b"auxv"})

_UNSEEN = frozenset({b"soun", b"text", b"sbtl", b"subt", b"clcp", b"meta", b"hint"})
"""What tracks are for that viewers of pictures show nothing of: they do not come out, either."""

_HEEDED = frozenset({b"av1C", b"colr", b"irot", b"imir", b"auxi"})

_UNHEEDED = frozenset(b"pasp ccst btrt clli mdcv cclv amve ndwt reve free skip pixi ispe".split())
"""Boxes of a sample entry that change nothing in what is shown."""

_TURNS = (b"irot", b"imir")

_ALIKE = frozenset({1, 2, 4, 5, 6, 7, 9})
"""Matrices (H.273, table 4) of which one shows as another a little off in hue, and no more; 2 says none."""

_CODED = 4  # coded frames that a sample has at most, on average: encoders have two

_SLACK = 64  # and so many more in a short sequence


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A sequence that was checked.

    Attributes:
        width: Columns of each picture as it is shown.
        height: Rows.
        plays: How many times all is to be shown; 0 for without end.
        seconds: How long each is shown.
        each: The pictures, decoded as they are asked for; once.
    """

    width: int
    height: int
    plays: int
    seconds: list[Fraction]
    each: Iterator[Picture]


def seconds_of(data: bytes, name: str, most: int) -> list[Fraction]:
    """How long each picture is shown; nothing is decoded.

    Raises:
        DamagedImageError, LimitError, UnsupportedImageError: As for `open_sequence`.
    """
    with DecoderErrors(name):
        return _tracks(data, name, most)[0].seconds


def open_sequence(data: bytes, name: str, *, max_pixels: int, most: int, max_total_pixels: int) -> Pictures:
    """Check a sequence whole, before any of it is decoded.

    Args:
        data: An AVIF with tracks.
        name: What errors call it.
        max_pixels: Cap on a picture's columns times rows.
        most: Cap on their number.
        max_total_pixels: Cap on the product of both.

    Raises:
        DamagedImageError: Broken, or its samples are not what is said of them.
        LimitError: Over a cap.
        UnsupportedImageError: What viewers show in different ways, or what is not understood.
    """
    with DecoderErrors(name):
        color, alpha = _tracks(data, name, most)
        width, height = color.width, color.height
        if width * height > max_pixels:
            raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")
        if len(color.samples) * width * height > max_total_pixels:
            raise LimitError(f"{name}: {len(color.samples):,} frames of {width} x {height} pixels are over the cap")
        every = [track for track in (color, alpha) if track is not None]
        if sum(end - start for track in every for start, end in track.samples) > 4 * len(data) + 2**20:
            raise ValueError("samples that share their data many times over")
        streams = [_checked(data, track, name, max_pixels) for track in every]
        still = as_still(data)
        if still is not None:
            check_items(still, "AVIF", name, max_pixels)
    turned = any(data[box.start] & 1 for box in color.properties if box.kind == b"irot")
    return Pictures(
        width=height if turned else width,
        height=width if turned else height,
        plays=color.plays,
        seconds=color.seconds,
        each=_decoded(data, color, streams, still, name, max_pixels),
    )


def as_still(data: bytes) -> bytes | None:
    """What those read who show a sequence as a still: the file without its tracks; None where it has no items.

    Source:
        AV1 Image File Format, 6: the brand `avif` is for items, `avis` for tracks. Chromium takes what it is asked for.
    """
    top = top_boxes(data)
    if not any(box.kind == b"meta" for box in top):
        return None
    made = bytearray(data)
    end = top[0].end
    made[8:12], made[16:end] = b"avif", made[16:end].replace(b"avis", b"avif")  # or Pillow would want tracks
    for box in top:
        if box.kind == b"moov":
            at = data.rindex(b"moov", 0, box.start)
            made[at : at + 4] = b"free"
    return bytes(made)


def _tracks(data: bytes, name: str, most: int) -> tuple[Track, Track | None]:
    """The one that is shown, and its transparency."""
    read, others = tracks(data, handlers=_HANDLERS, name=name, most=most)
    for handler, box in others:
        if handler not in _UNSEEN or b"av01" in data[box.start : box.end]:
            kind = handler.decode("latin-1")
            raise UnsupportedImageError(f"{name}: a track of kind {kind!r}, which some viewers may show")
    colors, alphas = ([track for track in read if track.handler == each] for each in (b"pict", b"auxv"))
    if len(colors) != 1 or len(alphas) > 1:
        raise UnsupportedImageError(f"{name}: not one track of pictures, and one of their transparency at most")
    color = colors[0]
    for track in read:
        _check_entry(data, track, name)
    if b"auxl" in color.references:
        raise UnsupportedImageError(f"{name}: a track of pictures that belongs to another")
    if not alphas:
        return color, None
    alpha = alphas[0]
    if color.number == alpha.number or alpha.references.get(b"auxl") != [color.number]:
        raise UnsupportedImageError(f"{name}: a track that belongs to none that is shown")
    if (alpha.width, alpha.height, alpha.seconds) != (color.width, color.height, color.seconds):
        raise UnsupportedImageError(f"{name}: transparency of other sizes or times than the pictures")
    if _bodies(data, alpha, *_TURNS) not in ([], _bodies(data, color, *_TURNS)):
        raise UnsupportedImageError(f"{name}: transparency that is turned another way than the pictures")
    return color, alpha


def _bodies(data: bytes, track: Track, *kinds: bytes) -> list[tuple[bytes, bytes]]:
    return [(box.kind, data[box.start : box.end]) for box in track.properties if box.kind in kinds]


def _check_entry(data: bytes, track: Track, name: str) -> None:
    """What is said of a track's samples."""
    if track.entry != b"av01":
        kind = track.entry.decode("latin-1")
        raise UnsupportedImageError(f"{name}: AVIF sequences of kind {kind!r} are not taken; export it again")
    for box in track.properties:
        if box.kind == b"clap":
            raise UnsupportedImageError(f"{name}: an AVIF cropped by a clean aperture; export it again")
        if box.kind not in _HEEDED | _UNHEEDED:
            kind = box.kind.decode("latin-1")
            raise UnsupportedImageError(f"{name}: a property of a sequence that is not known, {kind!r}")
    if len(_bodies(data, track, b"av1C")) != 1 or len(_bodies(data, track, b"av1C")[0][1]) < 4:
        raise ValueError("a track without configuration of its codec or with two")
    turns = _bodies(data, track, *_TURNS)
    if [kind for kind, _ in turns] != [kind for kind in _TURNS if kind in dict(turns)]:
        raise UnsupportedImageError(f"{name}: turned in an order that viewers do not agree on")
    if any(len(body) != 1 or body[0] > 3 for _, body in turns):
        raise ValueError("a turn of an unknown form")
    _check_colors(data, track, name)
    told = [body[4:].split(b"\0")[0] for _, body in _bodies(data, track, b"auxi")]
    if told != ([] if track.handler == b"pict" else [ALPHA]):
        raise UnsupportedImageError(f"{name}: a track beside the pictures that is not their transparency")


def _check_colors(data: bytes, track: Track, name: str) -> None:
    said = [body for _, body in _bodies(data, track, b"colr")]
    if any(body[:4] == b"nclx" and len(body) < 10 for body in said):
        raise ValueError("code points that end early")
    colors = [body[:4] for body in said]
    profiles = [kind for kind in colors if kind in (b"prof", b"rICC")]
    if len(profiles) > 1 or [kind for kind in colors if kind not in profiles] not in ([], [b"nclx"]):
        raise UnsupportedImageError(f"{name}: colours of a sequence that are said twice, or in an unknown way")


def _checked(data: bytes, track: Track, name: str, max_pixels: int) -> Stream:
    """Compare the size of a track with what its samples say; one picture is shown of each."""
    view = memoryview(data)
    samples = [view[start:end] for start, end in track.samples]
    configuration = _bodies(data, track, b"av1C")[0][1]
    keys, coded = [], 0
    for number, found in enumerate(av1.frames_of_samples(memoryview(configuration)[4:], samples)):
        for frame in found:
            _check_size(frame, track, name, max_pixels)
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
    if track.keys is not None and not set(track.keys) <= set(keys):
        raise ValueError("a sample to begin at that needs others")
    _check_matrix(data, track, samples[0], name)
    kept = [box for box in track.properties if box.kind in (b"colr", *_TURNS) and track.handler == b"pict"]
    properties = b"".join(_whole(data, box) for box in kept)
    return Stream(configuration=configuration[:4], properties=properties, samples=samples, keys=keys)


def _check_matrix(data: bytes, track: Track, sample: memoryview, name: str) -> None:
    """Chromium heeds the codec's matrix, others the track's: under another one green may be what was skin."""
    codec = av1.matrix(sample)
    for _, body in _bodies(data, track, b"colr") if track.handler == b"pict" else ():
        said = int.from_bytes(body[8:10])
        if body[:4] == b"nclx" and codec != said and not {codec, said} <= _ALIKE:
            raise UnsupportedImageError(f"{name}: a matrix of colours, {said}, that is another in the codec, {codec}")


def _whole(data: bytes, box: Box) -> bytes:
    body = data[box.start : box.end]
    return (8 + len(body)).to_bytes(4) + box.kind + body


def _check_size(frame: av1.Frame, track: Track, name: str, max_pixels: int) -> None:
    width, height = frame.width, frame.height
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} coded pixels are over the cap of {max_pixels:,}")
    if (width, height) != (track.width, track.height):
        raise damaged(name, f"{width} x {height} coded pixels where {track.width} x {track.height} are announced")


def _decoded(
    data: bytes, color: Track, streams: Sequence[Stream], still: bytes | None, name: str, max_pixels: int
) -> Iterator[Picture]:
    """Each picture in turn, and the still as another reading of the first."""
    count = len(color.samples)
    with DecoderErrors(name):
        made = sequence_of(*streams, width=color.width, height=color.height, ticks=[1] * count, timescale=1000, plays=0)
        image = plugin("AVIF")(io.BytesIO(made))
        check_size(image, name, max_pixels)
        if image.size != (color.width, color.height) or getattr(image, "n_frames", 0) != count:
            raise ValueError("another size or number of frames than announced")
        orientation = orientation_of(made, "AVIF", image)
    declared = _declared(data, color, streams[0])
    multiplied = len(streams) > 1 and b"prem" in color.references
    for number in range(count):
        with DecoderErrors(f"{name}, frame {number + 1}"):
            image.seek(number)
            image.load()
            pixels, others = to_pixels(image, name)
            if multiplied and pixels.shape[2] == 4:
                others = [*others, pixels[..., :3].copy()]
                pixels = straight(pixels)
            picture = finish(pixels, orientation, declared, "AVIF", name, others)
        if number == 0 and still is not None:
            picture = _with_still(picture, still, name, max_pixels)
        yield picture


def _declared(data: bytes, color: Track, stream: Stream) -> list[Declared]:
    said = colors_of_boxes(data, (box for box in color.properties if box.kind == b"colr"))
    if said:
        return said
    points = av1.points(memoryview(stream.samples[0]))
    return [] if points is None else [Cicp(*points, video=True)]


def _with_still(picture: Picture, still: bytes, name: str, max_pixels: int) -> Picture:
    """The first picture; judged, too, as those show it who show no sequences, where that is something else."""
    shown = decode_bytes(still, name, max_pixels=max_pixels)
    if (shown.width, shown.height) != (picture.width, picture.height):
        raise UnsupportedImageError(
            f"{name}: a still picture of {shown.width} x {shown.height} pixels beside a sequence of "
            f"{picture.width} x {picture.height}; viewers show either"
        )
    own, others = _seen(picture), _seen(shown)
    if len(own) == len(others) and all(map(np.array_equal, own, others)):
        return picture
    return replace(picture, readings=(*picture.readings, *map(Reading, others)))


def _seen(picture: Picture) -> list[NDArray[np.uint8]]:
    """All that there is to be judged of a picture."""
    beneath = [] if picture.beneath is None else [picture.beneath]
    return [picture.pixels, *beneath, *(each.pixels for each in picture.readings)]
