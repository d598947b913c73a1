"""Small pictures for pages, never uncensored: what cannot be hidden for sure is not shown."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from censor.analysis.looking import Seen, counted_by
from censor.analysis.page import Figure
from censor.errors import CensorError, PolicyError, RecheckError
from censor.finding import Networks
from censor.pipeline import Censor
from censor.plan import Plan
from censor.policy_toml import load_policy
from censor.results import Censored
from detect.detections import RGBImage
from detect.errors import DetectError, UnknownLabelError
from detect.evaluation.score_cache import ScoreCache, content_key
from detect.pictures.color import settled_srgb
from detect.pictures.rgb import on_white
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, read_source
from detect.pictures.still import Picture, Source, decode
from detect.runtime.letterbox import shrink
from detect.threads import run

__all__ = ["DOUBTFUL", "HIDING", "Thumbnail", "Thumbnails", "Wanted", "censored_thumbnail", "thumbnail_censor"]

DOUBTFUL = 0.5
"""Pictures to which any classifier gives this probability of NSFW are hidden from edge to edge: where the detector
finds nothing, nothing else would be."""

HIDING = "Gray stripes lie where the strict policy hides something; where they are all there is, the caption says why"
"""What pages say of their thumbnails."""

_SIDE = 240
"""Pixels of the longer side, at most."""

_STRIPES = (120, 150)
"""Grays of a picture that is hidden from edge to edge: solid white or black would pass for an empty place."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, nothing of it uncensored; gray stripes where nothing is shown.
        refused: Why nothing is shown; None where something is.
        lasting: Whether it will be the same the next time.
    """

    pixels: RGBImage
    refused: str | None = None
    lasting: bool = True

    def encode(self) -> bytes:
        """As a JPEG file, with why nothing is shown as its comment."""
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "JPEG", quality=80, comment=(self.refused or "").encode())
        return stream.getvalue()


@dataclass(frozen=True, kw_only=True, eq=False)
class Wanted:
    """A picture of which a thumbnail is wanted.

    Attributes:
        path: Its file.
        content: The hash of the file that was looked at; another one is not shown.
        seen: What was found in it.
        caption: What is said of it.
        hidden: Why nothing of it may be shown; None where that is for what was found to say.
        harmless: A person says that it is; then what a classifier says does not hide it from edge to edge.
    """

    path: Path
    content: str
    seen: Seen
    caption: str
    hidden: str | None = None
    harmless: bool = False


def thumbnail_censor(networks: Networks, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Censor | None:
    """Who censors thumbnails: the preset `strict`, which hides most; None where these networks cannot serve it.

    Args:
        networks: Who looks; those that are asked for comparison only hide nothing.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
    """
    strict = load_policy("strict")
    counted = counted_by(strict, networks.says)
    classifiers = [each for each in networks.classifiers if each.name in counted]
    try:
        return Censor(
            strict, detector=networks.detector, classifiers=classifiers, max_bytes=max_bytes, max_pixels=max_pixels
        )
    except (PolicyError, UnknownLabelError):
        return None


def censored_thumbnail(source: Source, censor: Censor, *, side: int = _SIDE, plan: Plan | None = None) -> Thumbnail:
    """Censor a picture and make it small.

    It is censored in its own size, where finds are best, and shrunk afterwards.

    Args:
        source: As for `Censor.apply`.
        censor: What hides.
        side: The longer side at most, in pixels.
        plan: What is hidden instead of what is found, as for `Censor.apply`.

    Returns:
        The picture, or stripes with the reason where there is no censored one.
    """
    try:
        return _small(censor.apply(source, plan=plan).picture, side)
    except (CensorError, DetectError) as error:
        return _refused(str(error), side, side * 3 // 4, side=side, lasting=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbnails:
    """Makes thumbnails of pictures that were looked at, several at once, and keeps them where it is told to.

    What was found is not asked again. A picture in which nothing is to be hidden is shown as it was looked at, just as
    `Censor` would let it pass; what is painted is looked at as always.

    Attributes:
        censor: Who hides; None hides all pictures from edge to edge.
        key: All that may change them; see `detect.evaluation.score_cache.model_key`.
        cache: Where they are looked up and kept; None for nowhere.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        threads: So many at once.
        read: Given a path and a cap, brings the file's bytes, and what errors call it.
    """

    censor: Censor | None
    key: str
    cache: ScoreCache | None = None
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    threads: int = 1
    read: Callable[[Path, int], tuple[bytes, str]] = read_source

    def figures(self, wanted: Mapping[int, Wanted]) -> dict[int, Figure]:
        """Thumbnails with their captions, which say why where nothing is shown."""
        known = {row: self._known(each) for row, each in wanted.items()}
        missing = [row for row, image in known.items() if image is None]
        makers: list[Callable[[], Thumbnail]] = [partial(self._made, wanted[row]) for row in missing]
        for row, made in zip(missing, run(makers, _call, threads=self.threads), strict=True):
            known[row] = image = made.encode()
            if self.cache is not None and made.lasting and _hidden(wanted[row]) is None:
                self.cache.put_thumbnail(wanted[row].content, self.key, image)
        return {row: _figure(wanted[row], image) for row, image in known.items() if image is not None}

    def _known(self, wanted: Wanted) -> bytes | None:
        if self.cache is None or _hidden(wanted) is not None:
            return None
        return self.cache.thumbnail(wanted.content, self.key)

    def _made(self, wanted: Wanted) -> Thumbnail:
        """Stripes, or what may be shown; whatever goes wrong makes stripes."""
        sides = wanted.seen.width, wanted.seen.height
        if self.censor is None or (hidden := _hidden(wanted)) is not None:
            why = "these networks cannot serve the strict policy" if self.censor is None else hidden
            return _refused(str(why), *sides, lasting=self.censor is not None)
        try:
            return _striped(self._shown(wanted, self.censor))
        except RecheckError as error:
            return _refused(str(error).removeprefix(f"{wanted.path}: "), *sides)
        except (CensorError, DetectError) as error:
            return _refused(str(error), *sides, lasting=False)

    def _shown(self, wanted: Wanted, censor: Censor) -> Censored:
        content, name = self.read(wanted.path, self.max_bytes)
        if content_key(content) != wanted.content:
            raise CensorError(f"{wanted.path}: is another file than the one that was looked at")
        stream = io.BytesIO(content)
        stream.name = name  # what errors call it
        picture = decode(stream, max_pixels=self.max_pixels, spare=censor.reduction)
        return censor.apply_known(picture, wanted.seen.counted(censor.policy))


def _call(make: Callable[[], Thumbnail]) -> Thumbnail:
    return make()


def _hidden(wanted: Wanted) -> str | None:
    """Why a picture is hidden from edge to edge, if it is for what is known of it."""
    if wanted.hidden is not None or wanted.harmless:
        return wanted.hidden
    said = {name: scores.probability for name, scores in wanted.seen.evidence.scores.items()}
    most = max(said, key=lambda name: said[name], default=None)
    return f"hidden: {most} {said[most]:.2f}" if most is not None and said[most] >= DOUBTFUL else None


def _figure(wanted: Wanted, image: bytes) -> Figure:
    with Image.open(io.BytesIO(image)) as opened:
        refused = bytes(opened.info.get("comment", b"")).decode("utf-8", "replace")
    alt = f"{wanted.path.name}, {'hidden' if refused else 'censored'}"
    return Figure(image, alt, f"{wanted.caption}; {refused}" if refused else wanted.caption)


def _small(picture: Picture, side: int) -> Thumbnail:
    shown = on_white(picture)
    if picture.icc is not None:
        shown = settled_srgb(shown, picture.icc)
    rows, columns = _sides(shown.shape[1], shown.shape[0], side)
    return Thumbnail(shrink(shown, rows=rows, columns=columns))


def _striped(done: Censored) -> Thumbnail:
    """A small picture with stripes over what is hidden by solid color: white would pass for an empty place."""
    small = _small(done.picture, _SIDE)
    hidden = np.zeros(done.picture.pixels.shape[:2], np.bool_)
    for each in done.redactions:
        if each.effect == "solid":
            each.region.mark(hidden)
    rows, columns = small.pixels.shape[:2]
    share = shrink(np.repeat(hidden[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2), rows=rows, columns=columns)
    return Thumbnail(np.where(share > 127, _stripes(rows, columns), small.pixels))


def _refused(why: str, width: int, height: int, *, side: int = _SIDE, lasting: bool = True) -> Thumbnail:
    """Stripes in the shape of a picture, of which nothing is shown."""
    rows, columns = _sides(width, height, side)
    return Thumbnail(_stripes(rows, columns), why, lasting)


def _stripes(rows: int, columns: int) -> RGBImage:
    across = np.add.outer(np.arange(rows), np.arange(columns)) // 12 % 2
    return np.repeat(np.array(_STRIPES, np.uint8)[across][..., None], 3, axis=2)


def _sides(width: int, height: int, side: int) -> tuple[int, int]:
    """Rows and columns of what is no larger than that."""
    factor = min(1.0, side / max(width, height))
    return max(1, round(height * factor)), max(1, round(width * factor))
