"""What false alarms have in common: the hottest patches of harmless pictures that score high, alike ones together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from censor.analysis.explained_networks import ExplainedNetwork
from censor.analysis.explained_pictures import STANDARD, Explanations, Limits, jpeg, read_small, shown_pixels
from censor.analysis.made_folders import made_folder
from censor.analysis.page import Figure, Gallery, Paragraph, Section, render_page
from censor.errors import CensorError
from censor.gather import BatchItem
from censor.pipeline import Censor
from detect.classifier.scores import Classifier
from detect.detections import RGBImage
from detect.errors import DetectError, ExplanationError
from detect.explain.activation import activation
from detect.explain.clusters import features_of, hottest_patch, k_means
from detect.explain.occlusion import default_window, occlusion
from detect.explain.target import Heatmap, classifier_score

__all__ = ["explain_false_alarms"]

_CLUSTERS = 24
"""At most so many groups of patches."""

_ALIKE = 80.0
"""How far apart the features of patches may be that look alike: on average 20 in each cell, in CIE L*a*b*."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Patch:
    """The hottest patch of a picture: what may be shown of it, and what it looks like."""

    source: Path
    score: float
    box: tuple[int, int, int, int]
    shown: RGBImage
    features: NDArray[np.float32]


def explain_false_alarms(
    items: Sequence[BatchItem],
    networks: Sequence[ExplainedNetwork],
    *,
    at: float,
    censor: Censor | None,
    out: Path,
    seed: int = 0,
    limits: Limits = STANDARD,
    advance: Callable[[], None] = lambda: None,
) -> Explanations:
    """Make a contact sheet of harmless pictures' hottest patches, in a new folder: ``index.html``, ``numbers.json``.

    Args:
        items: Pictures that somebody knows to be harmless. One that fails leaves the others be.
        networks: Classifiers; others are passed over.
        at: Score from which a picture is a false alarm.
        censor: What hides in what is shown; None shows patches as they are.
        out: The folder, which must not be there, or be empty.
        seed: Of the clusters.
        limits: What is read of a picture at most.
        advance: Called after each picture.

    Raises:
        ExplanationError: There is no classifier.
        OutputExistsError: There is something in `out`.
        WriteError: It cannot be written.
    """
    classifiers = [(each.name, each.classifier) for each in networks if each.classifier is not None]
    if not classifiers:
        raise ExplanationError("false alarms are a classifier's: name one that says how likely pictures are NSFW")
    failed: list[tuple[Path, Exception]] = []
    patches: dict[str, list[_Patch]] = {name: [] for name, _ in classifiers}
    highest = dict.fromkeys(patches, 0.0)
    read = 0
    with made_folder(out) as folder:
        for item in items:
            try:
                image = read_small(item, limits)
                for name, classifier in classifiers:
                    (scores,) = classifier.classify([image])
                    highest[name] = max(highest[name], scores.probability)
                    if scores.probability >= at:
                        patches[name].append(_patch(item, image, classifier, scores.probability, censor))
                read += 1
            except (CensorError, DetectError) as error:
                failed.append((item.source, error))
            advance()
        if read:
            sections, record = [], {}
            for name, found in patches.items():
                groups = _groups(found, seed)
                sections += _sections(name, groups, _said(len(found), read, at, highest[name]))
                record[name] = [[_record(each) for each in group] for group in groups]
            lead = f"{read} pictures that should be harmless, and where they alarm."
            (folder / "index.html").write_text(render_page("What false alarms share", sections, lead=lead), "utf-8")
            (folder / "numbers.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        else:
            shutil.rmtree(folder)
    return Explanations(explained=read, failed=tuple(failed))


def _patch(item: BatchItem, image: RGBImage, classifier: Classifier, score: float, censor: Censor | None) -> _Patch:
    top, left, bottom, right = box = hottest_patch(_heat(image, classifier), default_window(*image.shape[:2])[0])
    shown, _ = shown_pixels(item, image, censor)
    features = features_of(image[top:bottom, left:right])
    return _Patch(source=item.source, score=score, box=box, shown=shown[top:bottom, left:right], features=features)


def _heat(image: RGBImage, classifier: Classifier) -> Heatmap:
    try:
        return activation(classifier, image)
    except ExplanationError:  # it has no map
        *_, last = occlusion(image, classifier_score(classifier))
        return last.hidden


def _groups(patches: Sequence[_Patch], seed: int) -> list[list[_Patch]]:
    """Patches that look alike, the largest group first, in each the highest score first."""
    if not patches:
        return []
    cluster = k_means(np.stack([each.features for each in patches]), _CLUSTERS, within=_ALIKE, seed=seed)
    return [
        sorted((each for each, own in zip(patches, cluster, strict=True) if own == number), key=lambda one: -one.score)
        for number in range(cluster.max() + 1)
    ]


def _said(count: int, read: int, at: float, highest: float) -> list[str]:
    """How many alarm; and if none does, what would make some."""
    said = f"{count} of {read} pictures score {at:g} or more."
    return [said, _ADVICE] if count else [f"{said} The highest score is {highest:.2g}: ask from there on to see why."]


def _sections(name: str, groups: Sequence[Sequence[_Patch]], said: Sequence[str]) -> list[Section]:
    sections = [Section(name, [Paragraph(text) for text in said])]
    alike = [group for group in groups if len(group) > 1]
    for number, group in enumerate(alike, 1):
        sections.append(Section(f"{name}: group {number}, {len(group)} alike", [_gallery(group)]))
    if alone := [each for group in groups if len(group) == 1 for each in group]:
        alone.sort(key=lambda each: -each.score)
        sections.append(Section(f"{name}: {len(alone)} like no other", [_gallery(alone)]))
    return sections


def _gallery(patches: Sequence[_Patch]) -> Gallery:
    return Gallery(
        [
            Figure(jpeg(each.shown), f"the hottest patch of {each.source.name}", f"{each.source.name} {each.score:.2g}")
            for each in patches
        ]
    )


_ADVICE = (
    "Below are the patches that these scores come from, those that look alike together. What a group has in common is "
    "what the training data lacked as harmless."
)


def _record(patch: _Patch) -> dict[str, object]:
    return {"file": str(patch.source), "score": patch.score, "box": list(patch.box)}
