"""An AVIF or HEIF sequence: a track of pictures, and the still picture that stands beside it.

Source:
    AV1 Image File Format, 3, 6 and 6.3; ISO/IEC 23008-12, 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.alpha import straight
from detect.pictures.animation import avif, heif
from detect.pictures.animation.codec import Codec, Decoded
from detect.pictures.animation.muxer import AV1, HEVC, Coding
from detect.pictures.animation.shown_tracks import orientation, shown_tracks
from detect.pictures.bmff import top_boxes
from detect.pictures.cicp import lit
from detect.pictures.color import Declared
from detect.pictures.colr import colors_of_boxes, peaks_of_boxes
from detect.pictures.formats import HEIF_SEQUENCES
from detect.pictures.heif import check_items
from detect.pictures.source import DecoderErrors
from detect.pictures.still import Picture, Reading, decode_bytes, finish
from detect.pictures.tracks import Track

__all__ = ["Pictures", "as_still", "open_sequence", "seconds_of"]

_CODINGS: dict[str, tuple[Coding, Codec]] = {
    each.format: (each, module) for each, module in ((AV1, avif), (HEVC, heif))
}

_OF_SEQUENCES = HEIF_SEQUENCES | {b"avis"}


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


def seconds_of(data: bytes, format: str, name: str, most: int) -> list[Fraction]:  # noqa: A002  # Pillow's own word
    """How long each picture is shown; nothing is decoded.

    Raises:
        DamagedImageError, LimitError, UnsupportedImageError: As for `open_sequence`.
    """
    with DecoderErrors(name):
        return shown_tracks(data, name, most, _CODINGS[format][0])[0].seconds


def open_sequence(
    data: bytes,
    format: str,  # noqa: A002  # Pillow's own word
    name: str,
    *,
    max_pixels: int,
    most: int,
    max_total_pixels: int,
) -> Pictures:
    """Check a sequence whole, before any of it is decoded.

    Args:
        data: A file with tracks.
        format: "AVIF" or "HEIF".
        name: What errors call it.
        max_pixels: Cap on a picture's columns times rows.
        most: Cap on their number.
        max_total_pixels: Cap on the product of both.

    Raises:
        DamagedImageError: Broken, or its samples are not what is said of them.
        LimitError: Over a cap.
        UnsupportedImageError: What viewers show in different ways, or what is not understood; or PyAV is missing that
            decodes HEVC.
    """
    coding, codec = _CODINGS[format]
    with DecoderErrors(name):
        color, alpha = shown_tracks(data, name, most, coding)
        width, height = color.width, color.height
        if width * height > max_pixels:
            raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")
        if len(color.samples) * width * height > max_total_pixels:
            raise LimitError(f"{name}: {len(color.samples):,} frames of {width} x {height} pixels are over the cap")
        every = [track for track in (color, alpha) if track is not None]
        if sum(end - start for track in every for start, end in track.samples) > 4 * len(data) + 2**20:
            raise ValueError("samples that share their data many times over")
        streams = [codec.checked(data, track, name, max_pixels) for track in every]
        for track, stream in zip(every, streams, strict=True):
            if track.keys is not None and not set(track.keys) <= set(stream.keys):
                raise ValueError("a sample to begin at that needs others")
        still = as_still(data)
        if still is not None:
            check_items(still, format, name, max_pixels)
    turned = orientation(data, color) >= 5
    decoded = codec.decoded(data, every, streams, name, max_pixels)
    return Pictures(
        width=height if turned else width,
        height=width if turned else height,
        plays=color.plays,
        seconds=color.seconds,
        each=_finished(decoded, data, every, format, still, name, max_pixels),
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
    for at in (8, *range(16, top[0].end, 4)):
        if (brand := bytes(made[at : at + 4])) in _OF_SEQUENCES:  # or decoders would want tracks
            made[at : at + 4] = b"avif" if brand == b"avis" else b"heic" if at == 8 else b"mif1"
    for box in top:
        if box.kind == b"moov":
            at = data.rindex(b"moov", 0, box.start)
            made[at : at + 4] = b"free"
    return bytes(made)


def _finished(
    decoded: Iterator[Decoded],
    data: bytes,
    tracks: Sequence[Track],
    format: str,  # noqa: A002
    still: bytes | None,
    name: str,
    max_pixels: int,
) -> Iterator[Picture]:
    """Each picture in turn, and the still as another reading of the first."""
    color = tracks[0]
    said, light = colors_of_boxes(data, color.properties), peaks_of_boxes(data, color.properties)
    turn = orientation(data, color)
    multiplied = len(tracks) > 1 and b"prem" in color.references
    for number in range(len(color.samples)):
        with DecoderErrors(f"{name}, frame {number + 1}"):
            shown, own = next(decoded)
            declared: list[Declared] = said or ([] if own is None else [*lit(own, light)])
            seen = [_straight(each) if multiplied else (each, []) for each in shown]
            picture, *others = (finish(each, turn, declared, format, name, also) for each, also in seen)
            picture = _judged_too(picture, others)
        if number == 0 and still is not None:
            picture = _with_still(picture, still, name, max_pixels)
        yield picture


def _straight(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """Of colours that are multiplied by their transparency what they are without, and what a black page shows."""
    return (straight(pixels), [pixels[..., :3].copy()]) if pixels.shape[2] == 4 else (pixels, [])


def _with_still(picture: Picture, still: bytes, name: str, max_pixels: int) -> Picture:
    """The first picture; judged, too, as those show it who show no sequences, where that is something else."""
    shown = decode_bytes(still, name, max_pixels=max_pixels)
    if (shown.width, shown.height) != (picture.width, picture.height):
        raise UnsupportedImageError(
            f"{name}: a still picture of {shown.width} x {shown.height} pixels beside a sequence of "
            f"{picture.width} x {picture.height}; viewers show either"
        )
    return _judged_too(picture, [shown])


def _judged_too(picture: Picture, others: Sequence[Picture]) -> Picture:
    """A picture whose readings are also what is to be judged of others, where that is something else."""
    own = _seen(picture)
    for other in others:
        seen = _seen(other)
        if len(own) != len(seen) or not all(map(np.array_equal, own, seen)):
            picture = replace(picture, readings=(*picture.readings, *map(Reading, seen)))
    return picture


def _seen(picture: Picture) -> list[NDArray[np.uint8]]:
    """All that there is to be judged of a picture."""
    beneath = [] if picture.beneath is None else [picture.beneath]
    return [picture.pixels, *beneath, *(each.pixels for each in picture.readings)]
