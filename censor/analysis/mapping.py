"""A collection as a map, on which those pictures lie close in which a classifier sees the same."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from censor.analysis.collection import TIMES, Collection, Thumbnails, as_csv, unreadable_section
from censor.analysis.page import Figure, Map, MapPoint, Section, render_page
from detect.classifier.features import FeatureExtractor
from detect.detections import RGBImage
from detect.evaluation.layout import SEED, lay_out
from detect.evaluation.score_cache import ScoreCache, content_key, model_key
from detect.pictures.rgb import on_white
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, read_source
from detect.pictures.still import decode
from detect.reduction import least_reduction
from detect.runtime.sessions import cores

__all__ = ["Places", "draw_map", "map_csv", "map_page", "places_of"]

_AT_ONCE = 8
"""Pictures in one run of the network."""

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

    Raises:
        DetectError: A picture cannot be read any more, or the network failed.
        EvaluationError: The cache cannot be used.
        ValueError: See `lay_out`.
    """
    rows = collection.leaders(range(len(collection.paths)))
    paths = [collection.paths[row] for row in rows]
    if cache is None:
        return Places(tuple(rows), lay_out(_features(paths, extractor, max_bytes, max_pixels), perplexity=perplexity))
    contents = [content_key(read_source(path, max_bytes)[0]) for path in paths]
    together = hashlib.sha256("".join(contents).encode()).hexdigest()
    layout = model_key(model=key, pictures=together, perplexity=repr(perplexity), seed=str(SEED))
    known = [cache.scores(content, layout) for content in contents]
    kept = [each for each in known if each is not None and each.keys() == {"x", "y"}]
    if len(kept) == len(known):
        return Places(tuple(rows), np.array([[each["x"], each["y"]] for each in kept]).reshape(-1, 2))
    xy = lay_out(_features(paths, extractor, max_bytes, max_pixels), perplexity=perplexity)
    for content, (x, y) in zip(contents, xy.tolist(), strict=True):
        cache.put(content, layout, {"x": x, "y": y})
    return Places(tuple(rows), xy)


def _features(
    paths: Sequence[Path], extractor: FeatureExtractor, max_bytes: int, max_pixels: int
) -> NDArray[np.float32]:
    def pixels(path: Path) -> RGBImage:
        spare = lambda height, width: least_reduction((extractor,), height, width)  # noqa: E731
        return on_white(decode(path, max_bytes=max_bytes, max_pixels=max_pixels, spare=spare))

    parts = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate([extractor.features(list(pool.map(pixels, part))) for part in parts])


def map_page(collection: Collection, places: Places, by: str, thumbnails: Thumbnails) -> tuple[str, dict[int, Figure]]:
    """The map as a page that can be moved and looked at closer, and the figures on it."""
    figures = thumbnails.figures(collection, {row: _caption(collection, row, by) for row in places.rows})
    points = [
        MapPoint(figures[row], float(x), float(y), score=_score(collection, row, by), count=collection.count(row))
        for row, (x, y) in zip(places.rows, places.xy, strict=True)
    ]
    caption = (
        f"What looks alike to {by} lies close; how far apart groups lie means little. Frames go from blue, harmless to "
        f"{by}, to red. Choose a picture to see its name."
    )
    lead = (
        f"{len(collection.paths)} pictures, {len(points)} of them no near-duplicates of others. Thumbnails are "
        f"censored; {TIMES}3 stands for three that look alike. Move with a finger or the arrow keys; closer with +, "
        "the wheel or two fingers."
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
