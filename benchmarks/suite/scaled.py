"""Section `scaled`: what checking a JPEG file finds beside checking all of its pixels.

A file may be decoded at a fraction of its size where the detector looks at no more than that; pixels are looked at as
they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from alternate import Spread, spread

from detect.boxes import iou
from detect.detections import Detections
from detect.pictures.still import decode
from suite.section import Bench, Row, Section
from suite.sides import command

__all__ = ["compare", "scaled"]

_SEEN = 0.2
"""Least score of a box that must be found on both sides: what the presets act on. A partner may score lower."""


def scaled(bench: Bench) -> Section:
    """Boxes of at least .2 on either side, matched by label and overlap; and the verdicts."""
    checking, _ = command("check")
    rows: list[Row] = []
    data: dict[str, Any] = {}
    for name, paths in (("photographs", bench.photographs), ("large JPEGs", bench.large)):
        found: dict[str, list[Any]] = {"whole_scores": [], "file_scores": [], "iou": [], "alone": [], "verdicts": []}
        for path in paths:
            pixels = decode(path).pixels
            whole, file = checking.check(pixels), checking.check(path)
            if (whole.width, whole.height) != (file.width, file.height):
                raise RuntimeError(
                    f"{path}: checked as {file.width} x {file.height}, not {whole.width} x {whole.height}"
                )
            pairs = compare(whole.detections, file.detections)
            for key, values in pairs.items():
                found[key] += [[path.name, *each] for each in values] if key == "alone" else values
            if whole.verdict.level != file.verdict.level:
                found["verdicts"].append([path.name, whole.verdict.level, file.verdict.level])
        data[name] = found
        rows += _rows(f"check of a file beside check of its pixels, {len(paths)} {name}", found)
    return Section(rows=rows, data=data)


def compare(whole: Detections, file: Detections) -> dict[str, list[Any]]:
    """Match boxes of the same label by greatest overlap, the highest score first.

    Returns:
        ``whole_scores``, ``file_scores`` and ``iou`` of pairs of which one side reaches .2 and whose IoU is at least
        .5; ``alone``: side, label and score of the boxes of at least .2 that have no partner.
    """
    overlap = iou(whole.xyxy, file.xyxy)
    overlap = np.where(whole.labels[:, None] == file.labels[None], overlap, 0.0)
    result: dict[str, list[Any]] = {"whole_scores": [], "file_scores": [], "iou": [], "alone": []}
    free = np.ones(len(file), np.bool_)
    for row in np.argsort(-whole.scores, kind="stable"):
        score = float(whole.scores[row])
        best = int(np.where(free, overlap[row], -1).argmax()) if free.any() else -1
        if best >= 0 and overlap[row, best] >= 0.5:
            free[best] = False
            if max(score, float(file.scores[best])) >= _SEEN:
                result["whole_scores"].append(score)
                result["file_scores"].append(float(file.scores[best]))
                result["iou"].append(float(overlap[row, best]))
        elif score >= _SEEN:
            result["alone"].append(["pixels", whole.label(int(row)), score])
    for row in np.flatnonzero(free & (file.scores >= _SEEN)):
        result["alone"].append(["file", file.label(int(row)), float(file.scores[row])])
    return result


def _rows(what: str, found: dict[str, list[Any]]) -> list[Row]:
    paired = len(found["iou"])
    if not paired:
        raise RuntimeError(f"{what}: no boxes to compare")

    apart = np.abs(np.subtract(found["whole_scores"], found["file_scores"])).tolist()
    share = 100 * paired / (paired + len(found["alone"]))
    return [
        Row(what=what, side="boxes of at least .2 found on both sides", value=Spread.of_one(share), unit="%"),
        Row(what=what, side="score differences", value=spread(apart), unit=""),
        Row(what=what, side="largest score difference", value=Spread.of_one(max(apart)), unit=""),
        Row(what=what, side="IoU of pairs", value=spread(found["iou"]), unit=""),
        Row(what=what, side="least IoU of pairs", value=Spread.of_one(min(found["iou"])), unit=""),
        Row(what=what, side="pictures with another verdict", value=Spread.of_one(len(found["verdicts"])), unit=""),
    ]
