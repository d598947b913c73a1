"""Where each network's answer about one picture comes from: maps, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from censor.analysis.explained_networks import ExplainedNetwork
from detect.detections import RGBImage
from detect.errors import DetectError, ExplanationError
from detect.explain.activation import activation
from detect.explain.drise import DRise, drise, strongest
from detect.explain.faithfulness import deletion, insertion, random_heat, rank_correlation
from detect.explain.occlusion import default_window, occlusion
from detect.explain.target import Heatmap, Score, classifier_score, detector_score

if TYPE_CHECKING:
    from detect.classifier.scores import Classifier

__all__ = ["METHODS", "QUICK", "TORCH_METHODS", "Asked", "Belief", "ExplainedMap", "belief_in_words", "maps_of"]

TORCH_METHODS = ("deconvnet", "guided")
METHODS = ("occlusion", "activation", "drise", *TORCH_METHODS, "skin1996")
QUICK = ("occlusion", "activation", "skin1996")
"""What is done unless methods are named."""

SHOWN_CELLS = 8
"""Cells along a side of what is shown of a map that follows the picture's pixels, if the picture is censored: as much
as an effect shows of what it hides."""

_LOW = 0.1
"""Score below which a map explains next to nothing."""

_PROGRESS = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run is asked for.

    Attributes:
        methods: Some of `METHODS`.
        label: What is explained; None for NSFW, and for the strongest box of a detector.
        window: Of occlusion, in pixels of the picture as it is looked at; None for two sevenths of its shorter side.
        stride: Of occlusion, in the same pixels; None for half a window.
        masks: Of D-RISE.
        seed: Of masks, and of the disorder that maps are held against.
        uncensored: Whether maps may follow the picture's pixels.
    """

    methods: tuple[str, ...] = QUICK
    label: str | None = None
    window: int | None = None
    stride: int | None = None
    masks: int = 600
    seed: int = 0
    uncensored: bool = False


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What speaks for a map.

    Attributes:
        deletion: Area below the score while the hottest pixels are hidden first.
        insertion: Area below the score while they are shown first.
        random_deletion: The same for a map that knows nothing.
        random_insertion: The same for that map.
        shuffled: Rank correlation with the map of the same network with its weights in disorder; None where there is
            no such map.
    """

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    shuffled: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedMap:
    """One map of one network.

    Attributes:
        by: The network.
        method: One of `METHODS`, or one of the two ways of occlusion.
        target: What is explained.
        score: The network's, of the picture as it is.
        heat: The map, as fine as it may be shown.
        belief: What speaks for it.
    """

    by: str
    method: str
    target: str
    score: float
    heat: Heatmap
    belief: Belief


@dataclass(eq=False)
class _Subject:
    """One network's answer about one picture, which its maps have in common."""

    network: ExplainedNetwork
    image: RGBImage
    score: Score
    target: str
    asked: Asked
    shuffled: Classifier | None
    random_areas: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.image.shape[:2]
        block = max(1, default_window(height, width)[0] // 2)
        blind = random_heat(height, width, block=block, seed=self.asked.seed)
        self.random_areas = self.areas(blind)

    def areas(self, heat: Heatmap) -> tuple[float, float]:
        return deletion(self.image, heat, self.score).area, insertion(self.image, heat, self.score).area

    @cached_property
    def whole(self) -> float:
        return float(self.score([self.image])[0])

    def explained(
        self, method: str, heat: Heatmap, alike: float | None, *, shown: Heatmap | None = None
    ) -> ExplainedMap:
        hidden, inserted = self.areas(heat)
        belief = Belief(
            deletion=hidden, insertion=inserted, random_deletion=self.random_areas[0],
            random_insertion=self.random_areas[1], shuffled=alike,
        )  # fmt: skip
        return ExplainedMap(
            by=self.network.name, method=method, target=self.target, score=self.whole,
            heat=heat if shown is None else shown, belief=belief,
        )  # fmt: skip


def maps_of(
    image: RGBImage, network: ExplainedNetwork, asked: Asked, shuffled: Classifier | None, tick: _PROGRESS
) -> Iterator[ExplainedMap]:
    """Each map of a network, as it comes.

    Args:
        image: uint8 (H, W, 3).
        network: Whose answer.
        asked: Which maps.
        shuffled: The same network with its weights in disorder, if there is one.
        tick: Called now and then, while a map is made.

    Raises:
        ExplanationError: What is asked cannot be had of this network or picture.
        DetectError: The network failed.
    """
    _check_window(image, asked)
    subject = _subject(image, network, asked, shuffled)
    if subject is None:
        return
    for method in asked.methods:
        if method == "occlusion":
            yield from _occlusion(subject, tick)
        elif method == "activation" and network.classifier is not None and network.content is not None:
            yield _activation(subject, network.classifier)
        elif method == "drise" and network.detector is not None:
            yield _drise(subject, tick)
        elif method in TORCH_METHODS and network.classifier is not None and network.content is not None:
            yield _sent_back(subject, network.content, method)
        tick()


def belief_in_words(each: ExplainedMap) -> str:
    """Whether a map can be believed, for people."""
    belief, said = each.belief, []
    if each.score < _LOW:
        said.append("The score is next to nothing, so this shows where little of it comes from.")
    better = belief.deletion < belief.random_deletion, belief.insertion > belief.random_insertion
    said.append(
        {
            (True, True): "Hiding what is hot lowers the score sooner than hiding anything does, and showing it raises "
            "it sooner: the map points at what the network goes by.",
            (True, False): "Hiding what is hot lowers the score sooner than hiding anything does, but showing it alone "
            "does not raise it sooner.",
            (False, True): "Showing what is hot raises the score sooner than showing anything does, but hiding it does "
            "not lower it sooner.",
            (False, False): "Neither hiding nor showing what is hot moves the score sooner than doing so anywhere: do "
            "not believe this map.",
        }[better]
    )
    if belief.shuffled is None:
        said.append("Whether it depends on what the network has learnt was not tried.")
    elif abs(belief.shuffled) < 0.3:
        said.append("With the weights in disorder the map is another: it depends on what the network has learnt.")
    elif abs(belief.shuffled) < 0.6:
        said.append("With the weights in disorder the map is partly the same: some of it shows the picture alone.")
    else:
        said.append(
            "With the weights in disorder the map is nearly the same: it shows the picture, not what the network has "
            "learnt. Do not believe it."
        )
    return " ".join(said)


def _check_window(image: RGBImage, asked: Asked) -> None:
    least = max(image.shape[:2]) / SHOWN_CELLS
    if asked.window is not None and asked.window < least and not asked.uncensored:
        raise ExplanationError(
            f"windows of {asked.window} pixels show more of the picture than its censored copy does; "
            f"at least {int(np.ceil(least))}, or uncensored"
        )


def _subject(image: RGBImage, network: ExplainedNetwork, asked: Asked, shuffled: Classifier | None) -> _Subject | None:
    """What is explained; None where a detector finds nothing that it could be."""
    if network.classifier is not None:
        score, target = classifier_score(network.classifier, asked.label), asked.label or "NSFW"
    else:
        assert network.detector is not None  # noqa: S101  # one of the two is there
        label = asked.label
        if label is None:
            box = strongest(network.detector.detect([image])[0])
            if not len(box):
                return None
            label = box.label(0)
        score, target = detector_score(network.detector, label), label
    return _Subject(network, image, score, target, asked, shuffled)


def _occlusion(subject: _Subject, tick: _PROGRESS) -> Iterator[ExplainedMap]:
    asked, image = subject.asked, subject.image
    window = asked.window or default_window(*image.shape[:2])[0]
    stride = asked.stride or max(1, window // 2)
    coarse = last = None
    for last in occlusion(image, subject.score, window=window, stride=stride):
        coarse = coarse or last
        tick()
    assert coarse is not None and last is not None  # noqa: S101, PT018  # there is at least one map
    alike: Sequence[float | None] = (None, None)
    if subject.shuffled is not None:
        with suppress(DetectError):  # in such disorder it may answer no numbers
            score = classifier_score(subject.shuffled, asked.label)
            other = next(occlusion(image, score, window=window, stride=coarse.stride))
            alike = (rank_correlation(coarse.hidden, other.hidden), rank_correlation(coarse.shown, other.shown))
    yield subject.explained("occlusion: a window hidden", last.hidden, alike[0])
    yield subject.explained("occlusion: a window shown", last.shown, alike[1])


def _activation(subject: _Subject, classifier: Classifier) -> ExplainedMap:
    if subject.asked.label is not None:
        raise ExplanationError(f"{subject.network.name}: its activation map is of NSFW, not of {subject.asked.label!r}")
    heat = activation(classifier, subject.image)
    alike = None
    if subject.shuffled is not None:
        with suppress(DetectError):  # in such disorder it may answer no numbers
            alike = rank_correlation(heat, activation(subject.shuffled, subject.image))
    return subject.explained("activation", heat, alike)


def _drise(subject: _Subject, tick: _PROGRESS) -> ExplainedMap:
    detector, asked = subject.network.detector, subject.asked
    assert detector is not None  # noqa: S101  # the caller has looked
    box = strongest(detector.detect([subject.image])[0], subject.target)
    if not len(box):
        raise ExplanationError(f"{subject.network.name}: finds no {subject.target} here that D-RISE could explain")
    last: DRise | None = None
    for last in drise(subject.image, detector, box, masks=asked.masks, seed=asked.seed):  # noqa: B007
        tick()
    assert last is not None  # noqa: S101  # there is at least one map
    return subject.explained("drise", last.heat, None)


def _sent_back(subject: _Subject, content: bytes, method: str) -> ExplainedMap:
    """Deconvnet or guided backpropagation. What is shown of it follows the picture's edges, so that it is coarse."""
    try:
        from detect.explain.torch_backward import Rule, backward
        from detect.explain.torch_graph import load_graph
    except ModuleNotFoundError as error:
        raise ExplanationError(f"{method} needs {error.name}: pip install 'nsfw-censor[train]'") from error
    from detect.explain.shuffled import shuffled_weights

    asked, name = subject.asked, subject.network.name
    graphs = [load_graph(given, source=name) for given in (content, shuffled_weights(content, source=name))]
    heat, other = (backward(graph, subject.image, rule=Rule(method), name=asked.label).smoothed(4) for graph in graphs)
    cells = backward(graphs[0], subject.image, rule=Rule(method), name=asked.label)
    shown = heat if asked.uncensored else cells.cells(SHOWN_CELLS)
    return subject.explained(method, heat, rank_correlation(heat, other), shown=shown)
