"""Where each network's answer about one picture comes from: maps, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from censor.analysis.explained_networks import ExplainedNetwork
from detect.detections import Detections, RGBImage
from detect.errors import DetectError, ExplanationError
from detect.explain.activation import activation
from detect.explain.drise import DRise, drise, strongest
from detect.explain.faithfulness import Curve, deletion, insertion, random_heat, rank_correlation
from detect.explain.occlusion import default_window, occlusion
from detect.explain.target import Heatmap, Score, classifier_score, detector_score

if TYPE_CHECKING:
    from detect.explain.torch_backward import Backward

__all__ = [
    "METHODS",
    "QUICK",
    "SHOWN_CELLS",
    "TORCH_METHODS",
    "Asked",
    "Curves",
    "ExplainedMap",
    "check_methods",
    "maps_of",
]

TORCH_METHODS = ("deconvnet", "guided")
METHODS = ("occlusion", "activation", "drise", *TORCH_METHODS, "skin1996")
QUICK = ("occlusion", "activation", "skin1996")
"""What is done unless methods are named."""

SHOWN_CELLS = 8
"""Cells along a side of what is shown of a map that follows the picture's pixels, if the picture is censored: as much
as an effect shows of what it hides."""

_HIDDEN, _SHOWN = "occlusion: a window hidden", "occlusion: a window shown"

_FIRST_MASKS = 4
"""Of D-RISE's masks one in so many makes the first map, and the one that disorder is held against."""

_Progress = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """What speaks for a map.

    Attributes:
        deletion: The score while the hottest pixels are hidden first.
        insertion: The score while they are shown first.
        random_deletion: As `deletion`, for a map that knows nothing.
        random_insertion: As `insertion`, for that map.
    """

    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedMap:
    """One map of one network.

    Attributes:
        by: The network.
        method: One of `METHODS`, or one of the two ways of occlusion.
        target: What is explained.
        score: The network's, of the picture as it is.
        heat: The map, as fine as it may be shown.
        curves: What speaks for it; None of a first pass, which a finer map will follow.
        shuffled: Rank correlation with the map of the same network with its weights in disorder; None where there is
            no such map.
    """

    by: str
    method: str
    target: str
    score: float
    heat: Heatmap
    curves: Curves | None = None
    shuffled: float | None = None


@dataclass(eq=False)
class _Subject:
    """One network's answer about one picture, which its maps have in common."""

    network: ExplainedNetwork
    image: RGBImage
    score: Score
    target: str
    asked: Asked
    shuffled: ExplainedNetwork | None

    @cached_property
    def whole(self) -> float:
        return float(self.score([self.image])[0])

    @cached_property
    def random(self) -> tuple[Curve, Curve]:
        height, width = self.image.shape[:2]
        block = max(1, default_window(height, width)[0] // 2)
        return self.curves(random_heat(height, width, block=block, seed=self.asked.seed))

    def curves(self, heat: Heatmap) -> tuple[Curve, Curve]:
        return deletion(self.image, heat, self.score), insertion(self.image, heat, self.score)

    def first(self, method: str, heat: Heatmap) -> ExplainedMap:
        return ExplainedMap(by=self.network.name, method=method, target=self.target, score=self.whole, heat=heat)

    def explained(
        self, method: str, heat: Heatmap, alike: float | None, *, shown: Heatmap | None = None
    ) -> ExplainedMap:
        (hidden, inserted), (random_hidden, random_inserted) = self.curves(heat), self.random
        curves = Curves(
            deletion=hidden, insertion=inserted, random_deletion=random_hidden, random_insertion=random_inserted
        )
        return ExplainedMap(
            by=self.network.name, method=method, target=self.target, score=self.whole,
            heat=heat if shown is None else shown, curves=curves, shuffled=alike,
        )  # fmt: skip


def check_methods(networks: Sequence[ExplainedNetwork], asked: Asked) -> None:
    """Refuse what would leave a network without a map.

    Raises:
        ExplanationError: None of the methods is for one of the networks.
    """
    wanted = [method for method in asked.methods if method != "skin1996"]
    for network in networks:
        if wanted and not any(_applies(method, network) for method in wanted):
            fits = [method for method in METHODS if method != "skin1996" and _applies(method, network)]
            raise ExplanationError(f"{network.name}: has no map of {', '.join(wanted)}, only of {', '.join(fits)}")


def _applies(method: str, network: ExplainedNetwork) -> bool:
    if method in TORCH_METHODS:
        return network.has_layers
    if method == "activation":
        return network.classifier is not None and network.content is not None
    return method == "occlusion" or (method == "drise" and network.detector is not None)


def maps_of(
    image: RGBImage, network: ExplainedNetwork, asked: Asked, shuffled: ExplainedNetwork | None, tick: _Progress
) -> Iterator[ExplainedMap]:
    """Each map of a network, as it comes; what takes long as a first pass before that, which has no curves.

    Args:
        image: uint8 (H, W, 3).
        network: Whose answer.
        asked: Which maps.
        shuffled: The same network with its weights in disorder, if there is one.
        tick: Called with the share of all of it that is done.

    Raises:
        ExplanationError: What is asked cannot be had of this network or picture.
        DetectError: The network failed.
    """
    _check_window(image, asked)
    subject = _subject(image, network, asked, shuffled)
    if subject is None:
        return
    methods = [method for method in asked.methods if _applies(method, network)]
    for number, method in enumerate(methods):

        def within(share: float, before: int = number) -> None:
            tick((before + share) / len(methods))

        if method == "occlusion":
            yield from _occlusion(subject, within)
        elif method == "activation":
            yield from _activation(subject)
        elif method == "drise":
            yield from _drise(subject, within)
        else:
            yield _sent_back(subject, method)
        within(1)


def _check_window(image: RGBImage, asked: Asked) -> None:
    least = max(image.shape[:2]) / SHOWN_CELLS
    if asked.window is not None and asked.window < least and not asked.uncensored:
        raise ExplanationError(
            f"windows of {asked.window} pixels show more of the picture than its censored copy does; "
            f"at least {int(np.ceil(least))}, or uncensored"
        )


def _subject(
    image: RGBImage, network: ExplainedNetwork, asked: Asked, shuffled: ExplainedNetwork | None
) -> _Subject | None:
    """What is explained; None where a detector finds nothing that it could be."""
    target = asked.label or "NSFW"
    if network.detector is not None and asked.label is None:
        box = strongest(network.detector.detect([image])[0])
        if not len(box):
            return None
        target = box.label(0)
    return _Subject(network, image, _score(network, asked.label, target), target, asked, shuffled)


def _score(network: ExplainedNetwork, label: str | None, target: str) -> Score:
    """A classifier's for a label, if one is asked for; a detector's for what it found."""
    if network.classifier is not None:
        return classifier_score(network.classifier, label)
    assert network.detector is not None  # noqa: S101  # one of the two is there
    return detector_score(network.detector, target)


def _occlusion(subject: _Subject, tick: _Progress) -> Iterator[ExplainedMap]:
    asked, image = subject.asked, subject.image
    window = asked.window or default_window(*image.shape[:2])[0]
    stride = asked.stride or max(1, window // 2)
    coarse = last = None
    for last in occlusion(image, subject.score, window=window, stride=stride):
        tick(last.looks / last.total)
        if coarse is None:
            coarse = last
            yield subject.first(_HIDDEN, last.hidden)
            yield subject.first(_SHOWN, last.shown)
    assert coarse is not None and last is not None  # noqa: S101, PT018  # there is at least one map
    alike: Sequence[float | None] = (None, None)
    if subject.shuffled is not None:
        with suppress(DetectError):  # in such disorder it may answer no numbers
            score = _score(subject.shuffled, asked.label, subject.target)
            other = next(occlusion(image, score, window=window, stride=coarse.stride))
            alike = (rank_correlation(coarse.hidden, other.hidden), rank_correlation(coarse.shown, other.shown))
    yield subject.explained(_HIDDEN, last.hidden, alike[0])
    yield subject.explained(_SHOWN, last.shown, alike[1])


def _activation(subject: _Subject) -> Iterator[ExplainedMap]:
    """The map, if there is one: who names no method takes what there is."""
    classifier, asked, name = subject.network.classifier, subject.asked, subject.network.name
    assert classifier is not None  # noqa: S101  # the caller has looked
    if asked.label is not None:
        if asked.methods == QUICK:
            return
        raise ExplanationError(f"{name}: its activation map is of NSFW, not of {asked.label!r}")
    try:
        heat = activation(classifier, subject.image)
    except ExplanationError:
        if asked.methods == QUICK:
            return
        raise
    alike = None
    if subject.shuffled is not None and subject.shuffled.classifier is not None:
        with suppress(DetectError):  # in such disorder it may answer no numbers
            alike = rank_correlation(heat, activation(subject.shuffled.classifier, subject.image))
    yield subject.explained("activation", heat, alike)


def _drise(subject: _Subject, tick: _Progress) -> Iterator[ExplainedMap]:
    detector, asked, box = subject.network.detector, subject.asked, _box(subject)
    assert detector is not None  # noqa: S101  # the caller has looked
    first = last = None
    for last in drise(subject.image, detector, box, masks=asked.masks, seed=asked.seed):
        tick(last.looks / last.total)
        if first is None and last.looks >= last.total / _FIRST_MASKS:
            first = last
            yield subject.first("drise", last.heat)
    assert first is not None and last is not None  # noqa: S101, PT018  # there is at least one map
    yield subject.explained("drise", last.heat, _alike_in_disorder(subject, first, box))


def _alike_in_disorder(subject: _Subject, first: DRise, box: Detections) -> float | None:
    """The same masks, as many as made the first map, shown to a network with its weights in disorder."""
    if subject.shuffled is None or subject.shuffled.detector is None:
        return None
    with suppress(DetectError):  # in such disorder it may answer no numbers
        *_, other = drise(
            subject.image, subject.shuffled.detector, box, masks=first.looks, seed=subject.asked.seed
        )  # fmt: skip
        return rank_correlation(first.heat, other.heat)
    return None


def _box(subject: _Subject) -> Detections:
    """The strongest box of what is explained.

    Raises:
        ExplanationError: There is none.
    """
    assert subject.network.detector is not None  # noqa: S101  # the callers have looked
    box = strongest(subject.network.detector.detect([subject.image])[0], subject.target)
    if not len(box):
        raise ExplanationError(f"{subject.network.name}: finds no {subject.target} here that could be explained")
    return box


def _sent_back(subject: _Subject, method: str) -> ExplainedMap:
    """Deconvnet or guided backpropagation. What is shown of it follows the picture's edges, so that it is coarse."""
    send = _sender(subject, method)
    back = send(subject.network)
    heat, alike = back.smoothed(4), None
    if subject.shuffled is not None:
        alike = rank_correlation(heat, send(subject.shuffled).smoothed(4))
    shown = heat if subject.asked.uncensored else back.cells(SHOWN_CELLS)
    return subject.explained(method, heat, alike, shown=shown)


def _sender(subject: _Subject, method: str) -> Callable[[ExplainedNetwork], Backward]:
    """What sends signals back through one network and another alike.

    Raises:
        ExplanationError: See `ExplainedNetwork.layered`.
    """
    layered = subject.network.layered  # torch may be missing, which it says
    from detect.explain.torch_backward import Rule, backward
    from detect.explain.torch_graph import TorchGraph
    from detect.explain.torch_retinanet import box_backward

    rule = Rule(method)
    box = None if isinstance(layered, TorchGraph) else _box(subject)

    def send(network: ExplainedNetwork) -> Backward:
        layered = network.layered
        if isinstance(layered, TorchGraph):
            return backward(layered, subject.image, rule=rule, name=subject.asked.label)
        assert box is not None  # noqa: S101  # both are of one kind
        return box_backward(layered, subject.image, box, rule=rule)

    return send
