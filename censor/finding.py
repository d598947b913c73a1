"""Calling the networks on all that somebody may see of a picture, and holding them to their contract."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from censor.calibration import calibrated_classifiers
from censor.errors import ClassifierError, DetectorError, PolicyError
from censor.evidence import Evidence
from censor.heat import heat_wanted
from censor.policy import Policy
from censor.rules import PictureRule
from censor.views import Views, turned, upright, views_of
from detect.classifier.scores import Classifier, Scores, heat_is_free, maps_of
from detect.classifier.tiling import most_suspicious
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError
from detect.models.catalogue import KNOWN
from detect.pictures.still import Picture, Reading
from detect.reduction import least_reduction
from detect.tiling import joined, lowest_score, models_of

__all__ = ["Found", "Networks", "find", "find_again", "networks_for", "recall"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """All that looks at pictures, at the first look as at later ones.

    Attributes:
        detector: Finds boxes; None where nothing does, and classifiers look alone.
        classifiers: Say how likely a picture as a whole is NSFW; none unless the policy asks for them.
        rule: Which of them count, and whose maps are wanted.
    """

    detector: Detector | None = None
    classifiers: tuple[Classifier, ...] = ()
    rule: PictureRule = field(default_factory=PictureRule)

    def reduction(self, height: int, width: int) -> int:
        """How many times fewer rows and columns of a picture will do for all of them."""
        detectors = () if self.detector is None else (self.detector,)
        return least_reduction((*detectors, *self.classifiers), height, width)

    @property
    def names(self) -> tuple[str, ...]:
        """What boxes can be found of."""
        return () if self.detector is None else self.detector.names

    @property
    def detectors(self) -> Mapping[str, tuple[str, ...]]:
        """Name of each model that finds boxes, to its labels."""
        return {} if self.detector is None else models_of(self.detector)

    @property
    def says(self) -> dict[str, tuple[str, ...]]:
        """Each classifier's name, to the names of what it can say."""
        return {each.name: each.names for each in self.classifiers}


def networks_for(
    policy: Policy, detector: Detector | None = None, classifiers: Sequence[Classifier] | None = None
) -> Networks:
    """The networks that a policy wants to be served by.

    Args:
        policy: Its rules say what must be reported, and from which score on.
        detector: By default what `censor.loading.load_networks` brings.
        classifiers: By default those that the policy counts, of the models that were added; none are loaded for a
            policy that does nothing about what they say.

    Raises:
        DataFolderError: Nobody knows where models would be, and the policy needs them.
        PolicyError: These cannot serve it.
        UnknownLabelError: The policy names a label that nobody knows.
        WeightsError: There is no detector to load and the policy does not hold without, or a model cannot be loaded.
        TypeError: `detector` or one of `classifiers` is something else.
    """
    if detector is not None and not isinstance(detector, Detector):
        raise TypeError(f"detector must have `names` and `detect(images)`, and {type(detector).__name__} has not")
    for each in classifiers or ():
        if not isinstance(each, Classifier):
            raise TypeError(
                f"a classifier must have `name`, `names` and `classify(images)`, and {type(each).__name__} has not"
            )
    asked: tuple[Classifier, ...] = tuple(classifiers or ()) if policy.asks_classifiers else ()
    if detector is None or (classifiers is None and policy.asks_classifiers):
        from censor.loading import load_networks  # who brings all has no need of what loads

        detector, asked = load_networks(policy, detector=detector, classifiers=classifiers)
    networks = Networks(
        detector=detector, classifiers=calibrated_classifiers(asked, policy.calibrations), rule=policy.picture
    )
    if len(networks.says) < len(asked):
        raise PolicyError(f"policy {policy.name!r}: two classifiers have one name: {[each.name for each in asked]}")
    known = tuple(model.name for model in KNOWN if model.kind == "classifier")
    policy.require(networks.names, classifiers=networks.says, known=known)
    if detector is not None and (floor := lowest_score(detector)) > policy.lowest:
        raise PolicyError(
            f"policy {policy.name!r} acts on scores from {policy.lowest:g}, but the detector reports none below "
            f"{floor:g}; load it with a min_score that low"
        )
    return networks


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a first look finds.

    Attributes:
        everything: All there is to judge.
        visible: What of it can be seen in the output, too, unless it is hidden.
        views: What was looked at, for the next look.
    """

    everything: Evidence
    visible: Evidence
    views: Views


def find(picture: Picture, networks: Networks) -> Found:
    """Look at a picture for the first time.

    What other viewers show counts, and is hidden where they show it. Colours beneath full transparency count too, but
    they are gone from the output.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    views = Views.at(picture, networks.reduction)
    visible = _look(views, picture, networks, picture.readings, again=False)
    if picture.beneath is None:
        return Found(everything=visible, visible=visible, views=views)
    boxes = _detect(networks.detector, picture.beneath, picture.name)
    scores = _ask(networks.classifiers, picture.beneath, None, picture.name)
    everything = Evidence(
        boxes=joined(Detections.concatenate([visible.boxes, boxes])),
        scores=_together([visible.scores, scores]),
        detectors=networks.detectors,
    )
    return Found(everything=everything, visible=visible, views=views)


def recall(picture: Picture, networks: Networks, known: Evidence) -> Found:
    """What a first look at a picture would find, if all but maps is known of it.

    Args:
        picture: The picture.
        networks: Those that looked.
        known: All that they found in it, in its pixels; all of it is taken for visible.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A network failed.
    """
    views = Views.at(picture, networks.reduction)
    scores = _mapped(known.scores, views, picture, networks, picture.readings, again=False)
    evidence = Evidence(boxes=known.boxes, scores=scores, detectors=networks.detectors)
    return Found(everything=evidence, visible=evidence, views=views)


def find_again(views: Views, picture: Picture, networks: Networks) -> Evidence:
    """Look at a picture, in which something has been hidden, as it is shown now.

    Raises:
        ClassifierError: A classifier raised something of its own, or broke its contract.
        DetectError: A network failed.
        DetectorError: The detector raised something of its own, or broke its contract.
    """
    return _look(views, picture, networks, (), again=True)


def _look(views: Views, picture: Picture, networks: Networks, readings: Sequence[Reading], *, again: bool) -> Evidence:
    """What the networks say of all that somebody may see: the one place that asks them.

    One view after the other: each may be 300 MB. Maps are asked for where it has turned out that they are wanted, and
    then of every view, since what is hot in any of them is hidden. Those that cost nothing come with the scores, and
    are dropped where nobody goes by them.
    """
    boxes, scores = [], []
    free = {each.name for each in networks.classifiers if heat_is_free(each)}
    for view, reading in _seen(views, readings):
        found = _detect(networks.detector, view, picture.name)
        boxes.append(views.restore(found, picture) if reading is None else upright(found, reading))
        scores.append(_ask(networks.classifiers, view, reading, picture.name, heat=free))
    together = _mapped(_together(scores), views, picture, networks, readings, again=again, mapped=free)
    found = boxes[0] if len(boxes) == 1 else joined(Detections.concatenate(boxes))
    return Evidence(boxes=found, scores=together, detectors=networks.detectors)


def _mapped(
    scores: Mapping[str, Scores],
    views: Views,
    picture: Picture,
    networks: Networks,
    readings: Sequence[Reading],
    *,
    again: bool,
    mapped: Collection[str] = (),
) -> Mapping[str, Scores]:
    """The scores, with maps of those whose maps are gone by, and of no others that are `mapped` already."""
    wanted = heat_wanted(scores, networks.rule, again=again)
    dropped = {name: replace(scores[name], heat=None) for name in mapped if name not in wanted}
    scores = {**scores, **dropped}
    mapping = [each for each in networks.classifiers if each.name in wanted and each.name not in mapped]
    if not mapping:
        return scores
    maps = []
    for view, reading in _seen(views, readings):
        found = {each.name: _map(each, view, scores[each.name], picture.name) for each in mapping}
        maps.append(found if reading is None else {name: turned(said, reading) for name, said in found.items()})
    return {**scores, **_together(maps)}


def _seen(views: Views, readings: Sequence[Reading]) -> Iterator[tuple[RGBImage, Reading | None]]:
    """Every view, with the reading that it is one of unless that is the picture's own."""
    yield from ((view, None) for view in views)
    for reading in readings:
        yield from ((view, reading) for view in views_of(reading.pixels))


def _ask(
    classifiers: Sequence[Classifier], view: RGBImage, reading: Reading | None, name: str, *, heat: Collection[str] = ()
) -> dict[str, Scores]:
    """What classifiers say of one view, with maps of those named by `heat`."""
    said = {each.name: _classify(each, view, name, heat=each.name in heat) for each in classifiers}
    return said if reading is None else {name: turned(scores, reading) for name, scores in said.items()}


def _together(said: Sequence[Mapping[str, Scores]]) -> Mapping[str, Scores]:
    """What classifiers say of several views of one picture: the most suspicious counts."""
    if len(said) == 1:
        return said[0]
    whole = [(0.0, 0.0, 1.0, 1.0)] * len(said)
    return {name: most_suspicious([each[name] for each in said], whole) for name in said[0]}


def _detect(detector: Detector | None, view: RGBImage, name: str) -> Detections:
    if detector is None:
        return Detections.empty(())
    try:
        found = detector.detect([view])
    except DetectError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        raise DetectorError(f"{name}: the detector failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], Detections):
        raise DetectorError(f"{name}: the detector must answer a list of one Detections for each image")
    if found[0].names != detector.names:
        raise DetectorError(f"{name}: the detector must answer Detections with its own names")
    return found[0]


@contextmanager
def _calling(classifier: Classifier, name: str) -> Iterator[None]:
    try:
        yield
    except DetectError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        failed = f"the classifier {classifier.name} failed: {type(error).__name__}: {error}"
        raise ClassifierError(f"{name}: {failed}") from error


def _map(classifier: Classifier, view: RGBImage, known: Scores, name: str) -> Scores:
    """What is known of a picture, with the map of one view of it."""
    with _calling(classifier, name):
        (found,) = maps_of(classifier, [view])
        return replace(known, heat=found)


def _classify(classifier: Classifier, view: RGBImage, name: str, *, heat: bool) -> Scores:
    with _calling(classifier, name):
        said = classifier.classify([view], heat=heat)
    if not isinstance(said, list) or len(said) != 1 or not isinstance(said[0], Scores):
        raise ClassifierError(f"{name}: the classifier {classifier.name} must answer a list of one Scores an image")
    if said[0].names != classifier.names:
        raise ClassifierError(f"{name}: the classifier {classifier.name} must answer Scores with its own names")
    return said[0]
