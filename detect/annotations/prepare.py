"""From pictures as they were found to a set to train a classifier on: small, readable, each once."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.annotations.classes import ClassSet
from detect.atomic import write_whole
from detect.detections import RGBImage
from detect.duplicates import PictureHash, group_hashes, hash_picture
from detect.errors import AnnotationsError, ImageError, ReadError
from detect.pictures.rgb import read_rgb
from detect.runtime.letterbox import shrink

__all__ = ["Dropped", "Prepared", "prepare_classes"]

_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A picture that was left out.

    Attributes:
        split: Of which split.
        path: Which.
        why: ``unreadable``, ``exact`` or ``near`` duplicate, or ``contradiction``: like one with another label.
        like: The picture that stays instead, or that contradicts; what is wrong with an unreadable one.
    """

    split: str
    path: Path
    why: str
    like: str


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What became of a set.

    Attributes:
        kept: Pictures of each split that were written.
        dropped: What was left out, in the order in which it stood.
    """

    kept: Mapping[str, int]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A picture that was read: where it stands, what is written of it, and what is compared."""

    split: str
    path: Path
    label: str
    group: str | None
    content: bytes
    exact: str
    hash: PictureHash


def prepare_classes(
    splits: Mapping[str, ClassSet], out: Path, *, side: int = 320, max_distance: int = 6, overwrite: bool = False
) -> Prepared:
    """Shrink pictures, drop those that are there twice, and write what is left with a table for each split.

    Of pictures that look alike, in one split or across several, one stays: that of the last split that has any, so that
    what is measured by stays whole, and of these the first. Where labels differ, one of them is wrong, and none stays.

    Args:
        splits: By name, those to learn from first.
        out: A folder; gets ``NAME.csv`` and ``NAME/CLASS/*.jpg`` of each split, and ``dropped.csv``.
        side: The longer side is at most so many pixels afterwards.
        max_distance: Perceptual hashes of pictures that look alike differ in at most so many of 64 bits.
        overwrite: Replace tables and pictures that exist.

    Raises:
        AnnotationsError: A table exists already, cannot be written, or a class has no picture left.
        ValueError: `side` is less than 1 or `max_distance` not in [0, 64].
    """
    if side < 1 or not 0 <= max_distance <= 64:
        raise ValueError(f"need side >= 1 and max_distance in [0, 64], not {side} and {max_distance}")
    for name in (*splits, "dropped"):
        if (out / f"{name}.csv").exists() and not overwrite:
            raise AnnotationsError(f"{out / name}.csv: exists already; it is not overwritten unless asked for")
    rows: list[_Row] = []
    dropped: list[Dropped] = []
    for name, data in splits.items():
        for found in _read(name, data, side):
            (dropped if isinstance(found, Dropped) else rows).append(found)  # type: ignore[arg-type]  # one of the two
    stays, doubles = _choose(rows, list(splits), max_distance)
    left = [row for row, keep in zip(rows, stays, strict=True) if keep]
    _check_left(left, splits)
    tables: dict[str, list[tuple[str, ...]]] = {name: [] for name in splits}
    for row in left:
        relative = Path(row.split) / row.label / f"{row.exact[:24]}.jpg"
        _write(out / relative, row.content, overwrite=True)
        tables[row.split].append((relative.as_posix(), row.label, row.group or "", str(row.path)))
    for name, lines in tables.items():
        _write(out / f"{name}.csv", _table(("path", "label", "group", "source"), lines), overwrite=overwrite)
    everything = (*dropped, *doubles)
    said = [(each.split, str(each.path), each.why, each.like) for each in everything]
    _write(out / "dropped.csv", _table(("split", "path", "why", "like"), said), overwrite=overwrite)
    return Prepared(kept={name: len(lines) for name, lines in tables.items()}, dropped=everything)


def _check_left(left: Sequence[_Row], splits: Mapping[str, ClassSet]) -> None:
    """Refuse a set of which a class has gone."""
    there = {(row.split, row.label) for row in left}
    for name, data in splits.items():
        for label in data.names:
            if (name, label) not in there:
                raise AnnotationsError(f"{data.source}: class {label!r} of {name} has no picture left")


def _read(split: str, data: ClassSet, side: int) -> Iterator[_Row | Dropped]:
    """Each picture of a split, small, or why it cannot be had; in order."""

    def one(position: int) -> _Row | Dropped:
        picture = data.pictures[position]
        try:
            pixels = read_rgb(picture.path)
        except (ImageError, ReadError) as error:
            return Dropped(split=split, path=picture.path, why="unreadable", like=str(error))
        exact = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        small = _shrunk(pixels, side)
        stream = io.BytesIO()
        Image.fromarray(small).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
        return _Row(
            split=split, path=picture.path, label=data.names[picture.label], group=picture.group,
            content=stream.getvalue(), exact=exact, hash=hash_picture(small),
        )  # fmt: skip

    with ThreadPoolExecutor() as pool:
        yield from pool.map(one, range(len(data)))


def _shrunk(pixels: RGBImage, side: int) -> RGBImage:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    return shrink(pixels, rows=max(1, round(height * scale)), columns=max(1, round(width * scale)))


def _choose(rows: Sequence[_Row], order: Sequence[str], max_distance: int) -> tuple[NDArray[np.bool_], list[Dropped]]:
    """Which of the pictures stay, (N,), and why the others do not."""
    stays = np.ones(len(rows), np.bool_)
    dropped: list[Dropped] = []
    groups = group_hashes([row.hash for row in rows], max_distance=max_distance) if rows else np.empty(0, np.intp)
    members: dict[int, list[int]] = {}
    for position, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(position)
    for positions in members.values():
        best = max(positions, key=lambda position: (order.index(rows[position].split), -position))
        contradicting = {rows[position].label for position in positions} != {rows[best].label}
        for position in positions:
            row, other = rows[position], rows[best]
            if contradicting:
                other = next(rows[each] for each in positions if rows[each].label != row.label)
            elif position == best:
                continue
            why = "contradiction" if contradicting else "exact" if row.exact == other.exact else "near"
            stays[position] = False
            dropped.append(Dropped(split=row.split, path=row.path, why=why, like=str(other.path)))
    return stays, dropped


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([header, *lines])
    return stream.getvalue().encode(errors="backslashreplace")


def _write(path: Path, content: bytes, *, overwrite: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, overwrite=overwrite)
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be written: {error.strerror or error}") from error
