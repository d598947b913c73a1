"""Look at labelled pictures with everything that scores them: each is read once, and what is known is not asked again.

What cannot be decoded is listed with its reason and has no score: it counts as neither safe nor NSFW.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.duplicates import PictureHash, group_hashes, hash_picture, join_groups
from detect.errors import EvaluationError, ImageError, ReadError
from detect.evaluation.labeled import LabeledPicture, check_contents, given_groups
from detect.evaluation.score_cache import ScoreCache, content_key
from detect.evaluation.scored import Scored
from detect.pictures.rgb import on_white
from detect.pictures.source import MAX_BYTES, read_source
from detect.pictures.still import Picture, decode

__all__ = ["ClassifierScorer", "DetectorScorer", "ScoreTable", "Scorer", "score_pictures"]


class Scorer(Protocol):
    """Anything that says numbers of a picture, the higher the likelier NSFW."""

    @property
    def name(self) -> str:
        """What its columns begin with."""
        ...

    @property
    def key(self) -> str:
        """All that may change its scores, as `detect.evaluation.score_cache.model_key` gives it."""
        ...

    def score(self, picture: Picture) -> Mapping[str, float]:
        """Say it: finite numbers, by the same names for each picture.

        Raises:
            DetectError: The network failed or answered nonsense.
        """
        ...


@dataclass(frozen=True)
class ClassifierScorer:
    """A classifier's probability that a picture is NSFW, on white where it is transparent, and that of each class.

    Attributes:
        classifier: What is asked.
        key: See `Scorer.key`.
    """

    classifier: Classifier
    key: str

    @property
    def name(self) -> str:
        """See `Scorer.name`."""
        return self.classifier.name

    def score(self, picture: Picture) -> dict[str, float]:
        """See `Scorer.score`."""
        (scores,) = self.classifier.classify([on_white(picture)])
        return {"probability": scores.probability, **{f"class {name}": scores.value(name) for name in scores.names}}


@dataclass(frozen=True)
class DetectorScorer:
    """The score of a detector's best box of each label, 0 where there is none, on white where a picture is transparent.

    Attributes:
        detector: What is asked.
        name: See `Scorer.name`.
        key: See `Scorer.key`.
    """

    detector: Detector
    name: str
    key: str

    def score(self, picture: Picture) -> dict[str, float]:
        """See `Scorer.score`."""
        (found,) = self.detector.detect([on_white(picture)])
        best = dict.fromkeys(self.detector.names, 0.0)
        for row, score in enumerate(found.scores.tolist()):
            best[found.label(row)] = max(best[found.label(row)], score)
        return best


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """What was said of the N pictures that could be decoded.

    Attributes:
        pictures: In the order given.
        hashes: What each looks like.
        columns: Name of a scorer, a colon and what it calls the number, to (N,) numbers.
        unreadable: The other pictures, each with the reason, which names its file.
    """

    pictures: tuple[LabeledPicture, ...]
    hashes: tuple[PictureHash, ...]
    columns: Mapping[str, NDArray[np.float64]]
    unreadable: tuple[tuple[LabeledPicture, str], ...]

    def scored(self, column: str, *, max_distance: int = 6) -> Scored:
        """One column with labels, weights and groups: those that people named, joined with near-duplicates.

        Args:
            column: One of `columns`.
            max_distance: See `detect.duplicates.group_hashes`.

        Raises:
            ValueError: There is no such column.
            EvaluationError: Among the pictures that could be decoded is none of one label.
        """
        if column not in self.columns:
            raise ValueError(f"column must be one of {', '.join(self.columns)}, not {column}")
        groups = join_groups(given_groups(self.pictures), group_hashes(self.hashes, max_distance=max_distance))
        labels = [picture.nsfw for picture in self.pictures]
        weights = [picture.weight for picture in self.pictures]
        return Scored(labels, self.columns[column], weights=weights, groups=groups)


def score_pictures(
    pictures: Sequence[LabeledPicture],
    scorers: Sequence[Scorer],
    *,
    cache: ScoreCache | None = None,
    progress: Callable[[int], None] | None = None,
) -> ScoreTable:
    """Score pictures, one after another.

    Args:
        pictures: What `detect.evaluation.labeled.read_labeled` found.
        scorers: Of different names.
        cache: Where scores are looked up, and kept as soon as they are there.
        progress: Called with the number of pictures done, after each.

    Raises:
        ValueError: Two scorers have one name.
        EvaluationError: The same picture is there under two labels, the cache cannot be used, a score is not finite, or
            a scorer gives other columns for one picture than for another.
        DetectError: A scorer failed.
    """
    if len({scorer.name for scorer in scorers}) != len(scorers):
        raise ValueError(f"scorers need different names: {', '.join(scorer.name for scorer in scorers)}")
    read, unreadable = [], []
    digests: list[str] = []
    hashes: list[PictureHash] = []
    rows: list[dict[str, float]] = []
    for done, picture in enumerate(pictures, start=1):
        try:
            digest, seen, row = _score(picture.path, scorers, cache)
        except (ReadError, ImageError) as error:
            unreadable.append((picture, str(error)))
        else:
            if rows and row.keys() != rows[0].keys():
                odd = ", ".join(sorted(row.keys() ^ rows[0].keys()))
                raise EvaluationError(f"{picture.path}: was given other columns than the pictures before: {odd}")
            read.append(picture)
            digests.append(digest)
            hashes.append(seen)
            rows.append(row)
        if progress is not None:
            progress(done)
    check_contents(read, digests)
    columns = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return ScoreTable(tuple(read), tuple(hashes), columns, tuple(unreadable))


def _score(
    path: Path, scorers: Sequence[Scorer], cache: ScoreCache | None
) -> tuple[str, PictureHash, dict[str, float]]:
    """A picture's content key, what it looks like, and all its numbers; it is decoded only if something is missing."""
    content, name = read_source(path, MAX_BYTES)
    digest = content_key(content)
    seen = cache.picture_hash(digest) if cache else None
    known = [cache.scores(digest, scorer.key) if cache else None for scorer in scorers]
    row: dict[str, float] = {}
    if seen is None or None in known:
        stream = io.BytesIO(content)
        stream.name = name  # what errors call it
        picture = decode(stream)
        seen = seen or hash_picture(on_white(picture))
        if cache:
            cache.put_picture_hash(digest, seen)
        known = [scores or _ask(scorer, picture, digest, cache) for scorer, scores in zip(scorers, known, strict=True)]
    for scorer, scores in zip(scorers, known, strict=True):
        row |= {f"{scorer.name}: {column}": score for column, score in (scores or {}).items()}
    return digest, seen, row


def _ask(scorer: Scorer, picture: Picture, digest: str, cache: ScoreCache | None) -> dict[str, float]:
    scores = dict(scorer.score(picture))
    for column, score in scores.items():
        if not math.isfinite(score):
            raise EvaluationError(
                f"{picture.name}: {scorer.name} says {score} of it ({column}); expected a finite number"
            )
    if cache:
        cache.put(digest, scorer.key, scores)
    return scores
