"""Look at labelled pictures with everything that scores them: each is read once, and what is known is not asked again.

What cannot be decoded is listed with its reason and has no score: it counts as neither safe nor NSFW.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
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
from detect.threads import run

__all__ = [
    "MAX_DISTANCE",
    "Answers",
    "ClassifierScorer",
    "DetectorScorer",
    "ScoreTable",
    "Scorer",
    "ask_content",
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
        contents: The hash of each one's file, as `detect.evaluation.score_cache.content_key` gives it.
        hashes: What each looks like.
        said: For each picture, the name of each scorer to what it said.
        unreadable: The other pictures, each with the reason, which names its file.
        seconds: For each scorer, and for ``decode``, how long each picture took of which that was not known before.
    """

    pictures: tuple[LabeledPicture, ...]
    contents: tuple[str, ...]
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


def ask_content(
    content: bytes,
    name: str,
    scorers: Sequence[Scorer],
    *,
    max_pixels: int = MAX_PIXELS,
    spare: Callable[[int, int], int] | None = None,
) -> tuple[PictureHash, Mapping[str, Mapping[str, float]], Mapping[str, float]]:
    """Ask all scorers about one encoded picture: what it looks like, what they say, and how long each took.

    Raises:
        ReadError, ImageError: It cannot be decoded; errors call it by the name.
        EvaluationError: A score is not finite.
        DetectError: A scorer failed.
    """
    known = _Known.of(content, scorers, None)
    asked = _Asked(name=name, content=content)
    known = asked.asked(known, scorers, spare, max_pixels)
    return known.looks, known.said, asked.seconds


def ask_pictures(
    pictures: Sequence[LabeledPicture],
    scorers: Sequence[Scorer],
    *,
    cache: ScoreCache | None = None,
    progress: Callable[[int], None] | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    spare: Callable[[int, int], int] | None = None,
    threads: int = 1,
    alike: bool = False,
) -> Answers:
    """Ask all scorers about pictures; what one says may have other names for each picture.

    Args:
        pictures: As for `score_pictures`.
        scorers: As for `score_pictures`; with several threads each may be asked by all of them at once.
        cache: As for `score_pictures`.
        progress: As for `score_pictures`.
        max_bytes: Cap on an encoded picture; one above it cannot be decoded.
        max_pixels: Cap on width times height, for those that are not known yet.
        spare: By how much pictures may be shrunk in decoding: see `detect.pictures.still.decode`.
        threads: Pictures that are decoded and looked at at once.
        alike: Refuse a scorer that gives other names for one picture than for another.

    Raises:
        ValueError: Two scorers have one name.
        EvaluationError: The same picture is there under two labels, the cache cannot be used, a score is not finite, or
            names differ that should not.
        DetectError: A scorer failed.
    """
    if len({scorer.name for scorer in scorers}) != len(scorers):
        raise ValueError(f"scorers need different names: {', '.join(scorer.name for scorer in scorers)}")
    read: list[LabeledPicture] = []
    known: list[_Known] = []
    unreadable: list[tuple[LabeledPicture, str]] = []
    seconds: dict[str, list[float]] = {"decode": [], **{scorer.name: [] for scorer in scorers}}
    begun = (_Asked.begun(picture, scorers, cache, max_bytes) for picture in pictures)
    complete = partial(_Asked.completed, scorers=scorers, spare=spare, max_pixels=max_pixels)
    for done, (picture, answer) in enumerate(zip(pictures, run(begun, complete, threads=threads), strict=True), 1):
        answer.keep(scorers, cache)
        for stage, spent in answer.seconds.items():
            seconds[stage].append(spent)
        if answer.known is None:
            unreadable.append((picture, answer.refused))
        else:
            if alike and known:
                _check_alike(picture, answer.known, known[0])
            read.append(picture)
            known.append(answer.known)
        if progress is not None:
            progress(done)
    contents = tuple(each.digest for each in known)
    check_contents(read, contents)
    hashes, said = tuple(each.looks for each in known), tuple(each.said for each in known)
    return Answers(tuple(read), contents, hashes, said, tuple(unreadable), seconds)


def _check_alike(picture: LabeledPicture, known: _Known, first: _Known) -> None:
    if odd := _columns(known.said).keys() ^ _columns(first.said).keys():
        raise EvaluationError(
            f"{picture.path}: was given other columns than the pictures before: {', '.join(sorted(odd))}"
        )


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


@dataclass(kw_only=True, eq=False)
class _Asked:
    """A picture on its way: begun where the cache is, completed on any thread, kept where the cache is."""

    name: str = ""
    content: bytes = b""
    known: _Known | None = None
    refused: str = ""
    found: dict[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begun(
        cls, picture: LabeledPicture, scorers: Sequence[Scorer], cache: ScoreCache | None, max_bytes: int
    ) -> Self:
        try:
            content, name = read_source(picture.path, max_bytes)
        except ReadError as error:
            return cls(refused=str(error))
        return cls(name=name, content=content, known=_Known.of(content, scorers, cache))

    def completed(self, *, scorers: Sequence[Scorer], spare: Callable[[int, int], int] | None, max_pixels: int) -> Self:
        """With all that was missing. A picture that cannot be decoded is refused, a scorer that fails ends it all."""
        if self.known is None or self.known.whole:
            self.content = b""
            return self
        try:
            self.known = self.asked(self.known, scorers, spare, max_pixels)
        except (ReadError, ImageError) as error:
            self.known, self.refused = None, str(error)
        return self

    def asked(
        self, known: _Known, scorers: Sequence[Scorer], spare: Callable[[int, int], int] | None, max_pixels: int
    ) -> _Known:
        """All that is known of it, once what was missing has been asked."""
        content, self.content = self.content, b""  # results may wait for those before them
        stream = io.BytesIO(content)
        stream.name = self.name  # what errors call it
        with _timed(self.seconds, "decode"):
            picture = decode(stream, max_pixels=max_pixels, spare=spare)
        for scorer in scorers:
            if known.scores[scorer.name] is None:
                with _timed(self.seconds, scorer.name):
                    self.found[scorer.name] = _ask(scorer, picture)
        hashed = known.hash or hash_picture(on_white(picture))
        return replace(known, hash=hashed, scores={**known.scores, **self.found})

    def keep(self, scorers: Sequence[Scorer], cache: ScoreCache | None) -> None:
        """Put what was found out into the cache."""
        if cache is None or self.known is None or not self.seconds:
            return
        cache.put_picture_hash(self.known.digest, self.known.looks)
        for scorer in scorers:
            if scorer.name in self.found:
                cache.put(self.known.digest, scorer.key, self.found[scorer.name])


@contextmanager
def _timed(into: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into[stage] = time.perf_counter() - start


def _ask(scorer: Scorer, picture: Picture) -> dict[str, float]:
    scores = dict(scorer.score(picture))
    for column, score in scores.items():
        if not math.isfinite(score):
            raise EvaluationError(
                f"{picture.name}: {scorer.name} says {score} of it ({column}); expected a finite number"
            )
    return scores
