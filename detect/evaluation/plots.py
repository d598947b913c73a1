"""An evaluation as pictures: curves, what is mistaken for what, whether scores are rates, and what went worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detect.annotations import CocoDataset
from detect.detections import Detections, RGBImage
from detect.evaluation.coco import Evaluation, in_names_of, match
from detect.evaluation.curves import PrecisionRecallCurve, RocCurve
from detect.evaluation.reliability import Reliability
from detect.pictures.rgb import read_rgb
from detect.runtime.letterbox import shrink
from detect.runtime.telemetry import import_quietly

__all__ = ["draw_confusion", "draw_curves", "draw_precision_recall", "draw_reliability", "draw_roc", "draw_worst"]

_TRUTH = (40, 180, 90)
_FOUND = (220, 50, 50)

_LETTERS = 13
"""Points, of seven inches' width: on a phone, which shows a plot at half its size, they can still be read."""

_HALF_A_ROW = 37
"""Letters of a name that leave room for another beside it."""


def draw_curves(evaluation: Evaluation) -> RGBImage:
    """Precision over recall at IoU .5, one curve for each label that occurs."""
    figure, axes = _figure(7, 6)
    for row, curve in zip(evaluation.classes, evaluation.precisions, strict=True):
        if row.boxes:
            axes.plot(evaluation.recalls, curve, label=f"{row.name}  AP50 {row.ap50:.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01), title="IoU .5")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize="small")
    return _pixels(figure)


def draw_roc(curves: Mapping[str, RocCurve]) -> RGBImage:
    """Recall over false alarms, one curve for each name, with the area under it."""
    figure, axes = _plane(1 + len(curves), title="ROC", x="false alarms", y="recall")
    axes.plot((0, 1), (0, 1), color="gray", linestyle=":", label="chance  .500")
    for number, (name, curve) in enumerate(curves.items()):
        label = f"{name}  AUC {curve.auc:.3f}"
        axes.plot(curve.false_alarm_rates, curve.recalls, label=label, **_stroke(number))
    return _with_key(figure)


def draw_precision_recall(curves: Mapping[str, PrecisionRecallCurve]) -> RGBImage:
    """Precision over recall, one curve for each name, in steps, as average precision adds it up."""
    figure, axes = _plane(len(curves), title="Precision and recall", x="recall", y="precision")
    for number, (name, curve) in enumerate(curves.items()):
        label = f"{name}  AP {curve.average_precision:.3f}"
        axes.plot(curve.recalls, curve.precisions, drawstyle="steps-pre", label=label, **_stroke(number))
    return _with_key(figure)


def draw_reliability(tables: Mapping[str, Reliability]) -> RGBImage:
    """What scores say against what is so, one line for each name; a dot is as large as its bin is full."""
    figure, axes = _plane(1 + len(tables), title="Reliability", x="score", y="share of NSFW")
    axes.plot((0, 1), (0, 1), color="gray", linestyle=":", label="as it should be")
    for number, (name, table) in enumerate(tables.items()):
        filled, stroke = table.weights > 0, _stroke(number)
        said, observed, weights = table.said[filled], table.observed[filled], table.weights[filled]
        axes.plot(said, observed, label=f"{name}  ECE {table.expected_calibration_error:.3f}", **stroke)
        axes.scatter(said, observed, s=10 + 150 * weights / weights.max(), color=stroke["color"], alpha=0.6)
    return _with_key(figure)


def draw_confusion(table: NDArray[np.int64], names: Sequence[str]) -> RGBImage:
    """The table of `confusion`, shaded by each row's share."""
    figure, axes = _figure(2.5 + 0.8 * len(names), 2 + 0.8 * len(names))
    axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        if table[row, column]:
            axes.text(column, row, str(table[row, column]), ha="center", va="center")
    axes.set_xticks(range(len(names) + 1), [*names, "missed"], rotation=60, ha="right")
    axes.set_yticks(range(len(names) + 1), [*names, "nothing there"])
    axes.set(xlabel="found", ylabel="truth")
    return _pixels(figure)


def draw_worst(
    data: CocoDataset, found: Sequence[Detections], *, min_score: float, count: int = 12, tile: int = 320
) -> RGBImage:
    """The pictures with the most mistakes (missed, mislabelled, surplus), worst first, four in a row.

    Args:
        data: The truth, drawn in green.
        found: Detections, drawn in red.
        min_score: Detections below this are left out.
        count: At most this many pictures.
        tile: Side of each in pixels.
    """
    mistakes = []
    for position, entry in enumerate(found):
        mine = in_names_of(data, entry)
        pairs = match(data, position, mine, min_score=min_score)
        truth = data.images[position].labels[pairs.truth]
        right = (pairs.partner >= 0) & (np.append(mine.labels, -1)[pairs.partner] == truth)
        mistakes.append(int((~right).sum() + len(pairs.surplus)))
    worst = np.argsort(-np.array(mistakes), kind="stable")[:count]
    rows, columns = -(-len(worst) // 4), min(4, len(worst))
    sheet = Image.new("RGB", (columns * tile, rows * tile), "white")
    for cell, position in enumerate(worst):
        picture = _tile(data, int(position), found[position], min_score=min_score, tile=tile)
        sheet.paste(picture, (cell % 4 * tile, cell // 4 * tile))
    return np.asarray(sheet, np.uint8)


def _tile(data: CocoDataset, position: int, found: Detections, *, min_score: float, tile: int) -> Image.Image:
    record = data.images[position]
    scale = (tile - 16) / max(record.width, record.height)
    rows, columns = max(1, round(record.height * scale)), max(1, round(record.width * scale))
    canvas = Image.new("RGB", (tile, tile), "white")
    canvas.paste(Image.fromarray(shrink(read_rgb(record.path), rows=rows, columns=columns)), (0, 14))
    draw = ImageDraw.Draw(canvas)
    draw.text((2, 1), record.file_name[-40:], fill="black")
    for xyxy, label in zip(record.xyxy, record.labels, strict=True):
        _box(draw, xyxy * scale, data.names[int(label)], _TRUTH, below=True)
    for row in np.flatnonzero(found.scores >= min_score):
        _box(draw, found.xyxy[row] * scale, f"{found.label(int(row))} {found.scores[row]:.2f}", _FOUND, below=False)
    return canvas


def _box(
    draw: ImageDraw.ImageDraw, xyxy: NDArray[np.float32], text: str, color: tuple[int, int, int], *, below: bool
) -> None:
    x0, y0, x1, y1 = (float(edge) for edge in xyxy)
    draw.rectangle((x0, y0 + 14, x1, y1 + 14), outline=color, width=2)
    draw.text((x0 + 3, y1 + 1 if below else y0 + 15), text, fill=color)


def _plane(lines: int, *, title: str, x: str, y: str) -> tuple[Any, Any]:
    """Axes from 0 to 1, with room below for the names of so many lines: over the curves they would hide some."""
    figure, axes = _figure(7, 6 + 0.25 * ((lines - 1) // 2))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_title(title, fontsize=_LETTERS)
    axes.set_xlabel(x, fontsize=_LETTERS)
    axes.set_ylabel(y, fontsize=_LETTERS)
    axes.tick_params(labelsize=_LETTERS)
    axes.grid(alpha=0.3)
    return figure, axes


def _with_key(figure: Any) -> RGBImage:
    names = figure.axes[0].get_legend_handles_labels()[1]
    columns = 1 if max(map(len, names), default=0) > _HALF_A_ROW else 2
    figure.legend(
        loc="outside lower center",
        ncols=columns,
        fontsize=_LETTERS - 3,
        handlelength=1.6,
        columnspacing=1,
        frameon=False,
    )
    return _pixels(figure)


def _stroke(number: int) -> dict[str, str]:
    """What tells one line from the others: ten colors, and dashes for those beyond."""
    return {"color": f"C{number % 10}", "linestyle": ("-", "--", "-.", ":")[number // 10 % 4]}


def _figure(width: float, height: float) -> tuple[Any, Any]:
    agg, drawing = import_quietly("matplotlib.backends.backend_agg"), import_quietly("matplotlib.figure")
    figure = drawing.Figure(figsize=(width, height), dpi=100, layout="constrained")
    agg.FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _pixels(figure: Any) -> RGBImage:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba(), np.uint8)[..., :3].copy()
