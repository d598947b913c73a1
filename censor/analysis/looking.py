"""What the networks find in labelled pictures, kept as numbers, so that any policy can judge it later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from censor.calibration import calibrated_evidence
from censor.evidence import Evidence
from censor.finding import Networks, find
from censor.policy import Policy
from censor.verdict import Verdict, judge
from detect.classifier.scores import Classifier, Scores
from detect.detections import Detections, Detector, RGBImage
from detect.errors import EvaluationError
from detect.evaluation.labeled import LabeledPicture
from detect.evaluation.score_cache import ScoreCache, model_key
from detect.evaluation.scoring import Answers, Scorer, ask_pictures
from detect.explain.skin1996 import Skin1996
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Picture
from detect.reduction import MARGIN

__all__ = ["DETECTOR", "Look", "Seen", "counted_by", "look_at", "look_of", "scorers_of"]

DETECTOR = "the detector"
"""What the detector is called beside the classifiers; no classifier's name has a space."""

_FORM = "2"
"""Of the numbers that are kept: what is kept in another is not understood, and asked anew."""

_SIDES = tuple(2**power for power in range(5, 15))
"""Of pictures that tell how far networks would have them reduced, which may change what they say."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What was found in one picture.

    Attributes:
        evidence: All there is to judge, as networks say it: no policy has calibrated it.
        width: The picture's columns.
        height: Its rows.
    """

    evidence: Evidence
    width: int
    height: int

    def counted(self, policy: Policy) -> Evidence:
        """What of it may count under a policy: `Skin1996` is asked for comparison, unless the policy names it."""
        names = counted_by(policy, self.evidence.scores)
        return replace(self.evidence, scores={name: self.evidence.scores[name] for name in names})

    def judged(self, policy: Policy) -> Verdict:
        """What it is under a policy.

        Raises:
            PolicyError: The policy judges nothing that was looked for.
        """
        evidence = calibrated_evidence(self.counted(policy), policy.calibrations)
        return judge(evidence, policy, width=self.width, height=self.height)


def counted_by(policy: Policy, names: Iterable[str]) -> list[str]:
    """Those of some classifiers that are asked for more than comparison."""
    return [name for name in names if name != Skin1996.name or name in policy.picture.classifiers]


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What was found in N pictures.

    Attributes:
        answers: Which pictures they are, which could not be read, and how long it took.
        seen: What was found in each.
    """

    answers: Answers
    seen: tuple[Seen, ...]


def look_at(
    pictures: Sequence[LabeledPicture],
    networks: Networks,
    facts: Mapping[str, Mapping[str, str]],
    *,
    cache: ScoreCache | None = None,
    progress: Callable[[int], None] | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    threads: int = 1,
) -> Look:
    """Look at pictures as `Censor.check` does, and keep what is found rather than a verdict.

    Args:
        pictures: What people have labelled.
        networks: Who looks.
        facts: For `DETECTOR` and each classifier's name, all that may change what it says: the hash of its file,
            engine, precision. Without them nothing is looked up in the cache that another model has put there.
        cache: Where answers are looked up, and kept as soon as they are there.
        progress: Called with the number of pictures done, after each.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
        threads: Pictures at once.

    Raises:
        ValueError: Facts about a network are missing.
        EvaluationError: None of the pictures can be read; or see `detect.evaluation.scoring.ask_pictures`.
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    answers = ask_pictures(
        pictures, scorers_of(networks, facts), cache=cache, progress=progress, max_bytes=max_bytes,
        max_pixels=max_pixels, spare=networks.reduction, threads=threads,
    )  # fmt: skip
    return look_of(answers, networks)


def scorers_of(networks: Networks, facts: Mapping[str, Mapping[str, str]]) -> list[Scorer]:
    """What says of a picture, as numbers, all that these networks find in it.

    Args:
        networks: Who looks.
        facts: As for `look_at`.

    Raises:
        ValueError: Facts about a network are missing.
    """
    detail = ",".join(str(networks.reduction(height, width)) for height in _SIDES for width in _SIDES)
    keys = {name: model_key(form=_FORM, detail=detail, **said) for name, said in facts.items()}
    if missing := [name for name in (DETECTOR, *networks.says) if name not in keys]:
        raise ValueError(f"facts about {', '.join(missing)} are missing")
    scorers: list[Scorer] = [_Boxes(networks, keys[DETECTOR])]
    return [*scorers, *(_Probabilities(networks, each, keys[each.name]) for each in networks.classifiers)]


def look_of(answers: Answers, networks: Networks) -> Look:
    """What was found, from what `scorers_of` these networks said.

    Raises:
        EvaluationError: None of the pictures can be read.
    """
    if not answers.pictures:
        count, (_, first) = len(answers.unreadable), answers.unreadable[0]
        raise EvaluationError(f"none of {count} pictures can be read; the first: {first}")
    return Look(answers=answers, seen=tuple(_seen(said, networks) for said in answers.said))


@dataclass(frozen=True, eq=False)
class _Alike:
    """A detector that is shown pictures as all networks together would have them."""

    networks: Networks
    detector: Detector

    @property
    def names(self) -> tuple[str, ...]:
        return self.detector.names

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        return self.detector.detect(images)

    def spare_factor(self, height: int, width: int) -> float:
        return MARGIN * self.networks.reduction(height, width)


@dataclass(frozen=True)
class _Nothing:
    """A detector that finds nothing, where a classifier is asked alone."""

    names: tuple[str, ...] = ()

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [Detections.empty(()) for _ in images]


@dataclass(frozen=True, eq=False)
class _Boxes:
    """All boxes of a detector, and the picture's size."""

    networks: Networks
    key: str
    name: str = DETECTOR

    def score(self, picture: Picture) -> dict[str, float]:
        found = find(
            picture, Networks(detector=_Alike(self.networks, self.networks.detector or _Nothing()))
        ).everything.boxes
        numbers = {"width": float(picture.width), "height": float(picture.height)}
        for row in range(len(found)):
            numbers |= {f"{row} label": float(found.labels[row]), f"{row} score": float(found.scores[row])}
            numbers |= {f"{row} {edge}": float(at) for edge, at in zip(_EDGES, found.xyxy[row], strict=True)}
        return numbers


_EDGES = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True, eq=False)
class _Probabilities:
    """All that a classifier says; what counts as NSFW is marked."""

    networks: Networks
    classifier: Classifier
    key: str

    @property
    def name(self) -> str:
        return self.classifier.name

    def score(self, picture: Picture) -> dict[str, float]:
        alone = Networks(detector=_Alike(self.networks, _Nothing()), classifiers=(self.classifier,))
        said = find(picture, alone).everything.scores[self.name]
        return {f"{'nsfw' if name in said.nsfw else 'other'} {name}": said.value(name) for name in said.names}


def _seen(said: Mapping[str, Mapping[str, float]], networks: Networks) -> Seen:
    """What `_Boxes` and `_Probabilities` made numbers of."""
    numbers = said[DETECTOR]
    count = sum(name.endswith(" score") for name in numbers)
    boxes = Detections(
        np.array([[numbers[f"{row} {edge}"] for edge in _EDGES] for row in range(count)], np.float32).reshape(-1, 4),
        np.array([numbers[f"{row} score"] for row in range(count)], np.float32),
        np.array([int(numbers[f"{row} label"]) for row in range(count)], np.int64),
        networks.names,
    )
    scores = {each.name: _scores(said[each.name]) for each in networks.classifiers}
    evidence = Evidence(boxes=boxes, scores=scores, detectors=networks.detectors)
    return Seen(evidence=evidence, width=int(numbers["width"]), height=int(numbers["height"]))


def _scores(numbers: Mapping[str, float]) -> Scores:
    kinds, names = zip(*(name.split(" ", 1) for name in numbers), strict=True)
    nsfw = tuple(name for kind, name in zip(kinds, names, strict=True) if kind == "nsfw")
    return Scores(np.array(list(numbers.values()), np.float32), tuple(names), nsfw)
