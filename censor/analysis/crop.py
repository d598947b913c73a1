"""The crop of a picture that may be shown: nothing in it that a policy hides, and nothing that it objects to."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from censor.analysis.windows import Ratio, Window, coarse_windows, finer_windows, largest_window
from censor.errors import CropError, PolicyError
from censor.evidence import Evidence
from censor.masks import outwards
from censor.media.encoding import encode, output_format
from censor.pipeline import Censor
from censor.redact import Frame, Redaction, plan
from censor.results import Censored
from censor.verdict import Level
from detect.classifier.scores import Classifier
from detect.pictures.rgb import on_white
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, read_source
from detect.pictures.still import Picture, decode

__all__ = ["Crop", "crop_picture"]

_GROWN = 0.1
"""How far around a box that is judged and not hidden nothing is shown, as a share of its sides: what presets hide."""

_BEST = 3
"""Of the coarse windows, how many are looked around for a better one."""

_LEVELS = 3
"""How often those are looked around, each time at half the distance."""

_AT_ONCE = 8
"""Crops in one run of the network."""

_ALIKE = 0.02
"""Probabilities that differ by less are no reason to prefer the smaller crop."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """A part of a picture that was looked at as it will be shown, and is safe.

    Attributes:
        ratio: What was asked for.
        window: Where it lies, in pixels of the upright picture.
        data: The encoded picture, made from these pixels and nothing else.
        score: What the chosen classifier says of it, as the probability of NSFW; None where none was chosen.
    """

    ratio: Ratio
    window: Window
    data: bytes
    score: float | None = None


def crop_picture(
    source: str | os.PathLike[str] | bytes | IO[bytes],
    censor: Censor,
    ratios: Sequence[Ratio],
    *,
    by: Classifier | None = None,
    smallest: float = 0.25,
    tries: int = 40,
    format: str | None = None,  # noqa: A002  # Pillow's own word
    quality: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> list[Crop]:
    """Find the largest safe crop of each shape, or the one that a classifier finds least NSFW.

    Args:
        source: A path, an encoded picture or a binary file object; read once.
        censor: Says what is safe. What its policy hides is in no crop, nor as much around it as it would hide.
        ratios: At least one.
        by: The classifier that chooses; None for the largest.
        smallest: In (0, 1]: how long the longer side of a crop is at least, as a share of the longest possible.
        tries: At most so many crops of a shape are looked at by the whole pipeline.
        format: As `censor.media.encoding.encode` takes it; None for that of the source.
        quality: As `censor.media.encoding.encode` takes it.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.

    Returns:
        One for each ratio, in their order.

    Raises:
        CropError: There is no safe crop of one of the shapes, or none was found with so many tries.
        CensorError: The picture could not be judged, or the crop not encoded.
        DetectError: It could not be decoded, or a network failed.
        ValueError: No ratios, or a number that is out of its range.

    Source:
        Yahoo's and others' users tried random crops before they searched all places and sizes; the search from coarse
        to fine finds the better crop with fewer looks.
    """
    if not ratios or not 0 < smallest <= 1 or tries < 1:
        raise ValueError(f"need ratios, smallest in (0, 1] and tries from 1 on, not {ratios}, {smallest}, {tries}")
    content, name = read_source(source, max_bytes)
    picture = decode(_stream(content, name), max_pixels=max_pixels)
    shown = replace(picture, beneath=None, readings=(), blocks=None)
    search = _Search(shown, censor, by, smallest, output_format(shown, format=format), quality)
    blocked = _blocked(_stream(content, name), picture, censor)
    return [search.best(ratio, list(blocked), tries) for ratio in ratios]


def _stream(content: bytes, name: str) -> io.BytesIO:
    stream = io.BytesIO(content)
    stream.name = name  # what errors call it
    return stream


def _blocked(stream: io.BytesIO, picture: Picture, censor: Censor) -> list[Window]:
    """What no crop may show of a picture: all that is hidden in it, as far around as it is, and all that is judged."""
    try:
        checked = censor.check(stream, whole=True)
    except PolicyError:  # it hides, and judges nothing
        stream.seek(0)
        hidden: Sequence[Redaction] = censor.apply(stream).redactions
        judged = []
    else:
        hidden = plan(Evidence(boxes=checked.detections), censor.policy, Frame.of(picture))
        judged = [each.xyxy for each in checked.verdict.reasons if each.xyxy is not None and each.classifier is None]
    found = [_window(each.region.x0, each.region.y0, each.region.x1, each.region.y1) for each in hidden]
    return found + [_window(*outwards(box, _GROWN)) for box in judged]


def _window(x0: float, y0: float, x1: float, y1: float) -> Window:
    return Window(*(int(edge) for edge in (x0, y0, x1, y1)))


@dataclass(frozen=True, eq=False)
class _Search:
    """What goes for all shapes of one picture."""

    picture: Picture
    censor: Censor
    by: Classifier | None
    smallest: float
    format: str
    quality: int | None

    def best(self, ratio: Ratio, blocked: list[Window], tries: int) -> Crop:
        """The first safe one of the crops in question."""
        looked_at = 0
        for window, score in self._windows(ratio, blocked):
            if any(window.meets(each) for each in blocked):  # found since
                continue
            if looked_at == tries:
                break
            looked_at += 1
            data, found = self._look(window)
            if found is not None:
                blocked += found
                continue
            return Crop(ratio=ratio, window=window, data=data, score=score)
        least = f"of at least {self.smallest:.0%} of the longest side that is possible"
        tried = f"{looked_at} were looked at" if looked_at else "what is hidden leaves no room"
        raise CropError(f"{self.picture.name}: no crop {ratio} {least} is safe; {tried}")

    def _windows(self, ratio: Ratio, blocked: list[Window]) -> Iterator[tuple[Window, float | None]]:
        """In the order in which they are wanted; `blocked` may grow meanwhile."""
        if self.by is not None:
            yield from self._scored(ratio, blocked, self.by)
            return
        known = -1
        while known < len(blocked):  # something new was found in the last one
            known = len(blocked)
            largest = self._largest(ratio, blocked)
            if not largest:
                return
            yield largest[0], None
        width, height = self.picture.width, self.picture.height
        for window in coarse_windows(width, height, ratio, blocked, smallest=self.smallest):
            yield window, None

    def _largest(self, ratio: Ratio, blocked: list[Window]) -> list[Window]:
        """The largest that meets nothing, if that is large enough."""
        width, height = self.picture.width, self.picture.height
        found = largest_window(width, height, ratio, blocked)
        return [found] if found and found.longer >= self.smallest * ratio.longest(width, height) else []

    def _scored(self, ratio: Ratio, blocked: list[Window], by: Classifier) -> list[tuple[Window, float | None]]:
        """All that were looked at by the classifier that chooses, the best first."""
        width, height = self.picture.width, self.picture.height
        pixels = on_white(self.picture)
        scores: dict[Window, float] = {}

        def ask(windows: Sequence[Window]) -> None:
            new = [window for window in windows if window not in scores]
            for start in range(0, len(new), _AT_ONCE):
                part = new[start : start + _AT_ONCE]
                answers = by.classify([window.of(pixels) for window in part])
                scores.update(zip(part, (answer.probability for answer in answers), strict=True))

        def rank(window: Window) -> tuple[int, int]:
            return round(scores[window] / _ALIKE), -window.area

        coarse = list(coarse_windows(width, height, ratio, blocked, smallest=self.smallest))
        coarse += self._largest(ratio, blocked)
        ask(coarse)
        for window in sorted(scores, key=rank)[:_BEST]:
            best = window
            for level in range(1, _LEVELS + 1):
                near = finer_windows(best, width, height, ratio, blocked, level=level, smallest=self.smallest)
                ask(near)
                best = min([best, *near], key=rank)
        return [(window, scores[window]) for window in sorted(scores, key=rank)]

    def _look(self, window: Window) -> tuple[bytes, list[Window] | None]:
        """The crop as it will be written, and what the pipeline finds in it; None where that is nothing.

        The file is looked at, not the pixels that it is made from: saving may bring out what was not seen before.
        """
        data = encode(
            replace(self.picture, pixels=window.of(self.picture.pixels)), format=self.format, quality=self.quality
        )
        done = self.censor.apply(data)
        if not done.redactions and (done.verdict is None or done.verdict.level is Level.SAFE):
            return data, None
        return data, [_window(*outwards(box, _GROWN)) for box in _objected(done, window)]


def _objected(done: Censored, window: Window) -> list[tuple[float, float, float, float]]:
    """Boxes of what was found in a window, in pixels of the picture; what a classifier says has none."""
    boxes = [each.xyxy for each in done.redactions if each.classifier is None]
    reasons = () if done.verdict is None else done.verdict.reasons
    boxes += [each.xyxy for each in reasons if each.xyxy is not None and each.classifier is None]
    return [(x0 + window.x0, y0 + window.y0, x1 + window.x0, y1 + window.y0) for x0, y0, x1, y1 in boxes]
