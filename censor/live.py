"""Frames as they come: each is hidden in by what was found in it, shortly before it and shortly after."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from censor.censoring import censor_part
from censor.displayed import shown
from censor.errors import CensorError
from censor.finding import Found, Networks, find
from censor.manual import Box
from censor.masks import Region
from censor.media.opening import open_moving
from censor.policy import Policy
from censor.redact import Frame, plan
from detect.errors import DamagedImageError, DetectError
from detect.pictures.still import Picture, decode

__all__ = ["HOLD_SECONDS", "Live", "LiveFrame", "censored_frames"]

HOLD_SECONDS = 0.25
"""How long after a find its place is hidden, and before it as far as frames still wait."""

_MOST_WAITING = 64
"""Frames that wait at most: more a second than that are hidden in for a shorter time."""

Live = Iterable[tuple[float, NDArray[np.uint8]]]
"""Frames as they come: the second of each, and its RGB pixels, uint8 (H, W, 3)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveFrame:
    """A frame that may be shown.

    Attributes:
        seconds: When it is shown.
        pixels: RGB, uint8 (H, W, 3); nobody else holds them.
        regions: How many places were hidden in it.
        whole: Whether all of it is hidden, as it could not be judged.
    """

    seconds: float
    pixels: NDArray[np.uint8]
    regions: int
    whole: bool


@dataclass(kw_only=True, eq=False)
class _Waiting:
    seconds: float
    picture: Picture
    found: Found | None
    places: set[Box] = field(default_factory=set)


def censored_frames(
    source: str | os.PathLike[str] | Live,
    networks: Networks,
    policy: Policy,
    *,
    delay: float,
    hide_unjudged: bool,
    max_bytes: int,
    max_pixels: int,
) -> Iterator[LiveFrame]:
    """See `Censor.frames`, of which this is the work.

    Args:
        source: As there.
        networks: What looks.
        policy: What is hidden, by solid colour.
        delay: As there.
        hide_unjudged: As there.
        max_bytes: Cap on an animation's file.
        max_pixels: Cap on a frame's width times height.
    """
    live = _Live(networks, policy.each(effect="solid"), delay=delay, hide_unjudged=hide_unjudged)
    if not isinstance(source, str | os.PathLike):
        yield from live.run(_pictures(source, max_pixels))
        return
    with closing(open_moving(source, max_bytes=max_bytes, max_pixels=max_pixels)) as medium:
        display = medium.display
        yield from live.run((each.where.seconds or 0.0, shown(each.to_paint(), display)) for each in medium.parts())


def _pictures(source: Live, max_pixels: int) -> Iterator[tuple[float, Picture]]:
    for seconds, pixels in source:
        yield float(seconds), decode(np.array(pixels), max_pixels=max_pixels)


class _Live:
    def __init__(self, networks: Networks, policy: Policy, *, delay: float, hide_unjudged: bool) -> None:
        self._networks, self._policy, self._delay, self._hide_unjudged = networks, policy, delay, hide_unjudged
        self._waiting: deque[_Waiting] = deque()
        self._before: list[tuple[float, set[Box]]] = []
        self._size: tuple[int, int] | None = None
        self._last: float | None = None

    def run(self, frames: Iterable[tuple[float, Picture]]) -> Iterator[LiveFrame]:
        for seconds, picture in frames:
            self._take(seconds, picture)
            while self._waiting and (
                seconds - self._waiting[0].seconds >= self._delay or len(self._waiting) > _MOST_WAITING
            ):
                yield self._released()
        while self._waiting:
            yield self._released()

    def _take(self, seconds: float, picture: Picture) -> None:
        """Look at a frame; what is found there is hidden in those around it, too."""
        size = picture.width, picture.height
        if self._size not in (None, size):
            raise DamagedImageError(f"frame at {seconds:.3f} s: its size is another than that of those before")
        if self._last is not None and not seconds > self._last:
            raise DamagedImageError(f"frame at {seconds:.3f} s: times of frames repeat or go back")
        self._size, self._last = size, seconds
        try:
            found: Found | None = find(picture, self._networks)
        except (CensorError, DetectError):
            if not self._hide_unjudged:
                raise
            found = None
        one = _Waiting(seconds=seconds, picture=picture, found=found)
        self._waiting.append(one)
        if found is not None:
            frame = Frame(width=picture.width, height=picture.height, blocks=picture.blocks)
            one.places = {_place(each.region) for each in plan(found.visible, self._policy, frame)}

    def _released(self) -> LiveFrame:
        one = self._waiting.popleft()
        near = one.seconds - HOLD_SECONDS
        self._before = [(seconds, places) for seconds, places in self._before if seconds >= near]
        after = (each.places for each in self._waiting if each.seconds - one.seconds <= max(HOLD_SECONDS, self._delay))
        places = set[Box]().union(one.places, *(each for _, each in self._before), *after)
        done = self._hidden(one, places)
        self._before.append((one.seconds, one.places))
        return done

    def _hidden(self, one: _Waiting, places: set[Box]) -> LiveFrame:
        """A frame that was judged, hidden in and looked at again, or one of which nothing shows."""
        if one.found is not None:
            try:
                done = censor_part(
                    one.picture, Frame.of(one.picture, also=tuple(sorted(places))), {}, networks=self._networks,
                    policy=self._policy, sticker=None, again=True, found=one.found,
                )  # fmt: skip
            except (CensorError, DetectError):
                if not self._hide_unjudged:
                    raise
            else:
                one.places |= {_place(each.region) for each in done.redactions if each.rechecked}
                pixels = np.ascontiguousarray(done.picture.pixels[..., :3])
                return LiveFrame(seconds=one.seconds, pixels=pixels, regions=len(done.redactions), whole=False)
        nothing = np.zeros((one.picture.height, one.picture.width, 3), np.uint8)
        return LiveFrame(seconds=one.seconds, pixels=nothing, regions=1, whole=True)


def _place(region: Region) -> Box:
    """Where a region lies, as a box."""
    return float(region.x0), float(region.y0), float(region.x1), float(region.y1)
