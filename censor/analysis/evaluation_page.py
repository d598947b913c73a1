"""What an evaluation says, as a page, and as files beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from PIL import Image

from censor.analysis.evaluate import PEOPLE, Evaluation
from censor.analysis.measured import Judge, JudgedPolicy, Rate
from censor.analysis.page import Block, Figure, Gallery, Paragraph, Section, Table, render_page
from censor.analysis.thumbnails import HIDING, Thumbnails, Wanted
from censor.verdict import Level
from detect.detections import RGBImage
from detect.evaluation.curves import precision_recall_curve, roc_curve
from detect.evaluation.plots import draw_precision_recall, draw_reliability, draw_roc

__all__ = ["PLOTS", "detector_classes", "detector_table", "evaluation_page", "evaluation_plots"]

PLOTS = {
    "roc.png": "ROC: the share of NSFW pictures that are flagged over the share of safe ones, at every threshold",
    "precision-recall.png": "Precision over recall, at every threshold",
    "reliability.png": "Reliability: what classifiers' scores say against the share of NSFW pictures among them",
}
"""Names of the files with plots, and what each shows."""

_UNSAID: Mapping[int, str] = MappingProxyType({})

UNKNOWN = "-"
"""In the place of a number that cannot be said."""


def evaluation_page(
    evaluation: Evaluation,
    plots: Mapping[str, bytes],
    *,
    thumbnails: Thumbnails | None = None,
    worst: int = 12,
    detector: Sequence[Block] = (),
) -> str:
    """Lay out an evaluation.

    Args:
        evaluation: What it says.
        plots: As `evaluation_plots` makes them.
        thumbnails: Makes those of what went worst; None for none.
        worst: At most so many of each kind.
        detector: What else is known of the detector: see `detector_table`.

    Returns:
        HTML that needs nothing else.
    """
    truth = evaluation.truth
    nsfw = int(truth.labels.sum())
    lead = (
        f"{len(truth)} pictures, {len(truth) - nsfw} that people call safe and {nsfw} that they call NSFW, in "
        f"{len(np.unique(truth.groups))} groups; policy {evaluation.policies[0].policy.name}."
    )
    sections = [
        Section("In short", [*_in_short(evaluation)]),
        Section("Verdicts", [block for each in evaluation.policies for block in _verdicts(each)]),
        Section("How well scores tell them apart", _telling_apart(evaluation, plots)),
        Section("Thresholds", _thresholds(evaluation)),
        Section("Are scores probabilities?", _probabilities(evaluation, plots)),
        Section("Who agrees with whom", _agreements(evaluation)),
        *_worst(evaluation, thumbnails, worst),
        *_disputed(evaluation, thumbnails, worst),
        *([Section("The detector's boxes", detector)] if detector else []),
        Section("Pictures and time", _pictures(evaluation)),
    ]
    return render_page("Evaluation", sections, lead=lead)


def evaluation_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """PNG files by their names, those of `PLOTS`; no reliability where there is no classifier."""
    drawn = {_title(judge): judge.data for judge in evaluation.judges if judge.counts or judge.kind != "label"}
    plots = {
        "roc.png": draw_roc({name: roc_curve(data) for name, data in drawn.items()}),
        "precision-recall.png": draw_precision_recall(
            {name: precision_recall_curve(data) for name, data in drawn.items()}
        ),
    }
    if tables := {each.name: found for each in evaluation.judges if (found := each.reliability) is not None}:
        plots["reliability.png"] = draw_reliability(tables)
    return {name: _png(pixels) for name, pixels in plots.items()}


def detector_table(metrics: Mapping[str, object], source: str) -> list[Block]:
    """What `python -m detect evaluate` has measured of a detector, as a table.

    Args:
        metrics: Its ``metrics.json``.
        source: Where that lies.

    Raises:
        ValueError: It is something else.
    """
    rows = [
        [str(each["name"]), str(each["boxes"]), *(_number(each[key]) for key in ("ap", "ap50", "ar"))]
        for each in detector_classes(metrics, source)
    ]
    caption = f"Boxes against boxes that people drew, from {source}"
    return [Table(["label", "boxes", "AP", "AP50", "AR"], rows, caption)]


def detector_classes(metrics: Mapping[str, object], source: str) -> list[dict[str, object]]:
    """The same for JSON: a row for each label.

    Args:
        metrics: See `detector_table`.
        source: See `detector_table`.

    Raises:
        ValueError: It is something else.
    """
    fields = ("name", "boxes", "ap", "ap50", "ar")
    classes = metrics.get("classes")
    if not isinstance(classes, list) or not all(
        isinstance(each, dict) and set(fields) <= set(each) for each in classes
    ):
        raise ValueError(f"{source}: is no metrics.json of `python -m detect evaluate`")
    return [{key: each[key] for key in fields} for each in classes]


def _in_short(evaluation: Evaluation) -> list[Block]:
    main = evaluation.policies[0]
    missed, flagged = main.missed[Level.REVIEW], main.flagged[Level.NSFW]
    return [
        Paragraph(
            f"Of the NSFW pictures the policy {main.policy.name} lets {_rate(missed)} pass as safe; of the safe ones "
            f"it calls {_rate(flagged)} NSFW.",
            emphasis=True,
        ),
        Paragraph(
            "In brackets stands where a number would lie, 95 times in 100, on other pictures like these: groups of "
            "pictures (one source's, and near-duplicates) are drawn again and again. A dash says that there are too "
            "few groups. A threshold that is chosen on these pictures looks better on them than it is; the "
            "command censor calibrate chooses thresholds that hold for pictures to come."
        ),
    ]


def _verdicts(each: JudgedPolicy) -> list[Block]:
    totals = [sum(pair[side] for pair in each.weights.values()) for side in (0, 1)]
    rows = [
        [
            level.value,
            *(
                f"{weight:g} ({_share(weight / total)})"
                for weight, total in zip(each.weights[level], totals, strict=True)
            ),
        ]
        for level in Level
    ]
    table = Table(["verdict", "people: safe", "people: NSFW"], rows, f"Policy {each.policy.name}")
    rows = [
        ["at least review", _rate(each.missed[Level.REVIEW]), _rate(each.flagged[Level.REVIEW])],
        ["NSFW", _rate(each.missed[Level.NSFW]), _rate(each.flagged[Level.NSFW])],
    ]
    return [table, Table(["flagged is what is", "NSFW pictures missed", "safe pictures flagged"], rows)]


def _telling_apart(evaluation: Evaluation, plots: Mapping[str, bytes]) -> list[Block]:
    rows = [[_title(each), _rate(each.auc, share=False), _rate(each.ap, share=False)] for each in evaluation.judges]
    share = float(np.average(evaluation.truth.labels, weights=evaluation.truth.weights))
    blocks: list[Block] = [
        Paragraph(
            f"AUC is how often an NSFW picture scores above a safe one; chance is .5. Average precision is precision "
            f"weighted by the recall that each threshold adds; chance is {share:.3f} here. A label's score is that of "
            "its best box."
        ),
        Table(["score of", "AUC", "average precision"], rows),
    ]
    if evaluation.silent:
        blocks.append(Paragraph(f"No box at all of: {', '.join(evaluation.silent)}."))
    return [*blocks, *(_plot(name, plots) for name in ("roc.png", "precision-recall.png"))]


def _thresholds(evaluation: Evaluation) -> list[Block]:
    blocks: list[Block] = [
        Paragraph("What a threshold would do on these pictures. Flagged is what scores at least that.")
    ]
    for judge in evaluation.judges:
        if judge.kind == "policy" or (judge.kind == "label" and not judge.counts):
            continue
        rows = [
            [
                aim,
                f"{point.threshold:.4g}" if np.isfinite(point.threshold) else "none",
                _share(point.confusion.miss_rate),
                _share(point.confusion.false_alarm_rate),
                UNKNOWN if np.isnan(point.confusion.precision) else _share(point.confusion.precision),
            ]
            for aim, point in judge.points.items()
        ]
        blocks.append(Table(["aim", "threshold", "missed", "false alarms", "precision"], rows, _title(judge)))
    return blocks


def _probabilities(evaluation: Evaluation, plots: Mapping[str, bytes]) -> list[Block]:
    rows = [
        [each.name, f"{found.expected_calibration_error:.3f}", f"{each.brier_score:.3f}"]
        for each in evaluation.judges
        if (found := each.reliability) is not None
    ]
    if not rows:
        return [Paragraph("No classifier was asked; scores of boxes are no probabilities.")]
    return [
        Paragraph(
            "Where a score is a probability, of the pictures that get .8 eight in ten are NSFW. The expected "
            "calibration error is how far scores lie from that on average; the Brier score is the mean square between "
            "score and label, and always saying .5 gets .25. The command censor calibrate makes scores probabilities."
        ),
        Table(["classifier", "calibration error", "Brier score"], rows),
        _plot("reliability.png", plots),
    ]


def _agreements(evaluation: Evaluation) -> list[Block]:
    rows = [
        [
            f"{one}, {other}",
            f"{found.both:g}",
            f"{found.first_only:g}",
            f"{found.second_only:g}",
            f"{found.neither:g}",
            _share(found.rate),
            f"{found.kappa:.2f}" if np.isfinite(found.kappa) else UNKNOWN,
        ]
        for (one, other), found in evaluation.agreements.items()
    ]
    at = evaluation.policies[0].policy.picture.nsfw_at
    said = (
        f"Pictures that two of them call NSFW: policies as they judge, classifiers from {0.5 if at is None else at:g} "
        f"on, and {PEOPLE}. Kappa is agreement beyond chance."
    )
    return [
        Paragraph(said),
        Table(["who", "both", "first only", "second only", "neither", "agree", "kappa"], rows),
    ]


def _worst(evaluation: Evaluation, thumbnails: Thumbnails | None, count: int) -> list[Section]:
    if thumbnails is None or not count:
        return []
    truth, verdicts = evaluation.truth, evaluation.policies[0].verdicts
    ranks = np.array([verdict.level.rank for verdict in verdicts])
    scores = np.array([verdict.score for verdict in verdicts])
    alarms = np.flatnonzero(~truth.labels & (ranks > 0))
    alarms = alarms[np.lexsort((-scores[alarms], -ranks[alarms]))][:count]
    misses = np.flatnonzero(truth.labels & (ranks < Level.NSFW.rank))
    misses = misses[np.lexsort((scores[misses], ranks[misses]))][:count]
    return [
        Section(
            "Worst false alarms",
            _gallery(evaluation, alarms.tolist(), thumbnails, none="No safe picture was flagged.")
            + [Paragraph(f"{HIDING}.")] * bool(len(alarms)),
        ),
        Section(
            "Worst misses",
            _gallery(evaluation, misses.tolist(), thumbnails, none="No NSFW picture was missed.")
            + [Paragraph("People call them NSFW, so they are hidden from edge to edge.")] * bool(len(misses)),
        ),
    ]


def _disputed(evaluation: Evaluation, thumbnails: Thumbnails | None, count: int) -> list[Section]:
    """Pictures on which models contradict each other, whoever is right."""
    if thumbnails is None or not count or not evaluation.asked_several:
        return []
    said = {row: f"{why.kind}: {why.text}" for row, why in evaluation.disputed.items()}
    shown = _gallery(evaluation, list(said)[:count], thumbnails, none="No two contradict each other.", why=said)
    if len(said) > count:
        shown.append(Paragraph(f"The widest gaps of {len(said)}; all are in the column disputed of scores.csv."))
    return [Section("Where models contradict each other", [Paragraph(_SURE), *shown])]


_SURE = (
    "A box makes a picture NSFW and a classifier gives it less than .2; or no box counts and a classifier gives .8 or "
    "more; or one classifier gives that and another less than .2."
)


def _gallery(
    evaluation: Evaluation, rows: Sequence[int], thumbnails: Thumbnails, *, none: str, why: Mapping[int, str] = _UNSAID
) -> list[Block]:
    """What went wrong, or what is said of each picture in `why`."""
    if not rows:
        return [Paragraph(none)]
    answers, seen, wanted = evaluation.look.answers, evaluation.look.seen, {}
    for row in rows:
        picture, verdict = answers.pictures[row], evaluation.policies[0].verdicts[row]
        text = why.get(row) or "; ".join(map(str, verdict.reasons[:2])) or "nothing met a rule"
        wanted[row] = Wanted(
            path=picture.path,
            content=answers.contents[row],
            seen=seen[row],
            caption=f"{picture.path.name}: {verdict.level} {verdict.score:.2f}; {text}",
            hidden="hidden: people call it NSFW" if picture.nsfw else None,
            harmless=not picture.nsfw,
        )
    return [Gallery(list(thumbnails.figures(wanted).values()))]


def _pictures(evaluation: Evaluation) -> list[Block]:
    answers = evaluation.look.answers
    blocks: list[Block] = []
    if answers.unreadable:
        blocks.append(
            Paragraph(
                f"{len(answers.unreadable)} could not be read, and count as neither safe nor NSFW.", emphasis=True
            )
        )
        rows = [
            [str(picture.path), "NSFW" if picture.nsfw else "safe", reason] for picture, reason in answers.unreadable
        ]
        blocks.append(Table(["file", "label", "reason"], rows))
    rows = [
        [stage, str(len(times)), f"{1000 * float(np.median(times)):.1f} ms", f"{sum(times):.1f} s"]
        for stage, times in answers.seconds.items()
        if len(times)
    ]
    if rows:
        blocks.append(
            Table(["stage", "pictures", "median", "together"], rows, "Time, of those that were not in the cache")
        )
    return blocks or [Paragraph("All was in the cache: no picture was looked at.")]


def _title(judge: Judge) -> str:
    return f"policy {judge.name}" if judge.kind == "policy" else judge.name


def _plot(name: str, plots: Mapping[str, bytes]) -> Figure:
    return Figure(plots[name], PLOTS[name])


def _png(pixels: RGBImage) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def _rate(rate: Rate, *, share: bool = True) -> str:
    show = _share if share else "{:.3f}".format
    ends = UNKNOWN if rate.interval is None else f"{show(rate.interval.low)} to {show(rate.interval.high)}"
    return f"{show(rate.value)} ({ends})".replace(" ", "\N{NO-BREAK SPACE}")  # or a phone makes four lines of it


def _share(value: float) -> str:
    return f"{value:.1%}"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float | int) and np.isfinite(value) else UNKNOWN
