"""A collection as a map, on which those pictures lie close in which a classifier sees the same."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from censor.analysis.collection import TIMES, Collection, as_csv, unreadable_section
from censor.analysis.page import Figure, Map, MapPoint, Section, render_page
from censor.analysis.thumbnails import HIDING, Thumbnails
from detect.classifier.features import FeatureExtractor
from detect.evaluation.layout import SEED, lay_out
from detect.evaluation.score_cache import ScoreCache, model_key
from detect.pictures.rgb import on_white
from detect.pictures.source import MAX_BYTES, MAX_PIXELS
from detect.pictures.still import decode
from detect.reduction import least_reduction
from detect.threads import run

__all__ = ["Places", "draw_map", "map_csv", "map_page", "places_of"]

_SIDE = 1600
"""Pixels of the drawn map."""

_THUMBNAIL = 56
"""Pixels of a thumbnail on it, at most."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where pictures lie; of those that look alike, one stands for all.

    Attributes:
        rows: Which pictures of the collection have a place: the first of each group.
        xy: float64, (len(rows), 2), in [0, 1], y downwards.
    """

    rows: tuple[int, ...]
    xy: NDArray[np.float64]


def places_of(
    collection: Collection,
    extractor: FeatureExtractor,
    *,
    key: str,
    perplexity: float = 30.0,
    cache: ScoreCache | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    threads: int = 1,
) -> Places:
    """Lay a collection out; needs the extra `analysis`.

    The features themselves are kept nowhere: something of a picture could be had back from them. What the cache keeps
    is where each picture lay in a map of these very pictures.

    Args:
        collection: The pictures.
        extractor: Says what a classifier sees in them.
        key: All that may change that; see `detect.evaluation.score_cache.model_key`.
        perplexity: See `detect.evaluation.layout.lay_out`.
        cache: Where places are looked up, and kept.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        threads: Pictures at once.

    Raises:
        DetectError: A picture cannot be read any more, or the network failed.
        EvaluationError: The cache cannot be used.
        ValueError: See `lay_out`.
    """
    rows = collection.leaders(range(len(collection.paths)))
    contents = [collection.contents[row] for row in rows]
    together = hashlib.sha256("".join(contents).encode()).hexdigest()
    layout = model_key(model=key, pictures=together, perplexity=repr(perplexity), seed=str(SEED))
    known = [] if cache is None else [cache.scores(content, layout) for content in contents]
    kept = [each for each in known if each is not None and each.keys() == {"x", "y"}]
    if len(kept) == len(rows):
        return Places(tuple(rows), np.array([[each["x"], each["y"]] for each in kept]).reshape(-1, 2))

    def features(row: int) -> NDArray[np.float32]:
        path = collection.paths[row]
        picture = decode(path, max_bytes=max_bytes, max_pixels=max_pixels, spare=partial(least_reduction, (extractor,)))
        return extractor.features([on_white(picture)])

    xy = lay_out(np.concatenate(list(run(rows, features, threads=threads))), perplexity=perplexity)
    if cache is not None:
        for content, (x, y) in zip(contents, xy.tolist(), strict=True):
            cache.put(content, layout, {"x": x, "y": y})
    return Places(tuple(rows), xy)


def map_page(collection: Collection, places: Places, by: str, thumbnails: Thumbnails) -> tuple[str, dict[int, Figure]]:
    """The map as a page that can be moved and looked at closer, and the figures on it."""
    figures = thumbnails.figures({row: collection.wanted(row, _caption(collection, row, by)) for row in places.rows})
    points = [
        MapPoint(figures[row], float(x), float(y), score=_score(collection, row, by), count=collection.count(row))
        for row, (x, y) in zip(places.rows, places.xy, strict=True)
    ]
    caption = (
        f"What looks alike to {by} lies close; how far apart groups lie means little. Frames go from blue, harmless to "
        f"{by}, to red. Choose a picture to see its name."
    )
    lead = (
        f"{len(collection.paths)} pictures, {len(points)} of them no near-duplicates of others. "
        f"{HIDING}. {TIMES}3 stands for three that look alike. Move with a finger or the arrow keys; closer with +, "
        "the wheel or two fingers; Enter chooses one after the other, from the middle on."
    )
    sections = [Section("Map", [Map(points, caption)]), *unreadable_section(collection)]
    return render_page("Map", sections, lead=lead), figures


def draw_map(places: Places, figures: Mapping[int, Figure]) -> bytes:
    """The same as a PNG file: thumbnails at their places, on white."""
    sheet = Image.new("RGB", (_SIDE, _SIDE), "white")
    for row, (x, y) in zip(places.rows, places.xy.tolist(), strict=True):
        with Image.open(io.BytesIO(figures[row].image)) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
        room = _SIDE - _THUMBNAIL
        corner = (_THUMBNAIL - small.width) // 2, (_THUMBNAIL - small.height) // 2
        sheet.paste(small, (round(x * room) + corner[0], round(y * room) + corner[1]))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def map_csv(collection: Collection, places: Places, by: str) -> bytes:
    """A line for each picture that could be read; near-duplicates lie where the first of them does."""
    at = {int(collection.groups[row]): xy for row, xy in zip(places.rows, places.xy.tolist(), strict=True)}
    rows = [
        {
            "path": str(path),
            "x": round(at[int(group)][0], 5),
            "y": round(at[int(group)][1], 5),
            "group": int(group),
            by: round(_score(collection, row, by), 6),
        }
        for row, (path, group) in enumerate(zip(collection.paths, collection.groups, strict=True))
    ]
    return as_csv(rows, ["path", "x", "y", "group", by])


def _score(collection: Collection, row: int, by: str) -> float:
    return collection.seen[row].evidence.scores[by].probability


def _caption(collection: Collection, row: int, by: str) -> str:
    alike = f", {TIMES}{collection.count(row)}" if collection.count(row) > 1 else ""
    return f"{collection.paths[row]}: {by} {_score(collection, row, by):.3f}{alike}"
