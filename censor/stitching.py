"""What was lost in one place and found in another: a thing that went too fast to be seen on its way.

What moves is smeared while the shutter is open, and detectors are blind to it until it is slow again. Where it heads
for the place at which one like it turns up within half a second, and that one comes from where it was, the way between
is likely its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from censor.association import Box, Rules, Times, Track, around, manner, moved

__all__ = ["stitch"]

_LONGEST = 0.5  # seconds on the way
_FASTER = 3.0  # times as fast as it was seen to go, at most
_ALIKE = 0.6  # of its size
_WIDER = 0.1  # of the way, to each side: nobody knows how fast it was where


class _End(NamedTuple):
    """Where a thing was last seen, or first.

    Attributes:
        frame: Number of the frame.
        box: Where it is there.
        speed: How far it goes in a second.
        track: Of which track.
    """

    frame: int
    box: Box
    speed: Box
    track: Track


def stitch(tracks: Sequence[Track], times: Times, *, rule_for: Rules) -> None:
    """Add to tracks where their things may have been on the way to where they were found again.

    Args:
        tracks: Of all shots; `followed` of some is added to.
        times: When each frame is shown, in seconds, ascending.
        rule_for: What is done about a label.
    """
    lost = [each for track in tracks for each in _ends(track, times, 1)]
    found = sorted((each for track in tracks for each in _ends(track, times, -1)), key=lambda each: each.frame)
    numbers = [each.frame for each in found]
    for one in lost:
        until = bisect_right(times, times[one.frame] + _LONGEST)
        for other in found[bisect_left(numbers, one.frame + 2) : bisect_left(numbers, until)]:
            alike = manner(one.track.labels[-1], rule_for) == manner(other.track.labels[-1], rule_for)
            if alike and one.track.shot == other.track.shot and _on_its_way(one, other, times):
                _add_way(one, other, times)


def _ends(track: Track, times: Times, step: int) -> Iterator[_End]:
    """Frames that it was seen in, and not in the next (or, for a step of -1, not in the one before)."""
    known = track.followed | dict(zip(track.frames, track.boxes, strict=True))
    for frame in sorted(known):
        inner = frame - step
        if frame + step not in known and inner in known and times[frame] != times[inner]:
            speed = moved(known[inner], known[frame]) / (times[frame] - times[inner])
            yield _End(frame, known[frame], np.asarray(speed), track)


def _on_its_way(one: _End, other: _End, times: Times) -> bool:
    needed = moved(one.box, other.box)[:2] / (times[other.frame] - times[one.frame])
    speeds = one.speed[:2], other.speed[:2]
    fastest = max(float(np.linalg.norm(each)) for each in speeds)
    sizes = [float(np.prod(each.box[2:] - each.box[:2])) ** 0.5 for each in (one, other)]
    return (
        min(sizes) > _ALIKE * max(sizes)
        and all(float(each @ needed) > 0 for each in speeds)
        and float(np.linalg.norm(needed)) <= _FASTER * fastest
    )


def _add_way(one: _End, other: _End, times: Times) -> None:
    span = times[other.frame] - times[one.frame]
    margin = _WIDER * np.abs(moved(one.box, other.box)) * [-1, -1, 1, 1]
    for frame in range(one.frame + 1, other.frame):
        share = (times[frame] - times[one.frame]) / span
        box = one.box * (1 - share) + other.box * share + margin
        known = one.track.followed.get(frame)
        one.track.followed[frame] = box if known is None else around(known, box)
