"""Look at labelled pictures with everything that scores them: each is read once, and what is known is not asked again.

What cannot be decoded is listed with its reason and has no score: it counts as neither safe nor NSFW.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, Self

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
from detect.pictures.source import MAX_BYTES, MAX_PIXELS, read_source
from detect.pictures.still import Picture, decode

__all__ = [
    "MAX_DISTANCE",
    "Answers",
    "ClassifierScorer",
    "DetectorScorer",
    "ScoreTable",
    "Scorer",
    "ask_pictures",
    "score_pictures",
]

MAX_DISTANCE = 6
"""Hashes of near-duplicates differ in at most so many of 64 bits: see `detect.duplicates.group_hashes`."""


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

    def scored(self, column: str, *, max_distance: int = MAX_DISTANCE) -> Scored:
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
    answers = ask_pictures(pictures, scorers, cache=cache, progress=progress, alike=True)
    rows = [_columns(said) for said in answers.said]
    columns = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return ScoreTable(answers.pictures, answers.hashes, columns, answers.unreadable)


@dataclass(frozen=True, eq=False)
class Answers:
    """What scorers said of the N pictures that could be decoded, as they said it.

    Attributes:
        pictures: In the order given.
        hashes: What each looks like.
        said: For each picture, the name of each scorer to what it said.
        unreadable: The other pictures, each with the reason, which names its file.
        seconds: For each scorer, and for ``decode``, how long each picture took of which that was not known before.
    """

    pictures: tuple[LabeledPicture, ...]
    hashes: tuple[PictureHash, ...]
    said: tuple[Mapping[str, Mapping[str, float]], ...]
    unreadable: tuple[tuple[LabeledPicture, str], ...]
    seconds: Mapping[str, Sequence[float]]

    def groups(self, *, max_distance: int = MAX_DISTANCE) -> NDArray[np.intp]:
        """The group of each picture, (N,): those that people named, joined with near-duplicates.

        Args:
            max_distance: See `detect.duplicates.group_hashes`.
        """
        return join_groups(given_groups(self.pictures), group_hashes(self.hashes, max_distance=max_distance))


def ask_pictures(
    pictures: Sequence[LabeledPicture],
    scorers: Sequence[Scorer],
    *,
    cache: ScoreCache | None = None,
    progress: Callable[[int], None] | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    alike: bool = False,
) -> Answers:
    """Ask all scorers about pictures, one after another; what one says may have other names for each picture.

    Args:
        pictures: As for `score_pictures`.
        scorers: As for `score_pictures`.
        cache: As for `score_pictures`.
        progress: As for `score_pictures`.
        max_bytes: Cap on an encoded picture; one above it cannot be decoded.
        max_pixels: Cap on width times height, for those that are not known yet.
        alike: Refuse a scorer that gives other names for one picture than for another.

    Raises:
        ValueError: Two scorers have one name.
        EvaluationError: The same picture is there under two labels, the cache cannot be used, a score is not finite, or
            names differ that should not.
        DetectError: A scorer failed.
    """
    if len({scorer.name for scorer in scorers}) != len(scorers):
        raise ValueError(f"scorers need different names: {', '.join(scorer.name for scorer in scorers)}")
    read, unreadable = [], []
    digests: list[str] = []
    hashes: list[PictureHash] = []
    said: list[Mapping[str, Mapping[str, float]]] = []
    seconds: dict[str, list[float]] = {"decode": [], **{scorer.name: [] for scorer in scorers}}
    for done, picture in enumerate(pictures, start=1):
        try:
            content, name = read_source(picture.path, max_bytes)
            known = _Known.of(content, scorers, cache)
            if not known.whole:
                stream = io.BytesIO(content)
                stream.name = name  # what errors call it
                with _timed(seconds["decode"]):
                    decoded = decode(stream, max_pixels=max_pixels)
                known = known.completed(decoded, scorers, cache, seconds)
        except (ReadError, ImageError) as error:
            unreadable.append((picture, str(error)))
        else:
            if alike and said and (odd := _columns(known.said).keys() ^ _columns(said[0]).keys()):
                raise EvaluationError(
                    f"{picture.path}: was given other columns than the pictures before: {', '.join(sorted(odd))}"
                )
            read.append(picture)
            digests.append(known.digest)
            hashes.append(known.looks)
            said.append(known.said)
        if progress is not None:
            progress(done)
    check_contents(read, digests)
    return Answers(tuple(read), tuple(hashes), tuple(said), tuple(unreadable), seconds)


def _columns(said: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{name}: {column}": score for name, scores in said.items() for column, score in scores.items()}


@dataclass(frozen=True)
class _Known:
    """What is known of a picture; None for what is not."""

    digest: str
    hash: PictureHash | None
    scores: Mapping[str, Mapping[str, float] | None]

    @classmethod
    def of(cls, content: bytes, scorers: Sequence[Scorer], cache: ScoreCache | None) -> Self:
        digest = content_key(content)
        scores = {scorer.name: cache.scores(digest, scorer.key) if cache else None for scorer in scorers}
        return cls(digest, cache.picture_hash(digest) if cache else None, scores)

    @property
    def whole(self) -> bool:
        return self.hash is not None and None not in self.scores.values()

    @property
    def looks(self) -> PictureHash:
        if self.hash is None:
            raise ValueError("nobody has looked at this picture")
        return self.hash

    @property
    def said(self) -> dict[str, Mapping[str, float]]:
        return {name: scores for name, scores in self.scores.items() if scores is not None}

    def completed(
        self, picture: Picture, scorers: Sequence[Scorer], cache: ScoreCache | None, seconds: Mapping[str, list[float]]
    ) -> Self:
        """With all that was missing; what is found out is kept at once."""
        found = self.hash or hash_picture(on_white(picture))
        if cache:
            cache.put_picture_hash(self.digest, found)
        scores = dict(self.scores)
        for scorer in scorers:
            if scores[scorer.name] is None:
                with _timed(seconds[scorer.name]):
                    scores[scorer.name] = _ask(scorer, picture, self.digest, cache)
        return replace(self, hash=found, scores=scores)


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into.append(time.perf_counter() - start)


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
