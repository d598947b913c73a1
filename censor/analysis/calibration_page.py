"""What a calibration says, as a page."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from censor.analysis.calibrate import Calibrated, Fitted
from censor.analysis.page import Block, Figure, Paragraph, Section, Table, render_page
from censor.verdict import Level
from detect.evaluation.plots import draw_reliability
from detect.evaluation.reliability import brier_score, reliability

__all__ = ["NEEDS", "calibration_errors", "calibration_page"]

NEEDS = (
    (
        "The pictures are a fair sample of what will come. A promise made from photographs says nothing of drawings, "
        "and next year's uploads may be others than this year's."
    ),
    (
        "None is there twice. Near-duplicates, and what people named as one source, count as one picture: so what is "
        "promised is that in at most so many of these groups any picture is judged wrongly."
    ),
    (
        "Nothing was fitted on them: not the networks, not the calibration, not the thresholds that were tried. The "
        "command holds back a part by chance, no group on both sides, and only that part is counted. Trying several "
        "rates, methods or policies and keeping the best is fitting, too."
    ),
    (
        "The policy is used as it was written, with the same models, engine and precision, and looks at pictures as it "
        "did here."
    ),
)
"""What a promise needs, and no program can check."""


def calibration_errors(fitted: Fitted) -> tuple[float, float]:
    """The expected calibration error of pictures that were held back, before and after."""
    before, after = (reliability(data).expected_calibration_error for data in (fitted.before, fitted.after))
    return before, after


def calibration_page(found: Calibrated) -> str:
    """Lay out a calibration.

    Args:
        found: What came of it.

    Returns:
        HTML that needs nothing else.
    """
    back, groups = found.held_back, found.truth.groups
    lead = (
        f"Policy {found.policy.name}, from {len(back)} pictures in {len(np.unique(groups))} groups; "
        f"{int(back.sum())} pictures in {len(np.unique(groups[back]))} groups were held back."
    )
    sections = [
        Section("What is promised", _promised(found)),
        Section("Verdicts before and after", _verdicts(found)),
        *([Section("Scores that are probabilities", _probabilities(found.fitted))] if found.fitted else []),
    ]
    return render_page("Calibration", sections, lead=lead)


def _promised(found: Calibrated) -> list[Block]:
    if not found.promises:
        return [Paragraph("Nothing: no rate was asked for. Thresholds are as they were.")]
    blocks: list[Block] = [Paragraph(f"{promise}.", emphasis=True) for promise in found.promises]
    rows = [
        [
            "judged safe below" if promise.guarantee.of == "misses" else "judged NSFW from",
            "none counts" if promise.boxes is None else f"{promise.boxes:.4g}",
            "none counts" if promise.classifiers is None else f"{promise.classifiers:.4g}",
        ]
        for promise in found.promises
    ]
    blocks.append(Table(["a picture is", "boxes", "classifiers"], rows))
    blocks.append(Paragraph("A statement that is made in this way is true as often as its confidence says, if"))
    return [*blocks, *(Paragraph(f"{number}. {text}") for number, text in enumerate(NEEDS, start=1))]


def _verdicts(found: Calibrated) -> list[Block]:
    back, labels, weights = found.held_back, found.truth.labels, found.truth.weights
    rows = []
    for level in Level:
        cells = []
        for levels in found.levels:
            there = np.array([each is level for each in levels]) & back
            cells += [f"{weights[there & (labels == nsfw)].sum():g}" for nsfw in (False, True)]
        rows.append([level.value, *cells])
    header = ["verdict", "before: safe", "before: NSFW", "after: safe", "after: NSFW"]
    return [Paragraph("Of the pictures that were held back, by what people call them."), Table(header, rows)]


def _probabilities(fitted: Sequence[Fitted]) -> list[Block]:
    rows = [
        [
            each.classifier,
            each.method,
            *(f"{error:.3f}" for error in calibration_errors(each)),
            *(f"{brier_score(data):.3f}" for data in (each.before, each.after)),
        ]
        for each in fitted
    ]
    header = ["classifier", "method", "error before", "after", "Brier score before", "after"]
    tables = {each.classifier: reliability(each.before) for each in fitted}
    tables |= {f"{each.classifier}, {each.method}": reliability(each.after) for each in fitted}
    out = io.BytesIO()
    Image.fromarray(draw_reliability(tables)).save(out, "PNG", optimize=True)
    return [
        Paragraph(
            "Of the pictures that get .8, eight in ten should be NSFW. The error is how far scores lie from that on "
            "average, measured on pictures that were held back. A calibration holds for the share of NSFW pictures "
            "that there is among these."
        ),
        Table(header, rows),
        Figure(out.getvalue(), "What scores say against the share of NSFW pictures among them, before and after"),
        Paragraph(
            "The policy's thresholds for classifiers, and what it hides for them, go by these probabilities from now "
            "on. Those that no promise has set are as they were, and may flag and hide more or less than before: see "
            "the verdicts."
        ),
    ]
