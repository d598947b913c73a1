"""Writing what moves as a sequence of pictures in boxes: AVIF, or HEIF.

Source:
    AV1 Image File Format, 3; ISO/IEC 23008-12, 7 and 9.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from math import lcm
from typing import BinaryIO

from censor.media.steps import in_ticks
from detect.pictures.animation.muxer import sequence_of
from detect.pictures.still import Picture

__all__ = ["write_sequence"]

_MILLISECONDS = 1000
_SCALES = (_MILLISECONDS, 1_000_000)
_MOST = 2**32 - 1  # ticks of a second, and of a frame


def write_sequence(
    pictures: Iterator[Picture],
    out: BinaryIO,
    durations: Sequence[Fraction],
    plays: int,
    *,
    format: str,  # noqa: A002  # Pillow's own word
    quality: int,
) -> None:
    """Write frames as a sequence, its still picture being the first of them.

    Args:
        pictures: As many as there are durations, all of one size.
        out: Where the bytes go.
        durations: In seconds. Where all of them are nothing, each is written as a millisecond: a track lasts, and
            so does its last picture, as briefly as can be said.
        plays: How many times it is to be shown; 0 for without end.
        format: "AVIF" or "HEIF".
        quality: 1-100.

    Raises:
        ValueError: A frame of another size than the first or one that the encoder does not take, or more bytes than its
            offsets reach.
    """
    first = next(pictures)
    every = chain([first], pictures)
    if format == "AVIF":
        from censor.media.avif import av1_streams

        streams = av1_streams(every, len(durations), quality=quality)
    else:
        from censor.media.heif import hevc_streams

        streams = hevc_streams(every, quality=quality)
    timescale, ticks = _times(durations)
    out.write(
        sequence_of(*streams, width=first.width, height=first.height, ticks=ticks, timescale=timescale, plays=plays)
    )


def _times(durations: Sequence[Fraction]) -> tuple[int, list[int]]:
    """A timescale and each duration in it: exact where 32 bits allow, or else with what is rounded off carried on."""
    exact = lcm(_MILLISECONDS, *(each.denominator for each in durations))
    for scale in (exact, *reversed(_SCALES)):
        if scale <= _MOST and max(durations) * scale < _MOST:
            ticks = in_ticks(durations, scale)
            ticks[-1] = max(1, ticks[-1])  # or the last picture would be shown when all is over
            break
    else:
        raise ValueError("a frame that is shown for longer than a track can say")
    return (scale, ticks) if any(durations) else (_MILLISECONDS, [1] * len(ticks))
